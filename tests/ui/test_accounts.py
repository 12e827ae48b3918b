"""The books hold when everything has one end, and say so when anything has not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import msgspec
import pytest

from hub.engine.ledger import Ledger
from hub.sinks.timeseries.store import LIMIT_MAX, Query, Row, Span, Written
from hub.ui.demo.accounts import Delivered, ReadBack, Said, balance, count_rows

ONE, OTHER = ("hub/garden/smoke-1/telemetry", b"1"), ("hub/garden/smoke-1/telemetry", b"2")
SAID = Said(messages=100, again=0, reports=Counter({ONE: 60, OTHER: 40}))
LEDGER = Ledger(heard=101, live=90, late=5, duplicate=1, dead_lettered=3, refused=2, points=80, events=4)
DELIVERED = Delivered(
    points_written=80,
    points_rejected=0,
    points_waiting=0,
    events_streamed=4,
    events_stored=4,
    is_anything_owed=False,
)
FOUND = ReadBack(
    heard=Counter({ONE: 60, OTHER: 41}),  # one was delivered twice
    points=80,
    stored_events=4,
    streamed_events=4,
    distinct_events=4,
    announced_dead_letters=3,
    kept_dead_letters=3,
)


def failing(
    said: Said = SAID, ledger: Ledger = LEDGER, delivered: Delivered = DELIVERED, found: ReadBack = FOUND
) -> list[str]:
    return [check.text for check in balance(said, ledger, delivered, found) if not check.holds]


def test_books_that_add_up_have_no_failing_line() -> None:
    assert failing() == []


def test_a_message_that_was_acknowledged_and_not_heard_is_found() -> None:
    (line,) = failing(said=replace(SAID, messages=101))
    assert line.startswith("PUBACKed to the simulator 101 = heard 101 - redelivered 1")


def test_a_message_that_nobody_sent_is_found() -> None:
    assert len(failing(said=replace(SAID, messages=99))) == 1


def test_a_message_that_was_lost_beside_one_that_was_doubled_is_found() -> None:
    (line,) = failing(found=replace(FOUND, heard=Counter({ONE: 59, OTHER: 42})))
    assert line == "reports 100 = read back from the journal, byte for byte, 99 + others 2"


def test_a_message_that_was_published_again_may_be_heard_twice() -> None:
    assert failing(said=replace(SAID, messages=99, again=1)) == []


def test_a_message_without_an_end_is_found() -> None:
    (line,) = failing(ledger=msgspec.structs.replace(LEDGER, refused=1))
    assert line.startswith("heard 101 = applied 95")


@pytest.mark.parametrize(
    ("found", "delivered"),
    [
        (replace(FOUND, points=79), DELIVERED),
        (replace(FOUND, points=81), DELIVERED),
        (replace(FOUND, streamed_events=5), DELIVERED),
        (replace(FOUND, distinct_events=3), DELIVERED),
        (replace(FOUND, stored_events=3), DELIVERED),
        (replace(FOUND, announced_dead_letters=2), DELIVERED),
        (replace(FOUND, kept_dead_letters=2), DELIVERED),
        (FOUND, replace(DELIVERED, events_streamed=3)),
        (FOUND, replace(DELIVERED, is_anything_owed=True)),
    ],
)
def test_each_thing_that_is_missing_or_too_many_costs_its_own_line(found: ReadBack, delivered: Delivered) -> None:
    assert len(failing(found=found, delivered=delivered)) == 1


def test_points_that_wait_are_not_lost() -> None:
    waiting = replace(DELIVERED, points_written=78, points_waiting=2)
    assert failing(delivered=waiting, found=replace(FOUND, points=78)) == []


class Pages:
    """A store that has ``times`` and takes limits seriously."""

    def __init__(self, times: Sequence[int]) -> None:
        self._times = sorted(times)

    async def query(self, select: Query) -> list[Row]:
        span = select.span
        found = [time for time in self._times if span.since <= time < span.until]
        return [Row(time=time, tags={}, fields={"v": 1}) for time in found[: span.limit]]

    async def write(self, lines: Sequence[bytes]) -> Written:
        raise NotImplementedError

    async def ping(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


@pytest.mark.parametrize("limit", [4, 5, 9, 10, 11, LIMIT_MAX])
async def test_rows_are_counted_once_however_many_pages_they_fill(limit: int) -> None:
    store = Pages([1, 2, 2, 2, 3, 4, 5, 6, 6, 7])
    counted = await count_rows(store, Query(measurement="m", span=Span(since=0, until=100, limit=limit)))
    assert counted == 10
