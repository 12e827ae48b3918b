"""Notices: which channels an event goes to, in which words, when; quiet hours, and what has just been told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from hub.clock import Clock
from hub.durations import nanoseconds
from hub.model.effects import Entry, Event, Transition
from hub.model.values import SEVERITY_RANKS, Severity
from hub.outward.ledger import Ledger
from hub.outward.parcel import UNMASKED, Parcel, State, gravest, place_of
from hub.outward.wishes import Channel, Route, Wishes
from hub.outward.wording import local_time, worded
from hub.rules.calendars import opening

NOBODY = "(nobody)"
"""The channel of a ledger's line that no route leads anywhere: no channel can have that name."""
_ALWAYS_NEWS = {Transition.REMINDED, Transition.COMMENTED, Transition.ESCALATED}
"""Each of these is meant, however soon after another."""
_HELD = " (held)"

log = structlog.get_logger(__name__)

_encode = msgspec.json.Encoder().encode


class Guide(Protocol):
    """Who knows places."""

    def within(self, event: Event) -> Sequence[str] | None:
        """Return the ids of the places that an event lies in, the site first; None while nobody could look."""
        ...

    def words(self, event: Event) -> str:
        """Return where that is, for people."""
        ...

    def zone(self, site: str) -> str | None:
        """Return the time zone of a site, of what is about none that of all sites; None where nobody knows it."""
        ...


