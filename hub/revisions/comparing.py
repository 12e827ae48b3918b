"""What the hub is to work with, compared with what it works with: only what has changed, where that can be told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import structlog

from hub import __version__
from hub.catalogue import read_kind
from hub.clock import Clock, in_turns
from hub.config.settings import Settings
from hub.engine.content import Content
from hub.engine.meters import Quota, write_quota
from hub.engine.rows import Bodies
from hub.errors import ConfigError, PoisonError
from hub.model.records import NewRevision
from hub.normalize.networks.directory import DIRECTORY, MADE, carried_over, directory_documents
from hub.registry.changes import Changes, changes_since
from hub.registry.registry import Registry, Snapshot
from hub.revisions.pseudonym_key import secret_documents
from hub.revisions.revision import REGISTERED, differing, revise

REFUSED_REST_NS = 60_000_000_000
"""With 100,000 devices it takes a second to find out that nothing of what was refused has been mended."""

log = structlog.get_logger(__name__)

Documents = Mapping[str, bytes]


class Compared(NamedTuple):
    """What differs, if anything does; ``files`` and ``known`` are what was compared.

    ``rows`` and ``partitions`` are those of the registry, where everything was read.
    """

    note: NewRevision | None
    files: Documents
    known: Snapshot
    rows: Documents | None = None
    partitions: frozenset[str] = frozenset()


class Files(NamedTuple):
    """The documents of the files; ``superseded`` are those of a checkpoint that had to give way to them.

    Those are compared instead of what is held, until that has been journaled. Files that were refused are what the
    engine holds of files, until they are read again.
    """

    documents: Documents | ConfigError
    superseded: Documents


class Sought(NamedTuple):
    """What a hub is to work with: files, rows of the registry (None: as they are held), what sources said of devices.

    It is compared with what is ``superseded``, if anything is, instead of what the engine holds.
    """

    yaml: Mapping[str, bytes]
    rows: Mapping[str, bytes] | None
    directories: Mapping[str, bytes]
    superseded: Mapping[str, bytes]


class Comparing:
    """Compares; whoever journals what differs says so by :meth:`settle`.

    ``failing_since`` (monotonic ns) and ``error`` are why a running hub cannot take up what there is, while it cannot.
    ``refused``: why it could not take up the files when it began, until they have been read.
    """

    def __init__(self, settings: Settings, clock: Clock, registry: Registry, content: Content, files: Files) -> None:
        self._settings = settings
        self._clock = clock
        self._registry = registry
        self._content = content
        self._files = files
        self._directories: dict[str, bytes] = {}
        self._owes_directories = False  # what a source said was in no revision yet: the registry was away, or refused
        self._known: Snapshot | None = None
        self._asked = -1  # the registry's revision when it was asked last
        self._refusal: tuple[int, int] | None = None  # of which revision, and until when nobody looks again
        self.failing_since: int | None = None
        self.error = ""
        self.refused = str(files.documents) if isinstance(files.documents, ConfigError) else ""

    @property
    def _documents(self) -> Documents:
        """Return the documents of the files, as they were last read; ConfigError when they never could be."""
        found = self._files.documents
        if not isinstance(found, ConfigError):
            return found
        if held := self._held():
            return held
        raise found

    def _held(self) -> dict[str, bytes]:
        """Return the documents of files that the engine holds."""
        return {key: document.body for key, document in self._content.documents.items() if _is_of_files(key)}

    @property
    def revision(self) -> int:
        """Return the registry's revision that the engine works with, -1 for none."""
        return -1 if self._known is None else self._known.revision

    async def is_behind(self, directories: Documents) -> bool:
        """Return whether there is anything to compare, ``directories`` that nobody has compared yet among it.

        What was refused is nothing to compare until something has changed, or a minute is over.
        """
        if directories:
            return True
        self._asked = await self._registry.revision()
        revision, until = self._refusal or (-1, 0)
        if revision == self._asked and self._clock.monotonic_ns() < until:
            return False
        return self._owes_directories or self._asked != self.revision

    def settle(self, compared: Compared, *, files_read: bool = False) -> None:
        """Compare with this from now on: the engine will have it."""
        self.refused = "" if files_read else self.refused
        self._refusal = None
        self._files, self._known = Files(compared.files, {}), compared.known._replace(documents={})
        self._owes_directories = False

    def held_up(self, error: str) -> None:
        """Note why what there is cannot be taken up now; empty: it was, or is still refused."""
        if not error and self._refusal is not None:
            return
        if error and error != self.error:
            log.error("revision_refused", reason=error)
        self.error = error
        self.failing_since = (self.failing_since or self._clock.monotonic_ns()) if error else None

    async def compare(self, files: Documents | None, directories: Documents) -> Compared:
        """Compare files (``files``, if they were read again), registry, and what sources said of their devices.

        ConfigError when the engine could not work with them.
        """
        try:
            return await self._compared(files, directories)
        except ConfigError:
            if files is None:
                self._refusal = self._asked, self._clock.monotonic_ns() + REFUSED_REST_NS
            raise

    async def _compared(self, files: Documents | None, directories: Documents) -> Compared:
        self._directories |= directories
        self._owes_directories |= bool(directories)
        if files is None and not self._owes_directories and not self._files.superseded and self._known is not None:
            changes = await changes_since(self._registry, self._known, self._settings.partition)
            if changes is not None:
                known = Snapshot(changes.revision, {}, changes.line)
                return Compared(await self._changed(changes), self._documents, known)
        alone = None if files is None else await self._files_alone(files)
        return alone or await self._whole(self._documents if files is None else files)

    async def _files_alone(self, files: Documents) -> Compared | None:
        """Return what differs where only files can: of 100,000 devices nothing is read or compared.

        It is tried where the engine is, between messages, and what was found out then is kept for it. The profiles that
        are made of what networks say of themselves are made of kinds, too: where one changes, all is compared.
        """
        known, before = self._known, self._files
        if known is None or before.superseded or self._owes_directories:
            return None
        if await self._registry.revision() != known.revision:
            return None
        note = differing(self._held(), files, __version__)
        if note is not None and self._directories and any(map(_is_kind, (*note.revision.put, *note.revision.removed))):
            return None
        return Compared(await self._tried(note), files, known)

    async def _tried(self, note: NewRevision | None) -> NewRevision | None:
        """Return ``note``, once it is found out that the engine can work with it. ConfigError."""
        if note is not None:
            put = {key: note.bodies[digest] for key, digest in note.revision.put.items()}
            await in_turns(self._content.try_out(put, note.revision.removed), self._clock)
        return note

    async def _whole(self, files: Documents) -> Compared:
        known = self._known
        if known is None or await self._registry.revision() != known.revision:
            known = await self._registry.snapshot(self._settings.partition)
        rows, partitions = None if known is self._known else known.documents, frozenset[str]()
        if rows is not None:  # before anything is settled: the registry may be away
            partitions = await self._registry.partitions()
        held = self._content.bodies()
        sought = Sought(files, rows, self._directories, self._files.superseded)  # held now: the engine works on
        note = await asyncio.to_thread(difference, self._settings, sought, held)
        return Compared(note, files, known, rows, partitions)

    async def _changed(self, changes: Changes) -> NewRevision | None:
        """Return what differs of documents that may have changed."""
        content = self._content
        mine = changes.keys | {key for key in content.documents if key.partition("/")[0] in changes.nouns}
        held = {key: body for key in mine if (body := content.body(key)) is not None}
        return await self._tried(differing(held, changes.documents, __version__))


