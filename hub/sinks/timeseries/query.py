"""Asking for telemetry and events, and InfluxQL with bound parameters for stores that speak it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from hub.errors import UnavailableError
from hub.model.values import Scalar
from hub.sinks.timeseries.lines import EVENT, EVENT_TAGS, POINT_TAGS, TAGS
from hub.sinks.timeseries.refusal import words_of
from hub.sinks.timeseries.store import Query, Row, Span


def telemetry(kind: str, span: Span, where: Mapping[str, str], properties: Sequence[str] = ()) -> Query:
    """Ask for ``properties`` (none = all) of the devices of ``kind`` whose tags are ``where``."""
    return Query(measurement=kind, span=span, where=where, fields=properties)


def events(span: Span, where: Mapping[str, str]) -> Query:
    """Ask for the events whose tags are ``where``, such as ``{"site": …, "event": "fire.confirmed"}``."""
    return Query(measurement=EVENT, span=span, where=where)


def influxql(select: Query) -> tuple[str, dict[str, Scalar]]:
    """Return the text of ``select`` and its parameters. Only allow-listed names and the limit stand in the text."""
    tags = EVENT_TAGS if select.measurement == EVENT else POINT_TAGS
    columns = ", ".join(f'"{name}"' for name in (*select.fields, *tags)) if select.fields else "*"
    conditions = "".join(f' AND "{tag}" = ${tag}' for tag in select.where)
    span = select.span
    text = (
        f'SELECT {columns} FROM "{select.measurement}" '  # noqa: S608 -- names passed the allow-list in Query
        f"WHERE time >= $since AND time < $until{conditions} ORDER BY time {span.order.value} LIMIT {span.limit}"
    )
    return text, {"since": span.since, "until": span.until, **select.where}


class _Series(msgspec.Struct):
    columns: list[str]
    values: list[list[Scalar | None]] = []


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str = ""


class _Answer(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


_DECODER: Final = msgspec.json.Decoder(_Answer)


def read_answer(body: bytes) -> list[Row]:
    """Return the rows of an answer of ``/query``; raises UnavailableError when it is none, or tells of an error."""
    try:
        answer = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnavailableError("garbled_answer", "the store's answer is not one", answer=words_of(body)) from error
    for said in (answer.error, *(result.error for result in answer.results)):
        if said:
            raise UnavailableError("query_failed", said)
    return [row for result in answer.results for series in result.series for row in _rows(series)]


def _rows(series: _Series) -> Iterator[Row]:
    _, *names = series.columns
    for time, *values in series.values:
        found = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        fields = {name: value for name, value in found.items() if name not in TAGS}
        if fields:
            tags = {name: str(value) for name, value in found.items() if name in TAGS and value != ""}
            yield Row(time=int(time or 0), tags=tags, fields=fields)
