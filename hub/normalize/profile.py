"""The words of a device profile: one YAML document as a checked, frozen noun."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from hub.catalogue import Bounds, DottedName, Label, Name, Words
from hub.durations import Duration
from hub.model import Scalar
from hub.normalize.examples import Example


class Format(StrEnum):
    """The wire formats; each but ``native`` is a codec in ``codecs/``."""

    BYTES = "bytes"
    JSON = "json"
    NATIVE = "native"


class Number(StrEnum):
    """How bytes of a payload make one number."""

    U8 = "u8"
    I8 = "i8"
    U16LE = "u16le"
    U16BE = "u16be"
    I16LE = "i16le"
    I16BE = "i16be"
    U32LE = "u32le"
    U32BE = "u32be"
    I32LE = "i32le"
    I32BE = "i32be"
    U64LE = "u64le"
    U64BE = "u64be"
    F32LE = "f32le"
    F32BE = "f32be"


FRACTIONS = (Number.F32LE, Number.F32BE)


class BytePlace(NamedTuple):
    """Where one raw value stands in a payload of bytes; ``bits`` is (lowest, count)."""

    at: int
    number: Number
    bits: tuple[int, int] | None


Place = BytePlace | str
"""Where a codec finds one raw value: an offset, or a dotted path."""


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _texts(value: object) -> object:
    """Keys of a table are text, also when a table is written in Python."""
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else value


OneOrMore = Annotated[tuple[Scalar, ...], BeforeValidator(_listed), Field(min_length=1)]
Paths = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed), Field(min_length=1)]
Offset = Annotated[int, Field(ge=0, lt=65_536)]
Condition = Annotated[dict[str, OneOrMore], BeforeValidator(_texts), Field(min_length=1)]
"""Places and the values they must have, all of them: ``{eventType: [heartBeat, videoloss]}``; of bytes the u8 at 0."""


class Meaning(Words):
    """From one raw value to the canonical one, in this order: absent, as, values or scale and offset, unit."""

    absent: OneOrMore | None = None
    values: Annotated[dict[str, Scalar] | None, BeforeValidator(_texts)] = None
    otherwise: Annotated[Scalar | None, Field(alias="else")] = None
    scale: Annotated[float | None, Field(gt=0)] = None
    offset: float | None = None
    unit: str | None = None
    range: Bounds | None = None
    only: Condition | None = None

    @model_validator(mode="after")
    def _has_one_reading(self) -> Self:
        if self.otherwise is not None and self.values is None:
            message = "else needs values"
            raise ValueError(message)
        if self.values is not None and (self.scale is not None or self.offset is not None or self.unit is not None):
            message = "values says everything; scale, offset and unit are for numbers"
            raise ValueError(message)
        return self


class ByteSource(Meaning):
    """A value in a payload of bytes; offsets are 0-based, ``bits`` is [lowest, count]."""

    at: Offset
    as_: Annotated[Number, Field(alias="as")] = Number.U8
    bits: tuple[Annotated[int, Field(ge=0, lt=64)], Annotated[int, Field(ge=1, le=64)]] | None = None

    @property
    def places(self) -> tuple[Place, ...]:
        """Where the raw value may stand."""
        return (BytePlace(self.at, self.as_, self.bits),)


class PathSource(Meaning):
    """A value behind a dotted path (``items.0.temp``); of several paths the first that is present."""

    path: Paths
    as_: Annotated[Literal["bool", "int", "float", "string"] | None, Field(alias="as")] = None

    @property
    def places(self) -> tuple[Place, ...]:
        """Where the raw value may stand, first present wins."""
        return self.path


def _sort_of_place(value: object) -> str:
    written_as_bytes = "at" in value if isinstance(value, dict) else isinstance(value, ByteSource | ByteTime)
    return "bytes" if written_as_bytes else "path"


Source = Annotated[
    Annotated[ByteSource, Tag("bytes")] | Annotated[PathSource, Tag("path")], Discriminator(_sort_of_place)
]


class SignalSource(Words):
    """When a message reports a signal, and the data that goes with it."""

    only: Condition | None = None
    data: dict[Name, Source] = Field(default_factory=dict)


class PartSource(Words):
    """The part a message is about: the value behind ``path`` put into ``name``; absent = the device itself."""

    path: Paths
    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]*\{\}[a-z0-9_-]*$")] = "{}"


class Backfill(Words):
    """The vendor's marker of a stored message that is uploaded again."""

    path: Paths
    is_: Annotated[OneOrMore, Field(alias="is")]


