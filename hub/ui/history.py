"""History: events out of the streams, and out of the time series store where the streams no longer hold them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import msgspec
import typer

from hub.config.settings import TimeseriesStore
from hub.errors import ConfigError, UnavailableError
from hub.model.effects import Event, Transition, Where
from hub.model.values import Scalar, Severity
from hub.parts import make_store
from hub.sinks.redis_link import Link
from hub.sinks.stream_readers import oldest_entry, read_entries, read_events, trimmed_until
from hub.sinks.streams import DOMAINS
from hub.sinks.timeseries.query import events as stored_events
from hub.sinks.timeseries.store import LIMIT_MAX, Order, Row, Span
from hub.ui.atlas import Atlas
from hub.ui.desk.desk import Desk

MOST = 10_000
LONGEST_NS = 7 * 86_400_000_000_000
"""How long before an event its alarm was raised, mostly; for one that lasted longer all is looked through."""

CLOCKS_NS = 3_600_000_000_000
"""What was told at a moment may have been written so long before it, by the clock of Redis."""

_decode_data = msgspec.json.Decoder(dict[str, Scalar]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events: those that meet every word that is said.

    ``types`` are names, their beginnings (``access.denied`` of ``access.denied.often``) or patterns (``*.offline``),
    ``places`` ids of sites, buildings and what is in them; ``devices`` are ``device``, ``site/device`` or
    ``site/device#part``; ``rule`` and ``key`` name one alarm. ``lowered_from``: also what was such and is less now.
    ``whose``: the ends of commands that alarms or requests of these ids sent. ``about`` are alarms by rule and key,
    ``ids`` single events: any of them, for one look through the streams costs as much as for a thousand.
    """

    domains: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    places: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    rule: str = ""
    key: str = ""
    lowered_from: tuple[Severity, ...] = ()
    whose: tuple[str, ...] = ()
    about: frozenset[tuple[str, str]] = frozenset()
    ids: frozenset[str] = frozenset()

    def streams(self) -> list[str] | None:
        """Return the domains whose streams can hold them; None for all."""
        if self.domains:
            return list(self.domains)
        named = {name.partition(".")[0] for name in self.types}
        return sorted(named) if named and named <= set(DOMAINS) else None

    def test(self, atlas: Atlas) -> Callable[[Event], bool]:
        """Return what tells whether an event is wanted."""
        begins = tuple(f"{each}-" for each in self.whose)

        def is_wanted(event: Event) -> bool:
            return (
                (not self.domains or event.name.partition(".")[0] in self.domains)
                and (not self.types or any(_is_called(event.name, name) for name in self.types))
                and (not self.severities or event.severity in self.severities or is_lowered(event, self.lowered_from))
                and (not self.places or not set(self.places).isdisjoint(atlas.within(event)))
                and (not self.devices or not set(self.devices).isdisjoint(_names_of(event)))
                and self.rule in {"", event.rule}
                and self.key in {"", event.key}
                and (not self.about or (event.rule, event.key) in self.about)
                and (not self.ids or event.id in self.ids)
                and (not begins or f"{event.data.get('id', '')}-".startswith(begins))
            )

        return is_wanted

    def tags(self) -> dict[str, str]:
        """Return what the store can look for by itself."""
        found = {}
        if len(self.severities) == 1:
            found["severity"] = self.severities[0].value
        if len(self.devices) == 1 and "/" not in self.devices[0]:
            found["device"] = self.devices[0]
        if self.key:
            site, _, rest = self.key.partition("/")
            found |= {"site": site}
            if rest:
                found["device"] = "" if rest.startswith("@") else rest.partition("#")[0]  # a place is no device
        return found


