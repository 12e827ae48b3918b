"""From one set of documents to the next: what differs, tried out before it is a revision; and a checkpoint restored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import msgspec
import structlog

from hub.engine.apply import Engine
from hub.engine.content import Content
from hub.engine.rows import DeviceRow, Document, invalid
from hub.engine.state import State
from hub.errors import ConfigError, CorruptError
from hub.model.records import NewRevision, Revision
from hub.model.values import exactly
from hub.normalize.networks.directory import DIRECTORY, MADE

log = structlog.get_logger(__name__)

_ENTRY = "document/"
REGISTERED = ("barred/", "device/", "list/", "off/", "params/", "place/", "quota/", "secret/", "source/")
"""How the keys of documents begin that files have not, but for directories and what is made of them."""
_ROWS = msgspec.json.Decoder(DeviceRow)
UNREADABLE = (ConfigError, ValueError, msgspec.DecodeError)
"""What compiling a document may raise that was written for another version."""


def revise(known: Mapping[str, bytes], wanted: Mapping[str, bytes], code: str) -> NewRevision | None:
    """Return what leads from ``known`` to ``wanted``; None when nothing changed.

    ConfigError when the engine could not work with ``wanted``: found here, on a scratch copy, before it is journaled.
    """
    note = differing(known, wanted, code)
    if note is None:
        return None
    put, removed = note.revision.put, note.revision.removed
    is_whole = any(not key.startswith(("barred/", "device/", "place/")) for key in [*put, *removed])
    tried = {key: body for key, body in wanted.items() if is_whole or key in put or not key.startswith("device/")}
    _try_out({key: body for key, body in tried.items() if not key.startswith("off/")})  # it may be switched on again
    return note


def differing(known: Mapping[str, bytes], wanted: Mapping[str, bytes], code: str) -> NewRevision | None:
    """Return what leads from ``known`` to ``wanted``, which nobody has tried yet; None when nothing changed."""
    put: dict[str, str] = {}
    bodies: dict[str, bytes] = {}
    for key in sorted(key for key, body in wanted.items() if known.get(key) != body):
        digest = hashlib.blake2b(wanted[key], digest_size=16).hexdigest()
        put[key], bodies[digest] = digest, wanted[key]
    removed = sorted(key for key in known if key not in wanted)
    return NewRevision(revision=Revision(code, put, removed), bodies=bodies) if put or removed else None


def restored(
    begin: Callable[[], Engine], entries: Sequence[tuple[str, bytes]], shipped: Mapping[str, bytes] | ConfigError
) -> tuple[Engine, dict[str, bytes]]:
    """Return an engine with the state of a checkpoint, and the documents in it that had to give way to our own.

    That happens when another version wrote what this one cannot read. The next revision is then the difference to the
    old documents, so that the journal tells of it. CorruptError for a damaged state, ConfigError when nothing fits:
    ``shipped`` where that is why there is none of our own.
    """
    engine = begin()
    try:
        engine.restore(entries)
    except CorruptError:
        raise
    except UNREADABLE as error:
        if isinstance(shipped, ConfigError):
            raise shipped from error
        log.warning("documents_replaced", reason=str(error))
    else:
        return engine, {}
    documents = [each for each in entries if each[0].startswith(_ENTRY)]
    old = {key.removeprefix(_ENTRY): msgspec.msgpack.decode(body, type=Document).body for key, body in documents}
    ours = [(_ENTRY + key, msgspec.msgpack.encode(Document(body))) for key, body in _readable(old, shipped).items()]
    engine = begin()
    engine.restore([*(each for each in entries if not each[0].startswith(_ENTRY)), *ours])
    return engine, old


def _readable(known: Mapping[str, bytes], shipped: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return this version's kinds, profiles, networks and rules with the known devices.

    Rules that are gone and can be read stay: the next revision ends them as it ends any rule. So do directories of
    networks and the profiles made of them.
    """
    documents = {key: body for key, body in known.items() if key.startswith(REGISTERED)} | dict(shipped)
    _try_out(documents)
    for key in sorted(set(known) - set(documents)):
        if key.startswith(("rule/", DIRECTORY, MADE)):
            with suppress(*UNREADABLE):
                _try_out({**shipped, key: known[key]})
                documents[key] = known[key]
    return documents


def _try_out(documents: Mapping[str, bytes]) -> None:
    scratch = Content()
    scratch.documents = {key: Document(body) for key, body in _unlike(documents)}
    scratch.restore({}, State())


def _unlike(documents: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the documents, but of devices that are compiled alike only the first: 100,000 of them would take a second.

    What a device works with comes of its kind, profile, parameters and zone; where there are parameters of rules, lists
    or facts, also of its place. Each device of a foreign network is tried, and each that has parameters of its own.
    """
    named = {f"device/{key.split('/')[1]}/{key.rpartition(':')[2]}" for key in documents if key.startswith("params/")}
    is_local = any(key.startswith(("params/", "list/")) or _has_facts(key, body) for key, body in documents.items())
    seen: set[tuple[object, ...]] = set()
    for key, body in documents.items():
        if key.startswith("device/"):
            try:
                row = _ROWS.decode(body)
            except msgspec.ValidationError as error:
                raise invalid(key, error) from error
            alone = key if row.source or key in named else ""
            place = (row.site, row.place) if is_local else ()
            params = exactly(row.params) if row.params else ""
            look = (row.kind, row.profile, row.zone, params, place, alone)
            if look in seen:
                continue
            seen.add(look)
        yield key, body


def _has_facts(key: str, body: bytes) -> bool:
    return key.startswith("place/") and b'"facts":{}' not in body
