"""The disk of the hub is full: a small file system with a ballast on it; or files may not grow."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from tests.chaos.faults.fault import DOWN, STARTING, Fault
from tests.chaos.storm import RATE, Storm

DISK_BYTES = 192 * 2**20
HELD_UP = "journal_held_up"


@asynccontextmanager
async def small_disk(storm: Storm) -> AsyncIterator[Path]:
    """Let the hub work on a file system of its own in memory, and afterwards where it was."""
    hub = storm.town.hub
    aside = hub.directory / "aside"
    hub.kill()
    shutil.copytree(hub.data, aside)
    _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "hub", str(hub.data))
    try:
        shutil.copytree(aside, hub.data, dirs_exist_ok=True)
        shutil.rmtree(aside)
        hub.start()
        await hub.until_ready()
        yield hub.data / "ballast"
        hub.kill()
        shutil.copytree(hub.data, aside)
    finally:
        hub.kill()
        _run("umount", "--lazy", str(hub.data))
    shutil.copytree(aside, hub.data, dirs_exist_ok=True)
    shutil.rmtree(aside)
    hub.start()


async def fill(left_bytes: int, storm: Storm) -> None:
    """Fill its disk but for ``left_bytes``, let messages wait with the broker, and make room again."""
    async with small_disk(storm) as ballast:
        await storm.publisher.until_acked(RATE)
        with ballast.open("wb") as file:
            disk = os.statvfs(ballast)
            os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - left_bytes)
        await storm.until_said(HELD_UP)
        await storm.publisher.until_acked(2 * RATE)
        ballast.unlink()
        await storm.town.hub.until_ready()


async def limit_files(storm: Storm) -> None:
    """Let no file of the running hub grow for a while: each write past the limit fails, as on a full disk."""
    process, limit = storm.town.hub.pid, resource.RLIMIT_FSIZE
    before = resource.prlimit(process, limit)
    resource.prlimit(process, limit, (1, before[1]))
    await storm.until_said(HELD_UP)
    await storm.publisher.until_acked(RATE)
    resource.prlimit(process, limit, before)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _mounts() -> bool:
    """Return whether we may mount a file system."""
    return os.geteuid() == 0


_FULL = frozenset({HELD_UP})
_FILLED = (
    Fault(
        name="disk full but for the reserve",
        does="8 MiB are left: messages wait with the broker, ticks and outcomes still go into the journal",
        strike=partial(fill, 8 * 2**20),
        says=_FULL | {DOWN},
        may_say=STARTING,
    ),
    Fault(
        name="disk full",
        does="not a byte is left, for journal nor state, then it is freed",
        strike=partial(fill, 0),
        says=_FULL | {DOWN},
        may_say=STARTING,
    ),
)
ROWS = (
    *(_FILLED if _mounts() else ()),
    Fault(
        name="files may not grow",
        does="RLIMIT_FSIZE: every write past the first byte of a file fails, its log among them",
        strike=limit_files,
        says=_FULL,
    ),
)
