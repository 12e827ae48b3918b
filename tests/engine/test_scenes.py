"""Scenes: what a pack of rules that is switched off at a site does no more there, and how what it was about ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
import orjson
import pytest

from hub.bridge import topics
from hub.engine.apply import Engine
from hub.engine.rows import Document
from hub.model.effects import Event
from hub.model.heard import Publish
from hub.model.records import Control, Started
from hub.model.values import Scalar
from hub.revisions.revision import restored, revise
from hub.rules.rule import Rule, write_rule
from hub.rules.states import CompiledRule
from tests.engine.desk import JOURNAL, SECOND, SESSIONS, Desk, device, documents, encoded

FIRE_OFF = {"off/s1/fire": b'{"site":"s1","scene":"fire"}'}
ELEVATOR_OFF = {"off/s1/elevator": b'{"site":"s1","scene":"elevator"}'}
ACCESS_OFF = {"off/s1/access": b'{"site":"s1","scene":"access"}'}
DEVICES_OFF = {"off/s1/devices": b'{"site":"s1","scene":"devices"}'}
SMOKE = {"alarm": True, "status": "alarm"}
CLEAN = {"alarm": False, "status": "normal"}


def place(name: str, kind: str, site: str = "s1") -> dict[str, bytes]:
    row = {"site": site, "place": name, "type": kind, "parent": "" if kind == "site" else site, "zone": "Asia/Shanghai"}
    return {f"place/{site}/{name}": orjson.dumps(row)}


RULES = {"smoke-alarm", "heat-alarm", "ebike-in-elevator", "device-offline", "mass-offline", "card-denied"}
"""Those of the scenes that these tests switch; of the others and of profiles they need none."""
SHIPPED = documents(
    *(device("smoke-1", "smoke_sensor", site=site) for site in ("s1", "s2")),
    *(device(name, kind, building="car-1") for name, kind in (("lift-1", "elevator"), ("camera-1", "ai_camera"))),
    device("door-1", "access_controller", building="s1"),
    place("s1", "site"),
    place("car-1", "elevator"),
)
OTHERS = {key for key in SHIPPED if key.startswith("rule/") and key.removeprefix("rule/") not in RULES}
TOWN = {
    key: body for key, body in SHIPPED.items() if not key.startswith(("profile/", "network/")) and key not in OTHERS
}


@pytest.fixture
def desk() -> Desk:
    return Desk(TOWN)


def says(desk: Desk, name: str, values: Mapping[str, object], site: str = "s1", connection: int = 1) -> None:
    body = orjson.dumps({"values": values})
    desk.hear(Publish(f"hub/{site}/{name}/telemetry", body), connection=connection)


def denied(desk: Desk, card: str) -> None:
    said = {"part": "door-1", "signals": [{"name": "access.denied", "card": card, "reason": "unknown_card"}]}
    desk.hear(Publish("hub/s1/door-1/signal", orjson.dumps(said)))


def about(desk: Desk, *rules: str) -> list[Event]:
    return [event for event in desk.events if event.rule in rules]


def told(desk: Desk, *rules: str) -> list[str]:
    return [f"{event.transition} {event.site}" for event in about(desk, *rules)]


def commands(desk: Desk) -> list[str]:
    return [orjson.loads(sent.payload)["command"] for effects in desk.effects for sent in effects.transmissions]


def remembered(desk: Desk) -> list[str]:
    return [key for key in desk.restart().checkpoint if key.startswith("seen/card-denied/")]


def woken(desk: Desk) -> set[str]:
    camera = desk.engine.content.find("s1", "camera-1")
    assert camera is not None
    return {rule.name for rule in camera.rules.reading("", {"ebike_confidence": 0.95}).rules}


def test_what_is_off_at_one_site_is_on_at_another() -> None:
    desk = Desk(TOWN | FIRE_OFF)
    says(desk, "smoke-1", SMOKE)
    says(desk, "smoke-1", SMOKE, site="s2")
    assert told(desk, "smoke-alarm") == ["raised s2"]


def test_everything_is_on_where_nobody_has_switched_anything(desk: Desk) -> None:
    says(desk, "smoke-1", SMOKE)
    assert told(desk, "smoke-alarm") == ["raised s1"]


def test_a_scene_that_nobody_knows_switches_nothing_off() -> None:
    desk = Desk(TOWN | {"off/s1/flying": b'{"site":"s1","scene":"flying"}'})
    says(desk, "smoke-1", SMOKE)
    assert told(desk, "smoke-alarm") == ["raised s1"]


def test_an_alarm_whose_scene_is_switched_off_ends_in_a_told_way_and_only_there(desk: Desk) -> None:
    for site in ("s1", "s2"):
        says(desk, "smoke-1", SMOKE, site=site)
    effects = desk.revise(TOWN | FIRE_OFF)
    cleared = [(event.transition, event.site, event.data["reason"]) for event in effects.events]
    assert cleared == [("cleared", "s1", "scene switched off")]
    assert [(change.site, change.alarm) for change in effects.alarms] == [("s1", None)]
    assert [(alarm.site, alarm.rule) for alarm in desk.engine.alarms()] == [("s2", "smoke-alarm")]


def test_what_is_still_true_is_raised_when_its_scene_is_switched_on_again(desk: Desk) -> None:
    says(desk, "smoke-1", SMOKE)
    desk.revise(TOWN | FIRE_OFF)
    desk.revise(TOWN)
    assert told(desk, "smoke-alarm") == ["raised s1", "cleared s1", "raised s1"]


def test_also_when_its_rules_are_read_anew_with_it(desk: Desk) -> None:
    says(desk, "smoke-1", SMOKE)
    desk.revise(TOWN | FIRE_OFF)
    desk.revise(TOWN | {"scene/water": b'{"scene":"water","rules":[]}'})
    assert told(desk, "smoke-alarm") == ["raised s1", "cleared s1", "raised s1"]


def test_also_when_the_document_of_its_device_changes_with_it(desk: Desk) -> None:
    says(desk, "smoke-1", SMOKE)
    desk.revise(TOWN | FIRE_OFF)
    desk.revise(TOWN | device("smoke-1", "smoke_sensor", building="b9"))
    assert told(desk, "smoke-alarm") == ["raised s1", "cleared s1", "raised s1"]


def test_what_is_over_by_then_is_not(desk: Desk) -> None:
    says(desk, "smoke-1", SMOKE)
    desk.revise(TOWN | FIRE_OFF)
    says(desk, "smoke-1", CLEAN)
    desk.revise(TOWN)
    assert told(desk, "smoke-alarm") == ["raised s1", "cleared s1"]


def test_a_hold_is_let_go_with_the_alarm_that_it_was_for(desk: Desk) -> None:
    says(desk, "lift-1", {"door": "open", "mode": "normal"})
    for _ in range(2):
        says(desk, "camera-1", {"ebike_confidence": 0.95})
    assert told(desk, "ebike-in-elevator") == ["raised s1"]
    desk.revise(TOWN | ELEVATOR_OFF)
    assert commands(desk)[-1] == "release_door"
    assert not desk.engine.has_leases


def test_so_is_a_hold_while_it_was_not_sure_yet(desk: Desk) -> None:
    says(desk, "lift-1", {"door": "open", "mode": "normal"})
    says(desk, "camera-1", {"ebike_confidence": 0.95})
    assert (told(desk, "ebike-in-elevator"), commands(desk)) == ([], ["hold_door"])
    desk.revise(TOWN | ELEVATOR_OFF)
    assert commands(desk) == ["hold_door", "release_door"]
    assert not desk.engine.has_leases


def test_a_restart_finds_it_off_and_the_end_is_not_told_again(desk: Desk) -> None:
    says(desk, "smoke-1", SMOKE)
    desk.revise(TOWN | FIRE_OFF)
    later = desk.start_again()
    says(later, "smoke-1", SMOKE, connection=2)
    assert told(later, "smoke-alarm") == []
    later.revise(TOWN)
    assert told(later, "smoke-alarm") == ["raised s1"]


def test_the_same_records_come_to_the_same_effects(desk: Desk) -> None:
    for step in (TOWN | FIRE_OFF | ELEVATOR_OFF, TOWN | FIRE_OFF, TOWN):
        says(desk, "smoke-1", SMOKE)
        says(desk, "camera-1", {"ebike_confidence": 0.95})
        denied(desk, "11")
        desk.revise(step)
        desk.tick(5)
    again = Desk()
    assert encoded([again.engine.apply(record) for record in desk.records]) == encoded(desk.effects)


def test_a_silence_that_only_it_had_found_is_forgotten_and_found_again(desk: Desk) -> None:
    def found() -> list[str]:
        return [event.transition for event in about(desk, "device-offline") if event.device == "door-1"]

    says(desk, "door-1", {})
    for _ in range(2):  # silent, and then told: it waits for a building that is silent as a whole
        desk.tick(16 * 60)
    assert found() == ["raised"]
    desk.revise(TOWN | DEVICES_OFF)
    door = desk.engine.content.find("s1", "door-1")
    assert door is not None
    assert not door.is_silent
    desk.revise(TOWN)
    for _ in range(2):
        desk.tick(5 * 60)
    assert found() == ["raised", "cleared", "raised"]


def test_a_silence_is_found_also_when_the_document_of_its_device_changes_with_the_scene(desk: Desk) -> None:
    says(desk, "door-1", {})
    desk.revise(TOWN | DEVICES_OFF)
    for _ in range(2):
        desk.tick(16 * 60)
    desk.revise(TOWN | device("door-1", "access_controller", building="b9"))
    for _ in range(2):
        desk.tick(5 * 60)
    assert [event.transition for event in about(desk, "device-offline") if event.device == "door-1"] == ["raised"]


def test_what_was_remembered_of_cards_is_forgotten(desk: Desk) -> None:
    denied(desk, "11")
    assert len(remembered(desk)) == 1
    desk.revise(TOWN | ACCESS_OFF)
    assert remembered(desk) == []
    denied(desk, "11")
    assert remembered(desk) == []


def test_nothing_wakes_a_rule_that_is_off(desk: Desk) -> None:
    assert "ebike-in-elevator" in woken(desk)
    desk.revise(TOWN | ELEVATOR_OFF)
    assert woken(desk) == set()


def test_devices_of_a_site_with_a_scene_that_is_off_have_its_rules_compiled_at_most_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: Counter[str] = Counter()
    real = CompiledRule.__init__

    def counted(rule: CompiledRule, *given: Any, **named: Any) -> None:  # noqa: ANN401 -- passed on as it came
        real(rule, *given, **named)
        compiled[rule.name] += 1

    town = documents(*[device(f"lift-{number}", "elevator", building="car-1") for number in range(20)], ELEVATOR_OFF)
    desk = Desk(town)
    monkeypatch.setattr(CompiledRule, "__init__", counted)
    desk.restart()
    assert max(compiled.values()) <= 2


def test_a_rule_that_moves_into_a_scene_which_is_off_ends_as_well(desk: Desk) -> None:
    desk.revise(TOWN | FIRE_OFF | {"scene/fire": b'{"scene":"fire","rules":["heat-alarm"]}'})
    says(desk, "smoke-1", SMOKE)
    assert told(desk, "smoke-alarm") == ["raised s1"]
    desk.revise(TOWN | FIRE_OFF)
    assert told(desk, "smoke-alarm") == ["raised s1", "cleared s1"]


def test_nobody_drills_what_nobody_would_notice(desk: Desk) -> None:
    args: dict[str, Scalar] = {
        "site": "s1",
        "what": "smoke-1",
        "for": "30m",
        "reason": "inspection",
        "rules": "smoke-alarm",
    }
    drill = Control("1-0", "id-1", "li", "drill", desk.wall + 300 * SECOND, args)
    desk.revise(TOWN | FIRE_OFF)
    assert desk.say(drill).replies[0].code == "scene_off"


def test_what_is_off_stays_off_over_an_upgrade_that_cannot_read_an_old_rule() -> None:
    known = TOWN | FIRE_OFF | {"rule/odd": b'{"rule": 1}'}
    entries = [(f"document/{key}", msgspec.msgpack.encode(Document(body))) for key, body in sorted(known.items())]
    engine, old = restored(lambda: Engine(JOURNAL, topics, lambda _: ()), entries, TOWN)
    assert (engine.content.is_at_rest("s1", "smoke-alarm"), "rule/odd" in old) == (True, True)


def test_what_has_come_to_be_off_with_such_an_upgrade_ends() -> None:
    desk = Desk(TOWN | FIRE_OFF | {"scene/fire": b'{"scene":"fire","rules":["heat-alarm"]}'})
    says(desk, "smoke-1", SMOKE)
    desk.write_down()
    odd = {"document/rule/odd": msgspec.msgpack.encode(Document(b'{"rule": 1}'))}
    shipped = {key: body for key, body in TOWN.items() if key.startswith(("kind/", "rule/", "scene/"))}
    later = desk.revive({})
    begin = partial(Engine, JOURNAL, topics, later._decode)  # noqa: SLF001 -- its packets are only numbers
    later.engine, old = restored(begin, sorted((desk.checkpoint | odd).items()), shipped)
    later.say(Started("test", SESSIONS))
    note = revise(old, TOWN | FIRE_OFF, "test")
    assert note is not None
    later.say(note.revision, bodies=note.bodies)
    later.catch_up(2)
    assert told(later, "smoke-alarm") == ["cleared s1"]
    assert list(later.engine.alarms()) == []


LOST = {
    "rule": "lift-lost", "version": "1.0.0", "label": {"en": "Lost", "zh": "失联"}, "for_each": "elevator",
    "when": "ebike_confidence >= 0.85 and door == 'open'", "raise": {"event": "elevator.lost", "severity": "high"},
    "on_missing": "raise",
}  # fmt: skip


@pytest.mark.parametrize("is_restarted", [False, True])
def test_that_what_is_known_at_a_place_is_stale_is_noticed_also_after_a_restart(is_restarted: bool) -> None:  # noqa: FBT001 -- a case
    kept = {key: body for key, body in TOWN.items() if not key.startswith("rule/")}
    desk = Desk(kept | {"rule/lift-lost": write_rule(Rule.model_validate(LOST))})
    says(desk, "lift-1", {"door": "closed"})
    says(desk, "camera-1", {"ebike_confidence": 0.1})
    assert told(desk, "lift-lost") == []
    if is_restarted:
        desk = desk.start_again()
    desk.tick(10 * 3_600)
    desk.tick(3_600)
    assert told(desk, "lift-lost") == ["raised s1"]
