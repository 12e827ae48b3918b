"""The embedded store in InfluxDB's place for a while: its disk is full, and the hub is killed and started on it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.faults.disk import HELD_UP, limit_files, load, may_mount, mounting, run
from tests.chaos.faults.fault import DOWN, STARTING, Fault
from tests.chaos.faults.store import BEHIND
from tests.chaos.influx_town import LOCAL
from tests.chaos.storm import RATE, Storm


async def fill(storm: Storm) -> None:
    """Fill the disk of the store alone: nothing else waits for it, and a hub that starts meanwhile hears.

    Where nobody lets us mount one, no file of the hub may grow instead.
    """
    if not may_mount(storm.town.hub.directory):
        async with local_store(storm, None):
            await limit_files(storm)
            await storm.town.hub.until_ready()
        return
    disk = storm.town.hub.directory / "small"
    async with local_store(storm, disk):
        await storm.publisher.until_acked(RATE)
        load(disk / "ballast", 0)
        await storm.until_said(*BEHIND)
        storm.town.hub.kill()
        await storm.publisher.until_acked(RATE // 2)
        storm.town.hub.start()
        await storm.town.hub.until_connected()
        await storm.publisher.until_acked(RATE)
        await storm.town.hub.until_unready("timeseries_behind")
        (disk / "ballast").unlink()
        await storm.town.hub.until_ready()


@asynccontextmanager
async def local_store(storm: Storm, disk: Path | None) -> AsyncIterator[None]:
    """Let the hub store in a file meanwhile, on a small disk of its own; no point is on its way at either change."""
    hub = storm.town.hub
    file = hub.data / LOCAL
    async with _between_two_lives(storm):
        if disk is not None:
            _move(file, disk)
        storm.town.store_in(is_local=True)
    try:
        yield
        async with _between_two_lives(storm):
            storm.town.store_in(is_local=False)
            if disk is not None:
                _move_back(file, disk)
    finally:
        if disk is not None and disk.is_mount():
            hub.kill()
            run("umount", "--lazy", str(disk))


@asynccontextmanager
async def _between_two_lives(storm: Storm) -> AsyncIterator[None]:
    """Stop the hub when everything heard is delivered, and start it again."""
    async with storm.publisher.pause():
        await storm.watch.until_quiet()
        await asyncio.to_thread(storm.town.hub.stop)  # it takes its leave of Redis, through our loop
        yield
        storm.town.hub.start()
        await storm.town.hub.until_ready()


def _move(file: Path, disk: Path) -> None:
    """Make the disk, move what is stored to it, and leave a link where it was: SQLite follows one."""
    disk.mkdir(exist_ok=True)
    run(*mounting(disk))
    if file.exists():
        shutil.move(file, disk / file.name)
    file.symlink_to(disk / file.name)


def _move_back(file: Path, disk: Path) -> None:
    file.unlink()
    shutil.move(disk / file.name, file)
    run("umount", str(disk))


ROWS = (
    Fault(
        name="the local store's disk is full",
        does="the embedded store in InfluxDB's place: not a byte is left, the hub is killed and started, room is made",
        strike=fill,
        says=frozenset({DOWN}),
        may_say=STARTING | BEHIND | {HELD_UP},
        is_long=True,
    ),
)
