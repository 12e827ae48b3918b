"""Line protocol: points and events to the lines that every time series store takes, and back.

One line is ``measurement,tag=value field=value time``, ns; it never holds a raw newline, not even inside a quoted
string: no version promises to take one there, and VictoriaMetrics 1.x reads the rest of the string as a line of its
own. A newline or carriage return in a string field is written as the two characters backslash and n or r.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from orjson import JSONEncodeError, dumps

from hub.errors import ConfigError
from hub.model.effects import Event, Point, Series, Writing
from hub.model.values import Scalar, Values

EVENT: Final = "event"
"""The measurement of events; no kind may have this name."""
EVENT_LINE_START: Final = b"event,"

POINT_TAGS: Final = ("building", "device", "part", "profile", "site")
"""Sorted, as InfluxDB asks of writers that want to be quick."""
EVENT_TAGS: Final = ("building", "device", "event", "part", "severity", "site")
TAGS: Final = frozenset(POINT_TAGS) | frozenset(EVENT_TAGS)

_REGISTRY_TAGS: Final = ("kind", "building", "device", "profile", "site")
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]|\\(?=[,= ]|$)")
_SPECIAL: Final = re.compile(r"[,= ]")
_MILLISECOND_NS: Final = 1_000_000
_CACHED_NAMES: Final = 10_000
_EQUALS: Final = bytes.maketrans(b":", b"=")
_any_data_text: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_WRITTEN_ALIKE: Final = frozenset({str, bool})


class _FieldKeys(dict[str, str]):
    """Field name to ``name=``; only names that need no encoding are kept, and a bounded number of them."""

    def __missing__(self, name: str) -> str:
        encoded = quote(name, safe="", errors="replace")
        key = encoded + "="
        if encoded == name and len(self) < _CACHED_NAMES:
            self[name] = key
        return key


_KEYS: Final = _FieldKeys()


def encode(points: Iterable[Point]) -> list[bytes]:
    """Return one line per point."""
    return [write(series.prefix or series_prefix(series), time, values) for series, time, values in points]


def write(prefix: bytes, time: int, values: Values, are_floats: bool = False) -> bytes:  # noqa: FBT001, FBT002 -- hot path
    """Return the line of a point; ``prefix`` is its :func:`series_prefix`. Total; a point has at least one field.

    ``are_floats``: the caller knows that ``values`` are properties of a kind, and floats all of them.

    Field names are properties of a kind; another name is percent-encoded. What no store can hold (NaN, an integer
    beyond 64 bits) is written all the same, so that the store refuses that line and it is counted.
    """
    if not are_floats:
        return b"%b %b %d" % (prefix, draw(values), time)
    return b"%b %b %d" % (prefix, dumps(values).translate(_EQUALS, b'"{}'), time)  # what draw and end do with floats


def draw(values: Values) -> bytes:
    """Return the fields of a line."""
    for name, value in values.items():
        if type(value) is not float or name not in _KEYS:
            return _fields(values)
    # Floats alone, under plain names: JSON without quotes and braces, and ``=`` for ``:``. repr() of three floats costs
    # 0.8-1.5 us, orjson's 0.2.
    return dumps(values).translate(_EQUALS, b'"{}')


def end(prefix: bytes, time: int, fields: bytes) -> bytes:
    """Return the line of ``fields`` that were drawn."""
    return b"%b %b %d" % (prefix, fields, time)


def series_prefix(series: Series) -> bytes:
    """Return measurement and tags of ``series``, and keep them in ``series.prefix``.

    Raises ConfigError ``bad_tag`` when the registry gave a kind, site, building, device or profile that line protocol
    cannot carry: a control character, or a backslash before a separator or at the end. A part may be named by a
    payload, so no part is refused: it is percent-encoded.
    """
    for tag in _REGISTRY_TAGS:
        value: str = getattr(series, tag)
        if _UNFIT.search(value):
            raise ConfigError(
                "bad_tag",
                "a tag may hold neither control characters nor a trailing backslash",
                hint="rename it in the registry",
                tag=tag,
                value=value,
            )
    series.prefix = _series_key(series.kind, {tag: getattr(series, tag) for tag in POINT_TAGS})
    return series.prefix


WRITING: Final = Writing(series_prefix, write, draw, end)


def event_line(event: Event) -> bytes:
    """Return the line of ``event`` in the measurement ``event``, at the ms of its transition + number mod 10**6 ns.

    The id instead of the number would make one point of two events in a million pairs: a backlog has such pairs.
    """
    prefix = _event_prefix(event.building, event.device, event.name, event.part, event.severity.value, event.site)
    fields = _fields(
        {
            "id": event.id,
            "key": event.key,
            "rule": event.rule,
            "rule_version": event.rule_version,
            "transition": event.transition.value,
            "late": event.late,
            **({"test": True} if event.test else {}),
            **({"drill": True} if event.drill else {}),
            **({"place": event.place.id, "place_type": event.place.type} if event.place is not None else {}),
            "data": _data_text(event.data),
        }
    )
    time = event.time - event.time % _MILLISECOND_NS + event.number % _MILLISECOND_NS
    return b"%b %b %d" % (prefix, fields, time)


def _data_text(data: Mapping[str, Scalar]) -> str:
    """Return ``data`` as the standard library writes it; of texts orjson writes the same for 0.3 instead of 1.3 us.

    Not of numbers: it refuses integers beyond 64 bits, and writes some floats in another way. Nor half a character.
    """
    if _WRITTEN_ALIKE.issuperset(map(type, data.values())):
        try:
            return dumps(data).decode()
        except JSONEncodeError:
            pass
    return _any_data_text(data)


@lru_cache(_CACHED_NAMES)  # a door tells the same again and again
def _event_prefix(*tags: str) -> bytes:
    return _series_key(EVENT, dict(zip(EVENT_TAGS, tags, strict=True)))


def _series_key(measurement: str, tags: Mapping[str, str]) -> bytes:
    pairs = "".join(f",{name}={_tag(value)}" for name, value in tags.items() if value)
    return (_tag(measurement) + pairs).encode("utf-8", "replace")


@lru_cache(_CACHED_NAMES)  # an event has seven, nearly always the same: 7 of its 16 us
def _tag(value: str) -> str:
    fit = _UNFIT.sub(lambda unfit: quote(unfit.group(), safe=""), value)
    return _SPECIAL.sub(r"\\\g<0>", fit)


def _fields(values: Mapping[str, Scalar]) -> bytes:
    # Spelled out, hot: 1.1 us for four fields of four types, against 2.0 with a function per field.
    parts = []
    for name, value in values.items():
        if type(value) is float:
            parts.append(f"{_KEYS[name]}{value!r}")
        elif isinstance(value, str):
            parts.append(f'{_KEYS[name]}"{value if value.isalnum() else _escaped(value)}"')
        elif isinstance(value, bool):
            parts.append(_KEYS[name] + ("true" if value else "false"))
        else:
            parts.append(f"{_KEYS[name]}{value}i")
    return ",".join(parts).encode("utf-8", "replace")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")


# ------------------------------------------------------------------------------------------------------ and back
# Only lines of this module come back, so the grammar is theirs: plain field names, one space between the sections.

_NAME: Final = rb"[\w.~%-]++"
_VALUE: Final = rb'(?:-?\d++(?:i|(?:\.\d++)?(?:e[+-]?\d++)?)|true|false|"(?:[^"\\\n]++|\\.)*+")'
_LINE: Final = re.compile(rb"((?:[^ \\\n]++|\\.)++) (%b=%b(?:,%b=%b)*+) (-?\d{1,19})" % (_NAME, _VALUE, _NAME, _VALUE))
_FIELD: Final = re.compile(rb"(%b)=(%b)" % (_NAME, _VALUE))
_SEPARATOR: Final = re.compile(rb"(?<!\\),")
_ESCAPED_IN_TAG: Final = re.compile(r"\\([,= ])")
_ESCAPED_IN_STRING: Final = re.compile(r'\\(["\\])')


def split_line(line: bytes) -> tuple[bytes, bytes, int] | None:
    """Return the series key, the fields and the time of ``line``; None when it is not a line of ours."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    series, fields, time = match.groups()
    return series, fields, int(time)


def split_series(key: bytes) -> tuple[str, dict[str, str]]:
    """Return the measurement and the tags that ``key`` spells."""
    measurement, *pairs = (_ESCAPED_IN_TAG.sub(r"\1", part.decode()) for part in _SEPARATOR.split(key))
    return measurement, dict(_pair(pair) for pair in pairs)


def _pair(pair: str) -> tuple[str, str]:
    name, _, value = pair.partition("=")
    return name, value


def split_fields(fields: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return name and spelling of each field."""
    return ((match[1], match[2]) for match in _FIELD.finditer(fields))


def read_fields(fields: bytes) -> Values:
    """Return the values that ``fields`` spells."""
    return {name.decode(): _scalar(text.decode()) for name, text in split_fields(fields)}


def _scalar(text: str) -> Scalar:
    if text[0] == '"':
        return _ESCAPED_IN_STRING.sub(r"\1", text[1:-1])
    if text in {"true", "false"}:
        return text == "true"
    return int(text[:-1]) if text[-1] == "i" else float(text)
