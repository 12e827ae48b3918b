"""A Redis of the few commands that the hub uses: it answers as the real one does (tests/model/test_fake_redis.py)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

import hiredis
from redis.exceptions import ResponseError

from hub.sinks.fence import MOVE, TELL
from hub.sinks.redis_link import Answer

Command = list[bytes]
Fields = dict[bytes, bytes]
Id = tuple[int, int]

FIRST_ID: Id = (10**12, 0)
LAST_ID: Id = (2**64 - 1, 2**64 - 1)
KINDS = {
    **dict.fromkeys((b"HGETALL", b"HSET", b"HDEL"), b"hash"),
    **dict.fromkeys((b"XADD", b"XSETID"), b"stream"),
    b"GET": b"string",
}
FOREIGN = ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")
FULL = ResponseError("ERR The stream has exhausted the last possible ID, unable to add more items")
SMALLER = ResponseError("ERR The ID specified in XSETID is smaller than the target stream top item")
MISSING = ResponseError("ERR no such key")
FORBIDDEN = ResponseError("NOPERM No permissions to access a key")
FORBIDDEN_IN_SCRIPT = ResponseError("ERR ACL failure in script: No permissions to access a key")
ABORTED = ResponseError("EXECABORT Transaction discarded because of previous errors.")
MARK = re.compile(rb":?\d*\Z")


def commands_of(packed: Sequence[bytes]) -> list[Command]:
    """Return the commands in what a client sends."""
    reader = hiredis.Reader()
    reader.feed(b"".join(packed))
    found: list[Command] = []
    while isinstance(command := reader.gets(), list):
        found.append(cast("Command", command))
    return found


class Client:
    """What the server knows of one connection: the keys it watches, its open transaction, whether an ACL limits it."""

    def __init__(self, *, is_limited: bool = False) -> None:
        self.is_limited = is_limited
        self.watched: dict[bytes, int] = {}
        self.queued: list[Command] | None = None
        self.is_aborted = False


class Stream(list[Fields]):
    """The entries of a stream; ``top`` is the id of the last one, ``last`` the id behind which the next one comes."""

    top: Id = (0, 0)
    last: Id = FIRST_ID


class Redis:
    """Strings, hashes and streams, WATCH and EXEC. ``buffered``: copies that it finds in some buffer later.

    A command of a transaction may fail alone: its key is of another type, no id is left in its stream, or it is one of
    those ``forbidden`` to limited clients by now. ``on_entry`` hears of each entry of a stream, ``on_transaction`` of
    each transaction before it happens.
    """

    def __init__(self) -> None:
        self.strings: dict[bytes, bytes] = {}
        self.hashes: dict[bytes, Fields] = {}
        self.streams: dict[bytes, Stream] = {}
        self.forbidden: frozenset[bytes] = frozenset()
        self.buffered: deque[Callable[[], object]] = deque()
        self.on_entry: Callable[[bytes, Fields], None] = lambda _key, _fields: None
        self.on_transaction: Callable[[Sequence[Command]], None] = lambda _commands: None
        self._versions: dict[bytes, int] = {}
        self._barred: frozenset[bytes] = frozenset()

    def run(self, client: Client, packed: Sequence[bytes]) -> list[Answer]:
        """Run what a client sent."""
        return [self._one(client, command) for command in commands_of(packed)]

    def _one(self, client: Client, command: Command) -> Answer:
        name, *words = command
        self._barred = self.forbidden if client.is_limited else frozenset()
        match name:
            case b"WATCH":
                client.watched |= {key: self._versions.get(key, 0) for key in words}
                return b"OK"
            case b"MULTI":
                client.queued, client.is_aborted = [], False
                return b"OK"
            case b"EXEC":
                return self._execute(client)
            case _:
                pass
        if client.queued is None:
            return self._do(name, words)
        if self._is_barred(name, words):
            client.is_aborted = True
            return FORBIDDEN
        client.queued.append(command)
        return b"QUEUED"

    def _execute(self, client: Client) -> Answer:
        queued, client.queued = client.queued or [], None
        watched, client.watched = client.watched, {}
        if client.is_aborted:
            return ABORTED
        if any(self._versions.get(key, 0) != version for key, version in watched.items()):
            return None
        self.on_transaction(queued)
        return [self._do(name, words) for name, *words in queued]

    def type_of(self, key: bytes) -> bytes:
        """Return what TYPE says."""
        kinds = ((b"hash", self.hashes), (b"stream", self.streams), (b"string", self.strings))
        return next((kind for kind, where in kinds if key in where), b"none")

    def _is_barred(self, name: bytes, words: Command) -> bool:
        keys = words[2 : 2 + int(words[1])] if name == b"EVAL" else words[:1]
        return not self._barred.isdisjoint(keys)

    def _do(self, name: bytes, words: Command) -> Answer:  # noqa: PLR0911 -- a table of commands
        key = words[0]
        if self._is_barred(name, words):
            return FORBIDDEN
        if self.type_of(key) not in {KINDS.get(name, b""), b"none"} and name in KINDS:
            return FOREIGN
        match name:
            case b"HGETALL":
                return [part for pair in self.hashes.get(key, {}).items() for part in pair]
            case b"GET":
                return self.strings.get(key)
            case b"PTTL":
                return -2
            case b"TYPE":
                return self.type_of(key)
            case b"EVAL":
                count = int(words[1])
                return self._script(key.decode(), words[2 : 2 + count], words[2 + count :])
            case _:
                return self._write(name, words)

    def _write(self, name: bytes, words: Command) -> Answer:  # noqa: PLR0911 -- a table of commands
        key = words[0]
        match name:
            case b"HSET":
                self._touch(key)
                return self._set(key, dict(zip(words[1::2], words[2::2], strict=True)))
            case b"HDEL":
                return self._remove(key, words[1:])
            case b"DEL":
                return self._drop(key)
            case b"SET":
                self._drop(key)
                self._touch(key)
                self.strings[key] = words[1]
                return b"OK"
            case b"XADD":
                return self._add(key, dict(zip(words[2::2], words[3::2], strict=True)))
            case b"XSETID":
                return self._set_id(key, words[1])
            case b"RENAME":
                return self._rename(key, words[1])
            case _:
                message = f"the model's Redis knows no {name!r}"
                raise AssertionError(message)

    def _touch(self, key: bytes) -> None:
        self._versions[key] = self._versions.get(key, 0) + 1

    def _set(self, key: bytes, fields: Fields) -> int:
        there = self.hashes.setdefault(key, {})
        fresh = len(fields.keys() - there.keys())
        there.update(fields)
        return fresh

    def _remove(self, key: bytes, names: Command) -> int:
        there = self.hashes.get(key, {})
        gone = [name for name in names if there.pop(name, None) is not None]
        if gone:
            self._touch(key)
            if not there:
                del self.hashes[key]
        return len(gone)

    def _drop(self, key: bytes) -> int:
        stores: tuple[dict[bytes, object], ...] = (self.strings, self.hashes, self.streams)  # type: ignore[assignment]
        found = [where.pop(key) for where in stores if key in where]
        if found:
            self._touch(key)
        return len(found)

    def _add(self, key: bytes, fields: Fields) -> Answer:
        stream = self.streams.get(key, Stream())
        if stream.last == LAST_ID:
            return FULL
        self.streams[key] = stream
        self._touch(key)
        stream.top = stream.last = (stream.last[0], stream.last[1] + 1)
        stream.append(fields)
        self.on_entry(key, fields)
        return b"%d-%d" % stream.top

    def _set_id(self, key: bytes, text: bytes) -> Answer:
        milliseconds, _, sequence = text.partition(b"-")
        wanted = int(milliseconds), int(sequence)
        if key not in self.streams:
            return MISSING
        if wanted < self.streams[key].top:
            return SMALLER
        self.streams[key].last = wanted
        return b"OK"

    def _rename(self, key: bytes, other: bytes) -> Answer:
        if self.type_of(key) == b"none":
            return MISSING
        if key == other:
            return b"OK"
        self._drop(other)
        for where in (self.strings, self.hashes, self.streams):
            if key in where:
                where[other] = where.pop(key)  # type: ignore[assignment] # of the same sort
        self._touch(key)
        self._touch(other)
        return b"OK"

    # ---------------------------------------------------------------------------------------------- the hub's scripts

    def _script(self, text: str, keys: Command, words: Command) -> Answer:
        match text:
            case str(script) if script == MOVE:
                return self._move(keys[0], words)
            case str(script) if script == TELL:
                return self._tell(keys[0], words)
            case _:
                return 0

    def _call(self, command: Command) -> Answer:
        """Do what a script asks for."""
        said = self._do(command[0], command[1:])
        return FORBIDDEN_IN_SCRIPT if said is FORBIDDEN else said

    def _move(self, cursor: bytes, words: Command) -> Answer:
        notes, (first, *others) = moving(words)
        moved = self._call(first)
        if isinstance(moved, ResponseError):
            return moved
        refused: dict[bytes, tuple[bytes, int]] = {}
        for command in others:
            key = command[1]
            if key in refused:
                refused[key] = refused[key][0], refused[key][1] + 1
                continue
            said = self._call(command)
            if isinstance(said, ResponseError):
                noted = self._call([b"HSET", cursor, b"untold:" + key, notes[key]]) if key in notes else None
                if isinstance(noted, ResponseError):
                    return noted
                refused[key] = str(said).encode(), 1
        return [part for key, (reason, count) in refused.items() for part in (key, reason, count)]

    def _tell(self, cursor: bytes, words: Command) -> Answer:
        key, if_told, many = words[:3]
        field, marks = b"untold:" + key, words[3 : 3 + int(many)]
        for mark, command in zip(marks, carried(words[3 + int(many) :]), strict=True):
            said = self._call(command)
            if isinstance(said, ResponseError):
                failed = self._mark(cursor, field, mark)
                return failed if isinstance(failed, ResponseError) else str(said).encode()
        ended = self._mark(cursor, field, if_told) if if_told else self._call([b"HDEL", cursor, field])
        return ended if isinstance(ended, ResponseError) else b""

    def _mark(self, cursor: bytes, field: bytes, mark: bytes) -> Answer:
        noted = MARK.sub(b"", self.hashes.get(cursor, {}).get(field, b""))
        return self._call([b"HSET", cursor, field, noted + mark])


def moving(words: Command) -> tuple[Fields, list[Command]]:
    """Return the notes that MOVE is given, and its commands: the first moves the cursor."""
    end = 1 + 2 * int(words[0])
    return dict(zip(words[1:end:2], words[2:end:2], strict=True)), carried(words[end:])


def carried(words: Command) -> list[Command]:
    """Return the commands that a script carries: the length and the words of each."""
    found: list[Command] = []
    while words:
        end = 1 + int(words[0])
        found.append(words[1:end])
        words = words[end:]
    return found
