"""Questions: only allow-listed names reach their text, everything else is a parameter."""

from __future__ import annotations

import pytest

from hub.errors import PoisonError, UnavailableError
from hub.sinks.timeseries.query import events, influxql, read_answer, telemetry
from hub.sinks.timeseries.store import Order, Span

SPAN = Span(since=1, until=2, limit=3, order=Order.NEWEST_FIRST)


def test_values_are_bound_and_names_are_quoted() -> None:
    text, parameters = influxql(telemetry("elevator", SPAN, {"device": "a'b", "part": ""}, ["speed"]))

    assert text == (
        'SELECT "speed", "building", "device", "part", "profile", "site" FROM "elevator" '
        'WHERE time >= $since AND time < $until AND "device" = $device AND "part" = $part '
        "ORDER BY time DESC LIMIT 3"
    )
    assert parameters == {"since": 1, "until": 2, "device": "a'b", "part": ""}


def test_events_are_a_measurement_of_their_own() -> None:
    text, parameters = influxql(events(SPAN, {"event": "fire.confirmed"}))

    assert text == (
        'SELECT * FROM "event" WHERE time >= $since AND time < $until AND "event" = $event ORDER BY time DESC LIMIT 3'
    )
    assert parameters == {"since": 1, "until": 2, "event": "fire.confirmed"}


@pytest.mark.parametrize("name", ['x"', "a b", "", "a;DROP", "speed\n", "1st", "名", "a" * 65, 'x" FROM "event'])
def test_a_name_outside_the_allow_list_is_refused(name: str) -> None:
    with pytest.raises(PoisonError, match="bad_name"):
        telemetry(name, SPAN, {})
    with pytest.raises(PoisonError, match="bad_name"):
        telemetry("elevator", SPAN, {}, ["speed", name])


@pytest.mark.parametrize("tag", ['site" = 1 OR "x', "speed", "time", ""])
def test_only_tags_of_a_series_can_be_asked_for(tag: str) -> None:
    with pytest.raises(PoisonError, match="bad_tag"):
        events(SPAN, {tag: "x"})


@pytest.mark.parametrize("limit", [0, -1, 100_001])
def test_a_limit_has_bounds(limit: int) -> None:
    with pytest.raises(PoisonError, match="bad_limit"):
        Span(since=1, until=2, limit=limit)


@pytest.mark.parametrize(("since", "until"), [(2, 1), (0, 2**63), (-(2**63), 0)])
def test_a_span_is_in_order_and_in_range(since: int, until: int) -> None:
    with pytest.raises(PoisonError, match="bad_span"):
        Span(since=since, until=until)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"results":[{"series":[{"col', b'{"results":"x"}', b"\xff\xfe"])
def test_an_answer_that_is_none_means_the_store_is_not_there(body: bytes) -> None:
    with pytest.raises(UnavailableError, match="garbled_answer"):
        read_answer(body)


def test_an_error_inside_an_answer_is_an_error() -> None:
    with pytest.raises(UnavailableError, match="database not found"):
        read_answer(b'{"results":[{"statement_id":0,"error":"database not found: hub"}]}')
