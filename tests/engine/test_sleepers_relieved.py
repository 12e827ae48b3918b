"""What waits for a device that sleeps: replaced by something newer, taken back, or barred when it speaks."""

from __future__ import annotations

import orjson
import pytest

from hub.model.effects import Reply
from hub.model.records import Control
from hub.model.values import Scalar
from hub.normalize.networks.downlink import network_id
from tests.engine.desk import SECOND, Desk
from tests.engine.foreign import ask
from tests.engine.sleepers import HOUR, LOCK, METER, content, fire_input, frames, last, reports, spoke, told, valves


@pytest.fixture
def desk() -> Desk:
    return Desk(content())


def test_a_hold_that_still_waits_is_replaced_by_what_ends_it(desk: Desk) -> None:
    ask(desk, "gas-1", "switch_relay_on", ttl="2h")
    ask(desk, "gas-1", "switch_relay_off", "c2")
    assert ("command.superseded", "switch_relay_on") in told(desk)
    assert frames(desk.hear(spoke(desk))) == ["070000ff"]


def test_a_person_who_asks_again_takes_the_place_of_what_waits(desk: Desk) -> None:
    ask(desk, "gas-1", "silence")
    ask(desk, "gas-1", "silence", "c2")
    later = desk.hear(spoke(desk))
    assert [orjson.loads(sent.payload)["id"] for sent in later.transmissions] == [network_id("c2")]


@pytest.fixture
def valve() -> Desk:
    return Desk(valves())


def leaks(valve: Desk) -> None:
    """Let a leak close the valve until that has lasted long enough: it is let go, when the meter speaks."""
    assert reports(valve, METER, leak=True) == ["close_valve"]
    valve.tick(601)
    assert told(valve)[-1] == ("command.waiting_for_uplink", "open_valve")


def test_what_lets_a_valve_go_does_not_undo_what_somebody_more_urgent_asked_for_since(valve: Desk) -> None:
    leaks(valve)
    assert ask(valve, "meter-1", "close_valve")[0].ok
    assert reports(valve, METER, leak=True) == ["open_valve", "close_valve"]


def test_what_lets_a_valve_go_does_not_leave_when_another_hold_has_taken_its_place(valve: Desk) -> None:
    leaks(valve)
    assert reports(valve, METER, fault=True) == ["close_valve"]
    assert ("command.superseded", "open_valve") in told(valve)


def test_what_is_asked_of_a_part_leaves_after_the_release_of_the_whole(desk: Desk) -> None:
    ask(desk, "gate-1", "hold_door", ttl="2h")
    assert reports(desk, LOCK, fire="normal") == ["hold_door"]
    desk.tick(600)
    assert ask(desk, "gate-1", "lock", "c2", part="door-1")[0].code == "waiting_for_uplink"
    assert reports(desk, LOCK, fire="normal") == ["release_door", "lock"]


def cancel(desk: Desk, identity: str) -> Reply:
    words: dict[str, Scalar] = {"site": "s1", "id": identity, "reason": "not that one"}
    (reply,) = desk.say(Control("9-1", f"{len(desk.records)}", "wang", "cancel", desk.wall + SECOND, words)).replies
    return reply


def test_what_waits_has_not_left_and_can_be_taken_back(desk: Desk) -> None:
    ask(desk, "gas-1", "query_life")
    reply = cancel(desk, "c1")
    assert (reply.ok, reply.code) == (True, "cancelled")
    assert last(desk, "command.cancelled").data["detail"] == "operator wang: not that one"
    assert frames(desk.hear(spoke(desk))) == []


def test_nobody_takes_back_what_waits_for_somebody_of_a_higher_priority(desk: Desk) -> None:
    ask(desk, "gas-1", "query_life")
    desk.engine._hands.commands["c1"].priority = "inspection"  # noqa: SLF001 -- operators have one priority
    reply = cancel(desk, "c1")
    assert (reply.ok, reply.code) == (False, "outranked")
    assert reply.detail == "operator li wants it, with priority inspection"
    assert frames(desk.hear(spoke(desk))) == ["080000ff"]


def test_a_release_that_waits_is_not_taken_back_for_it_would_be_sent_again(desk: Desk) -> None:
    ask(desk, "gas-1", "switch_relay_on", ttl="2h")
    desk.hear(spoke(desk))
    desk.tick(2 * HOUR)
    reply = cancel(desk, str(last(desk, "command.waiting_for_uplink").data["id"]))
    assert (reply.ok, reply.code, reply.detail) == (False, "already_over", "its release is on its way")
    assert frames(desk.hear(spoke(desk))) == ["070000ff"]


def test_what_an_interlock_bars_when_the_device_speaks_waits_on_and_is_told_once(desk: Desk) -> None:
    ask(desk, "gate-1", "lock")
    burning = fire_input(desk, "open_circuit")
    assert (frames(burning), told(burning)) == ([], [("command.interlocked", "lock")])
    assert told(fire_input(desk, "open_circuit")) == []
    assert frames(fire_input(desk, "normal")) == [b"lock".hex()]
