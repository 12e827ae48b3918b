"""Releases that did not leave: sent again until something lets go, and never so that they undo what is newer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from hub.engine.owed import MOST_UNHEEDED
from hub.model.effects import Effects, Reply
from hub.model.heard import Publish
from hub.model.records import Control, Outcome, OutcomeKind, Started
from hub.model.values import Scalar, Severity
from tests.engine.desk import HOUR, SECOND, SESSIONS, Desk, device, documents, native, unheard

RULES = """
rule: leak-closes
for_each: water_meter
when: leak
raise: {event: utility.leak, severity: high}
do: [{command: close_valve, until: cleared, args: {}, priority: automatic}]
clear: {when: not leak}
"""
MINE = {"kind/water_meter", "kind/access_controller", "rule/leak-closes"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    found = documents(device("door-1", "access_controller"), device("meter-1", "water_meter"), rules=[tmp_path])
    return Desk({key: body for key, body in found.items() if key in MINE or key.startswith("device/")})


def ask(desk: Desk, name: str, command: str, identity: str = "c1", **args: Scalar) -> Reply:
    words: dict[str, Scalar] = {"site": "s1", "device": name, "command": command, **args}
    return desk.say(Control("1-0", identity, "li", "command", desk.wall + 30 * SECOND, words)).replies[0]


def sent(found: Sequence[Effects]) -> list[str]:
    """Return what leaves: the command and its part."""
    said = [orjson.loads(each.payload) for effects in found for each in effects.transmissions]
    return [f"{each['command']} {each.get('part', '')}".rstrip() for each in said]


def comes_to(desk: Desk, kind: OutcomeKind) -> None:
    """Let everything that the last record sent come to this."""
    for each in desk.effects[-1].transmissions:
        desk.say(Outcome(each.command, kind, "broker_gone"))


def passes(desk: Desk, seconds: int, kind: OutcomeKind) -> list[str]:
    """Let time pass, in which whatever leaves comes to this, and is done when it arrives; return it."""
    before = len(desk.effects)
    for _ in range(seconds):
        left = desk.tick(1).transmissions
        comes_to(desk, kind)
        for each in left if kind is OutcomeKind.DELIVERED else ():
            desk.hear(native(each.topic.split("/")[2], {"id": each.command, "ok": True}, "response"))
    return sent(desk.effects[before:])


def leaked(desk: Desk) -> None:
    """Close the valve until a leak is over; what opens it again does not leave."""
    for leaks in (True, False):
        desk.hear(native("meter-1", {"values": {"leak": leaks}}, "telemetry"))
        comes_to(desk, OutcomeKind.DELIVERED if leaks else OutcomeKind.FAILED)
    assert sent(desk.effects) == ["close_valve", "open_valve"]


def test_what_opens_a_valve_does_not_undo_that_a_person_has_closed_it_since(desk: Desk) -> None:
    leaked(desk)
    assert ask(desk, "meter-1", "close_valve").ok
    desk.say(Outcome("c1", OutcomeKind.DELIVERED))
    assert passes(desk, 60, OutcomeKind.DELIVERED) == []
    assert not desk.engine._hands.leases  # noqa: SLF001 -- a debt shows nowhere else


@pytest.mark.parametrize("end", ["lost", "refused", "restart"])
def test_what_opens_a_valve_is_sent_again_when_what_a_person_wanted_since_was_not_done(desk: Desk, end: str) -> None:
    leaked(desk)
    ask(desk, "meter-1", "close_valve")
    if end == "lost":
        comes_to(desk, OutcomeKind.FAILED)
    elif end == "refused":
        comes_to(desk, OutcomeKind.DELIVERED)
        answer = {"id": "c1", "ok": False, "code": "jammed"}
        desk.hear(native("meter-1", answer, "response"))
    else:
        desk = desk.restart()
        desk.wait(60)
        desk.say(Started("test", SESSIONS))
    assert passes(desk, 20, OutcomeKind.DELIVERED) == ["open_valve"]


def held(desk: Desk, *parts: str) -> None:
    """Hold the whole gate for twenty seconds; what lets it go does not leave."""
    for part in parts:
        desk.hear(native("door-1", {"part": part, "values": {"door": "closed"}}, "telemetry"))
    ask(desk, "door-1", "hold_door", "hold", ttl="20s")
    comes_to(desk, OutcomeKind.DELIVERED)
    desk.tick(20)
    assert sent(desk.effects) == ["hold_door", "release_door"]
    comes_to(desk, OutcomeKind.FAILED)


def test_of_a_gate_that_is_let_go_too_late_the_door_that_somebody_has_locked_since_stays_so(desk: Desk) -> None:
    held(desk, "door-1", "door-2", "door-3")
    ask(desk, "door-1", "lock", part="door-2")
    comes_to(desk, OutcomeKind.DELIVERED)
    assert passes(desk, 3, OutcomeKind.FAILED) == []
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    assert passes(later, 3, OutcomeKind.FAILED) == ["release_door door-1", "release_door door-3"]
    assert passes(later, 600, OutcomeKind.DELIVERED) == ["release_door door-1", "release_door door-3"]
    assert passes(later, 600, OutcomeKind.DELIVERED) == []


def test_a_gate_that_never_spoke_of_its_doors_is_let_go_as_a_whole_for_a_release_always_goes_out(desk: Desk) -> None:
    held(desk)
    ask(desk, "door-1", "lock", part="door-2")
    comes_to(desk, OutcomeKind.DELIVERED)
    assert passes(desk, 20, OutcomeKind.DELIVERED) == ["release_door"]


def test_a_release_that_has_no_answer_yet_when_a_door_is_locked_does_not_leave_again_for_that_door(desk: Desk) -> None:
    for part in ("door-1", "door-2"):
        desk.hear(native("door-1", {"part": part, "values": {"door": "closed"}}, "telemetry"))
    ask(desk, "door-1", "hold_door", "hold", ttl="60s")
    comes_to(desk, OutcomeKind.DELIVERED)
    ask(desk, "door-1", "lock", part="door-2")
    assert sent(desk.effects[-2:]) == ["release_door", "lock door-2"]
    desk.say(Outcome("c1", OutcomeKind.DELIVERED))
    assert passes(desk, 60, OutcomeKind.DELIVERED) == ["release_door door-1"]


def test_a_release_that_did_not_leave_is_sent_once_more_when_its_device_is_taken_away(desk: Desk) -> None:
    leaked(desk)
    left = {key: body for key, body in desk.engine.content.bodies().items() if key != "device/s1/meter-1"}
    assert sent([desk.revise(left)]) == ["open_valve"]
    assert passes(desk, 60, OutcomeKind.FAILED) == []
    assert not desk.engine._hands.leases  # noqa: SLF001 -- a debt shows nowhere else


def test_a_release_that_is_on_its_way_is_not_sent_again_when_its_device_is_taken_away(desk: Desk) -> None:
    for leaks in (True, False):
        desk.hear(native("meter-1", {"values": {"leak": leaks}}, "telemetry"))
    left = {key: body for key, body in desk.engine.content.bodies().items() if key != "device/s1/meter-1"}
    assert sent([desk.revise(left)]) == []


# ------------------------------------------------------------------------------------------------ what came to nothing


def answers(desk: Desk, code: str = "") -> None:
    """Let the broker take what was sent last, and the door answer it: refused with ``code``, or done."""
    sent_last = [each for effects in desk.effects for each in effects.transmissions][-1]
    desk.say(Outcome(sent_last.command, OutcomeKind.DELIVERED))
    answer = {"id": sent_last.command, "ok": not code, **({"code": code} if code else {})}
    desk.hear(native("door-1", answer, "response"))


def stays_open(desk: Desk) -> None:
    """Hold the door for twenty seconds, after which it does not let go: it is busy."""
    ask(desk, "door-1", "hold_door", "hold", part="front", ttl="20s")
    answers(desk)
    desk.tick(20)
    assert sent(desk.effects) == ["hold_door front", "release_door front"]
    answers(desk, "busy")


def told(desk: Desk) -> list[str]:
    """Return what people are told of the release, and how grave it is."""
    mine = [event for event in desk.events if event.data.get("command") == "release_door"]
    return [f"{event.severity} {event.name}" for event in mine if event.severity is not Severity.INFO]


def test_a_door_that_is_too_busy_to_close_is_told_again_until_it_does_over_a_restart_and_people_twice(
    desk: Desk,
) -> None:
    stays_open(desk)
    assert passes(desk, 4, OutcomeKind.DELIVERED) == []
    desk.tick(1)
    answers(desk, "busy")
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    assert passes(later, 9, OutcomeKind.DELIVERED) == []
    later.tick(1)
    answers(later)
    assert passes(later, 900, OutcomeKind.DELIVERED) == []
    assert sent([*desk.effects, *later.effects])[2:] == ["release_door front"] * 2
    assert told(desk) + told(later) == ["medium command.rejected", "medium command.let_go"]
    assert not later.engine._hands.leases  # noqa: SLF001 -- a debt shows nowhere else


def test_a_release_that_the_broker_took_and_the_door_never_heard_is_sent_again(desk: Desk) -> None:
    ask(desk, "door-1", "hold_door", "hold", part="front", ttl="20s")
    answers(desk)
    desk.tick(20)
    comes_to(desk, OutcomeKind.DELIVERED)
    assert passes(desk, 16, OutcomeKind.DELIVERED) == ["release_door front"]
    answers(desk)
    assert passes(desk, 900, OutcomeKind.DELIVERED) == []
    assert told(desk) == ["medium command.timeout", "medium command.let_go"]


def test_a_door_that_answers_too_late_is_not_told_again(desk: Desk) -> None:
    ask(desk, "door-1", "hold_door", "hold", part="front", ttl="20s")
    answers(desk)
    desk.tick(20)
    comes_to(desk, OutcomeKind.DELIVERED)
    assert passes(desk, 12, OutcomeKind.DELIVERED) == []
    answers(desk)
    assert passes(desk, 900, OutcomeKind.DELIVERED) == []
    assert told(desk) == ["medium command.timeout", "medium command.let_go"]


def test_a_door_that_refuses_for_ever_is_given_up_and_people_are_told_so_once(desk: Desk) -> None:
    stays_open(desk)
    tries = 0
    for _ in range(6 * 360):
        if sent([desk.tick(10)]):
            answers(desk, "busy")
            tries += 1
    assert tries == MOST_UNHEEDED - 1  # and the first
    assert told(desk) == ["medium command.rejected", "medium command.given_up"]
    assert not desk.engine._hands.leases  # noqa: SLF001 -- a debt shows nowhere else


def test_a_door_that_can_not_is_given_up_at_once(desk: Desk) -> None:
    ask(desk, "door-1", "hold_door", "hold", part="front", ttl="20s")
    answers(desk)
    desk.tick(20)
    answers(desk, "unsupported")
    assert passes(desk, 600, OutcomeKind.DELIVERED) == []
    assert told(desk) == ["medium command.rejected", "medium command.given_up"]


def test_a_door_that_is_gone_is_told_again_when_it_speaks_and_not_given_up_meanwhile(desk: Desk) -> None:
    stays_open(desk)
    desk.hear(Publish("hub/s1/door-1/availability", b"offline"))
    assert passes(desk, HOUR, OutcomeKind.DELIVERED) == []
    desk.hear(Publish("hub/s1/door-1/availability", b"online"))
    assert passes(desk, 5, OutcomeKind.DELIVERED) == ["release_door front"]
    answers(desk)
    assert told(desk) == ["medium command.rejected", "medium command.let_go"]


def test_a_door_that_shows_to_be_locked_by_now_is_not_told_again(desk: Desk) -> None:
    stays_open(desk)
    desk.hear(native("door-1", {"part": "front", "values": {"lock": "locked"}}, "telemetry"))
    assert passes(desk, 900, OutcomeKind.DELIVERED) == []
    assert told(desk) == ["medium command.rejected", "medium command.let_go"]


@pytest.mark.parametrize("newer", ["lock", "hold_door"])
def test_whoever_wants_something_of_a_busy_door_has_the_last_word(desk: Desk, newer: str) -> None:
    stays_open(desk)
    ask(desk, "door-1", newer, "c2", part="front", **({"ttl": "2m"} if newer == "hold_door" else {}))
    answers(desk)
    assert passes(desk, 100, OutcomeKind.DELIVERED) == []


def test_who_can_neither_answer_nor_show_it_has_let_go_when_the_broker_has_it() -> None:
    found = documents(device("door-1", "access_controller", "uhppoted/ut0311-l04"))
    desk = Desk(unheard(found))
    ask(desk, "door-1", "hold_door", "hold", part="door-1", ttl="20s")
    comes_to(desk, OutcomeKind.DELIVERED)
    desk.tick(20)
    comes_to(desk, OutcomeKind.DELIVERED)
    assert passes(desk, 600, OutcomeKind.DELIVERED) == []
    assert not desk.engine._hands.leases  # noqa: SLF001 -- a debt shows nowhere else
