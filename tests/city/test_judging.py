"""The judgement of the city: order, lateness, repetition, memory; a function of what the streams hold."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from hub.city.judging import Terms
from hub.city.testing import FOREVER_MS, TERMS
from hub.model.effects import Entry, Event
from hub.model.values import Severity
from hub.rules.pseudonyms import pseudonym
from tests.city.sights import CARD, NOON_MS, SECOND_NS, city, entry, judged, passage, rule, told

HOUR = 3_600


def test_an_event_names_both_places_and_both_events_and_never_the_card() -> None:
    (event,) = judged(city(), [entry(passage(1, "garden", 0)), entry(passage(2, "harbour", 48))])
    token = pseudonym("card", CARD, TERMS.key)
    assert (event.name, event.severity, event.site, event.device) == (
        "access.impossible_travel",
        Severity.HIGH,
        "harbour",
        "gate-1",
    )
    assert event.data == {
        "field": "card",
        "token": token,
        "from_site": "garden",
        "from_device": "gate-1",
        "from_part": "door-1",
        "to_site": "harbour",
        "to_device": "gate-1",
        "to_part": "door-1",
        "seconds": 48.0,
        "metres": 5200,
        "from_event": f"{1:032x}",
        "to_event": f"{2:032x}",
    }
    assert event.label == {
        "en": "garden gate-1 -> harbour gate-1, 5.2 km, 48 s",
        "zh": "garden gate-1、harbour gate-1，5.2 km，48 秒",
    }
    assert (event.key, event.time) == (f"_city/{token}", (NOON_MS + 48_000) * 1_000_000)
    assert CARD not in repr(event)


def test_nothing_is_judged_before_what_precedes_it_can_have_come() -> None:
    it = city()
    entries = [entry(passage(1, "garden", 0)), entry(passage(2, "harbour", 48))]
    assert judged(it, entries, until=52.999) == []
    assert len(it.judge(NOON_MS + 53_000)) == 1


def test_what_comes_in_the_wrong_order_is_judged_in_the_right_one() -> None:
    # The hub of the garden delivers three seconds late: to the city the harbour's swipe comes first.
    late_hub = [entry(passage(1, "garden", 0), delay=3), entry(passage(2, "harbour", 1))]
    assert told(judged(city(), late_hub)) == [(1, 2)]


def test_the_same_event_written_twice_is_one() -> None:
    twice = [entry(passage(1, "garden", 0)), entry(passage(2, "harbour", 20)), entry(passage(2, "harbour", 20))]
    it = city(rule(count={"at_least": 2, "within": "1h"}))
    assert judged(it, twice) == []
    assert it.judged == 2


def test_a_swipe_that_came_late_between_two_others_is_compared_with_both() -> None:
    swipes = [entry(passage(1, "garden", 0)), entry(passage(3, "garden", 2 * HOUR))]
    between = entry(passage(2, "harbour", 2 * HOUR - 30, told=3 * HOUR, late=True))
    (event,) = judged(city(), [*swipes, between])
    assert (told([event]), event.late) == ([(2, 3)], True)


def test_a_late_swipe_that_says_the_same_as_an_event_before_is_quiet() -> None:
    swipes = [entry(passage(1, "garden", 0)), entry(passage(3, "harbour", 40))]
    between = entry(passage(2, "garden", 20, told=HOUR, late=True))
    assert told(judged(city(), [*swipes, between])) == [(1, 3)]


def test_a_late_swipe_does_not_count_a_pair_twice() -> None:
    swipes = [entry(passage(1, "garden", 0)), entry(passage(3, "harbour", 40))]
    between = entry(passage(2, "garden", 20, told=HOUR, late=True))
    it = city(rule(count={"at_least": 2, "within": "1h"}))
    assert judged(it, [*swipes, between]) == []
    assert it.judged == 3


def test_who_was_late_and_has_no_clock_may_have_come_whenever() -> None:
    it = city()
    undated = [entry(passage(1, "garden", 0)), entry(passage(2, "harbour", 20, late=True))]
    assert (judged(it, undated), dict(it.skipped)) == ([], {"undated": 1})


def test_what_is_later_than_the_city_remembers_is_counted_and_not_judged() -> None:
    it = city(terms=Terms(key=b"k", settle_ns=5 * SECOND_NS, remember_ns=HOUR * SECOND_NS))
    too_late = entry(passage(2, "harbour", 20, told=2 * HOUR, late=True))
    assert judged(it, [entry(passage(1, "garden", 0)), too_late]) == []
    assert (dict(it.skipped), it.judged) == ({"too_late": 1}, 1)


def test_what_was_before_the_city_s_memory_is_compared_with_nothing_even_if_it_was_judged_since() -> None:
    it = city(terms=Terms(key=b"k", settle_ns=5 * SECOND_NS, remember_ns=HOUR * SECOND_NS))
    beyond = entry(passage(2, "harbour", 3, told=HOUR + 2, late=True))
    assert judged(it, [entry(passage(1, "garden", 0)), beyond]) == []
    assert it.judged == 2


def test_a_clock_ahead_of_the_server_does_not_move_an_event_into_the_future() -> None:
    ahead = entry(passage(2, "harbour", 4 * HOUR), delay=-4 * HOUR + 20)
    assert told(judged(city(), [entry(passage(1, "garden", 0)), ahead], until=30)) == [(1, 2)]


def test_memory_ends_with_what_it_is_for() -> None:
    it = city(terms=Terms(key=b"k", settle_ns=0, remember_ns=HOUR * SECOND_NS))
    judged(it, [entry(passage(number, "garden", number * 60, data={"card": str(number)})) for number in range(600)])
    assert it.judged == 600
    assert 60 <= it.remembered <= 61


def test_impossible_pairs_that_follow_each_other_closely_are_one_story_told_once() -> None:
    # One every eight minutes, and the rule is quiet for ten.
    swipes = [
        entry(passage(10 * step + place, site, step * 480 + place))
        for step in range(5)
        for place, site in enumerate(("garden", "harbour"))
    ]
    assert told(judged(city(), swipes)) == [(0, 1)]


class Broken:
    """A chart with a bug."""

    def metres(self, one: str, other: str) -> float | None:
        raise ZeroDivisionError(one + other)

    def knows(self, site: str) -> bool:
        return bool(site)

    def words(self, site: str, device: str, language: str) -> str:
        return site + device + language


def test_a_bug_costs_one_sighting_and_is_counted() -> None:
    it = city()
    it.chart = Broken()
    assert judged(it, [entry(passage(1, "garden", 0)), entry(passage(2, "harbour", 20))]) == []
    assert (dict(it.skipped), it.judged, dict(it.raised)) == ({"failed": 1}, 2, {})


# ------------------------------------------------------------------------------------------------------------- order

SITE = st.sampled_from(["garden", "harbour", "court", "nowhere"])
SWIPES = st.lists(
    st.tuples(SITE, st.integers(0, 600), st.sampled_from([0, 0, 0, 2, 4, 30, 900]), st.sampled_from(["a", "b"])),
    max_size=25,
)
RULES = (
    rule("travel"),
    rule("cloned", "access.cloned_card", count={"at_least": 2, "within": "5m"}),
    rule("inside", "access.twice_in", travel=None, inside={"within": "5m"}),
)


def entries_of(swipes: Sequence[tuple[str, int, int, str]]) -> list[Entry]:
    """Return the entries of two streams; a swipe that is told later than a minute after it was is late."""
    return [
        entry(
            passage(number, site, at, told=at + delay, late=delay > 60, data={"card": card, "direction": "in"}),
            stream=f"hub:events:{card}",
        )
        for number, (site, at, delay, card) in enumerate(swipes)
    ]


def all_at_once(swipes: Sequence[tuple[str, int, int, str]]) -> list[Event]:
    return judged(city(*RULES), entries_of(swipes))


@given(SWIPES, st.randoms(use_true_random=False))
def test_however_rounds_fall_and_streams_interleave_the_events_are_the_same(
    swipes: list[tuple[str, int, int, str]], chance: random.Random
) -> None:
    waiting = sorted(entries_of(swipes), key=lambda each: (each.written_at, each.number))
    it, events, until = city(*RULES), [], NOON_MS
    while waiting:
        until += chance.randrange(60_000)
        mine = [each for each in waiting if each.written_at <= until]
        waiting = waiting[len(mine) :]
        chance.shuffle(mine)  # within a round the streams come one after the other
        for each in mine:
            it.take(each)
        events += it.judge(until)
    events += it.judge(NOON_MS + 100 * HOUR * 1_000)
    assert events == all_at_once(swipes)


SHORT = Terms(key=b"k", settle_ns=5 * SECOND_NS, remember_ns=300 * SECOND_NS)


@given(SWIPES, st.integers(0, 1_600))
def test_a_city_that_begins_again_from_what_it_remembers_goes_on_as_if_it_had_not_stopped(
    swipes: list[tuple[str, int, int, str]], stopped: int
) -> None:
    entries = sorted(entries_of(swipes), key=lambda each: (each.written_at, each.number))
    until = NOON_MS + stopped * 1_000
    read = [each for each in entries if each.written_at <= until]
    before, after, whole = (city(*RULES, terms=SHORT) for _ in range(3))
    for each in read:
        before.take(each)
    events = before.judge(until)
    for each in read:
        if each.written_at >= until - SHORT.remember_ns // 1_000_000:
            after.take(each, is_known=True)
    after.recall(until)
    for each in entries[len(read) :]:
        after.take(each)
    events += after.judge(FOREVER_MS)
    assert events == judged(whole, entries)
    assert before.judged + after.judged == whole.judged
    assert before.skipped + after.skipped == whole.skipped


@given(SWIPES.map(lambda swipes: [(site, at, min(delay, 4), card) for site, at, delay, card in swipes]), st.data())
def test_within_the_time_that_the_city_waits_the_order_of_arrival_means_nothing(
    swipes: list[tuple[str, int, int, str]], data: st.DataObject
) -> None:
    others = [(site, at, data.draw(st.integers(0, 5)), card) for site, at, _, card in swipes]
    assert told(all_at_once(swipes)) == told(all_at_once(others))


def test_what_is_under_test_or_in_a_drill_is_nobodys_passage() -> None:
    it = city()
    tried = [entry(passage(2, "harbour", 20, test=True)), entry(passage(3, "harbour", 21, drill=True))]
    assert judged(it, [entry(passage(1, "garden", 0)), *tried]) == []
    assert dict(it.skipped) == {"tested": 2}