def _is_of_files(key: str) -> bool:
    return not key.startswith((*REGISTERED, DIRECTORY, MADE))


def _is_kind(key: str) -> bool:
    return key.startswith("kind/")


def difference(settings: Settings, sought: Sought, held: Bodies) -> NewRevision | None:
    """Return what leads from the documents that are ``held`` to those that are sought; None when nothing does.

    ConfigError when the engine could not work with them. It takes a second with 100,000 devices: call it in a thread.
    """
    said = understood(sought.directories, sought.yaml)
    others = {key: held[key] for key in held if key.startswith((DIRECTORY, MADE))}
    rows = sought.rows
    if rows is None:
        rows = {key: held[key] for key in held if key.startswith(REGISTERED)}
    kept = carried_over(others | said, rows.values())
    quota = write_quota(Quota(settings.limits.quota_per_second, settings.limits.quota_burst))
    wanted = {**sought.yaml, **rows, **secret_documents(settings), **quota, **kept}
    return revise(sought.superseded or held, wanted, __version__)


def understood(directories: Mapping[str, bytes], documents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the documents that what sources say of their devices becomes, with the kinds among ``documents``."""
    found: dict[str, bytes] = {}
    if not directories:
        return found
    kinds = [read_kind(body) for key, body in documents.items() if key.startswith("kind/")]
    for source, payload in directories.items():
        try:
            found |= directory_documents(source, payload, {kind.kind: kind for kind in kinds})
        except (PoisonError, ValueError) as error:  # the engine has read it already: only a bug of ours leads here
            log.error("directory_refused", source=source, reason=str(error))  # noqa: TRY400 -- nothing more to say
    return found
