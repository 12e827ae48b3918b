"""Rules for each value: under a pseudonym, over all devices of a site, remembered for so long and not more."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.engine import keyed
from hub.model.effects import Effects
from hub.model.records import Started
from hub.rules.pseudonyms import DOCUMENT, pseudonym, write_key
from hub.rules.timers import TimerClass
from tests.engine.desk import HOUSE, SESSIONS, Desk, device, documents, encoded, native

DOORS = tuple(device(f"door-{number}", "access_controller") for number in (1, 2))
LANES = tuple(device(f"lane-{number}", "plate_reader") for number in (1, 2))
SITE = {"place/s1/s1": b'{"site":"s1","place":"s1","type":"site","zone":"Asia/Shanghai"}'}
IN_SITE = {key: body.replace(b'"type":"building"', b'"type":"building","parent":"s1"') for key, body in HOUSE.items()}
KEY = bytes(range(32))
DENIED = """
rule: card-denied
label: {{en: A card is denied again and again, zh: 同一张卡多次被拒}}
for_each: {{value: card, of: access_controller, forget_after: 1h{reveal}}}
on_signal: access.denied
count: {{at_least: 3, within: 10m}}
raise: {{event: access.card_denied, severity: medium}}
clear: {{absent_for: 10m}}
---
rule: plate-at-two-lanes
label: {{en: A plate at two lanes, zh: 同一车牌在两处}}
for_each: {{value: plate, of: plate_reader, forget_after: 1d}}
on_value: plate
count: {{at_least: 2, within: 60s, distinct: device}}
raise: {{event: vehicle.two_lanes, severity: medium}}
"""
HOUR = 3600


def desk_with(tmp_path: Path, reveal: str = "", key: bytes | None = KEY) -> Desk:
    (tmp_path / "rules.yaml").write_text(DENIED.format(reveal=reveal), encoding="utf-8")
    secret = {} if key is None else {DOCUMENT: write_key(key)}
    return Desk({**documents(*DOORS, *LANES, rules=[tmp_path]), **IN_SITE, **SITE, **secret})


def deny(desk: Desk, card: str, door: str = "door-1", connection: int = 1) -> Effects:
    said = {"part": "door-1", "signals": [{"name": "access.denied", "card": card, "reason": "unknown_card"}]}
    desk.tick(1)
    return desk.hear(native(door, said), connection=connection)


def drive(desk: Desk, lane: str, plate: str) -> Effects:
    desk.tick(1)
    return desk.hear(native(lane, {"values": {"plate": plate}}, "telemetry"))


def told(desk: Desk, rule: str = "card-denied") -> list[str]:
    return [event.transition for event in desk.events if event.rule == rule]


def entries(desk: Desk) -> list[str]:
    """Return the values that a checkpoint remembers."""
    return sorted(key for key in desk.restart().checkpoint if key.startswith("seen/"))


def test_a_card_that_is_denied_at_several_doors_of_a_site_is_one_alarm_under_a_pseudonym(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    effects = [deny(desk, "4711", door) for door in ("door-1", "door-2", "door-1")][-1]
    (event,) = [event for event in effects.events if event.rule == "card-denied"]
    token = pseudonym("card", "4711", KEY)
    assert (event.transition, event.key, event.part) == ("raised", f"s1/@s1#{token}", token)
    assert event.data == {"card": token, "reason": "unknown_card", "device": "door-1", "part": "door-1"}
    (alarm,) = desk.engine.alarms()
    assert (alarm.key, alarm.data) == (event.key, event.data)


def test_the_card_itself_is_in_nothing_that_leaves_the_engine_or_is_kept_for_it(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    effects = [deny(desk, "47114711", door) for door in ("door-1", "door-2", "door-1")][-1]
    mine = [event for event in effects.events if event.rule == "card-denied"]
    assert len(mine) == 1
    for outside in (mine, effects.alarms, entries(desk)):
        assert "47114711" not in repr(outside)


def test_a_rule_may_say_that_a_value_is_told(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, ", reveal: true")
    effects = [deny(desk, "4711") for _ in range(3)][-1]
    (event,) = [event for event in effects.events if event.rule == "card-denied"]
    assert (event.data["card"], event.part) == ("4711", pseudonym("card", "4711", KEY))


def test_another_key_makes_other_pseudonyms(tmp_path: Path) -> None:
    keys = [KEY, bytes(32), None]
    desks = [desk_with(tmp_path, key=key) for key in keys]
    found = []
    for desk in desks:
        for _ in range(3):
            deny(desk, "4711")
        found.append(next(desk.engine.alarms()).part)
    assert found[0] != found[1]
    assert found[1] == found[2]


def test_a_plate_that_two_lanes_read_within_a_minute_is_told(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    for lane, plate in (("lane-1", "A"), ("lane-1", "A"), ("lane-2", "B"), ("lane-2", "A")):
        drive(desk, lane, plate)
    (event,) = [event for event in desk.events if event.name == "vehicle.two_lanes"]
    assert (event.data["plate"], event.data["device"]) == (pseudonym("plate", "A", KEY), "lane-2")


def test_what_nobody_says_for_a_while_leaves_nothing_behind(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    deny(desk, "4711")
    desk.tick(HOUR / 2)
    deny(desk, "4712")
    desk.tick(HOUR / 2 + 5)
    assert entries(desk) == [f"seen/card-denied/s1/@s1#{pseudonym('card', '4712', KEY)}"]
    desk.tick(HOUR)
    later = desk.restart()
    assert entries(later) == []
    assert later.engine._timers.next_due(TimerClass.FORGET) is None  # noqa: SLF001 -- what waits is told to nobody


def test_too_many_values_cost_the_oldest_and_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed, "MOST", 3)
    desk = desk_with(tmp_path)
    for card in ("1", "2", "1", "3", "4"):
        deny(desk, card)
    known = {pseudonym("card", card, KEY) for card in ("1", "3", "4")}
    assert {entry.partition("#")[2] for entry in entries(desk)} == known
    assert desk.engine.state.ledger.forgotten == {"card-denied": 1}
    assert {key.partition("#")[2] for rule, key in desk.engine._alarms.states if rule == "card-denied"} == known  # noqa: SLF001 -- votes tell nothing


def test_where_only_people_could_make_room_another_value_is_counted_and_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed, "MOST", 2)
    text = DENIED.format(reveal="").replace("count: {at_least: 3, within: 10m}\n", "", 1)
    (tmp_path / "rules.yaml").write_text(text.replace("{absent_for: 10m}", "{by: operator}"), encoding="utf-8")
    desk = Desk({**documents(*DOORS, *LANES, rules=[tmp_path]), **IN_SITE, **SITE})
    for card in ("1", "2", "3", "1"):
        deny(desk, card)
    assert len([alarm for alarm in desk.engine.alarms() if alarm.rule == "card-denied"]) == 2
    assert len(entries(desk)) == 2
    assert desk.engine.state.ledger.forgotten == {"card-denied": 1}


@pytest.mark.parametrize("said", [1, 2, 3, 4])
def test_a_restart_in_the_middle_changes_nothing(tmp_path: Path, said: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed, "MOST", 2)
    desk = desk_with(tmp_path)
    for card in ("1", "2", "1", "2")[:said]:
        deny(desk, card)
    later = desk.restart()
    done = len(desk.effects)
    for each in (desk, later):
        each.say(Started("test", SESSIONS))
        each.catch_up(2)
        for card in ("1", "3", "1", "1", "2"):
            deny(each, card, connection=2)
        each.tick(11 * 60)
        each.tick(2 * HOUR)
    assert encoded(desk.effects[done:]) == encoded(later.effects)
    assert "raised" in told(later)
    assert entries(later) == []


def test_a_rule_that_is_removed_takes_its_values_with_it(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    for _ in range(3):
        deny(desk, "4711")
    wanted = {key: body for key, body in desk.engine.content.bodies().items() if key != "rule/card-denied"}
    desk.revise(wanted)
    assert told(desk) == ["raised", "cleared"]
    assert entries(desk) == []


def test_a_list_that_a_revision_changes_in_mid_alarm_counts_for_the_next_word(tmp_path: Path) -> None:
    text = DENIED.format(reveal="").replace(
        "count: {at_least: 3,", "where: card in list('block')\ncount: {at_least: 2,", 1
    )
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    desk = Desk({**documents(*DOORS, *LANES, rules=[tmp_path]), **IN_SITE, **SITE})
    listed = {"list/s1/block": b'{"site":"s1","list":"block","entries":{"4711":true}}'}
    known = desk.engine.content.bodies()
    deny(desk, "4711")
    desk.revise({**known, **listed})
    for _ in range(2):
        deny(desk, "4711")
    assert told(desk) == ["raised"]
    desk.tick(9 * 60)
    desk.revise(known)
    deny(desk, "4711")
    desk.tick(2 * 60)
    assert told(desk) == ["raised", "cleared"]
