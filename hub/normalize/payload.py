"""The words for a wire format: how a payload is framed, packed, cut into records, and what it carries inside."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from hub.catalogue import Name, Words
from hub.normalize.places import Coding, Number
from hub.normalize.sources import ByteSource, ChannelKey, Meaning, Offset, texts


class Format(StrEnum):
    """The wire formats; each but ``native`` is a codec in ``codecs/``."""

    BYTES = "bytes"
    CHANNELS = "channels"
    FORM = "form"
    JSON = "json"
    NATIVE = "native"
    TEXT = "text"
    XML = "xml"


def _as_tuple(value: object) -> object:
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else value


Hex = Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2})+$")]
Sizes = Annotated[tuple[Annotated[int, Field(gt=0, lt=65_536)], ...], BeforeValidator(_as_tuple), Field(min_length=1)]
Separator = Annotated[str, Field(min_length=1, max_length=8)]


class OwnLength(Words):
    """A frame that says its length: the number at ``at``, ``plus`` what it does not count, is the payload's size."""

    at: Offset
    as_: Annotated[Number, Field(alias="as")] = Number.U16LE
    plus: int = 0


class Check(Words):
    """A checksum: ``sum8``, ``xor8`` or a CRC-16 (Modbus; CCITT-FALSE, big-endian) over bytes ``from`` up to ``to``.

    It stands at ``at``; negative numbers count from the end.
    """

    as_: Annotated[Literal["sum8", "xor8", "crc16_modbus", "crc16_ccitt"], Field(alias="as")]
    from_: Annotated[int, Field(alias="from", gt=-65_536, lt=65_536)] = 0
    to: Annotated[int, Field(gt=-65_536, lt=65_536)]
    at: Annotated[int, Field(gt=-65_536, lt=65_536)]


class SizeBy(Words):
    """The size of a record told by the byte at ``at`` of the payload: ``{at: 27, sizes: {2: 46, 3: 16}}``."""

    at: Offset
    sizes: Annotated[dict[str, Annotated[int, Field(gt=0, lt=65_536)]], BeforeValidator(texts)]


class Records(Words):
    """Several records in bytes, each a reading of its own; ``count`` is the offset of a byte that says how many.

    They lie between ``from`` and ``to`` (negative: from the end). A byte that ``size`` does not list means that there
    are no records that we could read.
    """

    size: Annotated[int, Field(gt=0, lt=65_536)] | SizeBy
    from_: Annotated[Offset, Field(alias="from")] = 0
    to: Annotated[int, Field(le=0, gt=-256)] = 0
    count: Offset | None = None


class Inside(Words):
    """A block inside a payload: behind ``path`` (its own name unless written), packed as said, and of its own format.

    A block that cannot be read costs only itself: what the rest of the message says stays, and it is counted
    ``partial``. ``lengths`` are those that its bytes may have. One block of a payload may hold ``records`` (bytes) or
    be an array behind ``each`` (json, xml): each is a reading, and what stands in the block is then of the record;
    another block with the same ``path`` and without records reads what stands before them.
    """

    path: str | None = None
    at: Offset | None = None
    as_: Annotated[Literal["base64", "hex", "text"], Field(alias="as")] = "text"
    lengths: Sizes | None = None
    format: Literal["bytes", "channels", "form", "json", "text", "xml"] = "bytes"
    key_bytes: Annotated[int, Field(ge=1, le=4)] = 2
    between: Separator | None = None
    by: Separator = "="
    records: Records | None = None
    each: Annotated[str | None, Field(min_length=1)] = None

    def payload(self) -> Payload:
        """Return the block as a payload."""
        words = ("format", "key_bytes", "between", "by", "records", "each")
        return Payload.model_validate({word: getattr(self, word) for word in words})

    def mistake(self) -> str:
        """Return what it says that its format cannot have, or nothing.

        It is asked where files are read: a journal may hold a block that is wrong and that nobody looks into.
        """
        try:
            self.payload()
        except ValidationError as error:
            return error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        return ""


