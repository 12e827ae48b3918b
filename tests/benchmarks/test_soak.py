"""The soak finds what was lost, doubled or grew; and a short one with two faults finds nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.numbered import CARD_EVERY, Numbered, held_against, is_card
from benchmarks.soak import FAULTS, ROUND, Plan, soak
from benchmarks.watch import MOST_MORE, WARM_SECONDS, Sample, growth
from tests.machine import needs

SECONDS = 300


def samples(
    *, slope: float = 0.0, handles: int = 0, tasks: int = 0, pid: int = 1, begin: int = 0, seconds: int = SECONDS
) -> list[Sample]:
    """Return some minutes of a hub that grows by so many MiB a minute, and so much of the others in all."""
    return [
        Sample(
            seconds=begin + second,
            pid=pid,
            rss_mib=150 + slope * second / 60 + second % 7,
            handles=40 + handles * second // seconds,
            threads=12,
            tasks=20 + tasks * second // seconds,
        )
        for second in range(seconds)
    ]


def test_a_hub_that_stays_as_it_is_is_flat() -> None:
    found = growth(samples())
    assert found is not None
    assert found.is_flat
    assert found.seconds == pytest.approx(SECONDS - WARM_SECONDS - 1)


@pytest.mark.parametrize(
    "grown",
    [samples(slope=3.0), samples(handles=3 * MOST_MORE), samples(tasks=3 * MOST_MORE)],
    ids=("rss", "fd", "task"),
)
def test_what_grows_is_found(grown: list[Sample]) -> None:
    found = growth(grown)
    assert found is not None
    assert not found.is_flat


def test_the_quarters_of_a_life_tell_a_heap_that_settles_from_one_that_leaks() -> None:
    settling = [replace(each, rss_mib=160 - 20 * 0.98**each.seconds) for each in samples()]
    for found, is_settled in ((growth(settling), True), (growth(samples(slope=1.5)), False)):
        assert found is not None
        first, *_, last = found.slopes_mib
        assert (last < first / 3) is is_settled


def test_what_makes_most_wait_comes_again_before_the_hub_is_killed_again() -> None:
    assert [fault for fault, times in Counter(ROUND).items() if times > 1] == ["InfluxDB away 20 s", "blackhole 12 s"]
    assert ROUND.index("hub killed") == 0
    assert set(ROUND) == set(FAULTS)


FAULTS_AGAIN = [(at, name) for at, name in zip(range(80, 600, 60), ("away", "hole", "pause", "cut") * 2, strict=False)]


def with_steps(grown: list[Sample]) -> list[Sample]:
    """Return the life of ten minutes in which the first fault of each sort but the last takes 5 MiB for good."""
    steps = [at + 5 for at, _ in FAULTS_AGAIN[:3]]
    return [replace(each, rss_mib=each.rss_mib + sum(5 for at in steps if each.seconds >= at)) for each in grown]


def test_memory_that_the_first_backlog_of_each_sort_needs_is_no_growth() -> None:
    found = growth(with_steps(samples(seconds=600)), FAULTS_AGAIN)
    assert found is not None
    assert found.levels_mib["away"] == [158, 168]
    assert found.is_flat, found


@pytest.mark.parametrize("slope", [2.0, 3.0])
def test_what_leaks_is_found_among_such_steps_and_without_them(slope: float) -> None:
    leaking = samples(slope=slope, seconds=600)
    for life in (leaking, with_steps(leaking)):
        found = growth(life, FAULTS_AGAIN)
        assert found is not None
        assert not found.is_flat, found


def test_what_each_fault_of_a_sort_leaks_is_found() -> None:
    holes = [at for at, name in FAULTS_AGAIN if name == "hole"]
    leaking = [
        replace(each, rss_mib=each.rss_mib + sum(5 for at in holes if each.seconds >= at))
        for each in samples(seconds=600)
    ]
    found = growth(leaking, FAULTS_AGAIN)
    assert found is not None
    assert not found.is_flat, found


def test_the_longest_life_is_judged_and_none_that_was_too_short() -> None:
    short = samples(slope=50, pid=1)[:100]
    assert growth(short) is None
    found = growth(short + samples(pid=2, begin=100))
    assert found is not None
    assert found.is_flat


def test_the_books_tell_lost_from_doubled_and_do_not_mind_what_was_not_answered() -> None:
    taken = bytearray([1] * 400)
    stored = bytearray(0 if is_card(number) else 1 for number in range(400))
    told, ids = Counter({0: 1, 100: 1, 200: 1, 300: 1}), Counter({b"a": 1})
    assert held_against(taken, stored, told, ids).wrong == 0
    stored[7], stored[8], taken[9], stored[9] = 0, 2, 0, 0
    told[100], told[200] = 0, 2
    books = held_against(taken, stored, told, ids + Counter({b"a": 1}))
    assert (books.lost_points, books.doubled_points) == ([7], [8])
    assert (books.lost_events, books.doubled_events, books.doubled_ids) == ([100], [200], 1)


def test_every_number_is_said_once_and_one_in_a_hundred_is_a_card() -> None:
    speech, said = Numbered(), Counter[int]()
    devices = speech.devices()
    for number in range(1_000):
        device, topic, payload = speech.say(number, 0)
        assert topic.split("/")[2] == devices[device].id
        assert str(number).encode() in payload
        said[topic.endswith("signal")] += 1
    assert said == {True: 1_000 // CARD_EVERY, False: 1_000 - 1_000 // CARD_EVERY}


@needs("mosquitto")
@needs("influxd")
async def test_a_short_soak_with_a_killed_hub_and_a_restarted_broker_holds(tmp_path: Path) -> None:
    said: list[str] = []
    plan = Plan(seconds=12, rate=300, every=4, at=1, faults=("hub killed", "broker restarted"))
    outcome = await soak(plan, tmp_path, said.append)
    assert outcome.holds, outcome.books
    assert [name for _, name in outcome.town.faults] == ["hub killed", "broker restarted"]
    assert outcome.tally.published == 3_600
    assert outcome.counts["hub_messages_heard_total"] >= outcome.tally.taken > 1_800  # the rest found no broker
    assert outcome.town.events >= 18
    assert outcome.town.samples[-1].tasks > 5
    assert {"hub killed", "broker restarted"} <= FAULTS.keys()
