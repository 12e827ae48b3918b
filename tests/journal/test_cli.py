"""``hub journal``: records in words, a repair that says what it did, an adoption that lets the hub start."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from hub.bridge.frames import decode_packets
from hub.errors import ConfigError
from hub.journal.neighbours import opened
from hub.journal.outbox import STREAMS
from hub.journal.state_file import StateFile
from hub.model.records import Tick
from hub.sinks.ownership import Claim, check_journal
from hub.sinks.redis_link import pairs
from hub.sinks.streams import Cursor, cursor_key, decode_cursor, pack_cursor
from tests.journal.papers import EVERY_KIND, PARTITION, journal, lines, noise, record, records
from tests.servers.valkey import PASSWORD, ValkeyServer
from tests.ui.conftest import Cli, Said


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    yield Cli(capsys)
    structlog.reset_defaults()


class Desk:
    """The CLI with settings, and the data directory they name."""

    def __init__(self, cli: Cli, directory: Path, redis_port: int = 1) -> None:
        self.data = directory / "data"
        self.data.mkdir()
        self._cli = cli
        self._config = directory / "hub.toml"
        self._config.write_text(
            f'data_dir = "{self.data}"\nredis.url = "redis://:{PASSWORD}@127.0.0.1:{redis_port}/0"\n', encoding="utf-8"
        )

    def __call__(self, *words: str) -> Said:
        return self._cli("--config", str(self._config), "journal", *words)


@pytest.fixture
def desk(cli: Cli, tmp_path: Path) -> Desk:
    return Desk(cli, tmp_path)


async def fill(directory: Path) -> str:
    """Write a record of every kind and some noise; the state stands at 5."""
    async with journal(directory) as one:
        await one.append([*records(1, EVERY_KIND), *noise(10, 5)])
        async with StateFile(directory / "state.sqlite", one.id) as state:
            await state.checkpoint(5, {}, [(STREAMS.sink, n, lines(b"x")) for n in (3, 4)], [])
        return one.id


# ---------------------------------------------------------------------------------------------------------------- show


def test_the_last_records_are_told_in_words(desk: Desk) -> None:
    asyncio.run(fill(desk.data))
    said = desk("show", "--last", "14").out
    for words in (
        "hub 0.1.0 started with the sessions events, telemetry",
        "revision by hub 0.1.0: 1 documents put, 1 removed",
        "telemetry/3 connected, the broker had lost its session",
        "telemetry/3 caught up",
        "3 messages on telemetry/3 (settled 40): hub/s1/d1/telemetry ×3",
        "tick",
        "li asks: acknowledge rule=smoke n=1 x=0.5 yes=True",
        "command cmd-1 failed: queue full",
        "telemetry/3 lost: 断线",
    ):
        assert words in said
    assert len(desk("show", "--last", "3").out.splitlines()) == 4


def test_records_are_shown_as_json(desk: Desk) -> None:
    asyncio.run(fill(desk.data))
    found = json.loads(desk("show", "--json").out)
    assert [one["position"] for one in found] == list(range(1, 15))
    assert found[4]["messages"] == [["hub/s1/d1/telemetry", size] for size in (3, 256, 0)]
    assert found[6] | {"verb": "acknowledge", "args": {"rule": "smoke", "n": 1, "x": 0.5, "yes": True}} == found[6]


def test_a_running_hub_is_shown_without_disturbing_it(desk: Desk) -> None:
    async def beside() -> None:
        async with journal(desk.data) as one:
            await one.append(records(1, EVERY_KIND))
            said = await asyncio.to_thread(desk, "show", "--last", "1")
            assert "断线" in said.out
            await one.append([record(10, Tick())])

    asyncio.run(beside())


def test_a_directory_without_a_journal_is_a_mistake(desk: Desk) -> None:
    said = desk("show")
    assert said.code == 2
    assert "journal_missing" in said.err


# -------------------------------------------------------------------------------------------------------------- repair


def test_a_repair_says_what_it_cut_and_where_the_damaged_file_is(desk: Desk) -> None:
    asyncio.run(fill(desk.data))
    assert desk("repair").out == "the journal is whole: records 1 to 14\n"
    damage(desk.data)
    assert "corrupt_record" in desk("show").err
    said = desk("repair", str(desk.data))
    assert said.code == 0
    assert "cut: records 11 to 14: 3 of 4 can be read, with 14 messages, received 2026-03-01" in said.out
    assert "they had not been applied: their messages are lost to the hub" in said.out
    assert "kept: records 1 to 10; the next one is record 15" in said.out
    assert str(desk.data / "journal.sqlite.damaged") in said.out
    assert desk("show").code == 0
    assert json.loads(desk("repair", "--json").out)["damaged"] is None


def test_a_repair_is_told_to_programs_too(desk: Desk) -> None:
    asyncio.run(fill(desk.data))
    damage(desk.data)
    said = json.loads(desk("repair", "--json").out)
    assert said["damaged"] == str(desk.data / "journal.sqlite.damaged")
    assert (said["kept"], [(cut["first"], cut["last"]) for cut in said["cuts"]]) == ([1, 10], [(11, 14)])


def damage(directory: Path) -> None:
    """Change record 11."""
    connection = sqlite3.connect(directory / "journal.sqlite")
    with connection:
        connection.execute("UPDATE records SET t = t + 1 WHERE position = 11")
    connection.close()


# --------------------------------------------------------------------------------------------------------------- adopt


async def cursor_of(valkey: ValkeyServer) -> Cursor:
    async with valkey.link() as link:
        return decode_cursor(pairs(await link.ask("HGETALL", cursor_key(PARTITION))))


async def move_cursor(valkey: ValkeyServer, cursor: Cursor) -> None:
    async with valkey.link() as link:
        await link.exchange([pack_cursor(PARTITION, cursor)], 1)


def claim_of(directory: Path) -> Claim:
    """Return what a hub would claim after its start."""

    async def claim() -> Claim:
        async with opened(directory, PARTITION, decode_packets) as (one, _, saved):
            return Claim(partition=PARTITION, journal=one.id, host="h", epoch_hint=saved.epoch, journal_end=one.last)

    return asyncio.run(claim())


def test_a_new_journal_takes_the_place_of_a_lost_one(cli: Cli, tmp_path: Path, valkey: ValkeyServer) -> None:
    desk = Desk(cli, tmp_path, valkey.port)
    asyncio.run(move_cursor(valkey, Cursor("lost", 7, 5_000)))
    with pytest.raises(ConfigError, match="journal_mismatch"):
        check_journal(asyncio.run(cursor_of(valkey)), claim_of(desk.data))
    said = desk("adopt", "--yes")
    assert (said.code, said.out) == (0, "adopted: the next record is 5001\n")
    claim = claim_of(desk.data)
    assert claim.journal_end == 5_000
    cursor = asyncio.run(cursor_of(valkey))
    assert cursor == Cursor(claim.journal, 8, 5_000)
    check_journal(cursor, claim)


def test_adopting_tells_what_will_not_be_delivered(cli: Cli, tmp_path: Path, valkey: ValkeyServer) -> None:
    desk = Desk(cli, tmp_path, valkey.port)
    asyncio.run(fill(desk.data))
    asyncio.run(move_cursor(valkey, Cursor("lost", 7, 10)))
    said = desk("adopt", PARTITION, "--yes")
    assert "adopted: the next record is 15\n" in said.out
    assert "7 records wait below that; their events count as delivered and will not be sent" in said.out


def test_adopting_asks_first(cli: Cli, tmp_path: Path, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    desk = Desk(cli, tmp_path, valkey.port)
    asyncio.run(move_cursor(valkey, Cursor("lost", 7, 5_000)))
    assert desk("adopt").code == 1
    assert asyncio.run(cursor_of(valkey)) == Cursor("lost", 7, 5_000)


def test_adopting_for_another_partition_is_a_mistake(desk: Desk) -> None:
    said = desk("adopt", "west", "--yes")
    assert said.code == 2
    assert "partition_unknown" in said.err
