"""Which messages an event makes: for whom, in which words, when; and what is not told again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from hub.model.effects import Entry, Transition
from hub.model.values import Severity
from hub.outward.notices import NOBODY, Notices
from hub.outward.parcel import Parcel, State
from hub.outward.standing import read_counts
from hub.outward.wishes import read_wishes
from hub.outward.wording import REASONS_ZH, Notice
from tests.citywide.rig import write
from tests.clocks import ManualClock
from tests.house.rooms import HOUSE as HUB
from tests.outward.rig import Desk, Guide, event
from tests.servers.http_stub import HttpStub
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

HOUSE = """
channel: duty
languages: zh
quiet: {from: "22:00", until: "07:00"}
---
channel: desk
languages: en
dedupe: 10m
---
route: all
channels: [duty, desk]
transitions: [raised, cleared, severity_changed, reminded, commented, escalated]
"""
NIGHT = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)  # 23:30 in Qingdao
MORNING = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)  # 07:00 there


LESS: dict[str, object] = {"transition": Transition.SEVERITY_CHANGED, "severity": Severity.MEDIUM}


class Room:
    """Notices of some documents; events go in, parcels come out."""

    def __init__(self, directory: Path, text: str, at: datetime = NIGHT) -> None:
        (directory / "notify.yaml").write_text(text, encoding="utf-8")
        self.clock = ManualClock(wall_ns=ns(at))
        self.notices = Notices(read_wishes(directory, {}), Guide(), lambda found: found, self.clock)
        self._number = 0

    def parcels(self, **facts: object) -> Sequence[Parcel]:
        """Return what an event makes."""
        self._number += 1
        words = {"transition": Transition.RAISED, "severity": Severity.HIGH, "name": "utility.water_leak", "data": {}}
        found = event(self._number, "gate-1", **{**words, **facts})
        return self.notices.of_entry(Entry("hub:events:utility", self._number, 0, found, "hub/main"))

    def channels(self, **facts: object) -> list[str]:
        """Return which channels an event goes to."""
        return [parcel.channel for parcel in self.parcels(**facts)]


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000


def said(parcel: Parcel) -> Notice:
    return msgspec.json.decode(parcel.body, type=Notice)


def routed(words: str) -> str:
    return f"channel: desk\n---\nroute: one\nchannels: desk\n{words}\n"


@pytest.mark.parametrize(
    ("words", "facts", "goes_to"),
    [
        ("", {}, ["desk"]),
        ("", {"severity": Severity.MEDIUM}, []),
        ("min_severity: medium", {"severity": Severity.MEDIUM}, ["desk"]),
        ("", LESS | {"data": {"before": "critical"}}, ["desk"]),
        ("", LESS | {"data": {"before": "low"}}, []),
        ("", LESS | {"transition": Transition.RAISED, "data": {"before": "critical"}}, []),
        ("domains: [fire, care]", {}, []),
        ("domains: [fire, care]", {"name": "care.sos"}, ["desk"]),
        ("places: [garden]", {}, ["desk"]),
        ("places: [harbour]", {}, []),
        ("places: [harbour/b1, garden/b1]", {}, ["desk"]),
        ("places: [garden/b2]", {}, []),
        ("", {"transition": Transition.CLEARED}, []),
        ("", {"transition": Transition.REMINDED}, ["desk"]),
        ("transitions: [cleared]", {"transition": Transition.CLEARED}, ["desk"]),
        ("transitions: [cleared]", {}, []),
        ("", {"test": True}, []),
        ("tests: true", {"test": True}, ["desk"]),
        ("", {"drill": True}, ["desk"]),
        ("drills: false", {"drill": True}, []),
        ("to: property_lead", {"data": {"to": "property_lead"}}, []),
    ],
)
def test_a_route_is_for_what_all_its_words_say(
    words: str, facts: dict[str, object], goes_to: list[str], tmp_path: Path
) -> None:
    assert Room(tmp_path, routed(words)).channels(**facts) == goes_to


@pytest.mark.parametrize(
    ("words", "roles"), [("to: [city, street]", ["city"]), ("transitions: [escalated]", ["city", "family"])]
)
def test_an_escalation_goes_to_the_route_of_its_role(words: str, roles: list[str], tmp_path: Path) -> None:
    room = Room(tmp_path, routed(words))
    calls = {role: room.channels(transition=Transition.ESCALATED, data={"to": role}) for role in ("city", "family")}
    assert [role for role, found in calls.items() if found != [NOBODY]] == roles


def test_two_routes_to_one_channel_are_one_message_in_the_words_of_the_first(tmp_path: Path) -> None:
    text = (
        "channel: desk\nlanguages: en\n---\nroute: b\nchannels: desk\n---\nroute: a\nchannels: desk\ntemplate: short\n"
    )
    (parcel,) = Room(tmp_path, text).parcels()
    assert said(parcel).title == ""


def test_a_message_says_what_where_and_when_in_its_languages(tmp_path: Path) -> None:
    room = Room(tmp_path, "channel: desk\n---\nroute: one\nchannels: desk\n")
    label = {"en": "Water leak", "zh": "漏水"}
    (parcel,) = room.parcels(label=label, drill=True, data={"level": 3}, time=ns(NIGHT))
    assert said(parcel) == Notice(
        title="【重要】漏水 触发（演练） / [HIGH] Water leak raised (DRILL)",
        body=(
            "漏水 触发（演练）\n地点：garden › b1 › gate-1\n时间：2026-03-01 23:30:00 +0800\nlevel=3\n"
            "hub trace 00000000\n\n"
            "Water leak raised (DRILL)\nWhere: garden › b1 › gate-1\nWhen: 2026-03-01 23:30:00 +0800\nlevel=3\n"
            "hub trace 00000000"
        ),
        severity="high",
        moved="raised",
    )


def test_what_the_hub_ends_though_nobody_found_it_over_is_not_told_as_cleared(tmp_path: Path) -> None:
    room = Room(tmp_path, routed("transitions: cleared"))
    (parcel,) = room.parcels(transition=Transition.CLEARED, data={"reason": "device removed"})
    title = "utility.water_leak 撤销（设备已移除），未确认已解除"
    assert said(parcel).title.startswith(f"【重要】{title} / ")
    assert "\n\nutility.water_leak WITHDRAWN (device removed), not known to be over\n" in said(parcel).body
    assert said(parcel).moved == "withdrawn"


@pytest.mark.parametrize("data", [{}, {"reason": "expired"}, {"actor": "li", "reason": "device removed"}])
def test_what_is_over_or_ended_by_a_person_is_told_as_cleared(data: dict[str, str], tmp_path: Path) -> None:
    room = Room(tmp_path, routed("transitions: cleared"))
    (parcel,) = room.parcels(transition=Transition.CLEARED, data=data)
    assert "utility.water_leak 解除" in said(parcel).title
    assert said(parcel).moved == "cleared"


def test_every_reason_for_which_the_engine_ends_an_alarm_is_told_in_chinese() -> None:
    text = "".join(path.read_text("utf-8") for path in (HUB / "hub" / "engine").glob("*.py"))
    calls = re.findall(r"cleared\(.*?\n|why=.*?\n|_forget\(.*?\n", text)
    assert {reason for call in calls for reason in re.findall(r'"([a-z]+(?: [a-z]+)*)"', call)} - {"reason", "by"} == {
        *REASONS_ZH
    }


def test_an_escalation_names_who_is_called(tmp_path: Path) -> None:
    room = Room(tmp_path, routed("to: property_lead"))
    (parcel,) = room.parcels(transition=Transition.ESCALATED, data={"to": "property_lead", "step": 1})
    assert "\n通知对象：物业负责人\nstep=1\n" in said(parcel).body
    assert "\nFor: head of the property management\nstep=1\n" in said(parcel).body


def test_a_role_of_an_installation_is_called_as_it_calls_it(tmp_path: Path) -> None:
    room = Room(tmp_path, routed("to: fire_brigade"))
    (parcel,) = room.parcels(transition=Transition.ESCALATED, data={"to": "fire_brigade", "step": 1})
    assert "\n通知对象：fire_brigade\nstep=1\n" in said(parcel).body


def test_quiet_hours_hold_until_the_morning_of_the_site_and_never_what_is_critical(tmp_path: Path) -> None:
    room = Room(tmp_path, HOUSE)
    assert {each.channel: each.due for each in room.parcels()} == {"duty": ns(MORNING), "desk": ns(NIGHT)}
    critical = room.parcels(key="garden/gate-2", severity=Severity.CRITICAL)
    assert {each.channel: each.due for each in critical} == {"duty": ns(NIGHT), "desk": ns(NIGHT)}
    elsewhere = room.parcels(site="harbour", key="harbour/gate-1")
    assert {each.due for each in elsewhere} == {ns(NIGHT)}


def test_what_is_held_gives_way_to_newer_news_of_the_same_alarm(tmp_path: Path) -> None:
    room = Room(tmp_path, HOUSE)
    held = next(each for each in room.parcels() if each.channel == "duty")
    urgent = next(each for each in room.parcels(severity=Severity.CRITICAL) if each.channel == "duty")
    other = next(each for each in room.parcels(key="garden/gate-2") if each.channel == "duty")
    assert (urgent.replaces, urgent.lane != held.lane, other.replaces != held.lane) == (held.lane, True, True)


def test_the_same_news_is_not_told_again_so_soon_and_the_ledger_says_when_it_was(tmp_path: Path) -> None:
    room = Room(tmp_path, HOUSE)
    room.parcels()
    (again,) = (each for each in room.parcels() if each.channel == "desk")
    assert (again.state, again.answer) == (State.DROPPED, "the same was told at 2026-03-01 23:30:00 +0800")
    cleared = room.parcels(transition=Transition.CLEARED)
    worse = room.parcels(severity=Severity.CRITICAL)
    assert {each.state for each in (*cleared, *worse)} == {State.WAITING}
    assert {each.state for each in room.parcels(severity=Severity.CRITICAL)} == {State.WAITING}
    for transition in (Transition.REMINDED, Transition.COMMENTED, Transition.ESCALATED):
        twice = [room.parcels(transition=transition, data={"to": "city"}) for _ in range(2)]
        assert {each.state for parcels in twice for each in parcels} <= {State.WAITING}
    room.clock.advance(601)
    assert {each.state for each in room.parcels()} == {State.WAITING}


def test_a_hold_that_fails_at_each_renewal_is_told_once(tmp_path: Path) -> None:
    room = Room(tmp_path, HOUSE.replace("[raised,", "[occurred, raised,"))
    facts = {"name": "command.failed", "transition": Transition.OCCURRED, "severity": Severity.CRITICAL}
    told = [next(each for each in room.parcels(**facts) if each.channel == "desk") for _ in range(2)]
    assert [each.state is State.WAITING for each in told] == [True, False]


def test_of_a_controller_each_door_that_did_not_open_is_told(tmp_path: Path) -> None:
    room = Room(tmp_path, HOUSE.replace("[raised,", "[occurred, raised,"))
    facts = {"name": "command.failed", "transition": Transition.OCCURRED, "severity": Severity.CRITICAL}
    doors = ("door-1", "door-3", "door-1")
    told = [next(each for each in room.parcels(**facts, part=door) if each.channel == "desk") for door in doors]
    assert [each.state is State.WAITING for each in told] == [True, True, False]


def test_news_that_something_else_came_between_is_told_again_however_soon(tmp_path: Path) -> None:
    room = Room(tmp_path, HOUSE)
    moves = (Transition.RAISED, Transition.RAISED, Transition.CLEARED, Transition.RAISED, Transition.RAISED)
    told = [next(each for each in room.parcels(transition=move) if each.channel == "duty") for move in moves]
    assert [each.state is State.WAITING for each in told] == [True, False, True, True, False]
    assert told[3].replaces == told[2].lane


def test_an_escalation_that_no_route_tells_is_a_line_of_the_ledger_and_counted(tmp_path: Path) -> None:
    room = Room(tmp_path, HOUSE.replace(", escalated", "") + "---\nroute: lead\nchannels: duty\nto: property_lead\n")
    step = {"transition": Transition.ESCALATED, "severity": Severity.CRITICAL}
    (lost,) = room.parcels(**step, data={"to": "street", "step": 2})
    assert (lost.channel, lost.state, lost.answer) == (NOBODY, State.DROPPED, "no route tells street")
    assert room.channels(**step, data={"to": "street", "step": 2}, test=True) == []
    assert room.channels(**step, data={"to": "property_lead", "step": 1}) == ["duty"]
    assert room.channels() == ["desk", "duty"]
    assert room.notices.untold == {"street": 1}


def test_a_drill_that_a_route_leaves_out_on_purpose_is_told_to_nobody_without_a_word(tmp_path: Path) -> None:
    room = Room(tmp_path, routed("to: [family]\ndrills: false"))
    step = {"transition": Transition.ESCALATED, "drill": True}
    assert room.channels(**step, data={"to": "family"}) == []
    assert room.channels(**step, data={"to": "street"}) == [NOBODY]
    assert room.notices.untold == {"street": 1}


def test_a_clock_that_is_set_back_makes_nothing_old_of_what_is_news(tmp_path: Path) -> None:
    room = Room(tmp_path, HOUSE)
    assert room.channels() == ["desk", "duty"]
    room.clock.advance(-86_400)
    assert [parcel.state for parcel in room.parcels() if parcel.channel == "desk"] == [State.WAITING]
    assert [parcel.state for parcel in room.parcels() if parcel.channel == "desk"] == [State.DROPPED]


def test_one_thing_that_the_hub_says_of_itself_keeps_no_other_back(tmp_path: Path) -> None:
    room = Room(tmp_path, routed(""))
    own = {"transition": Transition.OCCURRED, "rule": "", "key": "_hub", "site": "_hub"}
    said = [
        room.parcels(**own, name=f"device.{name}")[0].state
        for name in ("consumer_group_lagging", "broker_dropped_messages", "broker_dropped_messages")
    ]
    assert said == [State.WAITING, State.WAITING, State.DROPPED]


@pytest.mark.parametrize("mark", ["test", "drill"])
def test_what_was_only_played_keeps_back_nothing_that_is_real(mark: str, tmp_path: Path) -> None:
    room = Room(tmp_path, routed("tests: true"))
    states = [room.parcels(**facts)[0].state for facts in ({mark: True}, {}, {mark: True}, {})]
    assert states == [State.WAITING, State.WAITING, State.DROPPED, State.DROPPED]
    night = Room(tmp_path, HOUSE.replace("[duty, desk]\n", "[duty]\ntests: true\n"))
    (held,), (played,) = night.parcels(), night.parcels(**{mark: True})
    assert held.lane.endswith("(held)")
    assert played.replaces != held.lane


async def test_an_entry_of_which_nobody_can_make_a_message_is_counted_and_holds_up_no_other(
    tmp_path: Path, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    wishes = "channel: webhook\n---\nroute: all\nchannels: webhook\n"
    desk = Desk(tmp_path / "notify", valkey, http_stub)
    desk.errand = replace(desk.errand, packer=Room(tmp_path, wishes).notices)
    last = ns(datetime(9999, 12, 31, 23, 59, tzinfo=UTC))  # no calendar says what that is in Qingdao
    async with valkey.link() as link, desk.at_work() as process:
        await wait_until(lambda: process.follower.is_reading)
        await write(link, event(1, time=last), event(2))
        await wait_until(lambda: desk.ended() == [2])
    assert read_counts(desk.directory)["unreadable"] == 1
