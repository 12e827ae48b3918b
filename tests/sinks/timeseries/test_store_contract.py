"""What every time series store promises, run over each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.model.effects import Point
from hub.model.values import Scalar
from hub.sinks.timeseries.influxdb import InfluxStore
from hub.sinks.timeseries.lines import encode, event_line
from hub.sinks.timeseries.local import LocalStore
from hub.sinks.timeseries.query import events, telemetry
from hub.sinks.timeseries.store import Order, Row, Span, Store
from tests.servers.influxdb import InfluxServer
from tests.sinks.timeseries.samples import NOON, event, series
from tests.waiting import PATIENCE_SECONDS

ALL = Span(since=0, until=2 * NOON)
INJECTION = 'x v=0 1\nadmin,role=root v=1"\\'


@pytest.fixture(params=["local", "influxdb"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with AsyncExitStack() as opened:
        if request.param == "local":
            yield await opened.enter_async_context(LocalStore(tmp_path / "series.sqlite", SystemClock()))
        else:
            server = await opened.enter_async_context(InfluxServer(tmp_path / "influxdb"))
            yield await opened.enter_async_context(
                InfluxStore(
                    url=server.url, token="", org="", bucket="hub", deadline=timedelta(seconds=PATIENCE_SECONDS)
                )
            )


async def fields_of(store: Store, kind: str = "smoke_sensor", span: Span = ALL) -> list[tuple[int, dict[str, Scalar]]]:
    return [(row.time - NOON, row.fields) for row in await store.query(telemetry(kind, span, {}))]


async def test_a_store_answers_a_ping(store: Store) -> None:
    await store.ping()


async def test_a_point_comes_back_with_its_tags_and_typed_fields(store: Store) -> None:
    values: dict[str, Scalar] = {"temperature": 21.5, "battery": 97, "status": "normal", "alarm": False}

    written = await store.write(encode([(series(part="zone-2"), NOON, values)]))

    assert (written.accepted, list(written.rejected)) == (1, [])
    assert await store.query(telemetry("smoke_sensor", ALL, {"device": "smoke-1"})) == [
        Row(
            time=NOON,
            tags={
                "site": "riverside",
                "building": "b1",
                "device": "smoke-1",
                "part": "zone-2",
                "profile": "milesight/gs524n",
            },
            fields=values,
        )
    ]


async def test_every_one_of_many_points_is_stored_once(store: Store) -> None:
    points: list[Point] = [(series(f"smoke-{n % 50}"), NOON + n, {"number": n, "half": n / 2}) for n in range(3000)]

    for start in range(0, 3000, 1000):
        assert (await store.write(encode(points[start : start + 1000]))).accepted == 1000

    assert await fields_of(store) == [(n, {"number": n, "half": n / 2}) for n in range(3000)]


async def test_two_points_of_one_millisecond_stay_two(store: Store) -> None:
    await store.write(encode([(series(), NOON, {"card": "a"}), (series(), NOON + 1, {"card": "b"})]))

    assert await fields_of(store) == [(0, {"card": "a"}), (1, {"card": "b"})]


async def test_a_point_that_is_written_again_stays_one(store: Store) -> None:
    lines = encode([(series(), NOON, {"v": 1.5, "door": "open"})])

    for _ in range(3):
        await store.write(lines)
    await store.write(lines + lines)

    assert await fields_of(store) == [(0, {"v": 1.5, "door": "open"})]


async def test_fields_that_come_later_add_to_a_point_and_the_newest_of_a_name_wins(store: Store) -> None:
    await store.write(encode([(series(), NOON, {"plate": "A1", "confidence": 0.5})]))
    await store.write(encode([(series(), NOON, {"confidence": 0.9, "lane": "in"})]))

    assert await fields_of(store) == [(0, {"plate": "A1", "confidence": 0.9, "lane": "in"})]


async def test_a_bad_line_is_rejected_with_its_reason_and_the_good_ones_around_it_are_stored(store: Store) -> None:
    lines = encode([(series(), NOON + n, {"v": float(n)}) for n in range(20)])
    bad = encode([(series(), NOON + 100, {"v": float("nan")})])[0]
    lines.insert(7, bad)
    lines.insert(13, b"not a line")

    written = await store.write(lines)

    assert written.accepted == 20
    assert {line for line, _ in written.rejected} == {bad, b"not a line"}
    assert all(reason and "nan" not in reason for _, reason in written.rejected)
    assert await fields_of(store) == [(n, {"v": float(n)}) for n in range(20)]


async def test_a_write_of_bad_lines_alone_stores_nothing_and_rejects_each(store: Store) -> None:
    lines = [b"not a line %d" % number for number in range(100)]

    written = await store.write(lines)

    assert written.accepted == 0
    assert sorted(line for line, _ in written.rejected) == sorted(lines)


async def test_a_write_of_nothing_is_no_failure(store: Store) -> None:
    assert (await store.write([])).accepted == 0


async def test_what_a_payload_says_stays_a_string(store: Store) -> None:
    await store.write(encode([(series(part=INJECTION), NOON, {"text": INJECTION, INJECTION: 1.0})]))
    await store.write([event_line(event(part=INJECTION, data=INJECTION))])

    assert await store.query(telemetry("admin", ALL, {})) == []
    ((_, fields),) = await fields_of(store)
    assert fields["text"] == INJECTION.replace("\n", "\\n")
    assert len(fields) == 2


async def test_text_of_any_script_comes_back(store: Store) -> None:
    text = "京A·12345 “quoted” \\ \t é 🚗 ,= a=1"

    await store.write(encode([(series("门-1", part="1 号, 东=西"), NOON, {"plate": text})]))

    (row,) = await store.query(telemetry("smoke_sensor", ALL, {"device": "门-1", "part": "1 号, 东=西"}))
    assert row.fields == {"plate": text}


@pytest.mark.parametrize("attack", ["' or '1'='1", "' OR 1=1 --", '"; DROP DATABASE hub; --', "$device", "\\'", "{}"])
async def test_a_tag_in_a_question_is_only_ever_compared(store: Store, attack: str) -> None:
    await store.write(encode([(series(), NOON, {"v": 1.0})]))

    assert await store.query(telemetry("smoke_sensor", ALL, {"device": attack})) == []
    assert await fields_of(store) == [(0, {"v": 1.0})]


async def test_a_question_for_a_device_without_a_part_does_not_answer_its_parts(store: Store) -> None:
    await store.write(encode([(series(), NOON, {"v": 1.0}), (series(part="door-1"), NOON, {"v": 2.0})]))

    assert [row.fields for row in await store.query(telemetry("smoke_sensor", ALL, {"part": ""}))] == [{"v": 1.0}]
    assert [row.fields for row in await store.query(telemetry("smoke_sensor", ALL, {"part": "door-1"}))] == [{"v": 2.0}]


async def test_only_the_properties_asked_for_are_answered(store: Store) -> None:
    await store.write(encode([(series(), NOON, {"a": 1.0, "b": 2.0, "c": 3.0}), (series(), NOON + 1, {"c": 4.0})]))

    rows = await store.query(telemetry("smoke_sensor", ALL, {}, ["a", "b"]))

    assert [(row.time - NOON, row.fields, row.tags["site"]) for row in rows] == [(0, {"a": 1.0, "b": 2.0}, "riverside")]


async def test_a_span_holds_its_start_and_not_its_end(store: Store) -> None:
    await store.write(encode([(series(), NOON + n, {"v": float(n)}) for n in range(5)]))

    assert [at for at, _ in await fields_of(store, span=Span(since=NOON + 1, until=NOON + 3))] == [1, 2]


async def test_a_limit_cuts_the_end_that_comes_last(store: Store) -> None:
    await store.write(encode([(series(f"d{n % 3}"), NOON + n, {"v": float(n)}) for n in range(9)]))

    oldest = await fields_of(store, span=Span(since=0, until=2 * NOON, limit=2))
    newest = await fields_of(store, span=Span(since=0, until=2 * NOON, limit=2, order=Order.NEWEST_FIRST))

    assert [at for at, _ in oldest] == [0, 1]
    assert [at for at, _ in newest] == [8, 7]


async def test_events_are_found_by_name_and_severity(store: Store) -> None:
    await store.write([event_line(event(number)) for number in range(1, 4)])
    await store.write([event_line(event(9, name="fire.alarm", part="zone-1"))])

    found = await store.query(events(ALL, {"event": "fire.confirmed", "severity": "critical"}))

    assert [row.fields["id"] for row in found] == [f"{number:032x}" for number in range(1, 4)]
    assert len(await store.query(events(ALL, {"site": "riverside"}))) == 4
    assert [row.tags["part"] for row in await store.query(events(ALL, {"event": "fire.alarm"}))] == ["zone-1"]


async def test_a_kind_that_was_never_written_answers_nothing(store: Store) -> None:
    assert await store.query(telemetry("elevator", ALL, {})) == []