class TimeWords(Words):
    """How one device time is written: iso8601, unix, unix_ms or a strptime format.

    A local time without an offset is in ``zone``: ``site`` or an IANA name; of an hour that happens twice, the first.
    """

    format: Annotated[str, Field(pattern=r"^(iso8601|unix|unix_ms|.*%.*)$")]
    zone: str = "site"


class ByteTime(TimeWords):
    """A device time in a payload of bytes."""

    at: Offset
    as_: Annotated[Number, Field(alias="as")] = Number.U32LE

    @property
    def places(self) -> tuple[Place, ...]:
        """Where the raw value stands."""
        return (BytePlace(self.at, self.as_, None),)


class PathTime(TimeWords):
    """A device time behind a path."""

    path: Paths

    @property
    def places(self) -> tuple[Place, ...]:
        """Where the raw value may stand, first present wins."""
        return self.path


TimeSource = Annotated[
    Annotated[ByteTime, Tag("bytes")] | Annotated[PathTime, Tag("path")], Discriminator(_sort_of_place)
]


class Time(Words):
    """Where a message says when it was measured: the first source that is present; ``none`` = no device clock."""

    from_: Annotated[Literal["none"] | tuple[TimeSource, ...], Field(alias="from")]

    @property
    def sources(self) -> tuple[ByteTime | PathTime, ...]:
        """The sources; none of them when the device has no clock."""
        return () if isinstance(self.from_, str) else self.from_


class Liveness(Words):
    """How often a device must be heard."""

    report_every: Duration
    offline_after: Duration


class Payload(Words):
    """The wire format; ``length`` and ``check`` of a payload of bytes (sum8_zero: all bytes add up to 0 mod 256)."""

    format: Format
    length: Annotated[int, Field(gt=0, lt=65_536)] | None = None
    check: Literal["sum8_zero"] | None = None

    @model_validator(mode="after")
    def _is_of_bytes(self) -> Self:
        if self.format is not Format.BYTES and (self.length is not None or self.check is not None):
            message = "length and check are for format: bytes"
            raise ValueError(message)
        return self


class Shape(Words):
    """What one shape of message means; without ``match`` it fits every message.

    The first shape that fits *and* has something to say wins, so that the last one can name the rest.
    ``identity`` names one path, or several that only together are unique: such a message is judged once.
    ``critical``: the message itself is an alarm that the device declares.
    """

    match: Condition | None = None
    ends: Literal["heartbeat"] | None = None
    identity: Paths | None = None
    part: PartSource | None = None
    properties: dict[Name, Source] = Field(default_factory=dict)
    signals: dict[DottedName, SignalSource] = Field(default_factory=dict)
    critical: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if (self.ends == "heartbeat") == bool(self.properties or self.signals):
            message = "a shape has properties or signals, or ends: heartbeat"
            raise ValueError(message)
        return self


class Profile(Words):
    """One model of device. The words of a single shape may stand at the top level instead of in ``messages``."""

    profile: Annotated[str, Field(pattern=r"^[a-z0-9_-]+/[a-z0-9_-]+$", max_length=96)]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    kind: Name
    label: Label
    payload: Payload
    liveness: Liveness | None = None
    time: Time | None = None
    late_after: Duration | None = None
    params: dict[Name, Scalar] = Field(default_factory=dict)
    backfill: Backfill | None = None
    messages: tuple[Shape, ...] = ()
    identity: Paths | None = None
    part: PartSource | None = None
    properties: dict[Name, Source] = Field(default_factory=dict)
    signals: dict[DottedName, SignalSource] = Field(default_factory=dict)
    critical: bool = False
    examples: tuple[Example, ...] = ()

    @model_validator(mode="after")
    def _has_shapes(self) -> Self:
        short = bool(self.identity or self.part or self.properties or self.signals or self.critical)
        if self.payload.format is Format.NATIVE and (short or self.messages or self.time or self.backfill):
            message = "a native payload means what its kind says; leave messages, properties and time out"
            raise ValueError(message)
        if self.payload.format is not Format.NATIVE and short == bool(self.messages):
            message = "write either messages, or properties and signals at the top level"
            raise ValueError(message)
        if self.payload.format is not Format.NATIVE and self.time is None:
            message = "say where the time comes from; `time: {from: none}` for a device without a clock"
            raise ValueError(message)
        return self

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of message, first match wins; none for a native payload."""
        if self.messages or self.payload.format is Format.NATIVE:
            return self.messages
        return (
            Shape(
                identity=self.identity,
                part=self.part,
                properties=self.properties,
                signals=self.signals,
                critical=self.critical,
            ),
        )
