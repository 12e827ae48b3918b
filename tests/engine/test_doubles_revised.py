"""Doubles while devices, profiles and kinds change under them, in blind time and over restarts; what stays apart."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pytest

from hub.model.heard import Publish
from tests.engine.desk import Desk, native
from tests.engine.doubles import NAMES, ask, burnt, drill, in_place, place, played, real, told, town
from tests.engine.foreign import HALL, ZIGBEE, directed, listing

LOUD = b'{"values": {"alarm": true}}'


@pytest.fixture
def desk() -> Desk:
    return Desk(town())


def changed(desk: Desk, names: Mapping[str, Mapping[str, str]]) -> dict[str, bytes]:
    """Return the documents of now, with other words in the rows of some devices."""
    bodies = desk.engine.content.bodies()
    rows = {f"device/s1/{name}": words for name, words in names.items()}
    return bodies | {key: orjson.dumps(orjson.loads(bodies[key]) | words) for key, words in rows.items()}


@pytest.mark.parametrize("is_blind", [False, True])
def test_a_double_becomes_what_its_original_is_when_the_profile_of_both_goes(desk: Desk, is_blind: bool) -> None:  # noqa: FBT001 -- a case
    drill(desk)
    played(desk, "smoke-1")
    if is_blind:
        desk.lose()
    wanted = changed(desk, {name: {"profile": ""} for name in NAMES})
    del wanted["profile/milesight/gs524n"]
    desk.revise(wanted)
    assert ("document/device/s1/smoke-1~drill" in desk.restart().checkpoint) is not is_blind
    later = desk.start_again()
    for name in ("smoke-1", "smoke-2"):
        later.hear(Publish(f"hub/s1/{name}/drill", LOUD), connection=2)
    assert burnt(later) == [
        "raised fire.smoke_alarm s1/smoke-1~drill drill",
        "raised fire.confirmed s1/@z1 drill",
        "raised fire.smoke_alarm s1/smoke-2~drill drill",
    ]


def test_a_double_goes_when_its_kind_goes_and_takes_its_alarm_along(desk: Desk) -> None:
    drill(desk)
    played(desk, "smoke-1")
    gone = ("device/s1/smoke-", "profile/milesight/gs524n", "kind/smoke_sensor", "rule/smoke-alarm", "rule/fire-")
    desk.revise({key: body for key, body in desk.engine.content.bodies().items() if not key.startswith(gone)})
    assert burnt(desk)[-1] == "cleared fire.smoke_alarm s1/smoke-1~drill drill"
    assert not any("~drill" in key for key in desk.restart().checkpoint)


def test_a_checkpoint_in_which_a_double_is_what_its_original_was_is_read(desk: Desk) -> None:
    drill(desk)
    desk.lose()
    desk.revise(changed(desk, {name: {"profile": ""} for name in NAMES}))
    known = desk.restart().checkpoint
    later = desk.revive({key: body for key, body in known.items() if key != "document/profile/milesight/gs524n"})
    later.catch_up(2)
    effects = later.hear(Publish("hub/s1/smoke-1/drill", LOUD), connection=2)
    assert told(effects.events) == ["raised fire.smoke_alarm s1/smoke-1~drill drill"]


def test_a_double_moves_with_its_original_and_is_no_witness_where_that_was(desk: Desk) -> None:
    desk.revise(desk.engine.content.bodies() | place("z2", "fire_zone", "b1", "b1"))
    drill(desk)
    desk.revise(changed(desk, {"smoke-1": {"place": "z2"}}))
    played(desk, "smoke-1")
    played(desk, "smoke-2")
    assert not any("fire.confirmed" in line for line in burnt(desk))


@pytest.mark.parametrize("step", [{"after": "1m"}, {"when": "temperature > 80"}])
def test_a_real_alarm_that_becomes_critical_ends_the_drill(desk: Desk, step: dict[str, str]) -> None:
    hot = {
        "rule": "hot", "for_each": "heat_sensor", "when": "temperature > 50",
        "raise": {"event": "fire.hot", "severity": "high"}, "ladder": [{"severity": "critical", **step}],
    }  # fmt: skip
    desk.revise(desk.engine.content.bodies() | {"rule/hot": orjson.dumps(hot)})
    drill(desk)
    desk.hear(native("heat-1", {"values": {"temperature": 60}}, "telemetry"))
    assert not any(event.name == "device.drill_ended" for event in desk.events)
    if "when" in step:
        desk.hear(native("heat-1", {"values": {"temperature": 90}}, "telemetry"))
    else:
        desk.tick(60)
    (ended,) = (event for event in desk.events if event.name == "device.drill_ended")
    assert ended.data["overridden_by"] == "hot s1/heat-1"


@pytest.mark.parametrize("after", ["a start", "a revision"])
def test_a_double_that_says_nothing_is_not_missed_whatever_comes_between(desk: Desk, after: str) -> None:
    quiet = {
        "rule": "quiet", "for_each": {"kind": "smoke_sensor"}, "absent_for": "1m",
        "raise": {"event": "device.quiet", "severity": "low"},
    }  # fmt: skip
    desk.revise(desk.engine.content.bodies() | {"rule/quiet": orjson.dumps(quiet)})
    drill(desk)
    if after == "a start":
        desk = desk.start_again()
    else:
        desk.revise(desk.engine.content.bodies() | {"rule/quiet": orjson.dumps(quiet | {"version": "2"})})
    desk.tick(120)
    assert sorted(event.key for event in desk.events if event.rule == "quiet") == [f"s1/{name}" for name in NAMES]


def test_a_double_speaks_as_the_registry_says_also_where_a_directory_knows_the_model_of_its_original() -> None:
    desk = Desk(directed({**town(), **ZIGBEE, **in_place(HALL, "z1")}, listing()))
    assert desk.engine.content.find("s1", "hall").profile.startswith("zigbee2mqtt-auto/")  # type: ignore[union-attr]
    drill(desk, doubles="hall smoke-1")
    assert told(played(desk, "hall", LOUD).events) == ["raised fire.smoke_alarm s1/hall~drill drill"]


def test_what_a_double_says_bars_no_command_to_its_original(desk: Desk) -> None:
    car = place("car-1", "elevator", "b1", "b1")
    desk.revise(changed(desk, {"lift-1": {"place": "car-1"}}) | car)
    drill(desk, what="b1", doubles="lift-1")
    played(desk, "lift-1", b'{"values": {"entrapment_level": true}}')
    assert ask(desk, "command", device="lift-1", command="hold_door", ttl="60s").ok
    real(desk, "lift-1", b'{"values": {"entrapment_level": true}}')
    assert ask(desk, "command", device="lift-1", command="hold_door", ttl="60s").code == "interlocked"
