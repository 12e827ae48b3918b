"""The embedded store's file torn, flipped, emptied or gone: it has what it confirmed, or is refused."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.errors import CorruptError
from hub.model.values import Scalar
from hub.sinks.timeseries.lines import encode
from hub.sinks.timeseries.local import LocalStore
from hub.sinks.timeseries.query import telemetry
from hub.sinks.timeseries.store import Span
from tests.damage import COPIES, Damage, check_missing, empty, flip, outcomes_of, remove, seeded, tear
from tests.sinks.timeseries.samples import NOON, series

WRITES, EACH = 40, 10
EVERYTHING = telemetry("smoke_sensor", Span(since=0, until=2 * NOON, limit=10_000), {})
DAMAGED = {"store_damaged", "store_shortened", "store_unavailable", "missing_file"}


async def fill(directory: Path) -> None:
    """Write points; leave one directory as a killed hub does, one as a stopped one."""
    live = directory / "live"
    live.mkdir()
    async with LocalStore(live / "timeseries.sqlite", SystemClock()) as store:
        for write in range(WRITES):
            values: dict[str, Scalar] = {"v": float(write), "text": "x" * 50}
            await store.write(encode([(series(f"d-{n}"), NOON + write, values) for n in range(EACH)]))
        shutil.copytree(live, directory / "killed", ignore=shutil.ignore_patterns("*-shm"))
    shutil.copytree(live, directory / "stopped")


@pytest.fixture(scope="module")
def remains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories of a killed and of a stopped hub."""
    directory = tmp_path_factory.mktemp("remains")
    asyncio.run(fill(directory))
    return directory


async def survey(directory: Path) -> int:
    """Return how many points there are."""
    async with LocalStore(directory / "timeseries.sqlite", SystemClock()) as store:
        return len(await store.query(EVERYTHING))


@pytest.mark.parametrize("which", ["killed", "stopped"])
async def test_what_is_left_is_whole(remains: Path, tmp_path: Path, which: str) -> None:
    shutil.copytree(remains / which, tmp_path / "copied")
    assert await survey(tmp_path / "copied") == WRITES * EACH
    assert (remains / which / "timeseries.sqlite-wal").exists() == (which == "killed")


@pytest.mark.parametrize("damage", [flip, tear])
@pytest.mark.parametrize(("which", "suffix"), [("killed", "-wal"), ("stopped", "")])
async def test_a_damaged_store_has_every_point_or_is_refused(
    remains: Path, which: str, suffix: str, damage: Damage
) -> None:
    outcomes = await outcomes_of(remains / which, f"timeseries.sqlite{suffix}", damage, survey)
    assert set(outcomes) <= DAMAGED | {"whole"}
    if damage is tear:
        assert outcomes.total() - outcomes["whole"] >= COPIES // 2


@pytest.mark.parametrize("damage", [empty, remove])
@pytest.mark.parametrize("which", ["killed", "stopped"])
async def test_a_store_that_is_empty_or_gone_is_refused_and_nothing_is_made_in_its_place(
    remains: Path, tmp_path: Path, which: str, damage: Damage
) -> None:
    copied = shutil.copytree(remains / which, tmp_path / "copied")
    damage(copied / "timeseries.sqlite", seeded())
    await check_missing(copied, survey)


async def test_a_table_under_another_name_is_not_made_anew(remains: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(remains / "stopped", tmp_path / "copied")
    file = copied / "timeseries.sqlite"
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE series", b"CREATE TABLE serier"))
    with pytest.raises(CorruptError, match="store_damaged"):
        await survey(copied)
