"""The words for one raw value: where it stands and what it means."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from hub.catalogue import Bounds, DottedName, Name, Words
from hub.durations import Duration
from hub.model.values import Scalar
from hub.normalize.places import BytePlace, ChannelPlace, Coding, InPlace, Number, Place, SlicePlace


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def texts(value: object) -> object:
    """Keys of a table are text, also when a table is written in Python."""
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else value


OneOrMore = Annotated[tuple[Scalar, ...], BeforeValidator(_listed), Field(min_length=1)]
Paths = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed), Field(min_length=1)]
Offset = Annotated[int, Field(ge=0, lt=65_536)]
ChannelKey = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{2}( ?[0-9A-Fa-f]{2})*$")]
Parameter = Annotated[str, Field(pattern=r"^\$[a-z][a-z0-9_]*$")]
Condition = Annotated[dict[str, OneOrMore], BeforeValidator(texts), Field(min_length=1)]
"""Places and the values they must have, all of them: ``{eventType: [heartBeat, videoloss]}``; of bytes the u8 at 0."""

Take = Literal["min", "max", "first", "last", "count", "sum", "any"]
PathType = Literal["bool", "int", "float", "string", "plate_cn"]
MAX_BITS = 64


class Meaning(Words):
    """From one raw value to the canonical one: absent, split, as, take, values or scale and offset, unit.

    ``split`` makes a list of a text, a path with ``*`` of an array; ``as`` reads each item, and ``take`` one of them.
    """

    in_: Annotated[str | None, Field(alias="in")] = None
    absent: OneOrMore | None = None
    split: Annotated[str | None, Field(min_length=1, max_length=8)] = None
    take: Take | None = None
    values: Annotated[dict[str, Scalar] | None, BeforeValidator(texts)] = None
    otherwise: Annotated[Scalar | None, Field(alias="else")] = None
    scale: Annotated[float, Field(gt=0)] | Parameter | None = None
    offset: float | None = None
    unit: str | None = None
    range: Bounds | None = None
    only: Condition | None = None

    @model_validator(mode="after")
    def _has_one_reading(self) -> Self:
        if self.otherwise is not None and self.values is None:
            _refuse("else needs values")
        if self.values is not None and (self.scale is not None or self.offset is not None):
            _refuse("values says everything; scale and offset are for numbers")
        if self.split is not None and self.take is None:
            _refuse("split needs take: min, max, first, last, count, sum or any")
        return self


def _refuse(message: str) -> None:
    raise ValueError(message)


class Spot(Words):
    """Where something stands in bytes: at an offset, 0-based, of the payload, of a record, a block or a channel."""

    at: Offset = 0
    as_: Annotated[Number | Coding, Field(alias="as")] = Number.U8
    size: Annotated[int, Field(gt=0, lt=65_536)] | None = None
    bits: tuple[Annotated[int, Field(ge=0, lt=MAX_BITS)], Annotated[int, Field(ge=1, le=MAX_BITS)]] | None = None
    channel: ChannelKey | None = None
    in_: Annotated[str | None, Field(alias="in")] = None

    @model_validator(mode="after")
    def _is_number_or_slice(self) -> Self:
        if isinstance(self.as_, Number) and self.size is not None:
            _refuse(f"{self.as_.value} knows its size; size is for texts and bcd")
        if isinstance(self.as_, Coding) and self.bits is not None:
            _refuse("bits are for numbers")
        return self

    def place(self) -> Place:
        """Return the place that the words name."""
        return self.moved(0, 0)

    def moved(self, by: int, bits: int) -> Place:
        """Return the place so many bytes and bits further."""
        place: Place = _spot(self.at + by, self.as_, self.size, self.bits and (self.bits[0] + bits, self.bits[1]))
        if self.channel is not None and isinstance(place, BytePlace | SlicePlace):
            place = ChannelPlace(bytes.fromhex(self.channel), place)
        return place if self.in_ is None else InPlace(self.in_, place)


def _spot(at: int, as_: Number | Coding, size: int | None, bits: tuple[int, int] | None) -> BytePlace | SlicePlace:
    return SlicePlace(at, size, as_) if isinstance(as_, Coding) else BytePlace(at, as_, bits)


class ByteSource(Meaning, Spot):
    """A value in bytes; ``step`` (bytes) and ``step_bits`` lead to the same value of the next part of a ``repeat``."""

    step: Annotated[int, Field(gt=0, lt=65_536)] | None = None
    step_bits: Annotated[int, Field(gt=0, lt=MAX_BITS)] | None = None

    @model_validator(mode="after")
    def _steps_over_bits(self) -> Self:
        if self.step_bits is not None and self.bits is None:
            _refuse("step_bits needs bits")
        return self

    def places(self, number: int = 0) -> tuple[Place, ...]:
        """Return where the raw value of the ``number``-th part (0, 1 …) may stand."""
        return (self.moved(number * (self.step or 0), number * (self.step_bits or 0)),)


class PathSource(Meaning):
    """A value behind a path (``items.0.temp``); of several paths the first that is present.

    ``*`` stands for every element of an array, ``{}`` for the number of the part in a ``repeat``.
    """

    path: Paths
    as_: Annotated[PathType | None, Field(alias="as")] = None

    def places(self, number: int = 0) -> tuple[Place, ...]:
        """Return where the raw value of the ``number``-th part may stand, first present wins."""
        return tuple(inside(self.in_, path.replace("{}", str(number))) for path in self.path)


def inside(block: str | None, place: Place) -> Place:
    """Return ``place`` in the block called so; None is the payload itself."""
    return place if block is None else InPlace(block, place)


def sort_of_place(value: object) -> str:
    """Tell a source in bytes from one behind a path and from several, written or made."""
    if isinstance(value, list | tuple):
        return "several"
    if isinstance(value, dict):
        return "path" if "path" in value else "bytes"
    return "path" if isinstance(value, PathSource | PathTime) else "bytes"


_InBytes = Annotated[ByteSource, Tag("bytes")]
_BehindPath = Annotated[PathSource, Tag("path")]
Source = Annotated[_InBytes | _BehindPath, Discriminator(sort_of_place)]
Sources = Annotated[
    _InBytes | _BehindPath | Annotated[tuple[Source, ...], Tag("several")], Discriminator(sort_of_place)
]
"""One source or several: the first that applies and is present wins."""


def each_of(sources: Sources) -> tuple[ByteSource | PathSource, ...]:
    """Return the sources, one or several."""
    return sources if isinstance(sources, tuple) else (sources,)


class SignalSource(Words):
    """When a message reports a signal, and the data that goes with it."""

    only: Condition | None = None
    data: dict[Name, Source] = Field(default_factory=dict)


class PartSource(Words):
    """The part a message is about: what stands at ``path`` (first present) or ``at``, put into ``name``.

    ``at`` is a byte, or several values that only together name it. Nothing there, or one of ``absent`` = the device
    itself. ``plus`` is added to a number: a door 0 that is door-1.
    """

    path: Paths | None = None
    at: Offset | Annotated[tuple[Spot, ...], Field(min_length=1)] | None = None
    in_: Annotated[str | None, Field(alias="in")] = None
    absent: OneOrMore | None = None
    plus: int = 0
    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]*\{\}[a-z0-9_{}-]*$")] = "{}"

    @model_validator(mode="after")
    def _has_as_many_holes_as_values(self) -> Self:
        if (self.path is None) == (self.at is None):
            _refuse("say where the part stands: path, or at")
        holes, values = self.name.count("{}"), len(self.at) if isinstance(self.at, tuple) else 1
        if holes != values:
            _refuse(f"name has {holes} {{}} for {values} values")
        return self

    def places(self) -> tuple[Place, ...]:
        """Return the places: alternatives behind paths, all of them in bytes."""
        if isinstance(self.at, tuple):
            return tuple(spot.place() for spot in self.at)
        if self.at is not None:
            return (inside(self.in_, BytePlace(self.at, Number.U8)),)
        return tuple(inside(self.in_, path) for path in self.path or ())


class Backfill(Words):
    """The vendor's marker of a stored message that is uploaded again; without ``is`` its presence says so."""

    path: Paths
    is_: Annotated[OneOrMore | None, Field(alias="is")] = None


