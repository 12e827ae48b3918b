"""Sealing: beside a running hub a process of its own seals dossiers, and says how far behind it is."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import structlog

from hub.clock import Clock

EVERY_SECONDS = 600.0
FIRST_SECONDS = 60.0
LONGEST_SECONDS = 1_800.0
"""A pass that takes so long hangs."""
FAILED_MOST = 100
OVERLAP_SECONDS = 3_600
"""What Redis was given late, or under a clock of its own, is looked for once more."""

log = structlog.get_logger(__name__)


class Done(msgspec.Struct):
    """What a pass came to, as `hub alarms seal --json` says it."""

    behind: int
    sealed: int
    unproven: int
    removed: int
    waiting: int
    error: str
    failed: list[str]


class Sealing:
    """Runs ``hub alarms seal`` every ten minutes with what nobody else wants of the processor.

    It does an hour of the journal again for one dossier, so it is no work for the hub's own process. ``words`` are the
    global options. What was over at ``whole_until`` (monotonic ns) is sealed; since ``failing_since`` no pass did all
    there was. The counts are of this process.
    """

    def __init__(self, words: Sequence[str], clock: Clock) -> None:
        self.command = ("nice", "-n", "19", sys.executable, "-m", "hub.ui.cli.main", *words, "--actor", "hub")
        self._clock = clock
        self._is_known = False
        self._failed: list[str] = []
        self.failing_since: int | None = None
        self.whole_until = clock.monotonic_ns()
        self.error = ""
        self.sealed = self.unproven = self.removed = self.waiting = 0

    @property
    def behind_seconds(self) -> float:
        """Return for how long something may be over that is not sealed."""
        return (self._clock.monotonic_ns() - self.whole_until) / 1e9

    @contextmanager
    def beside(self, group: asyncio.TaskGroup) -> Iterator[None]:
        """Seal, as a task of ``group``, for the length of a ``with``; what ends that goes through as it is."""
        task = group.create_task(self.run(), name="hub.sealing")
        try:
            yield
        finally:
            task.cancel()

    async def run(self) -> None:
        """Seal until cancelled."""
        await self._clock.sleep(FIRST_SECONDS)
        while True:
            await self.once()
            await self._clock.sleep(EVERY_SECONDS)

    async def once(self) -> None:
        """Make one pass; what it could not do is told, and done by the next one."""
        began = self._clock.monotonic_ns()
        words = ["alarms", "seal", "--json", "--of", str(os.getpid()), *self._back(), *self._lasts()]
        try:
            done = await self._ask(words)
        except Exception as error:  # noqa: BLE001 -- no process, no thread, no answer: none of it may end the hub
            self.error = str(error) or "it took too long"
            self.failing_since = self.failing_since or began
            log.warning("dossiers_not_sealed", reason=self.error)
            return
        self.whole_until, self._is_known = began - done.behind, True
        self.error, self.waiting = done.error, done.waiting
        self.failing_since = (self.failing_since or began) if done.waiting else None
        self._failed = [*(each for each in self._failed if each not in done.failed), *done.failed][-FAILED_MOST:]
        if done.error:
            log.warning("dossiers_not_sealed", reason=done.error, waiting=done.waiting)
        self.sealed += done.sealed
        self.unproven += done.unproven
        self.removed += done.removed

    def _back(self) -> Iterator[str]:
        """Yield the words for how far to look: to when all was sealed, however many passes have failed since then."""
        if self._is_known:
            yield from ("--back", f"{math.ceil(self.behind_seconds) + OVERLAP_SECONDS}s")

    def _lasts(self) -> Iterator[str]:
        """Yield the words for what failed, the latest last: one alarm must not keep the others from their proof."""
        for alarm in self._failed:
            yield from ("--last", alarm)

    async def _ask(self, words: Sequence[str]) -> Done:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self.command, *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
        _goes_first(process.pid)
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                said, wrong = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if not said.strip():
            lines = wrong.decode(errors="replace").strip().splitlines() or [f"it left with {process.returncode}"]
            raise OSError(next((line for line in lines if line.startswith("hub: ")), lines[-1]))
        return msgspec.json.decode(said, type=Done)


def _goes_first(pid: int) -> None:
    """Let this process go where memory is short, and not the hub: it takes as much of it while it does things again."""
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000", encoding="ascii")
