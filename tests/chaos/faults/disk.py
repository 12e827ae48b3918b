"""The disk of the hub is full: a small file system with a ballast on it; or files may not grow."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from hub.journal.room import free_bytes
from tests.chaos.faults.fault import DOWN, STARTING, Fault
from tests.chaos.faults.hub import beginning_with
from tests.chaos.storm import RATE, Storm
from tests.waiting import wait_until

DISK_BYTES = 192 * 2**20
CHUNK_BYTES = 2**20
HELD_UP = "journal_held_up"
FORGETS = "journal_forgets"


@asynccontextmanager
async def small_disk(storm: Storm) -> AsyncIterator[Path]:
    """Let the hub work on a file system of its own in memory, and afterwards where it was."""
    hub = storm.town.hub
    aside = hub.directory / "aside"
    hub.kill()
    await storm.until_said(DOWN)
    shutil.copytree(hub.data, aside)
    run(*mounting(hub.data))
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
        run("umount", "--lazy", str(hub.data))
    shutil.copytree(aside, hub.data, dirs_exist_ok=True)
    shutil.rmtree(aside)
    hub.start()


def load(ballast: Path, left_bytes: int) -> None:
    """Make a file of everything that its disk has left but for ``left_bytes``; others write there meanwhile."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while (free := free_bytes(ballast)) > left_bytes:
            file.write(bytes(min(CHUNK_BYTES, free - left_bytes)))


async def fill(left_bytes: int, storm: Storm) -> None:
    """Fill its disk but for ``left_bytes``, let messages wait with the broker, and make room again.

    Where nobody lets us mount one, no file may grow instead.
    """
    if not may_mount(storm.town.hub.directory):
        await restart(storm)
        await limit_files(storm)
        return
    async with full_disk(storm, left_bytes) as ballast:
        await followed_until(storm, lambda: HELD_UP in storm.watch.said)
        wanted = storm.publisher.number + 2 * RATE
        await followed_until(storm, lambda: storm.publisher.number >= wanted)
        ballast.unlink()
        await storm.town.hub.until_ready()


@asynccontextmanager
async def full_disk(storm: Storm, left_bytes: int) -> AsyncIterator[Path]:
    """Let the hub work on a small disk with ``left_bytes`` left; yield the file that takes the room."""
    async with small_disk(storm) as ballast:
        await storm.publisher.until_acked(RATE)
        async with storm.publisher.pause():  # with little room the journal lets go of what no checkpoint needs
            await storm.watch.until_quiet()
            await storm.shadow.keep_up()
            load(ballast, left_bytes)
        yield ballast


async def followed_until(storm: Storm, is_over: Callable[[], bool]) -> None:
    """Wait, and let the shadow read every record before it is trimmed."""

    async def is_over_and_followed() -> bool:
        await storm.shadow.keep_up()
        return is_over()

    await wait_until(is_over_and_followed)


async def limit_files(storm: Storm) -> None:
    """Let no file of the running hub grow for a while: each write past the limit fails, as on a full disk."""
    async with limited_files(storm):
        await storm.until_said(HELD_UP)
        await storm.publisher.until_acked(RATE)


@asynccontextmanager
async def limited_files(storm: Storm) -> AsyncIterator[None]:
    """Let no file of the hub's process grow meanwhile."""
    process, limit = storm.town.hub.pid, resource.RLIMIT_FSIZE
    before = resource.prlimit(process, limit)
    resource.prlimit(process, limit, (1, before[1]))
    yield
    resource.prlimit(process, limit, before)


async def forbid_writing(storm: Storm) -> None:
    """Let the hub's files be read-only for a while, as a file system is that the kernel has given up."""
    hub = storm.town.hub
    sign = hub.directory / "read-only"
    with beginning_with(hub, READ_ONLY.format(sign=str(sign))):
        await restart(storm)
        sign.touch()
        try:
            await storm.until_said(HELD_UP)
            await storm.publisher.until_acked(RATE)
        finally:
            sign.unlink()
        await hub.until_ready()


async def restart(storm: Storm) -> None:
    """Kill it and start it again."""
    storm.town.hub.kill()
    await storm.until_said(DOWN)
    storm.town.hub.start()
    await storm.town.hub.until_ready()


def may_mount(directory: Path) -> bool:
    """Return whether we may mount a file system, by mounting one."""
    tried = directory / "tried"
    tried.mkdir()
    if has_mounted := subprocess.run(mounting(tried), check=False, capture_output=True).returncode == 0:
        run("umount", str(tried))
    tried.rmdir()
    return has_mounted


def mounting(directory: Path) -> tuple[str, ...]:
    """Return the command that gives ``directory`` a small disk of its own."""
    return ("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "hub", str(directory))


def run(*command: str) -> None:
    """Run a command of the system."""
    subprocess.run(command, check=True)


READ_ONLY = """
from pathlib import Path
from hub.journal.files import SqliteFile
transact = SqliteFile._transact
def transact_as_the_disk_is(file, *args, **more):
    file._connection.execute(f"PRAGMA query_only = {{int(Path({sign!r}).exists())}}")
    return transact(file, *args, **more)
SqliteFile._transact = transact_as_the_disk_is
"""
"""SQLITE_READONLY for every write of journal and state: a real file system with open files is not made so and back."""
_FULL = frozenset({HELD_UP})
ROWS = (
    Fault(
        name="disk full but for the reserve",
        does="8 MiB are left: messages wait with the broker, ticks and outcomes still go into the journal",
        strike=partial(fill, 8 * 2**20),
        says=_FULL | {DOWN},
        may_say=STARTING | {FORGETS},
    ),
    Fault(
        name="disk full",
        does="not a byte is left, for journal nor state, then it is freed",
        strike=partial(fill, 0),
        says=_FULL | {DOWN},
        may_say=STARTING | {FORGETS},
    ),
    Fault(
        name="files may not grow",
        does="RLIMIT_FSIZE: every write past the first byte of a file fails, its log among them",
        strike=limit_files,
        says=_FULL,
    ),
    Fault(
        name="the disk is read-only",
        does="SQLite refuses every write of journal and state, then takes them again; what lies there can be read",
        strike=forbid_writing,
        says=_FULL | {DOWN},
        may_say=STARTING,
    ),
)
