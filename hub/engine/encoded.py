"""Entries of a checkpoint, encoded one behind the other in a few large pieces of memory."""

from __future__ import annotations

from array import array
from collections.abc import ItemsView, Iterator, Mapping

import msgspec
from typing_extensions import override

PIECE_BYTES = 4 * 1024 * 1024
_GONE = -1

_encode_into = msgspec.msgpack.Encoder().encode_into


class _Piece:
    """Keys, and where the body of each ends; the first begins at 0."""

    __slots__ = ("bodies", "ends", "keys")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.ends = array("i")
        self.bodies = bytearray()


class _Items(ItemsView[str, "bytes | None"]):
    """Pairs in one go: a key alone is looked for among all."""

    _mapping: Encoded

    @override
    def __iter__(self) -> Iterator[tuple[str, bytes | None]]:
        return self._mapping.rows()


class Encoded(Mapping[str, "bytes | None"]):
    """What each entry of a checkpoint is, by its key, None for one that is gone; each key once.

    Of 100,000 devices a bytes object for each, in a dict, were 80 MB among what lives long, so that the process kept
    them for good; pieces take 60 % of that, and go back to the system.
    """

    def __init__(self) -> None:
        self._pieces = [_Piece()]
        self._found: dict[str, bytes | None] = {}

    def add(self, key: str, entry: object) -> int:
        """Encode ``entry``, None for one that is gone; return how many bytes that took."""
        piece = self._pieces[-1]
        if len(piece.bodies) >= PIECE_BYTES:
            piece = _Piece()
            self._pieces.append(piece)
        piece.keys.append(key)
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
            start = 0
            for key, end in zip(piece.keys, piece.ends, strict=True):
                if end == _GONE:
                    yield key, None
                else:
                    yield key, bytes(piece.bodies[start:end])
                    start = end

    @override
    def __getitem__(self, key: str) -> bytes | None:
        if len(self._found) != len(self):
            self._found = dict(self.rows())
        return self._found[key]

    @override
    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces:
            yield from piece.keys

    @override
    def __len__(self) -> int:
        return sum(len(piece.keys) for piece in self._pieces)