class History:
    """What happened, asked of an open connection to Redis and, for what is older, of the store."""

    def __init__(self, desk: Desk, link: Link, atlas: Atlas) -> None:
        self._desk = desk
        self._link = link
        self._atlas = atlas
        self._is_store_away = False

    async def find(
        self, wanted: Wanted, *, since: int | None, limit: int, written_by: int | None = None
    ) -> list[Event]:
        """Return events in the order of time: the first ``limit`` from ``since`` (ns) on, or for None the last ones.

        Without those that Redis was given after ``written_by`` (ns), however old they are.
        """
        is_wanted, domains = wanted.test(self._atlas), wanted.streams()
        moment = None if since is None else datetime.fromtimestamp(since / 1e9, UTC)
        entries = await read_entries(self._link, domains, since=moment, count=limit, wanted=is_wanted)
        streamed = [event for ms, event in entries if written_by is None or ms * 1_000_000 <= written_by]
        if since is None and len(streamed) == limit:
            return streamed
        older = await self._older(wanted, since=since, limit=limit)
        if not older:
            return streamed
        known = {event.id for _, event in entries}
        found = sorted([*(e for e in older if e.id not in known), *streamed], key=lambda event: event.time)
        return found[-limit:] if since is None else found[:limit]

    async def refuse_unknown(self, wanted: Wanted) -> None:
        """ConfigError ``place_unknown``, ``device_unknown``: neither the registry nor any event knows the name.

        What was removed is known by its events, however old they are. Where the store is away nobody can tell.
        """
        atlas = self._atlas
        asked = [("place", name, Wanted(places=(name,))) for name in wanted.places if not atlas.knows_place(name)]
        asked += [("device", name, Wanted(devices=(name,))) for name in wanted.devices if not atlas.knows_device(name)]
        for noun, name, about in asked:
            try:
                is_told = await self.find(about, since=0, limit=1)
            except UnavailableError:
                return
            if not is_told and not self._is_store_away:
                message = f"neither the registry nor any event knows a {noun} {name!r}"
                raise ConfigError(f"{noun}_unknown", message, hint=f"`hub {noun}s list` shows them")

    async def _older(self, wanted: Wanted, *, since: int | None, limit: int) -> list[Event]:
        """Return what the store holds from before the streams begin.

        Where they were trimmed it must answer; else what is older may have been lost with a Redis that was emptied, and
        mostly was not: a store that is away hides no event of now.
        """
        trimmed = await trimmed_until(self._link, wanted.streams())
        begun = await oldest_entry(self._link) or self._desk.clock.wall_ns()
        until = max(trimmed, begun)
        if until <= (since or 0) or (self._is_store_away and trimmed <= (since or 0)):
            return []
        try:
            return await self.stored(wanted, since=since, until=until, limit=limit)
        except UnavailableError as error:
            if trimmed > (since or 0):
                raise
            self._is_store_away = True  # it is waited for once, and told once
            typer.echo(f"what Redis does not hold could not be asked of the store: {error}", err=True)
            return []

    async def stored(self, wanted: Wanted, *, since: int | None, until: int, limit: int) -> list[Event]:
        """Return what the store holds, in the order of time; it knows neither causes nor labels.

        From ``since`` on all of it is looked through, page after page; for None the last one.
        """
        settings = self._desk.settings
        is_local = settings.timeseries.store is TimeseriesStore.LOCAL
        if is_local and not (settings.data_dir / "timeseries.sqlite").exists():
            return []  # asking must not make one
        order = Order.NEWEST_FIRST if since is None else Order.OLDEST_FIRST
        span = Span(since=since or 0, until=max(until, since or 0), limit=LIMIT_MAX, order=order)
        is_wanted, found, begins = wanted.test(self._atlas), dict[str, Event](), -1
        async with make_store(settings, self._desk.clock) as store:
            while span.since > begins and len(found) < limit:
                rows, begins = await store.query(stored_events(span, wanted.tags())), span.since
                found |= {each.id: each for each in map(_event_of, rows) if each is not None and is_wanted(each)}
                if since is not None and len(rows) == LIMIT_MAX:
                    span = replace(span, since=rows[-1].time)
        events = list(found.values())[:limit]
        return events[::-1] if since is None else events

    async def by_id(self, prefix: str) -> list[Event]:
        """Return the events whose id begins with ``prefix``: of the streams, else of the store."""

        def is_it(event: Event) -> bool:
            return event.id.startswith(prefix)

        found = await read_events(self._link, count=2, wanted=is_it)
        if found:
            return found
        until = self._desk.clock.wall_ns() + 1
        return [
            event for event in await self.stored(Wanted(), since=None, until=until, limit=LIMIT_MAX) if is_it(event)
        ]


def is_lowered(event: Event, severities: Collection[str]) -> bool:
    """Tell whether the alarm had one of ``severities`` and has none of them now."""
    is_changed = event.transition is Transition.SEVERITY_CHANGED and event.data.get("before") in severities
    return is_changed and event.severity not in severities


