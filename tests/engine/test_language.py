"""The rule language right after trouble: restarts in the middle of any wait, blind time, shelves; and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from hub.errors import ConfigError
from hub.model import Control, Publish, SessionConnected, Started, Where
from hub.rules.states import CompiledRule
from hub.rules.timers import TimerClass
from tests.engine.desk import SECOND, SESSIONS, START, Desk, device, documents
from tests.engine.test_alarms import native

MINUTE, HOUR = 60, 3_600
ROOM = (*(device(name, "environment_sensor") for name in ("room", "room-2")), device("door-1", "access_controller"))
HOT = """
rule: hot
label: {{en: Hot, zh: 过热}}
for_each: {for_each}
when: {when}
{words}
raise: {{event: fire.hot, severity: high}}
"""
PLACES = {
    "place/s1/b1": orjson.dumps({"site": "s1", "place": "b1", "type": "building", "zone": "Asia/Shanghai"}),
}


def desk_with(
    tmp_path: Path, words: str = "", when: str = "temperature > 50", for_each: str = "environment_sensor"
) -> Desk:
    text = HOT.format(words=words, when=when, for_each=for_each)
    (tmp_path / "rule.yaml").write_text(text, encoding="utf-8")
    found = documents(*ROOM, rules=[tmp_path])
    alone = {key: body for key, body in found.items() if not key.startswith("rule/") or key == "rule/hot"}
    return Desk({**alone, **PLACES})


def warm(desk: Desk, temperature: float, name: str = "room", *, connection: int = 1) -> None:
    message = native(name, {"values": {"temperature": temperature}}, "telemetry")
    desk.hear(message, connection=connection)


def told(desk: Desk) -> list[str]:
    return [line.replace(" fire.hot", "") for line in desk.told() if "fire.hot" in line]


def order(desk: Desk, verb: str, identity: str, **args: str) -> str:
    where = {"rule": "hot", "key": "s1/room"}
    effects = desk.say(Control("1-0", identity, "li", verb, desk.wall + 30 * SECOND, {**where, **args}))
    return effects.replies[0].code


def restarted(desk: Desk) -> Desk:
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    later.catch_up(2)
    return later


# ------------------------------------------------------------------------------------------------------------- restarts


def test_votes_survive_a_restart(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "confirm: {times: 2, of: 3, within: 1m}")
    warm(desk, 60)
    later = restarted(desk)
    warm(later, 60, connection=2)
    assert (told(desk), told(later)) == ([], ["raised"])


def test_what_inputs_remember_survives_a_restart_and_ends_when_it_would_have(tmp_path: Path) -> None:
    words = "inputs: {hot: {of: environment_sensor, where: temperature > 50, take: distinct(device), within: 5m}}"
    desk = desk_with(tmp_path, words, "hot >= 2", "building")
    warm(desk, 60)
    warm(desk, 20)
    later = restarted(desk)
    later.wait(MINUTE)
    warm(later, 60, "room-2", connection=2)
    assert told(later) == ["raised"]
    later.tick(3.9 * MINUTE)
    assert told(later) == ["raised"]
    later.tick(0.2 * MINUTE)
    assert told(later) == ["raised", "cleared"]


def test_ladder_and_reminders_go_on_over_a_restart(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "ladder: [{after: 10m, severity: critical}]\nremind: {every: 15m}")
    warm(desk, 60)
    desk.tick(5 * MINUTE)
    later = restarted(desk)
    later.tick(5.1 * MINUTE)
    assert [alarm.severity for alarm in later.engine.alarms()] == ["critical"]
    later.tick(5 * MINUTE)
    assert told(later) == ["severity_changed", "reminded"]


def test_an_open_alarm_of_a_place_is_shown_after_a_restart(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, when="temperature > 50", for_each="building")
    warm(desk, 60)
    assert [alarm.key for alarm in restarted(desk).engine.alarms()] == ["s1/@b1"]


# -------------------------------------------------------------------------------------------------------- blind time


def test_votes_wait_while_the_hub_is_blind(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "confirm: {times: 2, of: 3, within: 1m}")
    warm(desk, 60)
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    later.tick(10 * MINUTE)
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    states = later.engine._alarms.states  # noqa: SLF001 -- votes tell nothing
    assert [state.phase for state in states.values()] == ["pending"]
    later.catch_up(2)
    later.tick(1)
    assert states == {}


def test_frames_that_lay_far_apart_do_not_confirm_when_they_come_together(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "confirm: {times: 2, of: 3, within: 10s}")
    for minutes in range(10, 0, -1):  # the clock of the device is learnt from its first ten messages
        desk.hear(native("room", {"t": desk.wall // 1_000_000, "values": {"temperature": 20}}, "telemetry"))
        desk.wait(minutes)
    desk.wait(100)
    now = desk.wall // 1_000_000

    def frames(*ages: int) -> list[Publish]:
        said = [{"t": now - age * 1_000, "values": {"temperature": 60}} for age in ages]
        return [native("room", each, "telemetry") for each in said]

    desk.hear(*frames(50, 30))
    assert told(desk) == []
    desk.hear(*frames(19, 15))
    assert told(desk) == ["raised"]


# ------------------------------------------------------------------------------------------------------------ people


def test_a_shelved_alarm_is_not_told_again_until_its_shelf_ends(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "remind: {every: 10m}")
    warm(desk, 60)
    assert order(desk, "shelve", "id-1", **{"for": "25m"}) == "ok"
    assert next(desk.engine.alarms()).shelved_until == desk.wall + 25 * MINUTE * SECOND
    for _ in range(24):
        desk.tick(MINUTE)
    assert told(desk) == ["raised", "shelved"]
    for _ in range(8):
        desk.tick(MINUTE)
    assert told(desk) == ["raised", "shelved", "unshelved", "reminded", "reminded"]


def test_an_alarm_that_becomes_worse_leaves_its_shelf(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "ladder: [{when: temperature > 80, severity: critical}]")
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    warm(desk, 90)
    assert told(desk) == ["raised", "shelved", "unshelved", "severity_changed"]


def test_an_alarm_that_is_taken_back_from_its_shelf_is_told_again_of_what_was_missed_there(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "remind: {at: [10m]}")
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1d"})
    desk.tick(HOUR)
    order(desk, "shelve", "id-2", **{"for": "0s"})
    desk.tick()
    assert told(desk) == ["raised", "shelved", "unshelved", "reminded"]


def test_an_alarm_that_becomes_worse_on_its_shelf_is_told_again_of_what_was_missed_there(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "ladder: [{when: temperature > 80, severity: critical}]\nremind: {at: [10m]}")
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1d"})
    desk.tick(HOUR)
    warm(desk, 90)
    desk.tick()
    assert told(desk) == ["raised", "shelved", "unshelved", "severity_changed", "reminded"]


def test_a_shelf_is_taken_back_and_needs_a_duration(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    assert order(desk, "shelve", "id-0", **{"for": "1h"}) == "no_such_alarm"
    warm(desk, 60)
    codes = [order(desk, "shelve", f"id-{span}", **{"for": span}) for span in ("soon", "99d", "1h", "0s")]
    assert codes == ["bad_duration", "bad_duration", "ok", "ok"]
    assert next(desk.engine.alarms()).shelved_until == 0


def test_a_flapping_alarm_stays_on_its_shelf_until_that_ends(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "remind: {every: 10m}")
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    ends = desk.wall + HOUR * SECOND
    for temperature in (20, 60, 20, 60):
        desk.tick(14 * MINUTE)
        warm(desk, temperature)
        desk.tick()
    desk = restarted(desk)
    assert [(alarm.shelved_until, alarm.shelved_by) for alarm in desk.engine.alarms()] == [(ends, "li")]
    desk.tick(4 * MINUTE)
    assert told(desk) == ["unshelved"]
    desk.tick(10 * MINUTE)
    assert told(desk) == ["unshelved", "reminded"]


def test_what_is_raised_on_a_shelf_says_so(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    for temperature in (20, 60):
        warm(desk, temperature)
        desk.tick()
    raised = [event.data.get("shelved_until") for event in desk.events if event.transition == "raised"]
    assert raised == [None, (START + HOUR * SECOND) // 10**6]
    assert len({event.id for event in desk.events}) == len(desk.events)


def test_a_shelf_that_nothing_lies_on_ends_without_a_word(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    warm(desk, 20)
    desk.tick()
    desk = restarted(desk)
    desk.tick(HOUR)
    assert (told(desk), desk.engine._alarms.states) == ([], {})  # noqa: SLF001 -- what is left tells nothing
    warm(desk, 60, connection=2)
    assert [alarm.shelved_until for alarm in desk.engine.alarms()] == [0]


def test_an_empty_shelf_can_be_taken_back(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    warm(desk, 20)
    desk.tick()
    assert order(desk, "shelve", "id-2", **{"for": "0s"}) == "ok"
    assert list(desk.engine.alarms()) == []
    warm(desk, 60)
    assert [alarm.shelved_until for alarm in desk.engine.alarms()] == [0]


def test_an_alarm_that_becomes_as_bad_again_as_it_was_when_it_was_put_away_stays_there(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "ladder: [{when: temperature > 80, severity: critical}]")
    warm(desk, 90)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    for temperature in (20, 60, 90):
        warm(desk, temperature)
        desk.tick()
    assert [(alarm.severity, alarm.shelved_until > 0) for alarm in desk.engine.alarms()] == [("critical", True)]


def test_an_acknowledged_alarm_is_not_told_again(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "remind: {every: 10m}")
    warm(desk, 60)
    order(desk, "ack", "id-1")
    desk.tick(HOUR)
    assert told(desk) == ["raised", "acknowledged"]


def test_an_alarm_that_is_told_until_it_is_cleared_is_told_after_somebody_acknowledged_it_too(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "remind: {at: [1m, 5m], until: cleared}")
    warm(desk, 60)
    order(desk, "ack", "id-1")
    later = restarted(desk)
    later.tick(MINUTE)
    later.tick(HOUR)
    assert told(desk) == ["raised", "acknowledged"]
    assert told(later) == ["reminded", "reminded"]
    assert [event.data["reminder"] for event in later.events] == [1, 2]


def test_a_rule_of_places_is_not_judged_for_a_word_that_it_does_not_read(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, for_each="building")
    warm(desk, 20)
    room = desk.engine.content.find("s1", "room")
    assert room is not None
    assert [rule.name for rule in room.rules.reading("", {"temperature": 1.0}).rules] == ["hot"]
    assert room.rules.reading("", {"humidity": 1.0}).rules == ()


# -------------------------------------------------------------------------------------------------------- circumstances


def test_a_parameter_that_changes_is_judged_at_once_and_keeps_the_alarm(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "params: {limit: 50.0}", "temperature > $limit")
    warm(desk, 45)
    known = desk.engine.content.bodies()
    assert told(desk) == []
    mine = {"rule": "hot", "site": "s1", "device": "room", "values": {"limit": 40}}
    desk.revise({**known, "params/room": orjson.dumps(mine)})
    assert told(desk) == ["raised"]
    desk.revise({**known, "params/room": orjson.dumps({**mine, "values": {"limit": 42}})})
    assert told(desk) == ["raised"]
    desk.revise(known)
    desk.tick()
    assert told(desk) == ["raised", "cleared"]


def test_a_parameter_of_another_sort_is_refused_before_it_is_journaled(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "params: {limit: 50.0}", "temperature > $limit")
    mine = {"rule": "hot", "site": "s1", "values": {"limit": "hot"}}
    with pytest.raises(ConfigError, match="limit of hot is such as"):
        desk.revise({**desk.engine.content.bodies(), "params/room": orjson.dumps(mine)})


def test_a_place_that_is_removed_ends_its_alarm_and_says_why(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, for_each="building")
    warm(desk, 60)
    wanted = {key: body for key, body in desk.engine.content.bodies().items() if key != "place/s1/b1"}
    effects = desk.revise(wanted)
    assert [(event.key, event.data["reason"]) for event in effects.events] == [("s1/@b1", "place removed")]


# ------------------------------------------------------------------------------------------------------- what it costs


def many(tmp_path: Path, count: int) -> Desk:
    """Return a desk with 4 rules that read the temperature and ``count`` that read something else."""
    texts = [HOT.format(words="", when="temperature > 50", for_each="environment_sensor")] * 4
    texts += [HOT.format(words="", when="humidity > 50", for_each="environment_sensor")] * count
    named = [text.replace("rule: hot", f"rule: hot-{number}") for number, text in enumerate(texts)]
    (tmp_path / "rules.yaml").write_text("---".join(named), encoding="utf-8")
    return Desk(documents(*ROOM, rules=[tmp_path]))


def test_rules_that_do_not_read_a_message_are_not_even_asked(tmp_path: Path) -> None:
    desk = many(tmp_path, 396)
    asked: list[str] = []

    def counted(rule: CompiledRule) -> Callable[..., bool | None]:
        inner = rule.when
        assert inner is not None

        def verdict(*words: object) -> bool | None:
            asked.append(rule.name)
            found: bool | None = inner.verdict(*words)  # type: ignore[arg-type] # handed through as it came
            return found

        return verdict

    for rule in desk.engine.content.rules.values():
        if rule.name.startswith("hot-") and rule.when is not None:
            rule.when = rule.when._replace(verdict=counted(rule))
    warm(desk, 20)
    assert sorted(asked) == ["hot-0", "hot-1", "hot-2", "hot-3"]


def test_rules_of_places_are_only_asked_about_what_they_read() -> None:
    desk = Desk(documents(*ROOM))
    warm(desk, 20)
    room = desk.engine.content.find("s1", "room")
    assert room is not None
    assert room.rules.reading("", {"temperature": 21.0}).rules == ()


@pytest.mark.parametrize("count", [0, 396])
def test_a_message_makes_as_many_calls_however_many_rules_do_not_read_it(tmp_path: Path, count: int) -> None:
    desk = many(tmp_path, count)
    warm(desk, 20)
    room = desk.engine.content.find("s1", "room")
    assert room is not None
    woken = room.rules.reading("", {"temperature": 21.0})
    assert [rule.name for rule in woken.rules] == ["hot-0", "hot-1", "hot-2", "hot-3"]
    assert woken is room.rules.reading("", {"temperature": 22.0})
    assert not woken.is_wide


# -------------------------------------------------------------------------------------------------- where it happens


def test_what_a_rule_for_places_tells_says_which_place_in_words(tmp_path: Path) -> None:
    label = {"en": "House 1", "zh": "一号楼"}
    house = orjson.dumps({**orjson.loads(PLACES["place/s1/b1"]), "label": label})
    desk = desk_with(tmp_path, for_each="building")
    desk.revise({**desk.engine.content.bodies(), "place/s1/b1": house})
    warm(desk, 60)
    expected = Where("b1", "building", label)
    assert [event.place for event in desk.events if event.name == "fire.hot"] == [expected]
    assert [alarm.place for alarm in desk.engine.alarms()] == [expected]
    assert [change.alarm.place for effects in desk.effects for change in effects.alarms if change.alarm] == [expected]


def test_what_a_rule_for_devices_tells_names_no_place(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    warm(desk, 60)
    assert [event.place for event in desk.events if event.name == "fire.hot"] == [None]


# ------------------------------------------------------------------------------------------------------------ silence

COLD = "inputs: {cold: {of: environment_sensor, where: temperature < 5, take: all}}\non_missing: clear"


def cold_at(tmp_path: Path) -> Desk:
    """Return a desk at which both rooms said that they are cold, one of them half an hour ago."""
    desk = desk_with(tmp_path, COLD, "cold", "building")
    warm(desk, 2)
    desk.tick(HOUR / 2)
    warm(desk, 2, "room-2")
    assert told(desk) == ["raised"]
    return desk


def test_an_input_is_judged_again_when_a_member_falls_silent_though_nobody_says_anything(tmp_path: Path) -> None:
    desk = cold_at(tmp_path)
    desk.tick(HOUR / 2 - 2)
    assert told(desk) == ["raised"]
    desk.tick(4)
    assert told(desk) == ["raised", "cleared"]


def test_a_member_falls_silent_over_a_restart_and_later_by_what_nobody_could_hear(tmp_path: Path) -> None:
    desk = cold_at(tmp_path)
    desk.tick(1)
    later = desk.restart()
    later.wait(2 * HOUR)
    later.say(Started("test", SESSIONS))
    later.catch_up(2)
    later.tick(HOUR / 2 - 10)
    assert told(later) == []
    later.tick(20)
    assert told(later) == ["cleared"]


def test_members_that_speak_cost_no_timer_each(tmp_path: Path) -> None:
    desk = cold_at(tmp_path)
    for _ in range(50):
        warm(desk, 2)
        warm(desk, 2, "room-2")
        desk.tick(1)
    heap = desk.engine._timers._heaps[TimerClass.WINDOW]  # noqa: SLF001 -- what waits is told to nobody
    assert {owner: list(keys) for owner, keys in heap.wanted.items()} == {"hot": ["s1/@b1"]}


# ------------------------------------------------------------------------------- lists and facts change in mid alarm

LANE = (device("lane-1", "plate_reader"),)
BLOCKED = """
rule: hot
label: {en: Blocked, zh: 黑名单}
for_each: plate_reader
when: plate in list('block')
raise: {event: fire.hot, severity: high}
"""


def lane(tmp_path: Path) -> Desk:
    (tmp_path / "rule.yaml").write_text(BLOCKED, encoding="utf-8")
    desk = Desk({**documents(*LANE, rules=[tmp_path]), **PLACES})
    desk.hear(native("lane-1", {"values": {"plate": "A"}}, "telemetry"))
    return desk


def put(desk: Desk, *, said: object = True, name: str = "block") -> None:
    """Put plate A on a list, or take it off."""
    known = {key: body for key, body in desk.engine.content.bodies().items() if not key.startswith("list/")}
    row = {"site": "s1", "list": name, "entries": {"A": said}}
    desk.revise({**known, f"list/s1/{name}": orjson.dumps(row)})


def test_a_plate_that_is_put_on_a_list_and_taken_off_raises_and_clears_without_being_read_again(tmp_path: Path) -> None:
    desk = lane(tmp_path)
    assert told(desk) == []
    put(desk)
    assert told(desk) == ["raised"]
    put(desk, name="allow")
    desk.tick(1)
    assert told(desk) == ["raised", "cleared"]
    put(desk)
    assert told(desk) == ["raised", "cleared", "raised"]
    raised = [event.id for event in desk.events if event.transition == "raised"]
    assert len(set(raised)) == 2


def test_an_entry_of_a_list_ends_with_its_day_in_mid_alarm(tmp_path: Path) -> None:
    desk = lane(tmp_path)
    put(desk, said="/2026-03-01")  # 16:00 in Shanghai
    assert told(desk) == ["raised"]
    desk.tick(7.9 * HOUR)
    assert told(desk) == ["raised"]
    desk.tick(0.2 * HOUR)
    assert told(desk) == ["raised", "cleared"]


def test_a_list_that_changed_while_nobody_could_hear_is_judged_when_everything_has_been_read(tmp_path: Path) -> None:
    desk = lane(tmp_path)
    put(desk)
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    put(later, name="allow")
    assert told(later) == []
    again = later.restart()
    for each in (later, again):
        each.catch_up(2)
        each.tick(1)
        assert told(each) == ["cleared"]


def away(desk: Desk, said: object) -> None:
    house = orjson.dumps({**orjson.loads(PLACES["place/s1/b1"]), "facts": {"away": said}})
    desk.revise({**desk.engine.content.bodies(), "place/s1/b1": house})


def test_a_fact_that_comes_in_mid_alarm_ends_it_and_its_end_raises_it_again(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "facts: {away: false}\nunless: $away")
    warm(desk, 60)
    away(desk, said=True)
    desk.tick(1)
    assert told(desk) == ["raised", "cleared"]
    away(desk, said=False)
    assert told(desk) == ["raised", "cleared", "raised"]


def test_a_fact_that_comes_while_a_rule_still_waits_makes_it_nothing(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "facts: {away: false}\nunless: $away\nfor: 10m")
    warm(desk, 60)
    desk.tick(5 * MINUTE)
    away(desk, said=True)
    desk.tick(10 * MINUTE)
    assert told(desk) == []


def test_who_has_not_consented_is_not_watched_and_who_has_only_as_long_as_they_did(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "facts: {care_watch: false}", "temperature > 50 and $care_watch")
    warm(desk, 60)
    assert told(desk) == []
    house = orjson.loads(PLACES["place/s1/b1"])
    watched = orjson.dumps({**house, "facts": {"care_watch": "2026-03-01/2026-03-01"}})
    desk.revise({**desk.engine.content.bodies(), "place/s1/b1": watched})
    assert told(desk) == ["raised"]
    for _ in range(9):
        warm(desk, 60)
        desk.tick(HOUR * 0.9)
    assert told(desk) == ["raised", "cleared"]
