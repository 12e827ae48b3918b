"""The machine below the hub: its disk, its clock, and who may read its secrets."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import stat
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

from hub.bridge.frames import decode_packets
from hub.config.provenance import HIDDEN
from hub.config.settings import SECRETS_FILE
from hub.errors import ConfigError, HubError
from hub.journal.neighbours import journal_path
from hub.journal.readings import read_last
from hub.journal.room import LOW_BYTES
from hub.ui.doctor.findings import Scene, Verdict, bad, good, unseen, weak

MEMORY = frozenset({"tmpfs", "ramfs"})
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"})
FSYNCS, BLOCK = 15, b"\0" * 8_192
SLOW_SECONDS, UNREAL_SECONDS = 0.05, 20e-6
"""Slower holds messages up; faster than any disk that we know (150 µs measured on a virtual one) is none."""
AHEAD_SECONDS = 5.0
STA_UNSYNC = 0x40
SECRET_FILES = (
    "broker/passwords",
    "broker/acl",
    "redis/redis.conf",
    "valkey/password",
    "valkey/valkey.conf",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """``kind`` is the file system's; ``fsync_seconds`` the median; ``ahead_seconds`` how far the journal is before now.

    ``exposed`` are files with secrets that others may read.
    """

    directory: Path
    kind: str
    free_bytes: int
    used_bytes: int
    limit_bytes: int
    fsync_seconds: float
    is_synchronised: bool | None
    ahead_seconds: float | None
    secrets: int
    exposed: Sequence[str]


async def look(scene: Scene) -> Seen:
    """Look at the data directory and the clock; ConfigError ``data_dir_unusable``."""
    return await asyncio.to_thread(_look, scene)


def _look(scene: Scene) -> Seen:
    directory = scene.settings.data_dir
    here = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    secrets = [path for path in _secret_files(scene) if path.exists()]
    try:
        fsync = _fsync_seconds(here)
    except OSError as error:
        hint = "the account that runs the hub must be able to write there"
        raise ConfigError("data_dir_unusable", str(error.strerror), file=str(here), hint=hint) from error
    return Seen(
        directory=directory,
        kind=kind_of(here.resolve(), Path("/proc/self/mountinfo").read_bytes()),
        free_bytes=shutil.disk_usage(here).free,
        used_bytes=sum(path.stat().st_size for path in directory.glob("journal.sqlite*")),
        limit_bytes=scene.settings.retention.size,
        fsync_seconds=fsync,
        is_synchronised=is_synchronised(),
        ahead_seconds=_ahead_seconds(scene),
        secrets=len(secrets),
        exposed=[str(path) for path in secrets if stat.S_IMODE(path.stat().st_mode) & 0o077],
    )


def kind_of(path: Path, mounts: bytes) -> str:
    """Return the kind of the file system that holds ``path``; ``mounts`` is what /proc/self/mountinfo says.

    Names in it are any bytes, of any language; white space in them is written as its octal number.
    """
    best, kind = "", b""
    for line in mounts.splitlines():
        before, _, after = line.partition(b" - ")
        point = os.fsdecode(before.split()[4].replace(rb"\040", b" "))
        if path.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind.decode()


def _fsync_seconds(directory: Path) -> float:
    path = directory / f".doctor-{uuid4().hex}"
    seconds = []
    with path.open("xb", buffering=0) as file:
        path.unlink()  # whatever happens, nothing is left
        for _ in range(FSYNCS):
            file.write(BLOCK)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


class _Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2); only what the kernel says of synchronisation is read."""

    _fields_: ClassVar = [
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 40),
    ]


def is_synchronised() -> bool | None:
    """Return whether the kernel's clock is kept by something; None where the kernel does not tell."""
    asked = _Timex()
    with suppress(AttributeError, OSError):
        if ctypes.CDLL(None).adjtimex(ctypes.byref(asked)) >= 0:
            return not asked.status & STA_UNSYNC
    return None


def _ahead_seconds(scene: Scene) -> float | None:
    path = journal_path(scene.settings.files_dir)
    with suppress(HubError):
        if path.exists() and (last := read_last(path, 1, decode_packets)):
            return (last[0].received_at - scene.clock.wall_ns()) / 1e9
    return None


def _secret_files(scene: Scene) -> list[Path]:
    settings, file = scene.settings, scene.settings_file
    found = [settings.data_dir / "pseudonyms.key", settings.data_dir / "registry.sqlite"]
    found += [settings.mqtt.key_file] if settings.mqtt.key_file else []
    if file is not None:
        found += [file.absolute().parent / name for name in (SECRETS_FILE, *SECRET_FILES)]
        if any(each.value == HIDDEN and each.origin.startswith(f"{file}:") for each in settings.provenance()):
            found.append(file)
    return found


# ------------------------------------------------------------------------------------------------------- judgements


def file_system(seen: Seen) -> Verdict:
    """Whether what is written outlives the machine's next start."""
    found = f"{seen.directory}: {seen.kind}"
    if seen.kind in MEMORY:
        return bad(found)
    return weak(found) if seen.kind in NETWORK else good(found)


def space(seen: Seen) -> Verdict:
    """Whether the disk takes what the journal may keep."""
    free, wanted = seen.free_bytes, max(0, seen.limit_bytes - seen.used_bytes)
    found = f"{free / 2**30:.1f} GiB free, the journal may take {wanted / 2**30:.1f} more"
    if free < LOW_BYTES:
        return bad(found)
    return weak(found) if free < wanted else good(found)


def fsync(seen: Seen) -> Verdict:
    """Whether an fsync reaches a disk, and how fast."""
    found = f"{seen.fsync_seconds * 1e3:.2f} ms"
    if seen.fsync_seconds < UNREAL_SECONDS:
        return bad(f"{found}: no disk is that fast")
    return weak(found) if seen.fsync_seconds > SLOW_SECONDS else good(found)


def clock_kept(seen: Seen) -> Verdict:
    """Whether something keeps the clock right."""
    match seen.is_synchronised:
        case None:
            return unseen("the kernel does not tell")
        case True:
            return good("synchronised")
        case False:
            return weak("nothing synchronises it")


def clock_stepped(seen: Seen) -> Verdict:
    """Whether the clock was set back: what is in the journal came later than now."""
    if seen.ahead_seconds is None:
        return good("nothing was heard yet")
    if seen.ahead_seconds > AHEAD_SECONDS:
        return weak(f"the journal is {seen.ahead_seconds:.0f} s before the clock")
    return good("no record is from the future")


def private(seen: Seen) -> Verdict:
    """Whether secrets are for our eyes only."""
    return bad(f"others may read {', '.join(seen.exposed)}") if seen.exposed else good(f"{seen.secrets} files, 0600")
