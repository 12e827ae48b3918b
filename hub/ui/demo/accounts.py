"""The closing of the books: what was said against what was heard, judged, delivered, and read back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from hub.app import Hub
from hub.bridge.frames import decode_packets
from hub.engine.ledger import Ledger
from hub.journal.neighbours import journal_path, state_path
from hub.journal.readings import read_last
from hub.journal.state_file import read_dead_letters
from hub.model.values import TopicClass
from hub.sinks.redis_link import Link
from hub.sinks.stream_readers import read_events
from hub.sinks.streams import DEAD_LETTERS
from hub.sinks.timeseries.query import events as events_of
from hub.sinks.timeseries.query import telemetry
from hub.sinks.timeseries.store import LIMIT_MAX, Query, Span, Store

ENDLESS = 1_000_000_000
Words = tuple[str, bytes]
"""Topic and payload of a message."""
AHEAD_NS = 3_600_000_000_000
"""A device's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What the hub says its sinks took; ``points_waiting`` and ``events_waiting`` are what it still owes."""

    points_written: int
    points_rejected: int
    points_waiting: int
    events_streamed: int
    events_stored: int
    is_anything_owed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """What others say is there: the store and Redis, each asked on a connection of its own, and the files of the hub.

    ``heard`` is what the journal holds, answers to commands left out.
    """

    heard: Counter[Words]
    points: int
    stored_events: int
    streamed_events: int
    distinct_events: int
    announced_dead_letters: int
    kept_dead_letters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the broker took of the simulator; ``again`` were published twice because a connection was lost between.

    ``reports`` are the messages themselves, answers to commands left out.
    """

    messages: int
    again: int
    reports: Counter[Words]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the books, and whether it holds."""

    text: str
    holds: bool


def balance(said: Said, ledger: Ledger, delivered: Delivered, found: ReadBack) -> list[Check]:
    """Return every line of the books (design.md, Ledger)."""
    return [*_heard(said, ledger, found), *_points(ledger, delivered, found), *_events(ledger, delivered, found)]


def _heard(said: Said, ledger: Ledger, found: ReadBack) -> Iterator[Check]:
    unlike = ledger.heard - ledger.duplicate - said.messages
    yield Check(
        text=f"PUBACKed to the simulator {said.messages} = heard {ledger.heard} - redelivered {ledger.duplicate}"
        + (f" - published again {unlike}" if unlike else ""),
        holds=0 <= unlike <= said.again,
    )
    # Counts alone would not see one that was lost beside one that was doubled.
    lost, more = said.reports - found.heard, found.heard - said.reports
    yield Check(
        text=f"reports {said.reports.total()} = read back from the journal, byte for byte,"
        f" {said.reports.total() - lost.total()}" + (f" + others {more.total()}" if more else ""),
        holds=not lost and more.total() <= ledger.duplicate + said.again,
    )
    yield Check(
        text=f"heard {ledger.heard} = applied {ledger.applied} (live {ledger.live} + late {ledger.late}"
        f" + backfill {ledger.backfill}) + duplicate {ledger.duplicate} + dead-lettered {ledger.dead_lettered}"
        f" + refused {ledger.refused}",
        holds=ledger.is_balanced,
    )


def _points(ledger: Ledger, delivered: Delivered, found: ReadBack) -> Iterator[Check]:
    written, waiting, rejected = delivered.points_written, delivered.points_waiting, delivered.points_rejected
    yield Check(
        text=f"points derived {ledger.points} = written {written} + waiting {waiting} + rejected {rejected}",
        holds=ledger.points == written + waiting + rejected,
    )
    # A message with an identity that came twice writes the same point again.
    again = written - found.points
    yield Check(
        text=f"points written {written} = read back from the store {found.points}"
        + (f" + the same point again {again}" if again else ""),
        holds=0 <= again <= ledger.repeated,
    )


def _events(ledger: Ledger, delivered: Delivered, found: ReadBack) -> Iterator[Check]:
    streamed, stored = delivered.events_streamed, delivered.events_stored
    yield Check(
        text=f"events raised {ledger.events} = delivered to the streams {streamed} = delivered to the store {stored}",
        holds=ledger.events == streamed == stored,
    )
    yield Check(
        text=f"read back from Redis {found.streamed_events} ({found.distinct_events} distinct)"
        f" = read back from the store {found.stored_events}",
        holds=ledger.events == found.streamed_events == found.distinct_events == found.stored_events,
    )
    yield Check(
        text=f"dead letters {ledger.dead_lettered} = announced in Redis {found.announced_dead_letters}"
        f" = kept with their bytes {found.kept_dead_letters}",
        holds=ledger.dead_lettered == found.announced_dead_letters == found.kept_dead_letters,
    )
    yield Check(text="nothing is owed to any sink", holds=not delivered.is_anything_owed)


# ---------------------------------------------------------------------------------------------------------- counting


def delivered_by(hub: Hub) -> Delivered:
    """Return what the sinks of ``hub`` have confirmed."""
    streams, series = hub.streams_box, hub.timeseries_box
    return Delivered(
        points_written=series.tally.get("written", 0),
        points_rejected=series.tally.get("rejected", 0),
        points_waiting=series.waiting_items,
        events_streamed=streams.tally.get("events", 0),
        events_stored=series.tally.get("events_written", 0),
        is_anything_owed=not (streams.is_empty and series.is_empty),
    )


async def read_back(hub: Hub, store: Store, link: Link) -> ReadBack:
    """Count what is there; ``store`` and ``link`` are not the hub's own."""
    span = Span(since=0, until=hub.clock.wall_ns() + AHEAD_NS, limit=LIMIT_MAX)
    kinds = sorted({device.kind for device in hub.engine.content.devices()})
    points = [await count_rows(store, telemetry(kind, span, {})) for kind in kinds]
    streamed = await read_events(link, count=ENDLESS)
    announced = await link.ask("XLEN", DEAD_LETTERS)
    records = await asyncio.to_thread(read_last, journal_path(hub.settings.files_dir), ENDLESS, decode_packets)
    heard = ((each.topic, bytes(each.payload)) for record in records for each in record.messages)
    return ReadBack(
        heard=Counter(words for words in heard if not words[0].endswith(f"/{TopicClass.RESPONSE}")),
        points=sum(points),
        stored_events=await count_rows(store, events_of(span, {})),
        streamed_events=len(streamed),
        distinct_events=len({event.id for event in streamed}),
        announced_dead_letters=announced if isinstance(announced, int) else 0,
        kept_dead_letters=len(read_dead_letters(state_path(hub.settings.files_dir), limit=ENDLESS)),
    )


async def count_rows(store: Store, select: Query) -> int:
    """Return how many rows there are, however many that is; each time is asked for whole."""
    counted = 0
    while len(rows := await store.query(select)) == select.span.limit:
        last = rows[-1].time
        counted += sum(row.time < last for row in rows)
        select = _from(select, last)
    return counted + len(rows)


def _from(select: Query, since: int) -> Query:
    span = Span(since=since, until=select.span.until, limit=select.span.limit, order=select.span.order)
    return Query(measurement=select.measurement, span=span, where=select.where, fields=select.fields)
