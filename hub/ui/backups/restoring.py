"""An installation out of a backup: into an empty directory, every file checked, all of it or nothing."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import zlib
from functools import reduce
from pathlib import Path
from typing import Any

from hub.clock import Clock
from hub.config.settings import SECRETS_FILE
from hub.config.toml_files import read_layers
from hub.errors import ConfigError, CorruptError, UnavailableError
from hub.journal.files import sync_path
from hub.journal.gaps import begin_anew
from hub.journal.neighbours import journal_path
from hub.ui.backups.manifest import NAME, Manifest, Part, Tick, copied, read_manifest
from hub.ui.backups.settings_text import DATA, PLACES, REDIS, moved
from hub.ui.installing.belonging import ROOT, give

DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error)
"""What reading a file that is no whole backup may raise."""
_PRIVATE = (".sqlite", ".key", ".jsonl", "/secret", SECRETS_FILE)
_WISHES = f"{PLACES['notify.dir']}/"


def opened(file: Path) -> tarfile.TarFile:
    """Open a backup; CorruptError ``backup_damaged``, ConfigError ``file_unreadable``."""
    try:
        return tarfile.open(file)
    except tarfile.TarError as error:
        raise CorruptError("backup_damaged", f"is no backup: {error}", file=str(file)) from error
    except OSError as error:
        raise ConfigError("file_unreadable", str(error.strerror), file=str(file)) from error


def manifest_of(archive: tarfile.TarFile, file: Path) -> Manifest:
    """Return what the backup says of itself."""
    try:
        first = archive.next()
        data = None if first is None or first.name != NAME else archive.extractfile(first)
        if data is None:
            raise CorruptError("backup_damaged", f"does not begin with {NAME}", file=str(file))
        return read_manifest(data.read(), file)
    except DAMAGED as error:
        raise CorruptError("backup_damaged", str(error), file=str(file)) from error


def restore(archive: tarfile.TarFile, manifest: Manifest, directory: Path, clock: Clock, tick: Tick) -> None:
    """Write everything below ``directory``, which must be empty or not there; CorruptError leaves it so.

    Its settings then lead there, whatever they said before. Its journals begin anew: the hub that it came from has gone
    on with their records. Whose it was when root is asked, has all of it. It is on the disk then: what it came from
    may go.
    """
    refuse_what_is_there(directory)
    is_there, home = directory.exists(), directory.resolve()
    owner = home.stat().st_uid if is_there else os.geteuid()
    home.parent.mkdir(parents=True, exist_ok=True)
    # One that is there stays what it is: a disk may be mounted on it, what is around it somebody else's.
    place, name = (home, "restoring.") if is_there else (home.parent, f".{home.name}.")
    stage = Path(tempfile.mkdtemp(dir=place, prefix=name))
    try:
        _extract(archive, manifest, stage, tick)
        _lead_there(stage, home)
        for journal in (stage / PLACES[DATA]).rglob(journal_path(Path()).name):
            begin_anew(journal, clock.wall_ns())
        if manifest.has_redis:
            (stage / REDIS).mkdir(exist_ok=True, mode=0o700)
        if manifest.has_secrets:
            (stage / "hub.toml").chmod(0o600)
        if owner != os.geteuid() == ROOT:
            give(stage, owner)
        for path in (*stage.rglob("*"), stage):
            sync_path(path)
        sync_path(_settled(stage, home))
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise


def _settled(stage: Path, home: Path) -> Path:
    """Let what is in ``stage`` be in ``home``; return the directory in which names have changed."""
    if stage.parent != home:
        stage.rename(home)
        return home.parent
    for path in sorted(stage.iterdir(), key=lambda path: path.name == "hub.toml"):  # with it it is an installation
        path.rename(home / path.name)
    stage.rmdir()
    return home


def refuse_what_is_there(directory: Path) -> None:
    """ConfigError ``directory_not_empty`` unless a backup can be restored to ``directory``."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        hint = "restore into an empty one, look at it, and then let it take the other's place"
        raise ConfigError("directory_not_empty", "nothing is overwritten", file=str(directory), hint=hint)


def _extract(archive: tarfile.TarFile, manifest: Manifest, stage: Path, tick: Tick) -> None:
    file = str(archive.name)
    missing = {part.path: part for part in manifest.parts}
    try:
        for member in archive:
            if member.name != NAME:
                _extract_one(archive, member, missing, stage, tick)
    except (*DAMAGED, KeyError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk that is written to
            raise UnavailableError("disk_failing", str(error)) from error
        raise CorruptError("backup_damaged", f"{type(error).__name__}: {error}", file=file) from error
    if missing:
        raise CorruptError("backup_damaged", f"it ends before {min(missing)}", file=file)


def _extract_one(
    archive: tarfile.TarFile, member: tarfile.TarInfo, missing: dict[str, Part], stage: Path, tick: Tick
) -> None:
    part = missing.pop(member.name)  # KeyError: nobody said that it would be there
    source, path = archive.extractfile(member), stage / part.path
    if source is None:
        raise CorruptError("backup_damaged", f"{part.path} is no file")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    with path.open("wb") as target:
        path.chmod(0o600 if _is_private(part.path) else 0o640)
        digest, size = copied(source, target, tick)
    if (digest, size) != (part.digest, part.size):
        raise CorruptError("backup_damaged", f"{part.path} is not what was saved")


def _is_private(path: str) -> bool:
    """Return whether only we may read a file; beside routes lie addresses, in files of any name."""
    return path.endswith(_PRIVATE) or path.startswith(_WISHES)


def _lead_there(stage: Path, home: Path) -> None:
    """Let the settings lead to ``home``, and make what they name."""
    config, secret = stage / "hub.toml", stage / SECRETS_FILE
    above = _places_in(secret)  # what is said there goes before
    said = above | _places_in(config)
    there = {name for name, at in PLACES.items() if name == DATA or name in said or (stage / at).is_dir()}
    for name in there:
        (stage / PLACES[name]).mkdir(exist_ok=True, mode=0o750)
    for path, names in ((config, there), (secret, above)):
        if names:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            path.write_text(moved(text, home, names), encoding="utf-8")


def _places_in(file: Path) -> set[str]:
    """Return which places a file of settings names."""
    values = read_layers([file])[0] if file.exists() else {}
    return {name for name in PLACES if reduce(_within, name.split("."), values)}


def _within(table: Any, key: str) -> Any:  # noqa: ANN401 -- whatever TOML holds
    return table.get(key) if isinstance(table, dict) else None
