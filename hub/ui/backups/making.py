"""A backup of an installation at work: each file as of one moment, ledgers before states before journals and points."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from hub import __version__
from hub.clock import Clock
from hub.config.provenance import leaves_of
from hub.config.settings import SECRETS_FILE, Settings
from hub.config.toml_files import read_layers
from hub.errors import ConfigError, UnavailableError
from hub.journal.files import connect, sync_path, translate
from hub.journal.neighbours import journal_path, state_path
from hub.journal.readings import read_progress
from hub.outward.standing import FILE as LEDGER
from hub.outward.standing import ledgers_in
from hub.partitions import FOLDER, partitions_of, settings_of
from hub.registry.copying import copy
from hub.registry.database import Database, address_of
from hub.ui.backups.manifest import FORMAT, NAME, Kept, Manifest, Tick, part_of
from hub.ui.backups.settings_text import COPIED, DATA, PLACES, REDIS, place_of, said_in, without_secrets
from hub.ui.dossiers import FOLDER as DOSSIERS
from hub.yaml_documents import load_documents

PAGES = 256
ATTEMPTS = 3
POINTS, REGISTRY = "timeseries.sqlite", "registry.sqlite"
SIDES = {".sqlite-wal", ".sqlite-shm"}
"""What looking at a copy lays beside it; nothing is in there."""
KEY_FILES = ("pseudonyms.key", "dossier.key", "authority/ca.key", "authority/ca.crt", "forward/*/secret")
"""What a data directory holds that is secret: the key of pseudonyms, who signs certificates, what signs webhooks."""


class Backup:
    """Makes one; ``config`` is the file of the settings, where there is one. ``has_secrets``: they are in it, too.

    ``has_points``: so is the local store, the only copy of each event and value that the hub has delivered.
    What is in it is personal all the same: only its owner may read the file.
    """

    def __init__(self, settings: Settings, config: Path | None, *, has_secrets: bool, has_points: bool = True) -> None:
        self._settings = settings
        self._config = config
        self._has_secrets = has_secrets
        self._has_points = has_points
        self._points = settings.data_dir / POINTS
        self._left_out: list[str] = []
        self._elsewhere: list[str] = []

    def size(self) -> int:
        """Return how many bytes are to be copied: once out of the files, once into the backup."""
        files = (Path(f"{path}{more}") for path in self._databases() for more in ("", "-wal"))
        return 2 * sum(path.stat().st_size for path in files if path.exists())

    def make(self, file: Path, clock: Clock, tick: Tick) -> Manifest:
        """Write ``file``; ConfigError ``file_exists``, ``secret_hidden``, ``nothing_to_save``."""
        if file.exists():
            raise ConfigError("file_exists", "a backup replaces nothing", file=str(file), hint="name another file")
        file.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(dir=file.parent, prefix=f".{file.name}."))
        try:
            ledgers = [*self._copy_ledgers(stage, tick)]
            partitions = [*self._copy_partitions(stage, tick)]
            self._copy_registry(stage, tick)
            is_work = ledgers or any(each.last for each in partitions)
            if not (is_work or _has_sites(stage / "data" / REGISTRY)):
                message = "no hub has heard or sent anything there, and there is no site"
                hint = "is the disk of data_dir mounted, and is that where it was?"
                raise ConfigError("nothing_to_save", message, file=str(self._settings.data_dir), hint=hint)
            self._copy_points(stage, tick)
            self._copy_dossiers(stage)
            self._copy_settings(stage)
            self._copy_places(stage)
            files = [path for path in sorted(stage.rglob("*")) if path.is_file() and path.suffix not in SIDES]
            manifest = Manifest(
                format=FORMAT,
                hub=__version__,
                made_at=clock.wall_ns(),
                has_secrets=self._has_secrets,
                left_out=self._left_out,
                partitions=partitions,
                ledgers=ledgers,
                elsewhere=self._elsewhere,
                has_redis=self._config is not None and (self._config.parent / REDIS).is_dir(),
                parts=[part_of(path, path.relative_to(stage).as_posix()) for path in files],
            )
            (stage / NAME).write_bytes(_said(manifest))
            _pack(stage, file, manifest, tick)
        finally:
            shutil.rmtree(stage)
        return manifest

    # ------------------------------------------------------------------------------------------------------ databases

    def _databases(self) -> Iterator[Path]:
        for name in partitions_of(self._settings):
            directory = settings_of(self._settings, name).files_dir
            yield from (state_path(directory), journal_path(directory))
        yield from (place / LEDGER for place in ledgers_in(self._settings.data_dir))
        if (registry := self._registry_file()) is not None:
            yield registry
        if self._has_points:
            yield self._points

    def _registry_file(self) -> Path | None:
        url = address_of(self._settings.registry_url())
        return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None

    def _copy_ledgers(self, stage: Path, tick: Tick) -> Iterator[str]:
        """Copy what forwarders and notifiers wrote down: how far they had read goes with what waited then."""
        home = self._settings.data_dir
        for place in ledgers_in(home):
            target = stage / "data" / place.relative_to(home)
            target.mkdir(parents=True, exist_ok=True)
            snapshot(place / LEDGER, target / LEDGER, tick)
            yield place.relative_to(home).as_posix()

    def _copy_partitions(self, stage: Path, tick: Tick) -> Iterator[Kept]:
        for name in partitions_of(self._settings):
            source = settings_of(self._settings, name).files_dir
            target = stage / "data" if name == self._settings.partition else stage / "data" / FOLDER / name
            if journal_path(source).exists():
                target.mkdir(parents=True, exist_ok=True)
                yield _copy_pair(name, source, target, tick)
            elif state_path(source).exists() or journal_path(source).with_suffix(".end").exists():
                self._elsewhere.append(f"partition {name}, whose journal is gone")

    def _copy_registry(self, stage: Path, tick: Tick) -> None:
        target = stage / "data" / REGISTRY
        target.parent.mkdir(exist_ok=True)
        file = self._registry_file()
        if file is None:
            asyncio.run(_copy_rows(self._settings.registry_url(), f"sqlite+aiosqlite:///{target}"))
        elif file.exists():
            snapshot(file, target, tick)

    def _copy_points(self, stage: Path, tick: Tick) -> None:
        """Copy the local store, after the states: what they know to be stored is in it."""
        if not self._points.exists():
            return
        if self._has_points:
            snapshot(self._points, stage / "data" / POINTS, tick)
        else:
            self._elsewhere.append(f"timeseries = {self._points}")

    def _copy_dossiers(self, stage: Path) -> None:
        for path in (self._settings.data_dir / DOSSIERS).glob("*.jsonl"):
            with suppress(FileNotFoundError):  # it went for a new one
                _write(stage / "data" / DOSSIERS / path.name, path.read_bytes())

    # ------------------------------------------------------------------------------------------------------- settings

    def _copy_settings(self, stage: Path) -> None:
        settings, config = self._settings, self._config
        if config is not None and config.exists():
            text = config.read_text(encoding="utf-8")
            if not self._has_secrets:
                text, self._left_out = without_secrets(text, config, settings)
            _write(stage / "hub.toml", text.encode())
        secrets = Path(SECRETS_FILE) if config is None else config.with_name(SECRETS_FILE)
        if self._has_secrets:
            home = settings.data_dir
            keys = [(file, f"data/{file.relative_to(home)}") for name in KEY_FILES for file in sorted(home.glob(name))]
            for source, name in [(secrets, SECRETS_FILE), *keys]:
                if source.exists():
                    _write(stage / name, source.read_bytes())
        elif secrets.exists():
            names = said_in(read_layers([secrets])[0])
            self._left_out += [name for name in names if name not in self._left_out]
        files = [(name, path) for name, path in leaves_of(settings) if isinstance(path, Path) and name not in PLACES]
        self._elsewhere += [f"{name} = {path}" for name, path in files]
        if self._has_secrets and settings.registry.url.get_secret_value():
            self._elsewhere.append("registry.url (data/registry.sqlite is its copy)")

    def _copy_places(self, stage: Path) -> None:
        for setting, name in COPIED.items():
            directory = place_of(self._settings, setting)
            if directory is None or setting == DATA or not directory.is_dir():
                continue
            if setting == "notify.dir":
                self._copy_wishes(directory, stage / name)
            else:
                shutil.copytree(directory, stage / name, ignore_dangling_symlinks=True)

    def _copy_wishes(self, directory: Path, target: Path) -> None:
        """Copy who is told what; beside the documents lie addresses, in files of any name, which are secret."""
        documents, addresses = _documents_and_addresses(directory)
        files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
        for path in files:
            if self._has_secrets or (path in documents and path.resolve() not in addresses):
                _write(target / path.relative_to(directory), path.read_bytes())
            else:
                self._elsewhere.append(f"{target.name}/{path.relative_to(directory).as_posix()}")
        self._elsewhere += sorted(str(path) for path in addresses - {each.resolve() for each in files})


def _documents_and_addresses(directory: Path) -> tuple[set[Path], set[Path]]:
    """Return the files that hold documents, and (resolved) those that they say hold addresses."""
    documents, addresses = set(), set()
    for path in directory.rglob("*.yaml"):
        with suppress(ConfigError):  # what is no document may be an address
            for each in load_documents(path):
                documents.add(path)
                if file := each.body.get("url_file"):
                    addresses.add((path.parent / str(file)).resolve())
    return documents, addresses


async def _copy_rows(source: str, target: str) -> None:
    async with Database(source) as here, Database(target) as there:
        await copy(here, there)


def _has_sites(registry: Path) -> bool:
    if not registry.exists():
        return False
    address = f"{registry.absolute().as_uri()}?immutable=1"  # nothing is laid beside it
    with closing(sqlite3.connect(address, uri=True)) as reading:
        return bool(reading.execute("SELECT count(*) FROM places").fetchone()[0])


def snapshot(source: Path, target: Path, tick: Tick) -> None:
    """Copy a SQLite file that somebody may be writing: as it is at this moment. UnavailableError, CorruptError."""
    try:
        with closing(connect(source, read_only=True)) as reading, closing(sqlite3.connect(target)) as writing:
            reading.execute("BEGIN")
            # The moment begins with the first read: without it every write of others would begin the copy anew.
            reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
            page = int(reading.execute("PRAGMA page_size").fetchone()[0])
            left = 0

            def told(_status: int, remaining: int, total: int) -> None:
                nonlocal left
                tick(((left or total) - remaining) * page)
                left = remaining

            reading.backup(writing, pages=PAGES, progress=told)
    except sqlite3.DatabaseError as error:
        raise translate(error, source) from error
    target.chmod(0o600)


def _copy_pair(name: str, source: Path, target: Path, tick: Tick) -> Kept:
    """Copy the state and then the journal, which so goes at least as far; what it forgot meanwhile is tried again.

    Without a state the journal goes alone: a hub makes it anew, or says that it cannot.
    """
    state, journal = target / state_path(source).name, target / journal_path(source).name
    for _ in range(ATTEMPTS):
        has_state = state_path(source).exists()
        if has_state:
            snapshot(state_path(source), state, tick)
        snapshot(journal_path(source), journal, tick)
        progress = read_progress(state)
        identity, first, last = _bounds(journal)
        if not has_state or (progress.position <= last and first <= progress.position + 1):
            return Kept(partition=name, journal=identity, last=last, position=progress.position)
        state.unlink(missing_ok=True)
        journal.unlink()
    text = f"the journal of {name} forgets faster than it can be copied"
    raise UnavailableError("backup_outrun", text)


def _bounds(journal: Path) -> tuple[str, int, int]:
    """Return whose journal it is, and its first and last record."""
    with closing(connect(journal, read_only=True)) as connection:
        (identity,) = connection.execute("SELECT value FROM meta WHERE name = 'id'").fetchone() or ("",)
        first, last = connection.execute("SELECT MIN(position), MAX(position) FROM records").fetchone()
    return identity, first or 1, last or 0


def _said(manifest: Manifest) -> bytes:
    """Return what a backup says of itself; ConfigError ``name_invalid`` for a file whose name it cannot say."""
    try:
        return msgspec.json.encode(manifest)
    except UnicodeEncodeError as error:
        hint = "rename it: a name of another machine's, in GBK perhaps"
        raise ConfigError("name_invalid", f"the name of {error.object!r} is no UTF-8", hint=hint) from error


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _pack(stage: Path, file: Path, manifest: Manifest, tick: Tick) -> None:
    """Write one archive that is there whole or not at all, and that only we may read."""
    draft = file.with_name(f".{file.name}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            with tarfile.open(fileobj=stream, mode="w:gz" if file.suffix in {".gz", ".tgz"} else "w") as archive:
                for name in (NAME, *(part.path for part in manifest.parts)):
                    archive.add(stage / name, name)
                    tick((stage / name).stat().st_size)
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(file)
        sync_path(file.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
