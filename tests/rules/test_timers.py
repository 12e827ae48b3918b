"""Timers: order, replacement, classes, and the heap against a plain dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.rules.timers import _MINUTE_BITS, TimerClass, Timers, _Heap

MINUTE = 1 << _MINUTE_BITS
RUNNING, JUDGED = TimerClass.RUNNING, TimerClass.JUDGED


def test_what_is_due_comes_in_the_order_of_due_rule_and_key() -> None:
    timers = Timers()
    wanted = [(5, "a", "y"), (5, "a", "x"), (4, "z", "z"), (5, "b", "a"), (9, "a", "a")]
    for due, owner, key in wanted:
        timers.set(JUDGED, due, owner, key)
    assert list(timers.due(JUDGED, 5)) == [(4, "z", "z"), (5, "a", "x"), (5, "a", "y"), (5, "b", "a")]


def test_what_was_due_is_not_due_again() -> None:
    timers = Timers()
    timers.set(JUDGED, 5, "a", "x")
    assert list(timers.due(JUDGED, 4)) == []
    assert list(timers.due(JUDGED, 5)) == [(5, "a", "x")]
    assert list(timers.due(JUDGED, 5)) == []


def test_a_later_wish_replaces_an_earlier_one_in_both_directions() -> None:
    timers = Timers()
    for due in (5, 9, 3, 7):
        timers.set(JUDGED, due, "a", "x")
    assert timers.next_due(JUDGED) == 7
    assert list(timers.due(JUDGED, 10)) == [(7, "a", "x")]


def test_a_dropped_timer_is_never_due_and_can_be_set_again() -> None:
    timers = Timers()
    timers.set(JUDGED, 5, "a", "x")
    timers.drop(JUDGED, "a", "x")
    timers.drop(JUDGED, "a", "never set")
    assert timers.next_due(JUDGED) is None
    assert list(timers.due(JUDGED, 9)) == []
    timers.set(JUDGED, 5, "a", "x")
    assert list(timers.due(JUDGED, 9)) == [(5, "a", "x")]


def test_classes_do_not_see_each_other() -> None:
    timers = Timers()
    for kind in TimerClass:
        timers.set(kind, 5 + kind, "a", "x")
    timers.drop(RUNNING, "a", "x")
    assert list(timers.due(RUNNING, 9)) == []
    assert list(timers.due(JUDGED, 9)) == [(6, "a", "x")]
    assert timers.next_due(TimerClass.AWAKE) == 7


def test_what_is_set_while_others_are_judged_is_judged_too_when_it_is_due() -> None:
    timers = Timers()
    timers.set(JUDGED, 1, "a", "x")
    told = []
    for due, owner, key in timers.due(JUDGED, 5):
        told.append((due, key))
        if due < 9:
            timers.set(JUDGED, due + 3, owner, key + "x")
    assert told == [(1, "x"), (4, "xx")]
    assert timers.next_due(JUDGED) == 7


def test_what_is_dropped_while_others_are_judged_is_not_judged() -> None:
    timers = Timers()
    for key in "xyz":
        timers.set(JUDGED, 5, "a", key)
    told = []
    for _, _, key in timers.due(JUDGED, 5):
        told.append(key)
        timers.drop(JUDGED, "a", "y")
    assert told == ["x", "z"]


def test_a_timer_that_is_set_a_hundred_thousand_times_costs_no_memory() -> None:
    timers = Timers()
    for due in range(100_000):
        timers.set(JUDGED, due, "a", "later and later")
        timers.set(JUDGED, 10**6 - due, "a", "earlier and earlier")
    heap = timers._heaps[JUDGED]  # noqa: SLF001 -- its memory is the point
    assert held(heap) == heap._held < 100  # noqa: SLF001 -- its memory is the point
    found = [(99_999, "a", "later and later"), (10**6 - 99_999, "a", "earlier and earlier")]
    assert list(timers.due(JUDGED, 10**6)) == found


def test_a_timer_that_only_becomes_later_moves_in_the_heap_once_it_surfaces() -> None:
    timers = Timers()
    heap = timers._heaps[JUDGED]  # noqa: SLF001 -- its work is the point
    timers.set(JUDGED, 10, "a", "x")
    assert timers.next_due(JUDGED) == 10
    for due in range(10, 1_000):
        timers.set(JUDGED, due, "a", "x")
        assert heap._entries == [(10, "a", "x")]  # noqa: SLF001 -- its work is the point
    timers.set(JUDGED, 500, "a", "y")
    assert list(timers.due(JUDGED, 998)) == [(500, "a", "y")]
    assert list(timers.due(JUDGED, 999)) == [(999, "a", "x")]


def held(heap: _Heap) -> int:
    """Return how many entries there are in all."""
    minutes = [keys for owners in heap._minutes.values() for keys in owners.values()]  # noqa: SLF001 -- see above
    return len(heap._entries) + sum(map(len, minutes))  # noqa: SLF001 -- see above


def test_what_is_due_in_a_minute_that_has_not_begun_has_no_entry_of_its_own() -> None:
    timers, hour = Timers(), 3_600 * 10**9
    for number in range(100):
        timers.set(JUDGED, hour + number, "silent", f"room-{number:02}")
    timers.set(JUDGED, hour + 7, "silent", "room-99")
    heap = timers._heaps[JUDGED]  # noqa: SLF001 -- its memory is the point
    assert list(timers.due(JUDGED, hour // 2)) == []
    assert (heap._entries, held(heap)) == ([], 101)  # noqa: SLF001 -- its memory is the point
    expected = sorted(
        [(hour + number, "silent", f"room-{number:02}") for number in range(99)] + [(hour + 7, "silent", "room-99")]
    )
    assert list(timers.due(JUDGED, hour + 100)) == expected
    assert held(heap) == heap._held == 0  # noqa: SLF001 -- its memory is the point


NAMES = st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"))
MOMENTS = st.integers(0, 50) | st.integers(0, 50).map(lambda moment: moment << 34)
SET = st.tuples(st.just("set"), NAMES, MOMENTS)
DROP = st.tuples(st.just("drop"), NAMES, st.just(0))
DUE = st.tuples(st.just("due"), st.just(("", "")), MOMENTS)
NEXT = st.tuples(st.just("next"), st.just(("", "")), st.just(0))


@given(st.lists(SET | DROP | DUE | NEXT, max_size=200))
def test_timers_are_a_dictionary_that_is_sorted_when_asked(asked: list[tuple[str, tuple[str, str], int]]) -> None:
    timers = Timers()
    plain: dict[tuple[str, str], int] = {}
    for what, name, number in asked:
        if what == "set":
            timers.set(JUDGED, number, *name)
            plain[name] = number
        elif what == "drop":
            timers.drop(JUDGED, *name)
            plain.pop(name, None)
        elif what == "next":
            assert timers.next_due(JUDGED) == min(plain.values(), default=None)
        else:
            ripe = sorted((due, *name) for name, due in plain.items() if due <= number)
            assert list(timers.due(JUDGED, number)) == ripe
            plain = {name: due for name, due in plain.items() if due > number}
        heap = timers._heaps[JUDGED]  # noqa: SLF001 -- its memory is the point
        assert held(heap) == heap._held <= 2 * 9 + 64  # noqa: SLF001 -- as above


def test_who_looks_whether_it_is_time_yet_is_asked_when_that_minute_begins_and_once_more() -> None:
    timers, due = Timers(), 5 * MINUTE + 7
    timers.look(TimerClass.AWAKE, due, "a", "x")
    assert list(timers.due(TimerClass.AWAKE, 5 * MINUTE - 1)) == []
    assert list(timers.due(TimerClass.AWAKE, 5 * MINUTE)) == [(5 * MINUTE, "a", "x")]
    timers.look(TimerClass.AWAKE, due, "a", "x")
    assert list(timers.due(TimerClass.AWAKE, due - 1)) == []
    assert list(timers.due(TimerClass.AWAKE, due)) == [(due, "a", "x")]
