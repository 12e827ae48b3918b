"""Payloads of bytes that hold several records of one size: a log of swipes, the objects of a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hub.errors import ConfigError, PoisonError
from hub.normalize.codecs.byte_fields import compile_spots, end_of, spot_of
from hub.normalize.codecs.codec import DecodeMany, Row, Unread
from hub.normalize.codecs.frames import compile_frame
from hub.normalize.limits import MAX_ELEMENTS
from hub.normalize.payload import Payload, Records, SizeBy
from hub.normalize.places import Place


def compile_byte_records(
    payload: Payload, outside: Sequence[Place], places: Sequence[Place], _unread: Unread
) -> DecodeMany:
    """Prepare decoding; PoisonErrors are those of a frame, and ``too_many_elements``."""
    words = payload.records
    if words is None:
        raise ConfigError("bad_place", "there are no records", path=("payload",))
    check = compile_frame(payload)
    read_frame = compile_spots(payload, outside)
    read_record = compile_spots(Payload(format=payload.format), places)
    nothing: Row = (None,) * len(places)
    cut = _cut(words)
    _check_places(words, places)

    def decode(data: bytes) -> Sequence[Row]:
        if check is not None:
            check(data)
        frame = read_frame(data)
        records = cut(data)
        if not records and not outside:
            raise PoisonError("bad_length", "no record")
        if not records:
            return ([*frame, *nothing],)
        if len(records) == 1:
            return ([*frame, *read_record(records[0])],)
        return [[*frame, *read_record(record)] for record in records]

    return decode


def _cut(words: Records) -> Callable[[bytes], Sequence[bytes]]:
    size_of = _size(words.size)
    begin, to, count = words.from_, words.to, words.count

    def cut(data: bytes) -> Sequence[bytes]:
        end = len(data) + to
        size = size_of(data)
        if size is None or begin >= end:
            return ()
        number, rest = divmod(end - begin, size)
        if rest:
            raise PoisonError("bad_length", f"{end - begin} bytes are no whole records of {size}")
        if count is not None and data[count] != number:
            raise PoisonError("bad_length", f"{number} records, not the {data[count]} that the frame promises")
        if number > MAX_ELEMENTS:
            raise PoisonError("too_many_elements", f"more than {MAX_ELEMENTS} records")
        return [data[at : at + size] for at in range(begin, end, size)]

    return cut


def _size(words: int | SizeBy) -> Callable[[bytes], int | None]:
    if not isinstance(words, SizeBy):
        return lambda _: words
    at = words.at
    sizes = {int(key): size for key, size in words.sizes.items() if key.isascii() and key.isdigit()}
    return lambda data: sizes.get(data[at]) if at < len(data) else None


def _check_places(words: Records, places: Sequence[Place]) -> None:
    largest = max(words.size.sizes.values(), default=0) if isinstance(words.size, SizeBy) else words.size
    for place in places:
        if end_of(spot_of(place)) > largest:
            raise ConfigError("beyond_end", f"a record has {largest} bytes", place=place)
