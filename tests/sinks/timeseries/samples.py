"""Points and events that the tests of the time series write, and work that is owed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from hub.model.effects import Event, LineWork, Series, Transition
from hub.model.values import Severity
from hub.sinks.timeseries.lines import encode

NOON = 1_774_958_400_000_000_000
"""2026-03-31T12:00:00Z in ns."""


def series(device: str = "smoke-1", *, part: str = "", kind: str = "smoke_sensor") -> Series:
    return Series(kind=kind, site="riverside", building="b1", device=device, part=part, profile="milesight/gs524n")


def event(number: int = 1, *, name: str = "fire.confirmed", part: str = "", data: str = "smoke") -> Event:
    return Event(
        id=f"{number:032x}",
        name=name,
        severity=Severity.CRITICAL,
        transition=Transition.RAISED,
        time=NOON + 123_456_789,
        number=number,
        key="riverside/smoke-1",
        rule="fire-confirmed",
        rule_version="1a2b",
        site="riverside",
        building="b1",
        device="smoke-1",
        part=part,
        data={"cause": data, "level": 2},
    )


def work(first: int, count: int) -> LineWork:
    """Return one line each for the numbers ``first`` …; the number is the value and the ns of the point."""
    lines = encode([(series(), NOON + number, {"number": number}) for number in range(first, first + count)])
    return LineWork(lines=lines, points=count, events=0)


class OwedInMemory:
    """An :class:`hub.model.effects.Owed` without a disk: ``tally`` was confirmed, up to position ``confirmed``."""

    def __init__(self) -> None:
        self._waiting: dict[int, LineWork] = {}
        self._added = asyncio.Event()
        self.confirmed = 0
        self.lingers: list[timedelta] = []
        self.tally: Counter[str] = Counter()

    def add(self, *works: LineWork) -> None:
        for item in works:
            self._waiting[max(self._waiting, default=self.confirmed) + 1] = item
        self._added.set()

    async def take(self, *, items: int, linger: timedelta) -> list[tuple[int, LineWork]]:
        assert linger > timedelta()
        self.lingers.append(linger)
        while not self._waiting:
            self._added.clear()
            await self._added.wait()
        return sorted(self._waiting.items())[:items]

    async def confirm(self, position: int, tally: Mapping[str, int]) -> None:
        for done in [known for known in self._waiting if known <= position]:
            del self._waiting[done]
        self.confirmed = position
        self.tally.update(tally)
