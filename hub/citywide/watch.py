"""The city's watch: rounds of what streams hold are judged, and what that comes to is kept; from the last one on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import structlog

from hub.city.chart import Chart
from hub.city.judging import City, Terms
from hub.city.rule import CityRule
from hub.city.sightings import MILLISECOND_NS, watched
from hub.city.telling import tell_loss
from hub.citywide.keeping import BACKOFF_SECONDS, Keeper, Kept, TailLostError
from hub.clock import Clock
from hub.errors import UnavailableError
from hub.model.effects import Event
from hub.sinks.redis_link import Link
from hub.sinks.rounds import Round, Rounds, streams_of

KEEP_EVERY_NS = 2_000_000_000
"""What came to nothing need not be kept at once: judged again after a kill it comes to nothing again."""
LOOK_FOR_LOSS_NS = 30_000_000_000

log = structlog.get_logger(__name__)


class Watch:
    """Judges until cancelled; errors that a person must mend, and a lost ownership, end it.

    ``counts`` are what is kept: ``judged``, ``late``, ``skipped.…``, ``raised.…``, ``lost.…`` (a stream, or what
    was read and still ``unjudged``) and ``unreadable``.
    """

    def __init__(self, rules: Mapping[str, CityRule], terms: Terms, link: Link, keeper: Keeper, clock: Clock) -> None:
        self.judged_until = 0
        self.is_watching = False
        self.city = City(rules, _Nowhere(), terms)
        self._chart: Chart = _Nowhere()
        self._rules = rules
        self._terms = terms
        self._keeper = keeper
        self._clock = clock
        self._rounds = Rounds(link, streams_of(watched(rules)), watched(rules))
        self._base: Counter[str] = Counter()
        self._looked_at = 0
        self._kept_at = 0
        self._round_at = 0
        self._kept = Kept()
        self._reports: list[Event] = []

    @property
    def counts(self) -> dict[str, int]:
        """Return all counts since the city first watched."""
        city = self.city
        now = Counter({"judged": city.judged, "late": city.late})
        now.update({f"skipped.{why}": count for why, count in city.skipped.items()})
        now.update({f"raised.{rule}": count for rule, count in city.raised.items()})
        return dict(sorted((self._base + now).items()))

    @property
    def silent_seconds(self) -> float:
        """Return how long ago the last round was finished."""
        return (self._clock.monotonic_ns() - self._round_at) / 1e9

    def look_at(self, chart: Chart) -> None:
        """Judge by these places from now on."""
        self._chart = self.city.chart = chart

    async def run(self) -> None:
        """Watch until cancelled."""
        failures = 0
        while True:
            try:
                await self._begin()
                failures = 0
                while True:
                    await self._take(await self._read())
            except TailLostError:
                log.error("city_begins_again", reason="Redis has forgotten what it had confirmed")  # noqa: TRY400 -- no more to say
            except UnavailableError as error:  # of a beginning: a round waits by itself
                log.warning("city_cannot_begin", reason=str(error))
                await self._clock.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                failures += 1
            self.is_watching = False

    async def _begin(self) -> None:
        """Know again what was known at the last transaction: a function of it and of the streams."""
        kept = await self._keeper.load()
        self.city = City(self._rules, self._chart, self._terms)
        now = await self._rounds.begin({} if kept is None else kept.positions)
        if kept is None:  # said at once: after a kill it must not be another now
            kept = Kept(judged_until=now, positions=dict(self._rounds.positions))
            await self._keeper.keep([], kept)
        self._kept = kept
        self._base, self._reports = Counter(self._kept.counts), []
        self.judged_until = until = self._kept.judged_until
        since = until - self._terms.remember_ns // MILLISECOND_NS
        trimmed = await self._rounds.kept_since(since)
        for stream in trimmed:
            log.warning("city_memory_incomplete", stream=stream, reason="trimmed: pairs with what is gone are not seen")
        async for entries, _unreadable in self._rounds.again(since):
            for entry in entries:
                self.city.take(entry, is_known=True)
            self.city.recall(until)  # a page at a time: the heartbeat goes on
        if trimmed and self.city.pending < self._kept.pending:
            self._lose("unjudged", until, self._kept.pending - self.city.pending)
        await self._look_for_loss()
        self.is_watching, self._round_at = True, self._clock.monotonic_ns()
        log.info("city_watching", streams=list(self._rounds.streams), remembered=self.city.remembered)

    async def _read(self) -> Round:
        """Return the next round, however long Redis is away."""
        failures = 0
        while True:
            try:
                if self._clock.monotonic_ns() - self._looked_at > LOOK_FOR_LOSS_NS:
                    await self._look_for_loss()
                return await self._rounds.read()
            except UnavailableError as error:
                if not failures:
                    log.warning("city_held_up", reason=str(error))
                await self._clock.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                failures += 1

    async def _look_for_loss(self) -> None:
        self._looked_at = self._clock.monotonic_ns()
        for stream, count in (await self._rounds.lost()).items():
            self._lose(stream, self._rounds.positions[stream].entries, count)

    def _lose(self, what: str, number: int, count: int) -> None:
        """Count and tell what was removed before it was judged; ``number`` tells this loss from others."""
        self._base[f"lost.{what}"] += count
        self._reports.append(tell_loss(what, number, count, self.judged_until))
        log.error("city_entries_lost", what=what, entries=count, reason="removed before they were judged")

    async def _take(self, found: Round) -> None:
        """Judge what has become due, and keep it."""
        self._base["unreadable"] += found.unreadable
        for entry in found.entries:
            self.city.take(entry)
        self.judged_until = max(self.judged_until, found.until)
        events = [*self._reports, *self.city.judge(self.judged_until)]
        self._reports = []
        now = self._clock.monotonic_ns()
        kept = Kept(self.judged_until, self.city.pending, dict(self._rounds.positions), self.counts)
        has_moved = kept.positions != self._kept.positions or kept.counts != self._kept.counts
        if events or (has_moved and now - self._kept_at > KEEP_EVERY_NS):
            await self._keeper.keep(events, kept)
            self._kept, self._kept_at = kept, now
        self._round_at = self._clock.monotonic_ns()
        for event in events:
            log.info("city_event_raised", id=event.id, name=event.name, rule=event.rule)


class _Nowhere:
    """Before the registry has been read nobody knows where anything is."""

    def metres(self, one: str, other: str) -> float | None:  # noqa: ARG002 -- a Chart
        return None

    def knows(self, site: str) -> bool:  # noqa: ARG002 -- a Chart
        return False

    def words(self, site: str, device: str, language: str) -> str:  # noqa: ARG002 -- a Chart
        return f"{site} {device}"
