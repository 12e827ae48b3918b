"""Payloads of channels: a key says what follows and how long it is, then comes the next key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hub.errors import ConfigError, PoisonError
from hub.normalize.codecs.byte_fields import ReadAt, end_of, reader, spot_of
from hub.normalize.codecs.codec import Decode, DecodeMany, Row, Unread
from hub.normalize.limits import MAX_ELEMENTS
from hub.normalize.payload import Payload
from hub.normalize.places import ChannelPlace, Place

_WRITTEN = re.compile(r"(?P<key>[0-9A-Fa-f]{2}(?: ?[0-9A-Fa-f]{2})*)(?:@(?P<spot>.+))?")
Columns = tuple[tuple[int, ReadAt], ...]
Layout = Mapping[bytes, tuple[int, Columns, bool]]
"""Per key: the size of its data, (slot, reader) of what is wanted of them, whether it is a row of its own."""


def compile_channels(payload: Payload, places: Sequence[Place], unread: Unread) -> Decode:
    """Prepare decoding. Whatever comes before an unknown or cut channel is read, and the rest told to ``unread``.

    PoisonErrors are ``unknown_channel`` and ``cut_off``, when nothing came before.
    """
    read = compile_channel_rows(payload, (), places, unread)
    return lambda data: read(data)[0]


def compile_channel_rows(
    payload: Payload, outside: Sequence[Place], places: Sequence[Place], unread: Unread
) -> DecodeMany:
    """Prepare decoding of payloads with channels ``apart``: the common row first, unless it is empty."""
    if outside:
        raise ConfigError("bad_place", "nothing stands outside the channels", place=outside[0])
    layout = layout_of(payload, places)
    key_bytes, width = payload.key_bytes, len(places)

    def decode(data: bytes) -> Sequence[Row]:
        row: list[object] = [None] * width
        apart: list[Row] = []
        at, end, known = 0, len(data), 0
        while at < end:
            entry = layout.get(data[at : at + key_bytes])
            if entry is None:
                unread.error = PoisonError("unknown_channel", f"{data[at : at + key_bytes].hex(' ')} at byte {at}")
                break
            size, columns, is_apart = entry
            begin = at + key_bytes
            at = begin + size
            if at > end:
                unread.error = PoisonError("cut_off", f"{end - begin} of {size} bytes at the end")
                break
            if is_apart:
                _add(apart, columns, data, begin, width)
                continue
            known += 1
            for slot, read in columns:
                row[slot] = read(data, begin)
        return [row, *apart] if known or not apart else apart

    return decode


def _add(rows: list[Row], columns: Columns, data: bytes, begin: int, width: int) -> None:  # noqa: PLR0913, PLR0917, RUF100 -- one record
    if len(rows) >= MAX_ELEMENTS:
        raise PoisonError("too_many_elements", f"more than {MAX_ELEMENTS} records")
    row: list[object] = [None] * width
    for slot, read in columns:
        row[slot] = read(data, begin)
    rows.append(row)


def layout_of(payload: Payload, places: Sequence[Place]) -> Layout:
    sizes = {bytes.fromhex(key): size for key, size in payload.sizes.items()}
    columns: dict[bytes, list[tuple[int, ReadAt]]] = {key: [] for key in sizes}
    for slot, place in enumerate(places):
        channel = channel_of(place)
        if len(channel.channel) != payload.key_bytes:
            message = f"the key {channel.channel.hex(' ')} is not of {payload.key_bytes} bytes"
            raise ConfigError("bad_place", message, place=place)
        sizes[channel.channel] = max(sizes.get(channel.channel, 0), end_of(channel.place))
        columns.setdefault(channel.channel, []).append((slot, reader(channel.place)))
    apart = {bytes.fromhex(key) for key in payload.apart}
    return {key: (size, tuple(columns[key]), key in apart) for key, size in sizes.items()}


def channel_of(place: Place) -> ChannelPlace:
    """Return a place in a channel; a condition writes ``FF 2E`` (its first byte) or ``FF 2E@1:u16le``."""
    if isinstance(place, str):
        found = _WRITTEN.fullmatch(place)
        if found is None:
            hint = 'write channel: "04 82", or "04 82" as a condition'
            raise ConfigError("bad_place", f"{place!r} is no key of a channel", hint=hint, place=place)
        return ChannelPlace(bytes.fromhex(found["key"]), spot_of(found["spot"] or "0"))
    if not isinstance(place, ChannelPlace):
        raise ConfigError("bad_place", "not a place in a channel", hint='write channel: "04 82"', place=place)
    spot_of(place.place)
    return place
