"""Every wire format in one table, and how blocks, records and compression are put around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

from hub.errors import ConfigError, PoisonError
from hub.normalize.codecs.byte_fields import compile_bytes
from hub.normalize.codecs.byte_records import compile_byte_records
from hub.normalize.codecs.channels import compile_channel_rows, compile_channels
from hub.normalize.codecs.codec import Codec, Decode, DecodeMany, RecordsCodec, Row, Unread
from hub.normalize.codecs.inside import Blocks, carrier_of, inflated, unpacker
from hub.normalize.codecs.json_object import compile_json, compile_json_each
from hub.normalize.codecs.pairs import compile_form, compile_text, compile_text_lines
from hub.normalize.codecs.xml_tree import compile_xml, compile_xml_each
from hub.normalize.payload import Format, Payload
from hub.normalize.places import LAST, WHOLE, InPlace, Place

CODECS: Mapping[Format, Codec] = {
    Format.BYTES: compile_bytes,
    Format.CHANNELS: compile_channels,
    Format.FORM: compile_form,
    Format.JSON: compile_json,
    Format.TEXT: compile_text,
    Format.XML: compile_xml,
}
"""Every wire format; a new one is a file in this room and a row here."""

RECORDS: Mapping[Format, RecordsCodec] = {
    Format.BYTES: compile_byte_records,
    Format.CHANNELS: compile_channel_rows,
    Format.JSON: compile_json_each,
    Format.TEXT: compile_text_lines,
    Format.XML: compile_xml_each,
}
"""Those of them whose payloads may hold several records."""

TEXTS = {Format.FORM, Format.TEXT, Format.XML}
"""Formats that write every number as a text."""


def compile_one(payload: Payload, places: Sequence[Place], unread: Unread) -> Decode:
    """Prepare decoding to one row of ``places``. Raises ConfigError for a place that the format cannot have."""
    _check_blocks(payload, places)
    if payload.inside:
        blocks = Blocks(payload, places, unread, CODECS)
        read, opened = CODECS[payload.format](payload, blocks.asked, unread), blocks.opened
        arrange = _arrangement(places, blocks.held)
        decode: Decode = lambda data: arrange(opened(read(data)))  # noqa: E731 -- the same promise, with its blocks
    else:
        decode = CODECS[payload.format](payload, places, unread)
    if payload.inflate is None:
        return decode
    return lambda data: decode(inflated(data))


def compile_many(payload: Payload, places: Sequence[Place], unread: Unread) -> DecodeMany:
    """Prepare decoding to a row of ``places`` per record. Raises ConfigError for a place that no record can have."""
    _check_blocks(payload, places)
    if LAST not in places:
        return _compile_records(payload, places, unread)
    others = [place for place in places if place != LAST]
    read, arrange = _compile_records(payload, others, unread), _arrangement(places, [*others, LAST])
    width = len(others)

    def decode(data: bytes) -> Sequence[Row]:
        rows = read(data)
        return [arrange([*row[:width], number == len(rows)]) for number, row in enumerate(rows, 1)]

    return decode


def _compile_records(payload: Payload, places: Sequence[Place], unread: Unread) -> DecodeMany:
    name = payload.cut_block
    return _compile_own(payload, places, unread) if name is None else _compile_held(payload, name, places, unread)


def _compile_held(payload: Payload, name: str, places: Sequence[Place], unread: Unread) -> DecodeMany:
    """Prepare decoding of the records that the block ``name`` holds; one that cannot be read is as good as empty."""
    words = payload.inside[name]
    mine = [place for place in places if isinstance(place, InPlace) and place.block == name]
    others = [place for place in places if place not in mine]
    blocks = {other: block for other, block in payload.inside.items() if other != name}
    read = compile_one(payload.model_copy(update={"inside": blocks}), [*others, carrier_of(name, words)], unread)
    inside = Unread(is_strict=True)
    cut = RECORDS[Format(words.format)](words.payload(), [], [place.place for place in mine], inside)
    unpack, arrange = unpacker(words), _arrangement(places, [*others, *mine])
    width = len(others)
    nothing: Sequence[Row] = ((None,) * len(mine),)

    def decode(data: bytes) -> Sequence[Row]:
        row = read(data)
        common, carrier, rows = row[:width], row[width], nothing
        if carrier is not None:
            inside.error = None
            try:
                rows = cut(unpack(carrier))
            except PoisonError as error:
                inside.error = error
            unread.error = inside.error or unread.error
        return [arrange([*common, *each]) for each in rows]

    return decode


def _compile_own(payload: Payload, places: Sequence[Place], unread: Unread) -> DecodeMany:
    blocks = Blocks(payload, places, unread, CODECS)
    outside = [place for place in blocks.asked if isinstance(place, InPlace)]
    within = [place for place in blocks.asked if not isinstance(place, InPlace)]
    read = RECORDS[payload.format](payload, [place.place for place in outside], within, unread)
    in_order = _arrangement(blocks.asked, [*outside, *within])
    arrange, opened = _arrangement(places, blocks.held), blocks.opened
    is_packed = payload.inflate is not None

    def decode(data: bytes) -> Sequence[Row]:
        rows = read(inflated(data) if is_packed else data)
        return [arrange(opened(in_order(row))) for row in rows]

    is_simple = not payload.inside and not is_packed and [*outside, *within] == list(places)
    return read if is_simple else decode


def _check_blocks(payload: Payload, places: Sequence[Place]) -> None:
    known = {*payload.inside, *([WHOLE] if payload.cuts_itself else [])}
    for place in places:
        if isinstance(place, InPlace) and place.block not in known:
            hint = f"payload: {{inside: {{{place.block}: …}}}}"
            raise ConfigError("bad_place", f"there is no block {place.block!r}", hint=hint, place=place)


def _arrangement(places: Sequence[Place], given: Sequence[Place]) -> Callable[[Row], Row]:
    """Return what turns a row of ``given`` into one of ``places`` (or longer); one that is given twice is the same."""
    order = [list(given).index(place) for place in places]
    if order == list(range(len(given))):
        return lambda row: row
    return itemgetter(*order, order[0])  # of a single index it would not return a tuple
