"""Recordings: a file of journal records of its own, gzip over MessagePack, as portable as what it was heard from.

The first line of the unpacked file is ``hub recording 1`` and an id; then come frames: four bytes of length, big
endian, and that much MessagePack: ``[position, t, received_at, body, bodies]``. ``body`` is a record body as the
journal has it (a map whose ``type`` says which: ``batch``, ``tick``, ``revision`` …; the ``packets`` of a batch are raw
MQTT 5 PUBLISH packets one behind the other); ``bodies`` are the documents that a revision puts, by hash. A recording
begins with ``started`` and a revision that holds rules, profiles, places and devices, so that it needs nothing else.
What a killed recorder had not finished is cut off at the last whole frame.
"""

from __future__ import annotations

import gzip
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self, TypeVar, cast

import msgspec

from hub.bridge.frames import decode_packets
from hub.clock import Clock
from hub.errors import ConfigError, CorruptError
from hub.journal.journal_time import JournalTime
from hub.model.heard import Heard
from hub.model.records import Batch, Body, Record

T = TypeVar("T")

HEADER = b"hub recording 1 "
LENGTH_BYTES = 4
LONGEST = 64 * 1024 * 1024
LEVEL = 6
FOREIGN = "it is no recording of a hub"


class _Frame(msgspec.Struct, array_like=True):
    position: int
    t: int
    received_at: int
    body: Body
    bodies: dict[str, bytes] = {}


class _Moment(msgspec.Struct, array_like=True):
    """The beginning of a frame, which is all that finding one needs."""

    position: int
    t: int
    received_at: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Frame).decode
_decode_moment = msgspec.msgpack.Decoder(_Moment).decode


class Recorder:
    """Writes a recording; ConfigError ``recording_exists`` rather than over one, ``recording_unwritable``."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.records = 0
        self.messages = 0
        self._clock = clock
        self._time = JournalTime(clock, 0, 0)

    def __enter__(self) -> Self:
        """Make the file."""
        with self._writing():
            try:
                self._raw = self.path.open("xb")
            except FileExistsError as error:
                raise ConfigError("recording_exists", "it is there already", file=str(self.path)) from error
            self.path.chmod(0o600)  # it holds whatever devices say of people
        self._packed = cast("BinaryIO", gzip.GzipFile(fileobj=self._raw, mode="wb", compresslevel=LEVEL, mtime=0))
        self._packed.write(HEADER + str(uuid.uuid4()).encode() + b"\n")
        return self

    def __exit__(self, *exc: object) -> None:
        """Finish the file."""
        with self._writing():
            try:
                self._packed.close()
            finally:
                self._raw.close()

    def add(self, body: Body, messages: Sequence[Heard] = (), bodies: Mapping[str, bytes] | None = None) -> None:
        """Write what was heard now."""
        self.records += 1
        self.messages += len(messages)
        t, received_at = self._time.stamp(len(messages))
        frame = _encode(_Frame(self.records, t, received_at, body, dict(bodies or {})))
        with self._writing():
            self._packed.write(len(frame).to_bytes(LENGTH_BYTES, "big") + frame)

    def flush(self) -> None:
        """Let what was written so far survive the end of this process."""
        with self._writing():
            self._packed.flush()
            self._raw.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError("recording_unwritable", str(error.strerror), file=str(self.path)) from error


class RecordingTape:
    """A :class:`hub.replay.tape.Tape` out of a recording. ``is_cut``: it ends in the middle of a frame."""

    is_whole = True
    began = 1

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_cut = False
        self.first, self.last, self.begins_at, self.ends_at = 1, 0, 0, 0
        self.journal = ""
        for frame in self._frames():
            moment = self._read(frame, _decode_moment)
            self.begins_at = self.begins_at or moment.received_at
            self.last, self.ends_at = moment.position, moment.received_at

    def read(self, after: int) -> Iterator[Record]:
        """Yield the records behind ``after``; CorruptError ``unreadable_recording``."""
        for frame in self._frames():
            if self._read(frame, _decode_moment).position > after:
                yield self._read(frame, _record)

    def before(self, moment: int) -> int:
        """Return the position of the last record received before ``moment``."""
        found = 0
        for frame in self._frames():
            head = self._read(frame, _decode_moment)
            if head.received_at >= moment:
                break
            found = head.position
        return found

    def find(self, position: int) -> Record | None:
        """Return one record."""
        return next((record for record in self.read(position - 1) if record.position == position), None)

    def _read(self, frame: bytes, decode: Callable[[bytes], T]) -> T:
        try:
            return decode(frame)
        except ValueError as error:
            raise self._unreadable(str(error)) from error

    def _frames(self) -> Iterator[bytes]:
        try:
            with gzip.open(self._path, "rb") as unpacked:
                file = cast("BinaryIO", unpacked)
                header = file.readline(LONGEST)
                if not header.startswith(HEADER):
                    raise self._unreadable(FOREIGN)
                self.journal = header.removeprefix(HEADER).strip().decode()
                # A recorder that was killed leaves an end that gzip calls an error: all before it is good.
                with suppress(EOFError, zlib.error):
                    while head := file.read(LENGTH_BYTES):
                        size = int.from_bytes(head, "big")
                        frame = file.read(min(size, LONGEST))
                        if len(head) < LENGTH_BYTES or len(frame) < size:
                            break
                        yield frame
                    else:
                        return
                self.is_cut = True
        except FileNotFoundError as error:
            raise ConfigError("recording_missing", "there is no such file", file=str(self._path)) from error
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            raise self._unreadable(str(error)) from error

    def _unreadable(self, why: str) -> CorruptError:
        return CorruptError("unreadable_recording", why, file=str(self._path))


def _record(frame: bytes) -> Record:
    found = _decode(frame)
    messages = decode_packets(found.body.packets) if isinstance(found.body, Batch) else ()
    return Record(found.position, found.t, found.received_at, found.body, messages, found.bodies)
