"""Who was a witness when: what is taken long after it was said counts by when it was said, in every way it may come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec
import pytest

from hub.engine.again import Retaken
from hub.model.heard import Publish
from hub.model.records import Control, Letter, SessionCaughtUp, SessionConnected
from tests.engine.desk import HOUR, SECOND, SESSIONS, SITE, Desk, documents, native, place, stands, transmitted

PLAN = (
    place(SITE, "site", building=""), place("b1", "building", SITE), place("zone-1", "fire_zone", "b1"),
    stands("heat-1", "heat_sensor", "zone-1"), stands("lift-1", "elevator", "b1"),
    stands("door-1", "access_controller", "b1"),
)  # fmt: skip
WITHOUT, WITH = documents(*PLAN), documents(*PLAN, stands("smoke-1", "smoke_sensor", "zone-1"))
MISTAKEN = documents(*PLAN, stands("smoke-1", "smoke_sensor", "zone-1", "milesight/gs524n"))
MINUTE = 60
Words = Sequence[tuple[float, bool]]
"""How long ago a detector said something (seconds), and whether it alarms."""
OVER: Words = (50 * MINUTE, True), (49 * MINUTE, False)
JUST_OVER: Words = (150, True), (100, False)
LASTING: Words = ((50 * MINUTE, True),)
Way = Callable[[Words], Desk]


def said(desk: Desk, *, alarm: bool, has_clock: bool, ago: float = 0, name: str = "smoke-1") -> Publish:
    clock = {"t": (desk.wall - round(ago * SECOND)) // 1_000_000} if has_clock else {}
    return native(name, {"values": {"alarm": alarm}, **clock}, "telemetry")


def in_their_time(desk: Desk, words: Words, *, has_clock: bool) -> None:
    """Hear each of ``words`` when it is said."""
    now = desk.wall + round(words[0][0] * SECOND)
    for ago, alarm in words:
        desk.tick((now - desk.wall) / SECOND - ago)
        desk.hear(said(desk, alarm=alarm, has_clock=has_clock))
    desk.tick((now - desk.wall) / SECOND)


def waited(words: Words, *, has_clock: bool) -> Desk:
    """Return a desk on which ``words`` waited for their device, which is registered now."""
    desk = Desk(WITHOUT)
    in_their_time(desk, words, has_clock=has_clock)
    desk.revise(WITH)
    assert desk.engine.state.ledger.replayed == len(words)
    return desk


def waited_beside_a_clock_that_was_set(words: Words, *, has_clock: bool) -> Desk:
    """Return one whose own clock was a month behind until now."""
    desk = Desk(WITHOUT)
    in_their_time(desk, words, has_clock=has_clock)
    desk.wall += 30 * 24 * 60 * MINUTE * SECOND
    desk.revise(WITH)
    return desk


def asked_for(words: Words, *, has_clock: bool) -> Desk:
    """Return a desk on which somebody asks for ``words`` again, which meant nothing when they came."""
    desk = Desk(MISTAKEN)
    in_their_time(desk, words, has_clock=has_clock)
    desk.revise(WITH)
    letters = [letter for effects in desk.effects for letter in effects.dead_letters]
    named = tuple(Letter(one.topic, one.payload, number=one.number, received_at=one.received_at) for one in letters)
    control = Control("1-0", "r1", "li", "retry", desk.wall + MINUTE * SECOND, {"last": 9, "more": False}, named)
    (reply,) = desk.say(control, named).replies
    assert msgspec.json.decode(reply.detail, type=Retaken).taken == len(words)
    return desk


def known(*, has_clock: bool) -> Desk:
    """Return a desk which has heard smoke-1 often enough to know its clock."""
    desk = Desk(WITH)
    for _ in range(12):
        desk.hear(said(desk, alarm=False, has_clock=has_clock))
        desk.tick(MINUTE)
    return desk


def kept_by_the_broker(words: Words, *, has_clock: bool) -> Desk:
    """Return a desk that hears ``words`` when it is there again."""
    desk = known(has_clock=has_clock)
    desk.lose()
    desk.wait(words[0][0] + 1)
    for session in SESSIONS:
        desk.say(SessionConnected(session, 2, session_present=True))
    for ago, alarm in words:
        desk.hear(said(desk, alarm=alarm, has_clock=has_clock, ago=ago), connection=2)
    for session in SESSIONS:
        desk.say(SessionCaughtUp(session, 2))
    return desk


def kept_by_the_device(words: Words, *, has_clock: bool) -> Desk:
    """Return a desk that hears ``words`` when their device has its radio again."""
    desk = known(has_clock=has_clock)
    desk.tick(words[0][0])
    for ago, alarm in words:
        desk.hear(said(desk, alarm=alarm, has_clock=has_clock, ago=ago))
    return desk


WAYS = {
    "waited": partial(waited, has_clock=False),
    "waited, of a clock": partial(waited, has_clock=True),
    "waited, set": partial(waited_beside_a_clock_that_was_set, has_clock=False),
    "asked for": partial(asked_for, has_clock=False),
    "asked for, of a clock": partial(asked_for, has_clock=True),
    "broker, of a clock": partial(kept_by_the_broker, has_clock=True),
    "device, of a clock": partial(kept_by_the_device, has_clock=True),
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def is_confirmed(desk: Desk) -> bool:
    """Let heat-1 alarm now; return whether that opens the doors."""
    desk.hear(said(desk, alarm=True, has_clock=False, name="heat-1"))
    told = [event.late for event in desk.events if event.name == "fire.confirmed"]
    assert told in ([], [False])
    assert bool(told) is (("hub/s1/door-1/command", "hold_door") in transmitted(desk))
    return bool(told)


@every_way
def test_what_was_over_long_ago_is_no_second_witness(way: Way) -> None:
    desk = way(OVER)
    assert not is_confirmed(desk)
    desk.tick(300)
    assert "raised fire.confirmed" not in desk.told()


@every_way
def test_what_was_over_just_now_is_one(way: Way) -> None:
    desk = way(JUST_OVER)
    assert is_confirmed(desk)


@every_way
def test_what_has_lasted_since_long_ago_is_one(way: Way) -> None:
    desk = way(LASTING)
    desk.tick(10 * MINUTE)
    assert is_confirmed(desk)


@every_way
def test_it_ceases_to_be_one_as_long_after_its_end_as_one_that_was_heard_in_time(way: Way) -> None:
    for later, expected in ((79, True), (81, False)):
        desk = way(JUST_OVER)
        desk.tick(later)
        assert is_confirmed(desk) is expected


def test_where_nobody_knows_when_it_was_said_it_is_a_witness() -> None:
    """A fire that nobody hears of is worse than doors that open in vain: it may have been a moment ago."""
    assert is_confirmed(kept_by_the_broker(OVER, has_clock=False))


def test_two_that_alarmed_together_while_nobody_knew_them_confirm_late_whoever_is_registered_first() -> None:
    desk = Desk(documents(*PLAN))
    for alarm in (True, False):
        for name in ("smoke-2", "smoke-1"):
            desk.hear(said(desk, alarm=alarm, has_clock=False, name=name))
            desk.tick(MINUTE)
    desk.tick(20 * MINUTE)
    desk.revise(documents(*PLAN, *(stands(name, "smoke_sensor", "zone-1") for name in ("smoke-1", "smoke-2"))))
    assert [line for line in desk.told() if "fire.confirmed" in line] == ["raised fire.confirmed late"]
    assert transmitted(desk) == []


def test_letters_that_waited_since_long_ago_do_not_make_a_denial_of_now_one_of_many() -> None:
    denied = {"part": "door-1", "signals": [{"name": "access.denied", "card": "7"}]}
    for apart, told in ((600, []), (5, ["access.repeated_denials"])):
        desk = Desk(documents(*PLAN))
        for _ in range(4):
            desk.hear(native("door-2", denied))
            desk.tick(apart)
        desk.revise(documents(*PLAN, stands("door-2", "access_controller", "b1")))
        assert desk.engine.state.ledger.replayed == 4
        desk.hear(native("door-2", denied))
        assert [event.name for event in desk.events if event.name == "access.repeated_denials"] == told


def confirmed_late(words: Words, *others: Mapping[str, bytes]) -> Desk:
    """Return a desk on which heat-1 alarms when smoke-1 is registered, which had said ``words``, and ``others``."""
    desk = Desk(WITHOUT)
    in_their_time(desk, words, has_clock=False)
    desk.hear(said(desk, alarm=True, has_clock=False, name="heat-1"))
    desk.revise(documents(*PLAN, stands("smoke-1", "smoke_sensor", "zone-1"), *others))
    assert [line for line in desk.told() if "fire.confirmed" in line] == ["raised fire.confirmed late"]
    return desk


def reconnected(desk: Desk, connection: int) -> bool:
    """Return whether the doors are open when the hub has lost its broker and has it again."""
    desk.lose()
    desk.tick(1)
    desk.catch_up(connection)
    return ("hub/s1/door-1/command", "hold_door") in transmitted(desk)


def test_a_fire_that_was_told_late_and_is_denied_by_what_came_after_opens_no_door_because_a_line_was_lost() -> None:
    desk = confirmed_late(OVER)
    desk.tick(10)
    assert [reconnected(desk, connection) for connection in (2, 3)] == [False, False]
    desk.hear(said(desk, alarm=True, has_clock=False), connection=3)
    assert ("hub/s1/door-1/command", "hold_door") in transmitted(desk)


def test_a_fire_that_was_told_late_and_still_burns_opens_the_doors_as_soon_as_all_has_been_read() -> None:
    assert reconnected(confirmed_late(LASTING), 2)


def test_who_has_said_nothing_is_not_taken_for_the_witness_that_is_missing() -> None:
    assert not reconnected(confirmed_late(OVER, stands("smoke-2", "smoke_sensor", "zone-1")), 2)


def test_a_fire_that_was_told_late_while_nobody_could_hear_opens_the_doors_though_it_is_calm_by_now() -> None:
    desk = known(has_clock=True)
    desk.lose()
    desk.wait(HOUR)
    for session in SESSIONS:
        desk.say(SessionConnected(session, 2, session_present=True))
    for ago, alarm in ((50 * MINUTE, True), (49 * MINUTE, False)):
        desk.hear(said(desk, alarm=alarm, has_clock=True, ago=ago), connection=2)
        desk.hear(said(desk, alarm=alarm, has_clock=False, name="heat-1"), connection=2)
    desk.catch_up(2)
    assert ("hub/s1/door-1/command", "hold_door") in transmitted(desk)