class TimeWords(Words):
    """How one device time is written, and in which zone it is: ``site`` or an IANA name.

    iso8601, unix (seconds), unix_ms, or a strptime format (`` %Z`` at its end is UTC or the name of ``zone``; a clock
    with another name is not set). In bytes also: ``smhdmy`` (six bytes: second, minute, hour, day, month, year - 2000,
    as in GB/T 26875.3), ``bcd_ymdhms`` (six bytes of BCD, year first), and ``zk`` (a number that counts months of 31
    days from 2000, ZKTeco). Of an hour that happens twice, the second: what is ahead of us is of now.
    """

    format: Annotated[str, Field(pattern=r"^(iso8601|unix|unix_ms|smhdmy|bcd_ymdhms|zk|.*%.*)$")]
    zone: str = "site"
    in_: Annotated[str | None, Field(alias="in")] = None


CLOCK_BYTES = {"smhdmy": 6, "bcd_ymdhms": 6}
"""Formats of time that are a slice of so many bytes."""


class ByteTime(TimeWords):
    """A device time in bytes; ``as`` says how a number is written, or a text of ``size``."""

    at: Offset = 0
    as_: Annotated[Number | Coding, Field(alias="as")] = Number.U32LE
    size: Annotated[int, Field(gt=0, lt=256)] | None = None
    channel: ChannelKey | None = None

    def places(self) -> tuple[Place, ...]:
        """Return where the raw value stands."""
        size = CLOCK_BYTES.get(self.format)
        coding, size = (self.as_, self.size) if size is None else (Coding.RAW, size)
        spot = Spot.model_validate({"at": self.at, "as": coding, "size": size, "channel": self.channel, "in": self.in_})
        return (spot.place(),)


