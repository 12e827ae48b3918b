"""Strain: how long those whom the hub waits for stood still during a fault; told beside the verdict, never for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from typing_extensions import override

from hub.clock import SystemClock
from hub.errors import UnavailableError
from hub.sinks.redis_link import Answer, rows
from tests.servers.valkey import ValkeyServer

PRESSURE = Path("/proc/pressure")
TURN_SECONDS = 0.05
NOTED_MS = 100
"""A stall of Valkey that lasted for less is not remembered by it."""


@dataclass(frozen=True, kw_only=True)
class Strain:
    """What Valkey says was its longest stall, and in what; how long our loop stood still, and with it our proxies.

    ``disk_ms`` and ``processor_ms``: how long somebody on this machine waited for a disk, or for a processor.
    """

    valkey_ms: int = 0
    valkey_in: str = ""
    ours_ms: int = 0
    disk_ms: int = 0
    processor_ms: int = 0

    @override
    def __str__(self) -> str:
        where = f" in {self.valkey_in}" if self.valkey_in else ""
        return (
            f"longest stall of Valkey {self.valkey_ms} ms{where}, of our proxies {self.ours_ms} ms;"
            f" somebody waited for a disk {self.disk_ms} ms, for a processor {self.processor_ms} ms"
        )


class Gauge:
    """Measures what happens within ``measuring``."""

    def __init__(self, valkey: ValkeyServer) -> None:
        self._valkey = valkey
        self._clock = SystemClock()
        self._ours_ms = 0.0
        self._before = (0, 0)

    @asynccontextmanager
    async def measuring(self) -> AsyncIterator[None]:
        """Forget what was, and measure until the block ends."""
        self._ours_ms, self._before = 0.0, (waited_ms("io"), waited_ms("cpu"))
        await self._ask("LATENCY", "RESET")
        async with asyncio.TaskGroup() as group:
            turning = group.create_task(self._turn(), name="storm.gauge")
            try:
                yield
            finally:
                turning.cancel()

    async def _turn(self) -> None:
        while True:
            began = self._clock.monotonic_ns()
            try:
                await self._clock.sleep(TURN_SECONDS)
            finally:
                passed = (self._clock.monotonic_ns() - began) / 1e9
                self._ours_ms = max(self._ours_ms, (passed - TURN_SECONDS) * 1000)

    async def read(self) -> Strain:
        """Return what was since the beginning; of a Valkey that was started meanwhile, since its start."""
        stalls = [rows(each) for each in await self._ask("LATENCY", "LATEST")]
        longest, where = max(
            ((cast("int", each[3]), cast("bytes", each[0]).decode("ascii")) for each in stalls), default=(0, "")
        )
        io, cpu = self._before
        return Strain(
            valkey_ms=longest,
            valkey_in=where,
            ours_ms=round(self._ours_ms),
            disk_ms=waited_ms("io") - io,
            processor_ms=waited_ms("cpu") - cpu,
        )

    async def _ask(self, *words: str) -> list[Answer]:
        try:
            async with self._valkey.link() as link:
                answer = await link.ask(*words)
        except UnavailableError:  # it is dead: others tell
            return []
        return answer if isinstance(answer, list) else []


def waited_ms(of: str) -> int:
    """Return for how long some process of this machine has waited for a resource; 0 where nobody counts that."""
    try:
        return int((PRESSURE / of).read_text(encoding="ascii").partition("total=")[2].split()[0]) // 1000
    except (OSError, IndexError):
        return 0