def _is_called(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}.") or fnmatchcase(name, wanted)


def _names_of(event: Event) -> tuple[str, ...]:
    device = f"{event.site}/{event.device}"
    return event.device, device, f"{device}#{event.part}"


def _event_of(row: Row) -> Event | None:
    """Return the event that a row of the store tells; None for one that no hub wrote."""
    tags, fields = row.tags, row.fields
    with suppress(KeyError, ValueError, msgspec.DecodeError):
        return Event(
            id=str(fields["id"]), name=tags["event"], severity=Severity(tags["severity"]),
            transition=Transition(str(fields["transition"])), time=row.time - row.time % 1_000_000,
            key=str(fields["key"]), rule=str(fields["rule"]), rule_version=str(fields["rule_version"]),
            site=tags["site"], building=tags.get("building", ""), device=tags.get("device", ""),
            part=tags.get("part", ""), late=bool(fields["late"]),
            place=Where(str(fields["place"]), str(fields.get("place_type", ""))) if "place" in fields else None,
            test=bool(fields.get("test")), drill=bool(fields.get("drill")), data=_decode_data(str(fields["data"])),
        )  # fmt: skip
    return None


async def story(history: History, event: Event) -> list[Event]:
    """Return what belongs to the alarm of ``event``: from its raise to its clear, and the ends of its commands."""
    about, begins = Wanted(rule=event.rule, key=event.key), event.transition in {Transition.RAISED, Transition.OCCURRED}
    span = CLOCKS_NS if begins else LONGEST_NS
    told = await history.find(about, since=max(0, event.time - span), limit=MOST)
    while len(told) == MOST and told[-1].time < event.time and span > CLOCKS_NS:  # it comes and goes all the time
        span //= 8
        told = await history.find(about, since=max(0, event.time - span), limit=MOST)
    if event.transition is not Transition.OCCURRED and not _raised_before(event, told):
        told = await history.find(about, since=None, limit=MOST)
    before = _raised_before(event, told)
    raised = event if event.transition is Transition.OCCURRED or not before else before[-1]
    mine: list[Event] = []
    for each in told:
        is_end = each.transition is Transition.CLEARED and each.time >= raised.time
        if raised.transition is Transition.OCCURRED:
            mine += [each] if each.id == raised.id else []
        elif each.time >= raised.time and each.transition is not Transition.OCCURRED:
            mine.append(each)
            if is_end:
                break
    return in_order([*mine, *await ends_of(history, {raised.id}, since=raised.time)])


def _raised_before(event: Event, told: Iterable[Event]) -> list[Event]:
    return [each for each in told if each.time <= event.time and each.transition is Transition.RAISED]


async def begins_of(history: History, ends: Sequence[Event]) -> list[Event]:
    """Return what raised the alarm of each of ``ends``, or that itself where nobody knows."""
    if not ends:
        return []
    about = frozenset((each.rule, each.key) for each in ends)
    since = max(0, min(each.time for each in ends) - LONGEST_NS)
    told = await history.find(Wanted(about=about), since=since, limit=MOST)
    if len(told) == MOST and len(ends) > 1:  # some of them come and go all the time
        half = len(ends) // 2
        return [*await begins_of(history, ends[:half]), *await begins_of(history, ends[half:])]
    by_alarm: dict[tuple[str, str], list[Event]] = {}
    for each in told if len(told) < MOST else ():
        by_alarm.setdefault((each.rule, each.key), []).append(each)
    before = [_raised_before(each, by_alarm.get((each.rule, each.key), ())) for each in ends]
    return [
        found[-1] if found else next(iter(await story(history, each)), each)
        for each, found in zip(ends, before, strict=True)
    ]


async def ends_of(history: History, whose: Collection[str], *, since: int) -> list[Event]:
    """Return the ends of commands that an alarm, or the request of a person, sent: ``whose`` ids begin theirs."""
    if not whose:
        return []
    return await history.find(Wanted(domains=("command",), whose=tuple(whose)), since=since, limit=MOST)


def in_order(events: Iterable[Event]) -> list[Event]:
    """Return each event once, in the order of time."""
    return sorted({each.id: each for each in events}.values(), key=lambda each: each.time)
