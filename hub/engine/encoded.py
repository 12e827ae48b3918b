"""Entries of a checkpoint, encoded one behind the other in a few large pieces of memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, ItemsView, Iterator, Mapping

import msgspec
from typing_extensions import override

PIECE_BYTES = 1024 * 1024
_GONE = -1

_encode = msgspec.msgpack.Encoder().encode
_encode_into = msgspec.msgpack.Encoder().encode_into
_decode = msgspec.msgpack.Decoder(tuple[list[str], bytes, bytes]).decode


class Piece:
    """Keys, and where the body of each ends; the first begins at 0. A full one may be left elsewhere."""

    __slots__ = ("_fetch", "bodies", "ends", "keys", "size")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.ends = array("i")
        self.bodies = bytearray()
        self.size = 0
        self._fetch: Callable[[], bytes] | None = None

    @property
    def is_away(self) -> bool:
        """True when it lies elsewhere."""
        return self._fetch is not None

    @property
    def is_full(self) -> bool:
        """True when nothing is added to it any more."""
        return self.is_away or len(self.bodies) >= PIECE_BYTES

    def pack(self) -> bytes:
        """Return all of it."""
        return _encode((self.keys, self.ends.tobytes(), self.bodies))

    def leave(self, fetch: Callable[[], bytes]) -> None:
        """Hold nothing any more: ``fetch`` returns what was packed."""
        self._fetch = fetch
        self.keys, self.ends, self.bodies = [], array("i"), bytearray()

    def come_back(self) -> None:
        """Hold again what ``fetch`` returns."""
        self.keys, self.ends, bodies = self._parts()
        self.bodies = bytearray(bodies)
        self._fetch = None

    def _parts(self) -> tuple[list[str], array[int], bytes]:
        if self._fetch is None:
            return self.keys, self.ends, bytes(self.bodies)
        keys, ends, bodies = _decode(self._fetch())
        return keys, array("i", ends), bodies

    def rows(self) -> Iterator[tuple[str, bytes | None]]:
        """Yield every key with its body."""
        keys, ends, bodies = self._parts()
        start = 0
        for key, end in zip(keys, ends, strict=True):
            if end == _GONE:
                yield key, None
            else:
                yield key, bodies[start:end]
                start = end


class _Items(ItemsView[str, "bytes | None"]):
    """Pairs in one go: a key alone is looked for among all."""

    _mapping: Encoded

    @override
    def __iter__(self) -> Iterator[tuple[str, bytes | None]]:
        return self._mapping.rows()


class Encoded(Mapping[str, "bytes | None"]):
    """What each entry of a checkpoint is, by its key, None for one that is gone; each key once.

    Of 100,000 devices a bytes object for each, in a dict, were 80 MB among what lives long, so that the process kept
    them for good; pieces take 60 % of that, and go back to the system. Whoever makes the checkpoint may take the full
    ones elsewhere: it waits five seconds for what may settle, and they would be 600 bytes a device.
    """

    def __init__(self) -> None:
        self._pieces = [Piece()]
        self._found: dict[str, bytes | None] = {}

    def add(self, key: str, entry: object) -> int:
        """Encode ``entry``, None for one that is gone; return how many bytes that took."""
        piece = self._pieces[-1]
        if piece.is_full:
            piece = Piece()
            self._pieces.append(piece)
        piece.keys.append(key)
        piece.size += 1
        if entry is None:
            piece.ends.append(_GONE)
            return 0
        start = len(piece.bodies)
        _encode_into(entry, piece.bodies, start)
        end = len(piece.bodies)
        piece.ends.append(end)
        return end - start

    @override
    def items(self) -> ItemsView[str, bytes | None]:
        return _Items(self)

    def rows(self) -> Iterator[tuple[str, bytes | None]]:
        """Yield every key with its body."""
        for piece in self._pieces:
            yield from piece.rows()

    def full(self) -> list[Piece]:
        """Return the full pieces that are still here."""
        return [piece for piece in self._pieces if piece.is_full and not piece.is_away]

    @override
    def __getitem__(self, key: str) -> bytes | None:
        if len(self._found) != len(self):
            self._found = dict(self.rows())
        return self._found[key]

    @override
    def __iter__(self) -> Iterator[str]:
        for key, _ in self.rows():
            yield key

    @override
    def __len__(self) -> int:
        return sum(piece.size for piece in self._pieces)
