"""The watch: what the hub says of itself while a fault lasts, what its process takes, and when it has come to rest."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from hub.clock import SystemClock
from hub.ui.pages.readiness import PATIENCE_SECONDS
from tests.chaos.evidence import Vital
from tests.chaos.faults.fault import DOWN
from tests.chaos.influx_town import InfluxTown
from tests.waiting import wait_until

Waits = Mapping[str, tuple[int, int]]
HUB, US, BROKER = "hub", "us", "mosquitto"
LOOK_SECONDS, METRICS_EVERY = 0.05, 10
FEW_REFUSALS = 3
"""So many looks at the figures may meet a hub that was killed in that moment."""
STARVED_NS = 300_000_000
"""Who waited for a processor for so long of the second in which it should have answered is not down."""
OF_TIME = {"ownership_unconfirmed": "valkey", "streams_behind": "valkey", "timeseries_behind": "influxdb"}
"""What is said when something has lasted for ``PATIENCE_SECONDS``, and of which server."""
WHO = (HUB, BROKER, *dict.fromkeys(OF_TIME.values()))
"""Whom a message passes through, beside us."""


def resident_bytes(process: int) -> int:
    """Return how much memory a process holds; 0 when it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return 1024 * int(status.partition("VmRSS:")[2].split()[0]) if "VmRSS:" in status else 0


class Watch:
    """Watches the hub of ``town``. ``said`` are the codes that /readyz has shown in the last ``watching``."""

    def __init__(self, town: InfluxTown) -> None:
        self.said: set[str] = set()
        self._sure: set[str] = set()
        self._past: deque[tuple[int, Waits]] = deque()
        self._town = town
        self._clock = SystemClock()
        self._looks = 0
        self._memory = 0
        self._peak_memory = 0
        self._peak_outbox = 0
        self._figures_seen = self._figures_refused = 0

    def remember_memory(self) -> None:
        """Take what the process holds now as what it holds in peace."""
        self._memory = resident_bytes(self._town.hub.pid)

    @asynccontextmanager
    async def remembering(self) -> AsyncIterator[None]:
        """Remember who waited, between faults too, until the block ends: what has lasted for seconds began earlier."""
        async with asyncio.TaskGroup() as group:
            remembering = group.create_task(self._remember(), name="storm.memory")
            try:
                yield
            finally:
                remembering.cancel()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look every 50 ms, from now until the block ends; within ``remembering``."""
        self.said.clear()
        self._sure.clear()
        self._peak_memory = self._peak_outbox = self._figures_seen = self._figures_refused = 0
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._look(), name="storm.watch")
            try:
                yield
            finally:
                looking.cancel()

    async def until_quiet(self) -> None:
        """Wait until everything heard is applied and delivered."""

        async def is_quiet() -> bool:
            metrics = await self._town.hub.metrics()
            waiting = ("hub_engine_lag_records", "hub_outbox_waiting_records", "hub_points_waiting")
            return not any(metrics[name] for name in waiting)

        await wait_until(is_quiet)

    async def until_applied(self) -> None:
        """Wait until everything heard is judged; what sinks are owed has no end while traffic goes on."""

        async def is_applied() -> bool:
            return not (await self._town.hub.metrics())["hub_engine_lag_records"]

        await wait_until(is_applied)

    async def vital(self) -> Vital:
        """Return what the process took at most during the fault, and what it still owes.

        AssertionError when a hub at work showed no figures all the while: 0 would be within every bound.
        """
        assert self._figures_seen or self._figures_refused < FEW_REFUSALS, "/metrics said nothing during the fault"
        metrics = await self._town.hub.metrics()
        return Vital(
            memory_grown_bytes=max(0, self._peak_memory - self._memory),
            outbox_bytes=self._peak_outbox,
            journal_bytes=int(metrics["hub_journal_size_bytes"]),
            lag_records=int(metrics["hub_engine_lag_records"]),
            waiting_records=int(metrics["hub_outbox_waiting_records"]),
        )

    def waits(self) -> Waits:
        """Return the process of the hub, of its servers and our own, and how long each waited for a processor."""
        processes = {name: getattr(self._town, name).pid for name in (HUB, BROKER, *OF_TIME.values())} | {
            US: os.getpid()
        }
        return {name: (process, starved_ns(process)) for name, process in processes.items()}

    def starved_since(self, before: Waits, *names: str) -> int:
        """Return how long one of ``names`` (the hub and we), whichever it was more, has waited since ``before``."""
        now = self.waits()
        return max(
            now[name][1] - (before[name][1] if before[name][0] == now[name][0] else 0) for name in names or (HUB, US)
        )

    @property
    def unsure(self) -> set[str]:
        """Codes that speak of time and were only said when much of that time was a wait for a processor.

        Of the hub or of the server that they speak of; what we did meanwhile is no excuse.
        """
        return self.said & OF_TIME.keys() - self._sure

    async def _look(self) -> None:
        while True:
            waited = self.waits()
            try:
                await self._look_once()
            except OSError as error:
                if not isinstance(error, TimeoutError) or self.starved_since(waited) < STARVED_NS:
                    self.said.add(DOWN)
            await self._clock.sleep(LOOK_SECONDS)

    async def _look_once(self) -> None:
        hub = self._town.hub
        async with asyncio.timeout(1):
            status, codes = await hub.readiness()
        self.said |= codes if status else {DOWN}
        before, bound = self._past[0][1], STARVED_NS * PATIENCE_SECONDS
        self._sure |= {
            code for code in codes & OF_TIME.keys() if self.starved_since(before, HUB, OF_TIME[code]) < bound
        }
        self._peak_memory = max(self._peak_memory, resident_bytes(hub.pid))
        self._looks += 1
        if status and self._looks % METRICS_EVERY == 0:
            await self._look_at_figures(has_begun=not any(code.startswith("starting_") for code in codes))

    async def _look_at_figures(self, *, has_begun: bool) -> None:
        try:
            async with asyncio.timeout(1):
                metrics = await self._town.hub.metrics()
        except ConnectionError:  # it has only begun, or was killed in this moment
            self._figures_refused += has_begun
        else:
            self._figures_seen += 1
            self._peak_outbox = max(self._peak_outbox, int(metrics.get("hub_outbox_memory_bytes", 0)))

    async def _remember(self) -> None:
        while True:
            now = self._clock.monotonic_ns()
            self._past.append((now, self.waits()))
            while self._past[0][0] < now - PATIENCE_SECONDS * 1e9:
                self._past.popleft()
            await self._clock.sleep(LOOK_SECONDS)


def starved_ns(process: int) -> int:
    """Return how long a process has waited for a processor that others had."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0