class Notices:
    """Makes parcels of entries as ``wishes`` say; ``veiled`` returns an event as it may leave the house.

    What is critical is about lives: no quiet hours hold it and nothing that was told before keeps it back. Of what is
    held of one alarm on one channel only the newest is sent when the quiet hours end. ``mark`` ends the names
    of channels. A step of an escalation that no route leads anywhere is a line of the ledger, and counted by role in
    ``untold``.
    """

    def __init__(
        self, wishes: Wishes, guide: Guide, veiled: Callable[[Event], Event], clock: Clock, mark: str = ""
    ) -> None:
        self._wishes = wishes
        self._guide = guide
        self._veiled = veiled
        self._clock = clock
        self._mark = mark
        self.untold: Counter[str] = Counter()
        self._told: dict[tuple[str, str], tuple[str, int]] = {}
        self._longest = max([nanoseconds(each.dedupe) for each in wishes.channels.values()], default=0)

    async def remember(self, ledger: Ledger) -> None:
        """Take up what an earlier process has told and need not be told again so soon."""
        for channel, lane, kind, at in await ledger.told_since(self._clock.wall_ns() - self._longest):
            self._told[channel.removesuffix(UNMASKED), lane.removesuffix(_HELD)] = kind, at

    def of_entry(self, entry: Entry) -> Sequence[Parcel]:
        """Return the messages of an entry: one for each channel, in the words of the first route that leads there."""
        event = self._veiled(entry.event)
        ways: dict[str, Route] = {}
        for route in self._wishes.routes:
            if self._leads(route, event):
                ways = {**dict.fromkeys(route.channels, route), **ways}
        if not ways and event.transition is Transition.ESCALATED and not event.test and not self._is_spared(event):
            return [self._told_to_nobody(entry, event)]
        return [self._parcel(entry, event, self._wishes.channels[name], route) for name, route in sorted(ways.items())]

    def of_loss(self, stream: str, read: int, count: int) -> Sequence[Parcel]:
        """Return nothing: whoever keeps the hub reads of it in log and ledger, not whoever is on duty."""
        del stream, read, count
        return ()

    def forget(self, parcel: Parcel) -> None:
        """Hear that a parcel was dropped: the same is told the next time."""
        self._told.pop((parcel.channel.removesuffix(UNMASKED), parcel.lane.removesuffix(_HELD)), None)

    def _told_to_nobody(self, entry: Entry, event: Event) -> Parcel:
        """Return a line for the ledger of whom somebody should have told."""
        role, now = str(event.data.get("to", "")), self._clock.wall_ns()
        self.untold[role] += 1
        hint = "hub notify check lists every such step, and what to do"
        log.error("escalation_untold", id=event.id, name=event.name, rule=event.rule, role=role, hint=hint)
        return Parcel(
            channel=NOBODY,
            lane=_lane(event),
            entry=place_of(entry),
            event=event.id,
            name=event.name,
            kind=_kind(event),
            body=b"",
            due=now,
            state=State.DROPPED,
            answer=f"no route tells {role}",
        )

    def _leads(self, route: Route, event: Event) -> bool:
        return (
            event.transition in route.moves
            and SEVERITY_RANKS[gravest(event)] <= SEVERITY_RANKS[route.min_severity]
            and (not route.domains or event.name.partition(".")[0] in route.domains)
            and (not route.to or event.data.get("to") in route.to)
            and (route.tests or not event.test)
            and (route.drills or not event.drill)
            and (not route.places or self._is_in(route.places, event))
        )

    def _is_spared(self, event: Event) -> bool:
        """Return whether somebody would be told if it were no drill."""
        real = msgspec.structs.replace(event, drill=False)
        return event.drill and any(self._leads(route, real) for route in self._wishes.routes)

    def _is_in(self, places: Sequence[str], event: Event) -> bool:
        """Return whether an event lies in one of ``site`` or ``site/place``; in all of its site while nobody knows."""
        within = self._guide.within(event)
        return any(
            site == event.site and (not place or within is None or place in within)
            for site, _, place in map(_split, places)
        )

    def _parcel(self, entry: Entry, event: Event, channel: Channel, route: Route) -> Parcel:
        now = self._clock.wall_ns()
        lane, kind = _lane(event), _kind(event)
        before = self._before(channel, (lane, kind), event, now)
        due = now if before is not None else self._due(channel, event, now)
        zone = self._guide.zone(event.site) or "UTC"
        notice = worded(
            event, self._wishes.templates[route.template], channel.languages, (self._guide.words(event), zone)
        )
        if before is None:
            self._told[channel.channel, lane] = kind, now
        return Parcel(
            channel=channel.channel + self._mark,
            lane=lane + _HELD if due > now else lane,
            entry=place_of(entry),
            event=event.id,
            name=event.name,
            kind=kind,
            body=_encode(notice),
            due=due,
            state=State.WAITING if before is None else State.DROPPED,
            answer="" if before is None else f"the same was told at {local_time(before, zone)}",
            replaces="" if before is not None else lane + _HELD,
        )

    def _before(self, channel: Channel, what: tuple[str, str], event: Event, now: int) -> int | None:
        """Return when the same was the last news on a channel, so short a time ago that it need not be told again."""
        self._told = {each: last for each, last in self._told.items() if now - last[1] <= self._longest}
        lane, kind = what
        last, at = self._told.get((channel.channel, lane), ("", 0))
        is_urgent = event.severity is Severity.CRITICAL and not event.name.startswith("command.")  # a hold fails often
        if last != kind or event.transition in _ALWAYS_NEWS or is_urgent:
            return None
        is_recent = 0 <= now - at <= nanoseconds(channel.dedupe)  # what will be told tomorrow was told by a wrong clock
        return at if is_recent else None

    def _due(self, channel: Channel, event: Event, now: int) -> int:
        """Return when it may be told: now, or when the quiet hours of its site end; whose zone is unknown, now."""
        zone = self._guide.zone(event.site)
        if event.severity is Severity.CRITICAL or channel.quiet is None or zone is None:
            return now
        is_quiet, until = opening(channel.quiet, now, zone)
        return until if is_quiet and until is not None else now


def _lane(event: Event) -> str:
    """Return what it is about: an alarm, or, where no rule spoke, the event: the hub says many things of itself.

    What is only a test or a drill is another thing than the same when it is real. Commands have the key of a device:
    that one of its doors did not open is no news of the next.
    """
    mark = " (test)" if event.test else " (drill)" if event.drill else ""
    part = f"#{event.part}" if event.part and event.name.startswith("command.") else ""
    return f"{event.rule or event.name}/{event.key}{part}{mark}"


def _kind(event: Event) -> str:
    """Return what happened, as far as two such are the same news; what is critical no more is urgent, too."""
    was = f"after {worst}" if (worst := gravest(event)) is not event.severity else ""
    return f"{event.transition} {event.severity} {event.data['to'] if _calls(event) else was}".strip()


def _calls(event: Event) -> bool:
    return event.transition is Transition.ESCALATED and "to" in event.data


def _split(place: str) -> tuple[str, str, str]:
    return place.partition("/")
