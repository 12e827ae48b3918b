"""Where things lie in one payload: bytes, channels, records, blocks, and the leaves of documents; for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from typing_extensions import override

from hub.authoring.leaves import Leaf, leaves_of
from hub.errors import PoisonError
from hub.normalize.codecs.byte_fields import end_of, spot_of
from hub.normalize.codecs.channels import channel_of, layout_of
from hub.normalize.codecs.inside import carrier_of, inflated, unpacker
from hub.normalize.codecs.slices import MAX_SLICE
from hub.normalize.payload import Format, Payload, SizeBy
from hub.normalize.places import LAST, WHOLE, BytePlace, InPlace, Place, SlicePlace, path_steps

Found = tuple[int, int] | tuple[str, ...]
"""The bytes from and up to, or the paths of leaves; nothing is ``()``."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a raw value lies: bytes of a section, or some of its leaves."""

    section: str
    found: Found

    @property
    def bytes(self) -> tuple[int, int]:
        """The bytes from and up to; none for leaves."""
        return self.found if self.found and isinstance(self.found[0], int) else (0, 0)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of leaves; none for bytes."""
        return () if self.found and isinstance(self.found[0], int) else self.found


class Section:
    """The payload (called "") or a block in it: its bytes, and its leaves when it is a document."""

    def __init__(self, name: str, data: bytes, leaves: Sequence[Leaf] | None = None) -> None:
        self.name = name
        self.data = data
        self.leaves = leaves

    def find(self, place: Place, record: int | None) -> Found:
        """Return where a place lies, in a record or (None) outside of them."""
        raise NotImplementedError

    def channel_keys(self) -> Iterator[Extent]:
        """Yield the bytes that only say what follows."""
        return iter(())

    def raw(self, found: Found) -> object:
        """Return the bytes of a place, or the value of its first leaf."""
        begin, end = Extent(self.name, found).bytes
        if self.leaves is None:
            return self.data[begin:end]
        return next((leaf.raw for leaf in self.leaves if leaf.path in found), None)


class Anatomy:
    """A payload that was opened: its sections, and where in them the places of a profile lie."""

    def __init__(self, payload: Payload, data: bytes, places: Sequence[Place]) -> None:
        """Raise PoisonError for what cannot be opened at all; a block that cannot be read is not there."""
        self._payload = payload
        outer = [place for place in places if not isinstance(place, InPlace) and place != LAST]
        self.whole = _opened("", payload, inflated(data) if payload.inflate else data, outer)
        self._blocks: dict[tuple[str, int], Section] = {}
        self._inner = {
            name: [place.place for place in places if isinstance(place, InPlace) and place.block == name]
            for name in payload.inside
        }

    def open_blocks(self, records: int) -> None:
        """Open the blocks of so many rows."""
        for name, words in self._payload.inside.items():
            is_single = not self._payload.cuts_itself  # it stands once, whatever the number of its records
            for record in range(1 if is_single else records):
                found = self._find_outer(carrier_of(name, words), record)
                title = name if is_single or records == 1 else f"{name} of {record + 1}"
                try:
                    data = unpacker(words)(self.whole.raw(found))
                    self._blocks[name, record] = _opened(title, words.payload(), data, self._inner[name])
                except PoisonError:
                    continue

    @property
    def sections(self) -> Sequence[Section]:
        """The payload, and every block that could be opened."""
        return [self.whole, *self._blocks.values()]

    def find(self, place: Place, record: int) -> Extent:
        """Return where a place lies of the row ``record``."""
        if place == LAST:
            return Extent("", ())
        if isinstance(place, InPlace) and place.block != WHOLE:
            block = self._blocks.get((place.block, record if self._payload.cuts_itself else 0))
            within = record if place.block == self._payload.cut_block else None
            return Extent("", ()) if block is None else Extent(block.name, block.find(place.place, within))
        return Extent("", self._find_outer(place, record))

    def _find_outer(self, place: Place, record: int) -> Found:
        if isinstance(place, InPlace):
            return self.whole.find(place.place, None)
        return self.whole.find(place, record)

    def carriers(self) -> Iterator[tuple[str, Extent]]:
        """Yield what holds each block that could be opened."""
        for name, record in self._blocks:
            yield name, Extent("", self._find_outer(carrier_of(name, self._payload.inside[name]), record))


def _opened(name: str, payload: Payload, data: bytes, places: Sequence[Place]) -> Section:
    match payload.format:
        case Format.BYTES:
            return _Bytes(name, payload, data)
        case Format.CHANNELS:
            return _Channels(name, payload, data, places)
        case _:
            return _Document(name, payload, data)


class _Bytes(Section):
    def __init__(self, name: str, payload: Payload, data: bytes) -> None:
        super().__init__(name, data)
        words = payload.records
        self._begin, self._size = 0, 0
        if words is not None:
            size = words.size
            if isinstance(size, SizeBy):
                size = size.sizes.get(str(data[size.at]), 0) if size.at < len(data) else 0
            self._begin, self._size = words.from_, size

    @override
    def find(self, place: Place, record: int | None) -> Found:
        spot = spot_of(place)
        base = 0 if record is None else self._begin + record * self._size
        whole = len(self.data)
        if record is not None and self._size:
            whole = min(whole, base + self._size)
        return _cut(spot, base, whole)


class _Channels(Section):
    def __init__(self, name: str, payload: Payload, data: bytes, places: Sequence[Place]) -> None:
        super().__init__(name, data)
        self._key_bytes = payload.key_bytes
        layout = layout_of(payload, places)
        common: dict[bytes, tuple[int, int]] = {}
        apart: list[dict[bytes, tuple[int, int]]] = []
        self._keys: list[int] = []
        at = 0
        while (entry := layout.get(data[at : at + self._key_bytes])) is not None:
            key, begin = data[at : at + self._key_bytes], at + self._key_bytes
            if begin + entry[0] > len(data):
                break
            self._keys.append(at)
            at = begin + entry[0]
            if entry[2]:
                apart.append({key: (begin, at)})
            else:
                common[key] = (begin, at)
        self._rows = [common, *apart] if common or not apart else apart

    @override
    def find(self, place: Place, record: int | None) -> Found:
        channel = channel_of(place)
        spot = spot_of(channel.place)
        found = self._rows[record or 0].get(channel.channel) if (record or 0) < len(self._rows) else None
        return () if found is None else _cut(spot, *found)

    @override
    def channel_keys(self) -> Iterator[Extent]:
        for at in self._keys:
            yield Extent(self.name, (at, at + self._key_bytes))


class _Document(Section):
    def __init__(self, name: str, payload: Payload, data: bytes) -> None:
        super().__init__(name, data, leaves_of(payload, data))
        self._format = payload.format
        self._is_cut = bool(payload.each or payload.lines)

    @override
    def find(self, place: Place, record: int | None) -> Found:
        path = str(place)
        wanted = record if self._is_cut else None
        mine = [leaf for leaf in self.leaves or () if leaf.record == wanted]
        match self._format:
            case Format.XML:  # of an element that stands twice the first that says something counts
                steps = tuple(path.strip("/").split("/"))
                return tuple(leaf.path for leaf in mine if leaf.steps == steps and leaf.raw is not None)[:1]
            case Format.TEXT | Format.FORM:
                return tuple(leaf.path for leaf in mine if leaf.steps == (path,))
            case _:
                steps = path_steps(path)
                return tuple(leaf.path for leaf in mine if _leads(steps, leaf.steps))


def _cut(spot: BytePlace | SlicePlace, base: int, whole: int) -> Found:
    begin, end = base + spot.at, base + end_of(spot)
    if isinstance(spot, SlicePlace):
        end = min(whole, base + spot.at + (spot.size or MAX_SLICE))
    return (begin, end) if begin < end <= whole else ()


def _leads(steps: tuple[str, ...], leaf: tuple[str, ...]) -> bool:
    return len(steps) <= len(leaf) and all(step in {own, "*"} for step, own in zip(steps, leaf, strict=False))
