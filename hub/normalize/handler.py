"""What a profile becomes: payloads in, readings out, and counts of what was odd about them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
from typing_extensions import override

from hub.errors import PoisonError
from hub.model.heard import Reading
from hub.normalize.codecs.codec import Decode, DecodeMany, Row, Unread
from hub.normalize.places import Place
from hub.normalize.rescue import rescued
from hub.normalize.shapes import CompiledShape, Fitting
from hub.normalize.slots import Path
from hub.normalize.times import Clocks

Group = Sequence[CompiledShape]
"""A shape, or as many as it repeats for; they share what they match."""
Recall = Callable[[bytes], Reading | None]
"""A payload to its reading where that is remembered: the same object each time."""
KNOWN_PAYLOADS, KNOWN_BYTES = 500, 256
"""How many payloads of a profile are remembered with what they mean, and how long each may be: some 300 KB."""


class ProfileHandler:
    """One reading a payload.

    ``clocks_unset`` counts the messages whose device clock was not set, ``clocks_disagreeing`` those with two clocks
    that contradict each other, ``partials`` those of which a tail or a block could not be read. ``uses``: the place of
    each slot of a row, and where in the profile it is named.

    ``recall`` returns the reading of a payload that was read before and says nothing but values of the device itself.
    A short payload that tells neither time nor identity is looked up when it comes again, from whomever: an elevator
    says what it said before, or another one did, and the 15 values of it cost 4 us to read. Nobody changes a reading.
    """

    __slots__ = (
        "_clocks",
        "_decode",
        "_fitting",
        "_groups",
        "_known",
        "_plain",
        "_several",
        "_shapes",
        "_unread",
        "partials",
        "recall",
        "uses",
    )

    def __init__(self, decode: Decode, shapes: Sequence[Group], clocks: Clocks, unread: Unread) -> None:
        self._decode = decode
        self._fitting = Fitting([group[0].fits for group in shapes])
        self._shapes = tuple((group[0].ports, group[0].read) for group in shapes)
        self._groups = tuple(shapes)
        self._several = frozenset(index for index, group in enumerate(shapes) if len(group) > 1)
        self._clocks = clocks
        self._unread = unread
        self._known: dict[bytes, Sequence[Reading]] = {}
        self._plain: dict[bytes, Reading] = {}
        self.recall: Recall = self._plain.get
        self.partials = 0
        self.uses: Mapping[Place, Sequence[Path]] = {}

    @property
    def clocks_unset(self) -> int:
        """Messages whose device clock was not set."""
        return self._clocks.unset

    @property
    def clocks_disagreeing(self) -> int:
        """Messages with two clocks that contradict each other."""
        return self._clocks.disagreeing

    def at_record(self, number: int, records: int) -> None:
        """Say which of how many rows is read next, for who reads them one by one."""
        self._clocks.record, self._clocks.records = number, records

    def __call__(self, payload: bytes, port: int | None = None, /) -> Sequence[Reading]:
        """Return the readings of a payload; ``port`` is what the network says beside it."""
        if port is not None or len(payload) > KNOWN_BYTES:
            return self._read_all(payload, port)
        known = self._known.get(payload)
        if known is None:
            odd = self._odd
            known = tuple(self._read_all(payload, port))
            if self._odd == odd and all(map(_lasts, known)):
                self._remember(payload, known)
        return known

    def _remember(self, payload: bytes, known: Sequence[Reading]) -> None:
        if len(self._known) >= KNOWN_PAYLOADS:
            self._known.clear()
            self._plain.clear()
        self._known[payload] = known
        if len(known) == 1 and _is_plain(known[0]):
            self._plain[payload] = known[0]

    @property
    def _odd(self) -> int:
        """How much was odd so far: that is counted each time, so nothing odd is remembered."""
        return self.partials + self.clocks_unset + self.clocks_disagreeing

    def _read_all(self, payload: bytes, port: int | None) -> Sequence[Reading]:
        unread = self._unread
        unread.error = unread.refused = None
        readings = self.read(self._decode(payload), port)
        return readings if readings and unread.error is None else self._counted(readings)

    def _counted(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """Return the readings when there are any; what stayed unread beside them is counted, or told."""
        error, refused = self._unread.error, self._unread.refused
        if refused is not None and not any(reading.critical for reading in readings):
            raise refused
        if not readings:
            raise error or PoisonError("unmatched", "nothing in it fits the profile")
        self.partials += error is not None
        return readings

    def read(self, row: Row, port: int | None) -> Sequence[Reading]:
        """Return what the first shape that fits and has something to say makes of a row."""
        for index in self._fitting.of(row):
            ports, read = self._shapes[index]
            if ports and port is not None and port not in ports:
                continue
            try:
                if index in self._several:
                    readings = _merged([shape.read(row) for shape in self._groups[index]])
                    if readings:
                        return readings
                    continue
                reading = read(row)
            except PoisonError as error:
                return self._rescued(self._groups[index], row, error)
            if reading is not None:
                return (reading,)
        return ()

    def _rescued(self, group: Group, row: Row, error: PoisonError) -> Sequence[Reading]:
        """Return the alarms of a row that is poison, counted as partial; raise ``error`` when there is none."""
        alarms = [reading for reading in (rescued(shape, row) for shape in group) if reading is not None]
        if not alarms:
            raise self._unread.refused or error
        self._unread.error = error
        return alarms


class RecordsHandler(ProfileHandler):
    """A reading, or several, for each record of a payload.

    A record that says nothing is left out. One that is poison makes the whole message a dead letter, with its bytes,
    unless another one declares an alarm. Where records lie ``every`` so far apart and nobody knows when the first was,
    what a later one says again is stored only, but for an alarm that one declares.
    """

    __slots__ = ("_decode_many",)

    def __init__(self, decode: DecodeMany, shapes: Sequence[Group], clocks: Clocks, unread: Unread) -> None:
        super().__init__(_one_row, shapes, clocks, unread)
        self._decode_many = decode

    @override
    def _read_all(self, payload: bytes, port: int | None) -> Sequence[Reading]:
        unread = self._unread
        unread.error = unread.refused = None
        readings: list[Reading] = []
        undated: set[int] = set()
        poison: PoisonError | None = None
        rows, clocks = self._decode_many(payload), self._clocks
        clocks.records = len(rows)
        for clocks.record, row in enumerate(rows):
            clocks.is_undated = False
            try:
                found = self.read(row, port)
                if clocks.is_undated:
                    undated.update(range(len(readings), len(readings) + len(found)))
                readings += found
            except PoisonError as error:
                poison = poison or error
        if poison is not None:
            if not any(reading.critical for reading in readings):
                raise self._unread.refused or poison
            unread.error = poison
        return self._counted(_without_what_was(readings, undated) if undated else readings)


def _lasts(reading: Reading) -> bool:
    """Return whether a payload means the same whenever it comes."""
    return reading.measured_at is None and reading.identity is None


def _without_what_was(readings: Sequence[Reading], undated: Collection[int]) -> Sequence[Reading]:
    """Return ``readings``, of the ``undated`` ones those stored only of which a later one says everything again."""
    said: set[tuple[str | None, str]] = set()
    found: list[Reading] = []
    for index in reversed(range(len(readings))):
        reading = readings[index]
        names = {(reading.part, name) for name in (*reading.values, *(signal.name for signal in reading.signals))}
        is_past = index in undated and not reading.critical and bool(names) and names <= said
        found.append(msgspec.structs.replace(reading, backfill=True) if is_past else reading)
        said |= names
    return found[::-1]


def _is_plain(reading: Reading) -> bool:
    """Return whether a reading that lasts says nothing but values, of the device itself."""
    return bool(reading.values) and not (reading.signals or reading.part or reading.backfill)


def _one_row(_payload: bytes) -> Row:
    raise AssertionError


def _merged(found: Sequence[Reading | None]) -> Sequence[Reading]:
    """Return the readings that say something; when none does, the first that was heard at all, without its part."""
    heard = [reading for reading in found if reading is not None]
    speaking = [reading for reading in heard if reading.values or reading.signals]
    return speaking or [Reading({}, measured_at=reading.measured_at) for reading in heard[:1]]
