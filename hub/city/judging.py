"""The judgement of the city: sightings in the order in which they become certain, and what cannot be among them.

It is a function of what the streams hold. A sighting is judged at its ``due``: when ``settle`` has passed since it
happened, or when it was written, if that was later. By then everything that may have happened before it has been read,
unless it came late itself. What is remembered at that moment is what was due before and happened less than ``remember``
ago: so whoever reads the last ``remember`` of the streams anew knows as much as if it had never stopped.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from hub.city.chart import Chart
from hub.city.pairs import Doubt, Pair, among, beside, doubt_of
from hub.city.rule import CityRule
from hub.city.sightings import MILLISECOND_NS, Lens, Sighting, Skip, lens_of, sighting_of
from hub.city.telling import tell
from hub.durations import nanoseconds
from hub.model.effects import Entry, Event

Order = tuple[int, int, str]
"""When a sighting is due, when it was, and its event's id."""


class Terms(NamedTuple):
    """How the city judges: ``key`` makes pseudonyms, and spans in ns."""

    key: bytes
    settle_ns: int
    remember_ns: int


class Watcher(NamedTuple):
    """A rule, and what it holds to be impossible."""

    rule: CityRule
    doubt: Doubt


class Memory:
    """What one lens has seen, by token and in the order in which it was."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Sighting]] = {}
        self._order: deque[tuple[int, str]] = deque()

    def of(self, token: str, since: int) -> list[Sighting]:
        """Return what is known of ``token`` that happened after ``since``."""
        known = self.seen.get(token, [])
        if known and known[0].at <= since:
            del known[: bisect_left(known, (since + 1,))]
        return known

    def keep(self, sighting: Sighting) -> None:
        """Remember ``sighting``."""
        known = self.seen.setdefault(sighting.token, [])
        if known:  # one text for each token, however often it is seen
            sighting = sighting._replace(token=known[0].token)
        insort(known, sighting)
        self._order.append((sighting.due, sighting.token))

    def forget(self, since: int) -> None:
        """Let go of what happened before ``since``: it was due later than it happened, so nothing goes too early."""
        while self._order and self._order[0][0] <= since:
            _, token = self._order.popleft()
            if token in self.seen and not self.of(token, since):
                del self.seen[token]

    def __len__(self) -> int:
        return len(self._order)


class City:
    """Takes entries in the order of their streams; judges what is due; returns the events.

    Since the beginning of this object ``judged`` counts sightings, ``late`` those of them that came later than the city
    waits, ``skipped`` what was not judged by why, ``raised`` events by rule.
    """

    def __init__(self, rules: Mapping[str, CityRule], chart: Chart, terms: Terms) -> None:
        self.chart = chart
        self.judged = 0
        self.late = 0
        self.skipped: Counter[str] = Counter()
        self.raised: Counter[str] = Counter()
        self._terms = terms
        self._watchers: dict[Lens, list[Watcher]] = {}
        for name in sorted(rules):
            self._watchers.setdefault(lens_of(rules[name]), []).append(Watcher(rules[name], doubt_of(rules[name])))
        self._memories = {lens: Memory() for lens in self._watchers}
        self._by_name: dict[str, list[Lens]] = {}
        for lens in self._watchers:
            for name in lens.watch:
                self._by_name.setdefault(name, []).append(lens)
        self._pending: list[tuple[Order, int, Lens, Sighting]] = []
        self._taken = 0

    @property
    def remembered(self) -> int:
        """Return how many sightings are remembered."""
        return sum(map(len, self._memories.values()))

    @property
    def pending(self) -> int:
        """Return how many sightings are not due yet."""
        return len(self._pending)

    def take(self, entry: Entry, *, is_known: bool = False) -> None:
        """Take an entry that was read; ``is_known``: it had been read, and counted, before the city began again."""
        for lens in self._by_name.get(entry.event.name, ()):
            skip = lens.skip(entry.event)
            if skip is not None:
                self.skipped[skip] += not is_known
                continue
            sighting = sighting_of(entry, lens, self._terms.key, self._terms.settle_ns)
            self._taken += 1
            heappush(self._pending, ((sighting.due, sighting.at, sighting.id), self._taken, lens, sighting))

    def recall(self, until: int) -> None:
        """Remember, without judging, what was due by ``until`` (ms): it was judged before the city stopped."""
        self._advance(until, lambda _lens, _sighting, _known: [])

    def judge(self, until: int) -> list[Event]:
        """Judge what is due by ``until`` (ms), which the server's clock has passed; return what it comes to."""
        return self._advance(until, self._judge)

    def _advance(self, until: int, judge: Callable[[Lens, Sighting, list[Sighting]], list[Event]]) -> list[Event]:
        events: list[Event] = []
        end = (until + 1) * MILLISECOND_NS
        while self._pending and self._pending[0][0][0] < end:
            _, _, lens, sighting = heappop(self._pending)
            since = sighting.due - self._terms.remember_ns
            memory = self._memories[lens]
            memory.forget(since)
            known = memory.of(sighting.token, since)
            if any(one.id == sighting.id for one in known):
                continue  # the same event once more
            events += judge(lens, sighting, known)
            if sighting.at > since:
                memory.keep(sighting)
        return events

    def _judge(self, lens: Lens, sighting: Sighting, known: list[Sighting]) -> list[Event]:
        if sighting.at <= sighting.due - self._terms.remember_ns:
            self.skipped[Skip.TOO_LATE] += 1
            return []
        self.judged += 1
        self.late += sighting.due > sighting.at + self._terms.settle_ns
        found = (self._attempt(watcher, sighting, known) for watcher in self._watchers[lens])
        return [event for event in found if event is not None]

    def _attempt(self, watcher: Watcher, sighting: Sighting, known: Sequence[Sighting]) -> Event | None:
        try:
            return self._watch(watcher, sighting, known)
        except Exception:  # noqa: BLE001 -- a bug costs one rule one sighting, never the city
            self.skipped[Skip.FAILED] += 1
            return None

    def _watch(self, watcher: Watcher, sighting: Sighting, known: Sequence[Sighting]) -> Event | None:
        """Return what ``sighting`` comes to beside what is known of its token."""
        rule, doubt, chart = watcher.rule, watcher.doubt, self.chart
        if not doubt.matters(sighting, chart):
            self.skipped[Skip.UNPLACED] += rule.travel is not None
            return None
        new = beside(doubt, sighting, known, chart)
        if not new:
            return None
        before, now = among(doubt, known, chart), among(doubt, sorted([*known, sighting]), chart)
        for pair in new:
            if _is_enough(rule, pair, now) and not _is_told(rule, pair, before):
                event = tell(rule, pair, chart)
                self.raised[rule.city_rule] += 1
                return event
        return None


def _is_enough(rule: CityRule, pair: Pair, pairs: Sequence[Pair]) -> bool:
    """Return whether ``pair`` makes so many of ``pairs`` as the rule wants."""
    if rule.count is None:
        return True
    at, since = pair.later.at, pair.later.at - nanoseconds(rule.count.within)
    return sum(since < each.later.at <= at for each in pairs) >= rule.count.at_least


def _is_told(rule: CityRule, pair: Pair, before: Sequence[Pair]) -> bool:
    """Return whether one of the pairs ``before``, so near that it says the same, was enough already."""
    quiet = nanoseconds(rule.quiet)
    return any(abs(each.later.at - pair.later.at) <= quiet and _is_enough(rule, each, before) for each in before)
