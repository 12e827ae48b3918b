"""Laws of waiting for a device that sleeps: a release always goes out, and nothing that is worth little comes late."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.commands.arbitration import PRIORITIES
from hub.commands.patience import URGENT, Errand, Habit, wait_for

SPANS = st.integers(min_value=1, max_value=10**15)
HABITS = st.builds(Habit, st.just(0) | SPANS, SPANS)
ERRANDS = st.builds(Errand, st.sampled_from(PRIORITIES), SPANS, st.booleans(), st.booleans())
HOUR, SECOND = 3_600_000_000_000, 1_000_000_000


@given(ERRANDS, HABITS)
def test_a_release_always_waits_until_the_device_should_have_spoken(errand: Errand, habit: Habit) -> None:
    wait = wait_for(errand._replace(is_release=True), habit)
    assert wait >= max(habit.every_ns, habit.gone_after_ns)


@given(ERRANDS, HABITS)
def test_a_hold_or_what_is_urgent_never_waits_longer_than_it_is_worth(errand: Errand, habit: Habit) -> None:
    strict = errand._replace(is_release=False, is_hold=errand.is_hold or errand.priority not in URGENT)
    assert wait_for(strict, habit) in {0, errand.worth_ns}


@given(ERRANDS, HABITS)
def test_what_may_wait_at_all_waits_for_the_device_to_speak_once(errand: Errand, habit: Habit) -> None:
    wait = wait_for(errand, habit)
    assert wait == 0 or wait >= habit.every_ns


@given(ERRANDS, HABITS)
def test_of_a_device_of_which_nobody_knows_how_often_it_speaks_nothing_is_expected_in_time(
    errand: Errand, habit: Habit
) -> None:
    silent = Habit(0, habit.gone_after_ns)
    is_strict = (errand.is_hold or errand.priority in URGENT) and not errand.is_release
    assert (wait_for(errand, silent) == 0) is is_strict


@given(ERRANDS, HABITS, SPANS)
def test_what_is_worth_more_is_never_refused_where_what_is_worth_less_is_not(
    errand: Errand, habit: Habit, more: int
) -> None:
    richer = errand._replace(worth_ns=errand.worth_ns + more)
    assert wait_for(richer, habit) >= wait_for(errand, habit)


def test_a_lamp_may_be_switched_hours_later_and_a_door_must_not_open_then() -> None:
    hourly = Habit(HOUR, 25 * HOUR)
    found = [
        wait_for(errand, hourly)
        for errand in (
            Errand("operator", 10 * SECOND),
            Errand("life_safety", 10 * SECOND),
            Errand("operator", 30 * SECOND, is_hold=True),
            Errand("operator", 2 * HOUR, is_hold=True),
        )
    ]
    assert found == [25 * HOUR, 0, 0, 2 * HOUR]
