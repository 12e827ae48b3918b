"""The embedded store's own promises: retention, reopening, and files that are none of its own."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.config.settings import Settings, TimeseriesSettings
from hub.errors import ConfigError, CorruptError, UnavailableError
from hub.model.values import Scalar
from hub.parts import make_store
from hub.sinks.timeseries.lines import encode
from hub.sinks.timeseries.local import LocalStore
from hub.sinks.timeseries.query import telemetry
from hub.sinks.timeseries.store import Span
from tests.clocks import ManualClock
from tests.sinks.timeseries.samples import NOON, series

EVERYTHING = telemetry("smoke_sensor", Span(since=0, until=2 * NOON), {})
HOUR_NS = 3_600_000_000_000


async def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "series.sqlite"
    async with LocalStore(path, SystemClock()) as store:
        await store.write(encode([(series("a"), NOON, {"v": 1.0}), (series("b"), NOON, {"v": 2.0})]))

    async with LocalStore(path, SystemClock()) as store:
        await store.write(encode([(series("a"), NOON, {"v": 3.0}), (series("c"), NOON, {"v": 4.0})]))
        rows = await store.query(EVERYTHING)

    assert sorted((row.tags["device"], row.fields["v"]) for row in rows) == [("a", 3.0), ("b", 2.0), ("c", 4.0)]


async def test_only_its_owner_may_read_what_was_measured_and_each_event(tmp_path: Path) -> None:
    """Plates and cards are in it; journal, state and registry were for our eyes only, and it was for everybody's."""
    path = tmp_path / "series.sqlite"
    path.touch()
    path.chmod(0o644)  # as an older hub left it
    async with LocalStore(path, SystemClock()) as store:
        await store.write(encode([(series("a"), NOON, {"v": 1.0})]))
        assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.glob("series.*")} == {0o600}


async def test_a_value_keeps_its_type(tmp_path: Path) -> None:
    values: dict[str, Scalar] = {"whole": 21.0, "count": 21, "big": 2**62, "small": 1e-300, "on": True, "text": "21i"}
    async with LocalStore(tmp_path / "series.sqlite", SystemClock()) as store:
        await store.write(encode([(series(), NOON, values)]))
        (row,) = await store.query(EVERYTHING)

    assert [(name, type(value), value) for name, value in row.fields.items()] == [
        (name, type(value), value) for name, value in values.items()
    ]


async def test_a_time_that_no_store_holds_is_rejected(tmp_path: Path) -> None:
    async with LocalStore(tmp_path / "series.sqlite", SystemClock()) as store:
        written = await store.write(encode([(series(), 2**63, {"v": 1.0}), (series(), NOON, {"v": 1.0})]))

    assert written.accepted == 1
    assert [reason for _, reason in written.rejected] == ["time outside range"]


async def test_points_older_than_the_retention_go_a_few_with_each_write(tmp_path: Path) -> None:
    clock = ManualClock(wall_ns=NOON)
    async with LocalStore(tmp_path / "series.sqlite", clock, keep=timedelta(hours=1)) as store:
        old = encode([(series(), NOON - HOUR_NS + n, {"v": 1.0}) for n in range(2500)])
        assert (await store.write(old)).accepted == 2500
        assert len(await store.query(EVERYTHING)) == 2500

        clock.advance(60)
        left = []
        for n in range(4):
            await store.write(encode([(series(), NOON + n, {"v": 1.0})]))
            left.append(len(await store.query(EVERYTHING)))

    assert left == [1501, 502, 3, 4]


async def test_a_store_all_of_which_has_expired_opens_again(tmp_path: Path) -> None:
    """A device handed over what it had kept for longer than the store does: the marked point went with the rest."""
    path, clock, keep = tmp_path / "series.sqlite", ManualClock(wall_ns=NOON), timedelta(hours=1)
    async with LocalStore(path, clock, keep=keep) as store:
        await store.write(encode([(series(), NOON - n * HOUR_NS, {"v": 1.0}) for n in range(2, 9)]))
    async with LocalStore(path, clock, keep=keep) as store:
        assert [row.time for row in await store.query(EVERYTHING)] == [NOON - 2 * HOUR_NS]