class PathTime(TimeWords):
    """A device time behind a path."""

    path: Paths

    def places(self) -> tuple[Place, ...]:
        """Return where the raw value may stand, first present wins."""
        return tuple(inside(self.in_, path) for path in self.path)


TimeSource = Annotated[
    Annotated[ByteTime, Tag("bytes")] | Annotated[PathTime, Tag("path")], Discriminator(sort_of_place)
]


class Time(Words):
    """Where a message says when it was measured: the first source that is present; ``none`` = no device clock.

    Where two set clocks of one message are more than ``disagree`` apart, neither is believed: the message is taken as
    one without a device time, and counted. ``every``: the message says the moment of one record only, that it ``tells``
    (first, or last), and the others are so far apart, in their order.
    """

    from_: Annotated[Literal["none"] | tuple[TimeSource, ...], Field(alias="from")]
    disagree: Duration | None = None
    every: Duration | None = None
    tells: Literal["first", "last"] = "first"

    @property
    def sources(self) -> tuple[ByteTime | PathTime, ...]:
        """The sources; none of them when the device has no clock."""
        return () if isinstance(self.from_, str) else self.from_


class Flags(Words):
    """Facts that come as codes; each becomes a bool property. One of three:

    a pair, ``name`` (whose values are properties) and ``to`` (what it becomes: add true, clear false); a snapshot,
    ``list`` (the codes that are true now; every other one in its values is false); a bitmap, ``bitmap`` (its values are
    numbers of bits).
    """  # noqa: D400 -- the three follow

    only: Condition | None = None
    name: Source | None = None
    to: Source | None = None
    list_: Annotated[Source | None, Field(alias="list")] = None
    bitmap: Source | None = None

    @model_validator(mode="after")
    def _is_one_of_three(self) -> Self:
        forms = (self.name is not None, self.list_ is not None, self.bitmap is not None)
        if sum(forms) != 1 or (self.to is not None) != (self.name is not None):
            _refuse("write name and to (a pair), list (a snapshot) or bitmap")
        table = self.table
        if table.values is None or not all(isinstance(value, str) for value in table.values.values()):
            _refuse("values lists code: property")
        if self.bitmap is not None and (table.otherwise is not None or not all(map(_is_bit, table.values or ()))):
            _refuse("values of a bitmap lists bit: property, 0 to 63, without else")
        return self

    @property
    def table(self) -> ByteSource | PathSource:
        """The source whose values are names of properties."""
        found = self.name or self.list_ or self.bitmap
        if found is None:
            message = "flags without a source"
            raise AssertionError(message)
        return found

    @property
    def properties(self) -> tuple[str, ...]:
        """Every property that may be set."""
        names = [*(self.table.values or {}).values()]
        names += [] if self.table.otherwise is None else [self.table.otherwise]
        return tuple(dict.fromkeys(str(name) for name in names))


def _is_bit(key: str) -> bool:
    return key.isascii() and key.isdigit() and int(key) < MAX_BITS


SignalSources = dict[DottedName, SignalSource]