class ChannelField(Meaning):
    """A value in the data of a channel; without ``at`` it follows the one before."""

    at: Offset | None = None
    as_: Annotated[Number | Coding, Field(alias="as")] = Number.U8
    size: Annotated[int, Field(gt=0, lt=256)] | None = None
    bits: tuple[Annotated[int, Field(ge=0, lt=64)], Annotated[int, Field(ge=1, le=64)]] | None = None

    def source(self, channel: str, at: int) -> ByteSource:
        """Return the same as a source of its own."""
        words = self.model_dump(by_alias=True, exclude_unset=True) | {"channel": channel, "at": at}
        return ByteSource.model_validate(words)


Channels = dict[ChannelKey, dict[Name, ChannelField]]
"""Per key of a channel what its data mean: ``{"04 82": {distance: {as: u16le, unit: mm}}}``."""


class Payload(Words):
    """The wire format, and how a payload of it is checked, unpacked and cut.

    bytes: ``starts``, ``ends``, ``length`` (one, several, or a field of the frame), ``check`` (sum8_zero: all bytes add
    up to 0 mod 256), ``records``. channels: ``key_bytes``, ``sizes`` (of the data of channels that are skipped, or not
    read to their end), ``apart`` (keys that are a reading of their own, such as a stored one). json and xml: ``each``,
    the path of an array or of elements of which each is a reading; what stands outside it is written ``$.path``, and an
    element of an array that is a number or a text itself is ``@``. text:
    ``between`` pairs, ``by`` what parts key and value, ``rest`` the key whose value goes on to the end, ``lines`` what
    parts records.
    ``inflate: if_deflated`` unpacks what is packed, whatever the headers said.
    """

    format: Format
    length: Sizes | OwnLength | None = None
    starts: Hex | None = None
    ends: Hex | None = None
    check: Literal["sum8_zero"] | Check | None = None
    records: Records | None = None
    key_bytes: Annotated[int, Field(ge=1, le=4)] = 2
    unknown: Literal["stop"] = "stop"
    sizes: dict[ChannelKey, Annotated[int, Field(ge=0, lt=256)]] = Field(default_factory=dict)
    apart: tuple[ChannelKey, ...] = ()
    each: Annotated[str | None, Field(min_length=1)] = None
    between: Separator | None = None
    by: Separator = "="
    rest: Annotated[str | None, Field(min_length=1)] = None
    lines: Separator | None = None
    charset: Literal["utf-8", "gb18030"] = "utf-8"
    inflate: Literal["if_deflated"] | None = None
    inside: dict[Name | Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], Inside] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_its_format(self) -> Self:
        for name in sorted(self.model_fields_set - _WORDS[self.format] - {"format", "inflate", "inside"}):
            field = type(self).model_fields[name]
            if getattr(self, name) != field.get_default(call_default_factory=True):
                _refuse(f"{name} is not for format: {self.format.value}")
        if self.format is Format.TEXT and self.between is None:
            _refuse("say what stands between the pairs of a text: between: ';'")
        cut = [name for name, block in self.inside.items() if block.records or block.each]
        if len(cut) > 1 or (cut and self.cuts_itself):
            _refuse(f"records lie in one place: in the payload, or in one block, not in {', '.join(cut)} too")
        return self

    @property
    def cuts_itself(self) -> bool:
        """Whether the payload itself, and not a block in it, is cut into records."""
        return bool(self.records or self.each or self.lines or self.apart)

    @property
    def cut_block(self) -> str | None:
        """The block that holds records, if one does."""
        return next((name for name, block in self.inside.items() if block.records or block.each), None)

    @property
    def has_records(self) -> bool:
        """Whether a payload may be several readings."""
        return self.cuts_itself or self.cut_block is not None


_WORDS: dict[Format, set[str]] = {
    Format.BYTES: {"length", "starts", "ends", "check", "records"},
    Format.CHANNELS: {"key_bytes", "unknown", "sizes", "apart"},
    Format.FORM: {"charset"},
    Format.JSON: {"each"},
    Format.NATIVE: set(),
    Format.TEXT: {"between", "by", "rest", "lines", "charset"},
    Format.XML: {"each"},
}


def _refuse(message: str) -> None:
    raise ValueError(message)
