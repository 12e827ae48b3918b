"""What a backup says of itself: its files with their checksums, its partitions, what was left out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from hub.errors import CorruptError

NAME = "backup.json"
FORMAT = 1
CHUNK = 1 << 20

Tick = Callable[[int], None]
"""Called with the bytes that were done since the last call."""


class Part(msgspec.Struct, frozen=True):
    """One file: where it belongs in an installation, how long it is, and its SHA-256."""

    path: str
    size: int
    digest: str


class Kept(msgspec.Struct, frozen=True):
    """A partition: its journal, the last record of it, and how far its state and its sinks were."""

    partition: str
    journal: str
    last: int
    position: int


class Manifest(msgspec.Struct, frozen=True):
    """The whole: ``left_out`` are the settings that were secret, ``ledgers`` those of forwarders and notifiers.

    ``has_redis``: the installation had a Redis of its own, whose configuration `hub init` makes again.
    ``elsewhere`` is what the settings lead to and is not in it: settings with their files, files of addresses.
    """

    format: int
    hub: str
    made_at: int
    has_secrets: bool
    left_out: list[str]
    partitions: list[Kept]
    parts: list[Part]
    ledgers: list[str] = []
    elsewhere: list[str] = []
    has_redis: bool = False


def read_manifest(data: bytes, file: Path) -> Manifest:
    """Return what a backup says of itself; CorruptError for what is none, or was made by a newer hub."""
    try:
        found = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptError("backup_damaged", f"{NAME}: {error}", file=str(file)) from error
    if found.format != FORMAT:
        text = f"it has the format {found.format}, this hub knows {FORMAT}"
        raise CorruptError("backup_too_new", text, file=str(file), hint=f"hub {found.hub} made it")
    for part in found.parts:
        path = PurePosixPath(part.path)
        if path.is_absolute() or ".." in path.parts:
            raise CorruptError("backup_damaged", f"{part.path!r} would lie outside", file=str(file))
    return found


def part_of(path: Path, name: str) -> Part:
    """Return what a file is as a part of a backup."""
    with path.open("rb") as file:
        digest, size = copied(file, None, lambda _: None)
    return Part(path=name, size=size, digest=digest)


def copied(source: IO[bytes], target: IO[bytes] | None, tick: Tick) -> tuple[str, int]:
    """Copy a stream (or only read it); return its SHA-256 and its length."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if target is not None:
            target.write(chunk)
        tick(len(chunk))
    return digest.hexdigest(), size
