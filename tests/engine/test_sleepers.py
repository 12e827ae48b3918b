"""LoRaWAN class A: a device hears nothing until it spoke: what waits for it, would come too late, is seen done."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pytest

from hub.model.effects import Effects
from hub.model.heard import Publish
from hub.model.records import Outcome, OutcomeKind, Started
from hub.normalize.networks.downlink import network_id
from hub.yaml_documents import canonical_json
from tests.engine.desk import SECOND, Desk, documents, native
from tests.engine.foreign import APPLICATION, LORA, ask, foreign, source, state_of
from tests.engine.sleepers import BARRIER, CLOSED, GAS, HOUR, LEAK, LOCK, content, frames, last, spoke, told


@pytest.fixture
def desk() -> Desk:
    return Desk(content())


# --------------------------------------------------------------------------------------------------------- it waits


def test_a_command_waits_until_its_device_has_spoken_and_may_wait_until_that_is_taken_to_be_gone(desk: Desk) -> None:
    desk.hear(spoke(desk))
    desk.tick(60)
    asked = desk.wall
    reply, effects = ask(desk, "gas-1", "query_life")
    assert (reply.ok, reply.code, effects.transmissions) == (True, "waiting_for_uplink", [])
    assert told(effects) == [("command.waiting_for_uplink", "query_life")]
    desk.tick(HOUR)
    assert state_of(desk) == "waiting_for_uplink"
    later = desk.hear(spoke(desk))
    assert frames(later) == ["080000ff"]
    assert orjson.loads(later.transmissions[0].payload)["id"] == network_id("c1")
    assert later.transmissions[0].expires_at == asked + 25 * HOUR * SECOND
    assert state_of(desk) == "accepted"


def test_what_waited_longer_than_its_device_may_be_silent_has_expired_and_never_leaves(desk: Desk) -> None:
    ask(desk, "gas-1", "query_life")
    desk.tick(25 * HOUR)
    assert told(desk)[-1] == ("command.expired", "query_life")
    assert frames(desk.hear(spoke(desk))) == []


def test_of_what_waits_the_most_urgent_leaves_first_and_then_the_oldest(desk: Desk) -> None:
    for number, command in enumerate(("query_life", "clear_alarm", "silence")):
        ask(desk, "gas-1", command, f"c{number}")
    desk.engine._hands.commands["c2"].priority = "inspection"  # noqa: SLF001 -- operators have one priority
    assert frames(desk.hear(spoke(desk))) == ["ff612c01", "080000ff", "ff64ff"]


def test_an_uplink_lets_go_what_waits_whatever_the_clock_of_its_network_says_but_not_one_that_it_kept(
    desk: Desk,
) -> None:
    desk.hear(spoke(desk, behind=90))
    desk.tick(600)
    ask(desk, "gas-1", "query_life")
    assert frames(desk.hear(spoke(desk, behind=390))) == []
    assert frames(desk.hear(spoke(desk, behind=90))) == ["080000ff"]


def test_a_restart_keeps_what_waits_and_an_uplink_that_the_broker_kept_lets_nothing_go(desk: Desk) -> None:
    desk.hear(spoke(desk))
    desk.tick(60)
    ask(desk, "gas-1", "query_life")
    kept = spoke(desk)
    later = desk.restart()
    later.wait(600)
    assert later.say(Started("test", ("events", "telemetry"))).transmissions == []
    assert frames(later.hear(kept)) == []
    later.catch_up(2)
    assert frames(later.hear(kept, connection=2)) == []
    assert frames(later.hear(spoke(later), connection=2)) == ["080000ff"]


def test_a_command_that_left_and_whose_leaving_nobody_recorded_waits_again_under_its_id(desk: Desk) -> None:
    ask(desk, "gas-1", "query_life")
    desk.hear(spoke(desk))
    later = desk.restart()
    later.wait(600)
    assert later.say(Started("test", ("events", "telemetry"))).transmissions == []
    later.catch_up(2)
    again = later.hear(spoke(later), connection=2)
    assert [orjson.loads(sent.payload)["id"] for sent in again.transmissions] == [network_id("c1")]


def test_a_device_that_always_listens_is_told_at_once_and_what_waited_leaves_when_it_says_so(desk: Desk) -> None:
    ask(desk, "gas-1", "query_life")
    assert frames(desk.hear(spoke(desk, deviceClassEnabled="CLASS_C"))) == ["080000ff"]
    desk.tick(600)
    _, effects = ask(desk, "gas-1", "clear_alarm", "c2")
    assert frames(effects) == ["ff64ff"]
    _, effects = ask(desk, "gas-1", "switch_relay_on", "c3", ttl="30s")
    assert frames(effects) == ["070001ff"]


def test_where_the_network_does_not_say_which_class_a_device_has_the_source_may() -> None:
    desk = Desk({**content(), **source("lora", "chirpstack", device_class="CLASS_C")})
    desk.hear(spoke(desk))
    desk.tick(600)
    _, effects = ask(desk, "gas-1", "switch_relay_on", ttl="30s")
    assert frames(effects) == ["070001ff"]
    desk.hear(spoke(desk, deviceClassEnabled="CLASS_A"))
    desk.tick(600)
    assert ask(desk, "gas-1", "query_life", "c2")[0].code == "waiting_for_uplink"


def test_what_a_person_saw_does_not_wait_until_a_device_listens() -> None:
    gate = foreign("gate", "plate_reader", "test/model", "lora", LOCK)
    desk = Desk({**documents(LORA, gate), "profile/test/model": canonical_json(BARRIER)})
    desk.hear(spoke(desk, b'{"confidence": 1}'.hex(), eui=LOCK))
    assert ask(desk, "gate", "release_barrier", "c1", seen=True)[0].code == "accepted"  # it listens
    desk.tick(60)
    reply, effects = ask(desk, "gate", "release_barrier", "c2", seen=True)
    assert (reply.ok, reply.code) == (False, "interlocked")
    assert "what was seen (--seen) is over by then" in reply.detail
    assert told(effects) == [("command.rejected", "release_barrier")]
    assert frames(desk.hear(spoke(desk, b'{"confidence": 1}'.hex(), eui=LOCK))) == []


# ------------------------------------------------------------------------------------------------- it comes in time


def test_what_an_uplink_itself_causes_leaves_in_its_window_and_is_not_renewed_into_the_void(desk: Desk) -> None:
    leak = desk.hear(spoke(desk, LEAK))
    assert ("fire.gas_leak", "raised") in {(event.name, event.transition) for event in leak.events}
    assert frames(leak) == ["060000ff"]
    assert leak.transmissions[0].expires_at - desk.wall <= 30 * SECOND
    assert [frames(desk.tick(1)) for _ in range(40)] == [[]] * 40


def test_what_is_urgent_is_refused_when_it_would_come_too_late_and_the_reason_is_told_in_both_languages(
    desk: Desk,
) -> None:
    desk.hear(spoke(desk))
    desk.tick(60)
    effects = desk.hear(native("smoke-9", {"values": {"alarm": True}}, "telemetry"))
    assert effects.transmissions == []
    refused = last(desk, "command.rejected")
    why = "it listens only after it spoke, every 20m, and this is worth 10s"
    assert refused.data["detail"] == f"device_asleep: {why}"
    assert refused.label == {"en": why, "zh": "设备只在上报之后接收命令，上报周期 20m，而该命令的有效期只有 10s"}
    assert frames(desk.hear(spoke(desk))) == []


def test_a_hold_that_would_be_over_before_the_device_speaks_again_is_refused_though_it_listens_now(desk: Desk) -> None:
    desk.hear(spoke(desk))
    reply, effects = ask(desk, "gas-1", "switch_relay_on", ttl="30s")
    assert (reply.ok, reply.code, effects.transmissions) == (False, "device_asleep", [])
    assert "上报周期 20m" in reply.detail
    assert told(effects) == [("command.rejected", "switch_relay_on")]
    assert desk.engine._hands.leases == {}  # noqa: SLF001 -- a lease shows nowhere else


def test_a_long_hold_waits_and_so_does_its_release_which_always_goes_out(desk: Desk) -> None:
    desk.hear(spoke(desk))
    desk.tick(60)
    ask(desk, "gas-1", "switch_relay_on", ttl="2h")
    assert frames(desk.hear(spoke(desk))) == ["070001ff"]
    desk.tick(2 * HOUR)
    assert told(desk)[-1] == ("command.waiting_for_uplink", "switch_relay_off")
    desk.tick(10 * HOUR)
    assert frames(desk.hear(spoke(desk))) == ["070000ff"]


# ------------------------------------------------------------------------------------------------------ what is seen


def receipt(desk: Desk, identity: str = "c1") -> Effects:
    body: Mapping[str, object] = {"queueItemId": network_id(identity), "acknowledged": True}
    return desk.hear(Publish(f"application/{APPLICATION}/device/{GAS}/event/ack", orjson.dumps(body)))


def test_that_it_was_done_shows_in_the_next_uplink_however_late_that_is(desk: Desk) -> None:
    ask(desk, "gas-1", "close_valve")
    desk.hear(spoke(desk))
    desk.say(Outcome("c1", OutcomeKind.SENT))
    receipt(desk)
    desk.tick(3 * HOUR)
    assert state_of(desk) == "delivered"
    assert told(desk.hear(spoke(desk, CLOSED))) == [("command.verified", "close_valve")]


def test_so_does_what_a_restart_let_wait_again_and_the_network_then_says_has_left(desk: Desk) -> None:
    ask(desk, "gas-1", "close_valve")
    desk.hear(spoke(desk))
    later = desk.restart()
    later.wait(600)
    later.say(Started("test", ("events", "telemetry")))
    assert state_of(later) == "waiting_for_uplink"
    later.catch_up(2)
    later.say(Outcome("c1", OutcomeKind.DELIVERED))
    later.tick(60)
    effects = later.hear(spoke(later, CLOSED), connection=2)
    assert ("command.verified", "close_valve") in told(effects)


def test_what_nothing_can_show_to_be_done_does_not_stay_open_for_as_long_as_it_might_have_waited(desk: Desk) -> None:
    ask(desk, "gas-1", "clear_alarm")
    desk.hear(spoke(desk))
    desk.say(Outcome("c1", OutcomeKind.SENT))
    receipt(desk)
    assert told(desk.tick(10)) == [("command.timeout", "clear_alarm")]
