"""The registry's file torn, flipped, emptied or gone: whole, or refused; never emptier than it was unseen."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine

from hub.errors import CorruptError, UnavailableError
from hub.model.values import PlaceType
from hub.registry.database import told
from hub.registry.nouns import Device, Place, Site
from hub.registry.registry import Registry
from tests.damage import COPIES, Damage, check_missing, empty, flip, outcomes_of, remove, seeded, tear

ROUNDS, EACH = 10, 10
WHOLE = (2 + ROUNDS, ROUNDS * EACH)


def url_of(directory: Path) -> str:
    return f"sqlite+aiosqlite:///{directory / 'registry.sqlite'}"


async def fill(directory: Path) -> None:
    """Register devices; leave one directory as a killed hub does, one as a stopped one."""
    live = directory / "live"
    async with Registry(url_of(live)) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai", partition="main"))
        await registry.add_places([Place(site="s1", id="b1", type=PlaceType.BUILDING)])
        for first in range(0, ROUNDS * EACH, EACH):
            devices = [Device(site="s1", id=f"e-{first + n}", kind="smoke_sensor", place="b1") for n in range(EACH)]
            await registry.add_devices(devices)
        shutil.copytree(live, directory / "killed", ignore=shutil.ignore_patterns("*-shm"))
    shutil.copytree(live, directory / "stopped")


@pytest.fixture(scope="module")
def remains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories of a killed and of a stopped hub."""
    directory = tmp_path_factory.mktemp("remains")
    asyncio.run(fill(directory))
    return directory


async def survey(directory: Path) -> tuple[int, int]:
    """Return the revision, and how many devices there are."""
    async with Registry(url_of(directory)) as registry:
        return await registry.revision(), (await registry.counts())["devices"]


@pytest.mark.parametrize("which", ["killed", "stopped"])
async def test_what_is_left_is_whole(remains: Path, tmp_path: Path, which: str) -> None:
    shutil.copytree(remains / which, tmp_path / "copied")
    assert await survey(tmp_path / "copied") == WHOLE
    assert (remains / which / "registry.sqlite-wal").exists() == (which == "killed")


@pytest.mark.parametrize("damage", [flip, tear])
@pytest.mark.parametrize(("which", "suffix"), [("killed", "-wal"), ("killed", ""), ("stopped", "")])
async def test_a_damaged_registry_has_everything_or_is_refused(
    remains: Path, which: str, suffix: str, damage: Damage
) -> None:
    outcomes = await outcomes_of(remains / which, f"registry.sqlite{suffix}", damage, survey)
    assert set(outcomes) <= {"whole", "registry_corrupt", "registry_shortened", "missing_file"}
    if (suffix, damage) == ("-wal", tear) or (which, damage) == ("stopped", tear):
        assert outcomes.total() - outcomes["whole"] >= COPIES // 2


@pytest.mark.parametrize("damage", [empty, remove])
@pytest.mark.parametrize("which", ["killed", "stopped"])
async def test_a_registry_that_is_empty_or_gone_is_refused_and_nothing_is_made_in_its_place(
    remains: Path, tmp_path: Path, which: str, damage: Damage
) -> None:
    copied = shutil.copytree(remains / which, tmp_path / "copied")
    damage(copied / "registry.sqlite", seeded())
    await check_missing(copied, survey)


async def test_a_registry_from_before_there_were_marks_gets_one(remains: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(remains / "stopped", tmp_path / "copied")
    (copied / "registry.end").unlink()
    assert await survey(copied) == WHOLE
    (copied / "registry.sqlite").unlink()
    with pytest.raises(CorruptError, match="missing_file"):
        await survey(copied)


def test_a_disk_without_room_is_told_from_a_database_that_is_away() -> None:
    with create_engine("sqlite://", poolclass=NullPool).connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # as a full disk: SQLITE_FULL
        with pytest.raises(UnavailableError, match="disk_full"), told(connection.engine.url):
            connection.exec_driver_sql("CREATE TABLE t (c)")
