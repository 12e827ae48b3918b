"""The machine below the hub, asked by the doctor: disk, clock, and who may read the secrets."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hub.config.settings import read_settings
from hub.ui.doctor import machine
from tests.ui.conftest import Cli
from tests.ui.doctor.scenes import BAD, GOOD, UNSEEN, WEAK, examined, scene, settings_of

MOUNTS = (
    """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
25 22 0:21 / /run rw,nosuid shared:2 - tmpfs tmpfs rw
30 22 0:45 / /srv/with\\040blank rw - nfs4 server:/export rw
31 22 0:46 / /run/disk rw - xfs /dev/vdb rw
32 22 0:47 / /srv/数据\u3000盘 rw - cifs //server/share rw
""".encode()
    + b"33 22 0:48 / /srv/\xca\xfd\xbe\xdd rw - ramfs ramfs rw\n"
)


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory, as every Linux has one."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


async def test_a_data_directory_in_memory_is_told_twice(memory: Path) -> None:
    found = await examined("machine", scene(settings_of(memory)))
    assert found["disk_file_system"].grade is BAD
    assert found["disk_file_system"].found.endswith(": tmpfs")
    assert found["disk_fsync"].grade is BAD, found["disk_fsync"].found
    assert list(memory.iterdir()) == [], "nothing is left"


@pytest.mark.parametrize(
    ("path", "kind", "grade"),
    [
        ("/srv/hub", "ext4", GOOD),
        ("/run/hub", "tmpfs", BAD),
        ("/run/disk/hub", "xfs", GOOD),
        ("/srv/with blank/hub", "nfs4", WEAK),
        ("/srv/数据\u3000盘/hub", "cifs", WEAK),
        (os.fsdecode(b"/srv/\xca\xfd\xbe\xdd/hub"), "ramfs", BAD),  # GBK: a disk of an old system
    ],
)
async def test_the_nearest_mount_is_the_one_that_counts(tmp_path: Path, path: str, kind: str, grade: object) -> None:
    seen = await machine.look(scene(settings_of(tmp_path)))
    assert machine.kind_of(Path(path), MOUNTS) == kind
    assert machine.file_system(replace(seen, kind=kind)).grade is grade


async def test_an_fsync_of_a_disk_passes_and_a_slow_one_is_weak(tmp_path: Path) -> None:
    seen = await machine.look(scene(settings_of(tmp_path)))
    assert seen.fsync_seconds > 0
    assert machine.fsync(replace(seen, fsync_seconds=0.001)).grade is GOOD
    assert machine.fsync(replace(seen, fsync_seconds=0.2)).grade is WEAK
    assert machine.fsync(replace(seen, fsync_seconds=0.000_002)).grade is BAD


async def test_a_disk_that_is_smaller_than_what_the_journal_may_keep_is_told(tmp_path: Path) -> None:
    enough = await examined("machine", scene(settings_of(tmp_path, retention={"size": "64MiB"})))
    assert enough["disk_space"].grade is GOOD
    much = await examined("machine", scene(settings_of(tmp_path, retention={"size": "900000GiB"})))
    assert much["disk_space"].grade is WEAK
    seen = await machine.look(scene(settings_of(tmp_path)))
    assert machine.space(replace(seen, free_bytes=10_000_000)).grade is BAD


async def test_what_the_kernel_says_of_the_clock_is_what_is_told(tmp_path: Path) -> None:
    """Whether something keeps this machine's clock is not ours to choose: the three answers are judged by hand."""
    found = await examined("machine", scene(settings_of(tmp_path)))
    assert found["clock_kept"].grade is {True: GOOD, False: WEAK, None: UNSEEN}[machine.is_synchronised()]
    seen = await machine.look(scene(settings_of(tmp_path)))
    judged = [machine.clock_kept(replace(seen, is_synchronised=answer)).grade for answer in (True, False, None)]
    assert judged == [GOOD, WEAK, UNSEEN]


def test_secrets_that_others_may_read_are_named(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "garden"
    assert cli("init", str(place), "--yes").code == 0
    file = place / "hub.toml"
    found = asyncio.run(examined("machine", scene(read_settings(file), file=file)))
    assert found["secrets_private"].grade is GOOD
    for exposed in ("secrets.toml", "broker/passwords", "redis/redis.conf", "valkey/password"):
        path = place / exposed
        if path.exists():
            path.chmod(0o644)
            found = asyncio.run(examined("machine", scene(read_settings(file), file=file)))
            assert found["secrets_private"].found == f"others may read {path}"
            path.chmod(0o600)


async def test_settings_that_everybody_may_read_hold_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text('[redis]\nurl = "redis://:secret@127.0.0.1/0"\n', encoding="utf-8")
    found = await examined("machine", scene(read_settings(file), file=file))
    assert found["secrets_private"].found == f"others may read {file}"


async def test_a_directory_that_cannot_be_written_is_told() -> None:
    found = await examined("machine", scene(settings_of(Path("/proc/self"))))
    assert "data_dir_unusable" in found["disk_file_system"].found
