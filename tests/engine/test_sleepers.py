"""LoRaWAN class A: a device hears nothing until it spoke: what waits for it, is replaced, would come too late."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

import orjson
import pytest

from hub.engine.device import Device
from hub.model import Control, Effects, Event, Outcome, OutcomeKind, Publish, Reply, Scalar, Started
from hub.normalize.networks.downlink import network_id
from hub.rules.rule import Rule, write_rule
from hub.yaml_documents import canonical_json
from tests.engine.desk import SECOND, Desk, device, documents
from tests.engine.test_alarms import native
from tests.engine.test_sources import APPLICATION, LORA, ask, foreign, source, state_of
from tests.normalize.devices import model

HOUR = 3_600
GAS, LOCK, METER = "24e124ffffffff01", "24e124ffffffff02", "24e124ffffffff03"
QUIET, LEAK, CLOSED = "058E00060101070100", "058E01060101070100", "058E00060100070100"
URGENT = {
    "rule": "close-all",
    "version": "1.0.0",
    "label": {"en": "Close all valves", "zh": "关闭所有阀门"},
    "for_each": "smoke_sensor",
    "when": "alarm",
    "raise": {"event": "fire.test", "severity": "critical"},
    "do": [{"command": "close_valve", "to": {"kind": "gas_detector", "in": "building"}, "priority": "life_safety"}],
}
LATCH = model(
    "access_controller",
    payload={"format": "json"},
    liveness={"report_every": "1h", "offline_after": "3h"},
    properties={"fire_input": {"path": "fire"}},
    commands={name: {"text": name, "port": 2} for name in ("lock", "hold_door", "release_door")},
)
VALVE = model(
    "water_meter",
    payload={"format": "json"},
    liveness={"report_every": "1h", "offline_after": "3h"},
    properties={name: {"path": name} for name in ("valve", "leak", "fault")},
    commands={name: {"text": name, "port": 2} for name in ("close_valve", "open_valve")},
)
BARRIER = model(
    "plate_reader",
    payload={"format": "json"},
    liveness={"report_every": "1h", "offline_after": "3h"},
    properties={"confidence": {"path": "confidence"}},
    commands={"release_barrier": {"text": "release", "port": 2, "confirm": False}},
)


def closes(when: str) -> Rule:
    """Return a rule that holds the valve of a meter closed for ten minutes at most."""
    held = {"command": "close_valve", "until": "cleared", "at_most": "10m", "priority": "automatic"}
    return Rule.model_validate({
        "rule": f"{when}-closes", "version": "1.0.0", "label": {"en": "Close", "zh": "关阀"}, "for_each": "water_meter",
        "when": when, "clear": {"when": f"not {when}"}, "raise": {"event": f"utility.{when}", "severity": "high"},
        "do": [held],
    })  # fmt: skip


@cache
def content() -> dict[str, bytes]:
    found = documents(
        LORA,
        foreign("gas-1", "gas_detector", "milesight/gs101", "lora", GAS),
        foreign("gate-1", "access_controller", "test/model", "lora", LOCK),
        device("smoke-9", "smoke_sensor"),
    )
    used = {key: body for key, body in found.items() if not key.startswith("profile/") or key.endswith("gs101")}
    return {
        **used, "profile/test/model": canonical_json(LATCH), "rule/close-all": write_rule(Rule.model_validate(URGENT)),
    }  # fmt: skip


@pytest.fixture
def desk() -> Desk:
    return Desk(content())


def spoke(desk: Desk, payload: str = QUIET, *, eui: str = GAS, behind: int = 0, **words: object) -> Publish:
    """Return what ChirpStack publishes of an uplink that it heard just now, or whose clock is so far ``behind`` (s)."""
    heard = datetime.fromtimestamp(desk.wall // SECOND - behind, UTC)
    body = {
        "deduplicationId": f"{desk.t}", "deviceInfo": {"devEui": eui, **words}, "fPort": 85, "time": heard.isoformat(),
        "data": base64.b64encode(bytes.fromhex(payload)).decode(),
    }  # fmt: skip
    return Publish(f"application/{APPLICATION}/device/{eui}/event/up", orjson.dumps(body))


def frames(effects: Effects) -> list[str]:
    """Return the bytes that the network is given for its devices."""
    return [base64.b64decode(orjson.loads(sent.payload)["data"]).hex() for sent in effects.transmissions]


def told(effects: Effects | Desk, *names: str) -> list[tuple[str, str]]:
    """Return (name, command) of the events of commands, or of those called ``names``."""
    wanted = [event for event in effects.events if event.name.startswith("command.")]
    return [(event.name, str(event.data["command"])) for event in wanted if not names or event.name in names]


def last(desk: Desk, name: str) -> Event:
    return [event for event in desk.events if event.name == name][-1]


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


# ------------------------------------------------------------------------------ what keeps people alive stays wanted

ESCAPE = {
    "rule": "smoke-opens", "version": "1.0.0", "label": {"en": "Smoke opens", "zh": "烟感开门"},
    "for_each": "smoke_sensor", "when": "alarm", "clear": {"when": "not alarm"},
    "raise": {"event": "fire.opens", "severity": "critical"},
    "do": [{
        "command": "hold_door", "args": {"ttl": "30s"}, "to": {"kind": "access_controller", "in": "building"},
        "priority": "life_safety", "until": "cleared",
    }],
}  # fmt: skip


@pytest.fixture
def escape() -> Desk:
    kept = {key: body for key, body in content().items() if not key.startswith("rule/")}
    desk = Desk({**kept, "rule/smoke-opens": write_rule(Rule.model_validate(ESCAPE))})
    reports(desk, LOCK, fire="normal")
    desk.tick(60)
    return desk


def burns(desk: Desk, *, connection: int = 1, alarm: bool = True) -> Effects:
    return desk.hear(native("smoke-9", {"values": {"alarm": alarm}}, "telemetry"), connection=connection)


def test_an_escape_door_that_sleeps_is_refused_with_a_reason_and_opened_whenever_it_speaks(escape: Desk) -> None:
    assert burns(escape).transmissions == []
    why = "it listens only after it spoke, every 1h, and this is worth 30s"
    refused = last(escape, "command.rejected")
    assert refused.data["detail"] == (
        f"device_asleep: {why}: it cannot be held, and is sent whenever the device has spoken while the alarm lasts"
    )
    assert "报警期间设备每次上报后即下发" in refused.label["zh"]
    assert [frames(escape.tick(30)) for _ in range(100)] == [[]] * 100
    for _ in range(2):
        assert reports(escape, LOCK, fire="normal") == ["hold_door"]
        assert reports(escape, LOCK, fire="normal") == []
        assert [frames(escape.tick(30)) for _ in range(100)] == [[]] * 100
    resumed = last(escape, "command.resumed")
    assert (resumed.rule, resumed.data["detail"]) == ("smoke-opens", "the device has spoken")
    assert told(escape).count(("command.rejected", "hold_door")) == 1


def test_a_wall_clock_that_is_set_back_keeps_no_escape_door_from_being_opened_again(escape: Desk) -> None:
    burns(escape)
    assert reports(escape, LOCK, fire="normal") == ["hold_door"]
    escape.wall -= HOUR * SECOND
    escape.tick(120)
    assert reports(escape, LOCK, fire="normal") == ["hold_door"]


def test_an_uplink_looks_only_at_what_is_held_of_its_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {key: body for key, body in content().items() if not key.startswith("rule/")}
    doors: dict[str, bytes] = {}
    for number in range(20):
        doors |= foreign(f"door-{number}", "access_controller", "test/model", "lora", f"24e124ffffffff{number + 16:x}")
    desk = Desk({**kept, **doors, "rule/smoke-opens": write_rule(Rule.model_validate(ESCAPE))})
    asked: list[Device] = []

    def identity(device: Device) -> tuple[str, str]:
        asked.append(device)
        return device.site, device.device

    monkeypatch.setattr(Device, "identity", property(identity))
    desk.hear(spoke(desk))
    desk.tick(60)
    asked.clear()
    desk.hear(spoke(desk))
    before = len(asked)
    burns(desk)
    assert len(desk.engine._hands.leases) == 21  # noqa: SLF001 -- a lease shows nowhere else
    desk.tick(60)
    asked.clear()
    desk.hear(spoke(desk))
    assert len(asked) <= before + 2


def test_an_escape_door_that_never_spoke_while_it_burned_is_not_told_afterwards(escape: Desk) -> None:
    burns(escape)
    burns(escape, alarm=False)
    assert reports(escape, LOCK, fire="normal") == []
    assert not escape.engine._hands.leases  # noqa: SLF001 -- a lease shows nowhere else


def test_an_escape_door_that_was_opened_is_let_go_when_it_speaks_after_the_fire(escape: Desk) -> None:
    burns(escape)
    assert reports(escape, LOCK, fire="normal") == ["hold_door"]
    escape.tick(600)
    burns(escape, alarm=False)
    escape.tick(3_000)
    assert reports(escape, LOCK, fire="normal") == ["release_door"]


def test_what_waited_for_an_escape_door_gives_way_to_the_fire_and_nobody_locks_it_meanwhile(escape: Desk) -> None:
    ask(escape, "gate-1", "lock")
    burns(escape)
    assert ask(escape, "gate-1", "lock", "c2")[0].code == "outranked"
    assert reports(escape, LOCK, fire="normal") == ["hold_door"]
    assert ("command.superseded", "lock") in told(escape)


def test_an_escape_door_that_sleeps_is_still_wanted_open_after_a_restart(escape: Desk) -> None:
    burns(escape)
    later = escape.restart()
    later.wait(600)
    later.say(Started("test", ("events", "telemetry")))
    later.catch_up(2)
    burns(later, connection=2)
    said = later.hear(spoke(later, orjson.dumps({"fire": "normal"}).hex(), eui=LOCK), connection=2)
    assert frames(said) == [b"hold_door".hex()]


def test_an_escape_door_whose_uplink_tells_of_the_fire_is_opened_in_its_window(escape: Desk) -> None:
    kind = {
        **ESCAPE,
        "for_each": "access_controller",
        "when": "fire_input == 'open_circuit'",
        "clear": {"when": "fire_input == 'normal'"},
    }
    kind["do"] = [{name: value for name, value in ESCAPE["do"][0].items() if name != "to"}]  # type: ignore[index] # a dict
    escape.revise({**escape.engine.content.bodies(), "rule/smoke-opens": write_rule(Rule.model_validate(kind))})
    assert reports(escape, LOCK, fire="open_circuit") == ["hold_door"]
    escape.tick(3_000)
    assert reports(escape, LOCK, fire="open_circuit") == ["hold_door"]


# ------------------------------------------------------------------------------------------------------ it is replaced


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


@cache
def valves() -> dict[str, bytes]:
    """Return the documents of a water meter that two rules close, and that listens only after it spoke."""
    found = {key: body for key, body in content().items() if key.startswith(("kind/", "network/", "source/"))}
    meter = foreign("meter-1", "water_meter", "test/model", "lora", METER)
    rules = {f"rule/{name}-closes": write_rule(closes(name)) for name in ("leak", "fault")}
    return {**found, **meter, **rules, "profile/test/model": canonical_json(VALVE)}


@pytest.fixture
def valve() -> Desk:
    return Desk(valves())


def reports(desk: Desk, eui: str, **said: object) -> list[str]:
    """Return what a device is told in texts when it has reported."""
    left = frames(desk.hear(spoke(desk, orjson.dumps(said).hex(), eui=eui)))
    return [bytes.fromhex(each).decode() for each in left]


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
    burning = _fire(desk, "open_circuit")
    assert (frames(burning), told(burning)) == ([], [("command.interlocked", "lock")])
    assert told(_fire(desk, "open_circuit")) == []
    assert frames(_fire(desk, "normal")) == [b"lock".hex()]


def _fire(desk: Desk, state: str) -> Effects:
    return desk.hear(spoke(desk, orjson.dumps({"fire": state}).hex(), eui=LOCK))


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
