"""Every wire format in one table, and how blocks, records and compression are put around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

from hub.errors import ConfigError
from hub.normalize.codecs.byte_fields import compile_bytes
from hub.normalize.codecs.byte_records import compile_byte_records
from hub.normalize.codecs.channels import compile_channel_rows, compile_channels
from hub.normalize.codecs.codec import Codec, Decode, DecodeMany, RecordsCodec, Row, Unread
from hub.normalize.codecs.inside import Blocks, inflated
from hub.normalize.codecs.json_object import compile_json, compile_json_each
from hub.normalize.codecs.pairs import compile_form, compile_text, compile_text_lines
from hub.normalize.codecs.xml_tree import compile_xml, compile_xml_each
from hub.normalize.payload import Format, Payload
from hub.normalize.places import WHOLE, InPlace, Place

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


def has_records(payload: Payload) -> bool:
    """Return whether a payload may be several readings."""
    return bool(payload.records or payload.each or payload.lines or payload.apart)


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
    known = {*payload.inside, *([WHOLE] if has_records(payload) else [])}
    for place in places:
        if isinstance(place, InPlace) and place.block not in known:
            hint = f"payload: {{inside: {{{place.block}: …}}}}"
            raise ConfigError("bad_place", f"there is no block {place.block!r}", hint=hint, place=place)


def _arrangement(places: Sequence[Place], given: Sequence[Place]) -> Callable[[Row], Row]:
    """Return what turns a row of ``given`` into one of ``places``; a place that is given twice is the same."""
    order = [list(given).index(place) for place in places]
    if order == list(range(len(given))):
        return lambda row: row
    return itemgetter(*order, order[0])  # of a single index it would not return a tuple
