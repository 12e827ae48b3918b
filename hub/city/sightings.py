"""A sighting: one card or plate at one site at one moment, out of an event; and why an event is none."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from sys import intern
from typing import NamedTuple

from hub.city.rule import CityRule
from hub.model.effects import Entry, Event
from hub.rules.pseudonyms import pseudonym

MILLISECOND_NS = 1_000_000
DIRECTION = "direction"
"""The field of events that says whether it went in or out; kinds call it so."""


class Skip(StrEnum):
    """Why an event that is watched is not judged."""

    ANONYMOUS = "anonymous"
    SHORT = "short"
    EXCLUDED = "excluded"
    UNTRUSTED = "untrusted"
    UNDATED = "undated"
    TESTED = "tested"
    TOO_LATE = "too_late"
    UNPLACED = "unplaced"
    FAILED = "failed"


class Sighting(NamedTuple):
    """What is remembered of an event; it sorts by when it was (ns, hub time), then by the event's ``id``.

    ``due`` is when all that may precede it is known, ``time`` when its hub knew it, ``way`` in, out, or nothing.
    """

    at: int
    id: str
    due: int
    token: str
    site: str
    building: str
    device: str
    part: str
    way: str
    time: int
    late: bool


class Lens(NamedTuple):
    """What a rule looks at: rules with the same lens see, and remember, the same sightings."""

    watch: tuple[str, ...]
    value: str
    length: int
    only: tuple[tuple[str, tuple[str, ...]], ...]
    trust: tuple[tuple[str, float], ...]

    def skip(self, event: Event) -> Skip | None:
        """Return why ``event`` is no sighting; None when it is one."""
        if event.test or event.drill:
            return Skip.TESTED
        said = event.data.get(self.value)
        if said is None or said == "":
            return Skip.ANONYMOUS
        if len(str(said)) < self.length:
            return Skip.SHORT
        for name, words in self.only:
            if name in event.data and event.data[name] not in words:
                return Skip.EXCLUDED
        for name, least in self.trust:
            if _is_below(event, name, least):
                return Skip.UNTRUSTED
        # It waited somewhere, and its device told no time: it may have been whenever.
        return Skip.UNDATED if event.late and not event.age else None


def lens_of(rule: CityRule) -> Lens:
    """Return what ``rule`` looks at."""
    return Lens(
        watch=tuple(sorted(rule.watch)),
        value=rule.for_each.value,
        length=rule.for_each.length,
        only=tuple((name, tuple(words)) for name, words in sorted(rule.only.items())),
        trust=tuple(sorted(rule.trust.items())),
    )


def sighting_of(entry: Entry, lens: Lens, key: bytes, settle_ns: int) -> Sighting:
    """Return the sighting that ``entry`` is; nothing can have happened after it was written."""
    event, written = entry.event, entry.written_at * MILLISECOND_NS
    at = min(event.time - event.age, written)
    token = pseudonym(lens.value, str(event.data[lens.value]), key)
    return Sighting(
        at=at, id=event.id, due=max(at + settle_ns, written), token=token, site=intern(event.site),
        building=intern(event.building), device=intern(event.device), part=intern(event.part),
        way=intern(str(event.data.get(DIRECTION, ""))), time=event.time, late=event.late,
    )  # fmt: skip


def watched(rules: Mapping[str, CityRule]) -> tuple[str, ...]:
    """Return the names of all events that ``rules`` watch."""
    return tuple(sorted({name for rule in rules.values() for name in rule.watch}))


def _is_below(event: Event, name: str, least: float) -> bool:
    said = event.data.get(name)
    return isinstance(said, int | float) and said < least
