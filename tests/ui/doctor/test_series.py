"""Time series stores, asked by the doctor: InfluxDB 1.6 and VictoriaMetrics for real, pages of version 2 by script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from hub.clock import SystemClock
from hub.config.settings import Settings
from hub.services.child import free_port
from hub.ui.doctor.series import look, retention
from tests.servers.http_stub import Answer, HttpStub
from tests.servers.influxdb import InfluxServer
from tests.servers.victoria import VictoriaServer
from tests.ui.doctor.scenes import BAD, GOOD, UNSEEN, WEAK, ShiftedClock, examined, grades, scene, settings_of


def at(directory: Path, url: str, bucket: str = "hub") -> Settings:
    return settings_of(directory, timeseries={"store": "influxdb", "url": url, "org": "o", "bucket": bucket})


async def test_an_influxdb_that_keeps_everything_is_good(influxdb: InfluxServer, tmp_path: Path) -> None:
    half_past = ShiftedClock(1_800 - SystemClock().wall_ns() // 10**9 % 3_600)  # no hour ends between the two looks
    found = await examined("time series", scene(at(tmp_path, influxdb.url), clock=half_past))
    assert set(grades(found).values()) == {GOOD}
    assert found["series_retention"].found == "for ever"
    assert len(await influxdb.ask("SELECT number FROM hub_doctor")) == 1
    await examined("time series", scene(at(tmp_path, influxdb.url), clock=half_past))
    assert len(await influxdb.ask("SELECT number FROM hub_doctor")) == 1, "the same hour, the same point"


async def test_one_that_forgets_sooner_than_the_journal_is_told(influxdb: InfluxServer, tmp_path: Path) -> None:
    await influxdb.ask('ALTER RETENTION POLICY "autogen" ON hub DURATION 26h SHARD DURATION 1h')
    found = await examined("time series", scene(at(tmp_path, influxdb.url)))
    assert found["series_retention"].grade is BAD
    assert found["series_retention"].found.startswith("1 day, 2:00:00, the journal keeps 7 days")


async def test_a_bucket_that_is_not_there_takes_and_gives_nothing(influxdb: InfluxServer, tmp_path: Path) -> None:
    found = await examined("time series", scene(at(tmp_path, influxdb.url, bucket="elsewhere")))
    assert (found["series_reachable"].grade, found["series_write"].grade, found["series_read"].grade) == (
        GOOD,
        BAD,
        BAD,
    )
    assert found["series_same"].grade is UNSEEN


async def test_a_store_that_cannot_be_asked_in_influxql_is_none_for_us(
    victoria: VictoriaServer, tmp_path: Path
) -> None:
    found = await examined("time series", scene(at(tmp_path, victoria.url)))
    assert found["series_write"].grade is GOOD
    assert found["series_read"].grade is BAD


async def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    found = await examined("time series", scene(at(tmp_path, f"http://127.0.0.1:{free_port()}")))
    assert found["series_reachable"].grade is BAD


async def test_the_local_file_needs_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    found = await examined("time series", scene(settings_of(tmp_path)))
    assert set(grades(found).values()) == {GOOD}


async def test_a_local_file_that_keeps_all_is_told_while_there_is_still_half_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    seen = await look(scene(settings_of(tmp_path)))
    assert retention(seen).grade is GOOD
    grown = replace(seen, used_bytes=5 * 2**30, free_bytes=4 * 2**30)
    assert (retention(grown).grade, retention(grown).found) == (WEAK, "for ever: 5.0 GiB by now, 4.0 free")
    settings = settings_of(tmp_path, timeseries={"keep": "400d"})
    kept = replace(await look(scene(settings)), used_bytes=5 * 2**30, free_bytes=4 * 2**30)
    assert (retention(kept).grade, retention(kept).found[:8]) == (GOOD, "400 days")


def two(stub: HttpStub, pages: Mapping[str, object], *, text: str = "ok, 好", status: int = 204) -> None:
    """Let the stub be an InfluxDB 2 that answers ``pages`` beside /ping, a write and a query."""
    columns = ["time", "text", "number", "site"]

    def judge(_lines: Sequence[bytes]) -> Answer:
        path, body = stub.requests[-1]
        page = path.partition("?")[0]
        if page == "/api/v2/write":
            stub.stored[b"time", b""] = body.rpartition(b" ")[2]
            return Answer(status=status, body=b'{"code":"unauthorized","message":"no"}' if status >= 400 else b"")
        if page == "/query":
            rows = [[int(stub.stored[b"time", b""]), text, 1, "_hub"]] if text else []
            series = [{"name": "hub_doctor", "columns": columns, "values": rows}] if rows else []
            return Answer(status=200, body=orjson.dumps({"results": [{"series": series}]}))
        found = pages.get(page)
        return (
            Answer(status=204 if page == "/ping" else 404)
            if found is None
            else Answer(status=200, body=orjson.dumps(found))
        )

    stub.judge = judge


def bucket(seconds: int) -> dict[str, object]:
    return {"buckets": [{"name": "hub", "retentionRules": [{"type": "expire", "everySeconds": seconds}]}]}


MAPPED = {"content": [{"database": "hub", "retention_policy": "autogen"}]}


async def test_an_influxdb_2_with_a_mapping_is_good(http_stub: HttpStub, tmp_path: Path) -> None:
    two(http_stub, {"/api/v2/buckets": bucket(30 * 86_400), "/api/v2/dbrps": MAPPED})
    found = await examined("time series", scene(at(tmp_path, http_stub.url)))
    assert set(grades(found).values()) == {GOOD}, found


async def test_an_influxdb_2_without_a_mapping_cannot_be_asked(http_stub: HttpStub, tmp_path: Path) -> None:
    two(http_stub, {"/api/v2/buckets": bucket(3_600), "/api/v2/dbrps": {"content": []}}, text="")
    found = await examined("time series", scene(at(tmp_path, http_stub.url)))
    assert {name for name, grade in grades(found).items() if grade is BAD} == {
        "series_read",
        "series_retention",
        "series_mapping",
    }


async def test_a_mapping_that_is_not_listed_although_it_answers_is_only_weak(
    http_stub: HttpStub, tmp_path: Path
) -> None:
    two(http_stub, {"/api/v2/buckets": bucket(0), "/api/v2/dbrps": {"content": []}})
    found = await examined("time series", scene(at(tmp_path, http_stub.url)))
    assert (found["series_mapping"].grade, found["series_retention"].found) == (WEAK, "for ever")


async def test_a_store_that_turns_text_into_numbers_is_told(http_stub: HttpStub, tmp_path: Path) -> None:
    two(http_stub, {}, text="0")
    assert (await examined("time series", scene(at(tmp_path, http_stub.url))))["series_same"].grade is BAD


async def test_a_token_that_may_not_write_is_told(http_stub: HttpStub, tmp_path: Path) -> None:
    two(http_stub, {}, status=401)
    found = await examined("time series", scene(at(tmp_path, http_stub.url)))
    assert "store_unauthorized" in found["series_write"].found
    assert found["series_write"].grade is BAD