async def test_a_hub_s_own_store_keeps_what_it_is_told_to(tmp_path: Path) -> None:
    """It kept everything, whatever anybody wished, until the disk was full and nothing was heard any more."""
    clock = ManualClock(wall_ns=NOON)
    settings = Settings(data_dir=tmp_path, timeseries=TimeseriesSettings(keep=timedelta(days=1)))
    async with make_store(settings, clock) as store:
        await store.write(encode([(series(), NOON - 25 * HOUR_NS, {"v": 1.0}), (series(), NOON, {"v": 2.0})]))
        assert [row.time for row in await store.query(EVERYTHING)] == [NOON]


async def test_a_file_that_is_no_store_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "series.sqlite"
    path.write_bytes(b"this is a diary, not a database\n" * 100)

    with pytest.raises(CorruptError, match="store_damaged"):
        async with LocalStore(path, SystemClock()):
            pass

    assert path.read_bytes().startswith(b"this is a diary")


async def test_a_folder_that_is_missing_is_for_a_person_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="store_not_opened"):
        async with LocalStore(tmp_path / "missing" / "series.sqlite", SystemClock()):
            pass


async def test_a_full_disk_is_waited_for_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "series.sqlite"
    lines = encode([(series(f"smoke-{n}"), NOON + n, {"text": "x" * 500}) for n in range(500)])
    async with LocalStore(path, SystemClock()) as store:
        await store.write(lines[:10])
        await limit_pages(store, 8)
        with pytest.raises(UnavailableError, match="full"):
            await store.write(lines)
        await limit_pages(store, 1_000_000)

        assert (await store.write(lines)).accepted == 500
        rows = await store.query(EVERYTHING)

    assert [row.tags["device"] for row in rows] == [f"smoke-{n}" for n in range(500)]
    with sqlite3.connect(path) as opened:
        assert opened.execute("SELECT count(*) FROM series").fetchone() == (500,)
    opened.close()


async def test_a_disk_that_fails_twice_makes_no_point_nobody_s_or_another_s(tmp_path: Path) -> None:
    """What was remembered of series that were taken back stayed where it could not be read anew."""
    first, second = (encode([(series(name), NOON, {"v": 1.0})]) for name in ("a", "b"))
    async with LocalStore(tmp_path / "series.sqlite", SystemClock()) as store:
        disk = store._writing  # noqa: SLF001 -- no disk fails as it is told
        disk.set_authorizer(fails_at({(sqlite3.SQLITE_INSERT, "points"), (sqlite3.SQLITE_READ, "series")}))
        with pytest.raises(UnavailableError):
            await store.write(first)
        disk.set_authorizer(None)
        await stored(store, second)
        await stored(store, first)
        rows = await store.query(EVERYTHING)

    assert sorted(row.tags["device"] for row in rows) == ["a", "b"]


def fails_at(places: set[tuple[int, str]]) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
    """Return what lets SQLite do everything but these things to these tables."""
    return lambda action, table, *_: sqlite3.SQLITE_DENY if (action, table) in places else sqlite3.SQLITE_OK


async def stored(store: LocalStore, lines: Sequence[bytes]) -> None:
    """Write as the writer does: the same again while it is refused."""
    for _ in range(3):
        with suppress(UnavailableError):
            await store.write(lines)
            break


async def test_a_question_that_takes_too_long_is_ended_and_holds_up_nobody(tmp_path: Path) -> None:
    lines = encode([(series(), NOON + n, {"v": float(n)}) for n in range(100_000)])
    async with LocalStore(tmp_path / "series.sqlite", SystemClock(), deadline=timedelta(milliseconds=2)) as store:
        await store.write(lines)

        with pytest.raises(UnavailableError, match="query_took_too_long"):
            await store.query(telemetry("smoke_sensor", Span(since=0, until=2 * NOON, limit=100_000), {}))

        await store.ping()
        assert (await store.write(lines[:10])).accepted == 10


async def limit_pages(store: LocalStore, pages: int) -> None:
    """Let the file grow to ``pages``, as a full disk would."""
    limit = f"PRAGMA max_page_count = {pages}"
    await store._in(store._writer, store._writing.execute, limit)  # noqa: SLF001 -- no fault from outside fills a disk
