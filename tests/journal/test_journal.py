"""The journal on real files: what was appended is read back, in order, without a gap, byte for byte."""

from __future__ import annotations

import fcntl
import sqlite3
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import ConfigError, CorruptError
from hub.journal.files import Lock, SqliteFile, is_held
from hub.journal.journal import Journal
from hub.journal.readings import read_last
from hub.journal.records import from_row, to_row
from hub.model.heard import Heard, Publish
from hub.model.records import Batch, Record, Tick
from tests.journal.papers import (
    DIGEST,
    DOCUMENT,
    EVERY_KIND,
    SECOND,
    START,
    batch,
    everything,
    journal,
    noise,
    record,
    records,
)


def plain(found: list[Record]) -> list[object]:
    """Return records as values that compare, the codec's own messages by what the engine reads of them."""
    return [
        (one.position, one.t, one.received_at, one.body, one.bodies, [essence(message) for message in one.messages])
        for one in found
    ]


def essence(message: Heard) -> object:
    return message.topic, message.payload, message.packet_id, message.duplicate, message.retain


async def test_every_kind_of_record_is_read_back_as_it_was_after_a_restart(tmp_path: Path) -> None:
    written = records(1, EVERY_KIND)
    async with journal(tmp_path) as first:
        await first.append(written[:4])
        await first.append(written[4:])
        identity = first.id
    async with journal(tmp_path) as second:
        assert (second.id, second.first, second.last) == (identity, 1, len(EVERY_KIND))
        found = await everything(second)
    assert plain(found) == plain(written)
    assert found[1].bodies == {DIGEST: DOCUMENT}
    assert [message.payload for message in found[4].messages] == [b"one", bytes(range(256)), b""]


async def test_reading_begins_behind_a_position(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append(noise(1, 30))
        assert [one.position async for one in opened.read(17)] == list(range(18, 31))
        assert [one async for one in opened.read(30)] == []


async def test_large_records_are_read_in_bites_and_in_order(tmp_path: Path) -> None:
    big = [record(n, batch(b"%d" % n * 700_000)) for n in range(1, 13)]
    async with journal(tmp_path) as opened:
        await opened.append(big)
        assert plain(await everything(opened)) == plain(big)


async def test_nothing_to_append_is_nothing(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append([])
        assert (opened.last, opened.appended_records) == (0, 0)


async def test_a_position_is_given_once(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append(noise(1, 3))
        with pytest.raises(sqlite3.IntegrityError):
            await opened.append([record(4, Tick()), record(3, Tick())])
        assert opened.last == 3
        assert plain(await everything(opened)) == plain(noise(1, 3))


async def test_time_goes_on_behind_the_last_message_of_the_last_batch(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append([record(1, batch(b"a", b"b", b"c"))])
        assert (opened.last_t, opened.last_received_at) == (START + SECOND + 2, START + SECOND + 2)
    async with journal(tmp_path) as opened:
        assert (opened.last_t, opened.last_received_at) == (START + SECOND + 2, START + SECOND + 2)


async def test_what_was_appended_is_counted(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append(noise(1, 3))
        sizes = [len(to_row(one)[3]) for one in noise(1, 3)]
        assert (opened.appended_records, opened.untrimmed_bytes) == (3, sum(sizes))
        await opened.append([record(4, Tick())], trim_to=2)
        assert opened.untrimmed_bytes == sizes[2] + len(to_row(record(4, Tick()))[3])


async def test_what_an_earlier_process_left_behind_the_checkpoint_is_counted(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append(noise(1, 5))
    async with journal(tmp_path) as opened:
        await opened.count_untrimmed(checkpoint=2)
        assert opened.untrimmed_bytes == sum(len(to_row(one)[3]) for one in noise(1, 5)[2:])
        await opened.append([record(6, Tick())], trim_to=5)
        assert opened.untrimmed_bytes == len(to_row(record(6, Tick()))[3])


async def test_a_second_hub_in_one_directory_is_refused_and_names_it(tmp_path: Path) -> None:
    with Lock(tmp_path), pytest.raises(ConfigError) as refused, Lock(tmp_path):
        pass
    assert refused.value.code == "already_running"
    assert str(tmp_path) in str(refused.value)
    with Lock(tmp_path):
        pass


def test_who_only_looks_whether_somebody_works_there_takes_nothing_and_so_bars_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(_descriptor: int, _operation: int) -> None:
        raise AssertionError

    assert not is_held(tmp_path / "nowhere")
    with Lock(tmp_path):
        monkeypatch.setattr(fcntl, "flock", take)
        assert is_held(tmp_path)
        assert is_held(tmp_path)  # nor does it let go of what another holds
    assert not is_held(tmp_path)


def test_a_directory_in_which_nothing_can_be_written_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="directory_unwritable") as refused, Lock(tmp_path / "file" / "data"):
        pass
    assert (refused.value.file, "read-only" in refused.value.hint) == (str(tmp_path / "file" / "data"), True)


def test_a_process_of_the_former_version_is_seen_too_whose_only_lock_is_an_flock(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("wb") as file:
        assert not is_held(tmp_path)
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_held(tmp_path)
    assert not is_held(tmp_path)


@pytest.mark.parametrize("name", ["with space", "hash#mark", "per%20cent", "question?mark", "小区"])
async def test_a_directory_may_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    async with journal(tmp_path / name) as opened:
        await opened.append(noise(1, 2))
    assert (tmp_path / name / "journal.sqlite").exists()
    assert [one.position for one in read_last(tmp_path / name / "journal.sqlite", 9, lambda _: ())] == [1, 2]


async def test_the_file_is_for_nobody_else(tmp_path: Path) -> None:
    async with journal(tmp_path):
        assert (tmp_path / "journal.sqlite").stat().st_mode & 0o777 == 0o600


async def test_a_journal_of_another_partition_is_refused(tmp_path: Path) -> None:
    async with journal(tmp_path):
        pass
    with pytest.raises(CorruptError, match="foreign_journal"):
        async with Journal(tmp_path / "journal.sqlite", "west", lambda _: ()):
            pass


async def test_a_file_with_other_tables_is_refused(tmp_path: Path) -> None:
    async with SqliteFile(tmp_path / "journal.sqlite", "CREATE TABLE records (position INTEGER)"):
        pass
    with pytest.raises(CorruptError, match="foreign_tables"):
        async with journal(tmp_path):
            pass


async def test_a_body_that_is_gone_or_changed_is_a_corrupt_record(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append(records(1, EVERY_KIND))
    for damage in ("UPDATE bodies SET body = replace(body, 'k', 'K')", "DELETE FROM bodies"):
        connection = sqlite3.connect(tmp_path / "journal.sqlite")
        with connection:
            connection.execute(damage)
        connection.close()
        async with journal(tmp_path) as opened:
            with pytest.raises(CorruptError, match="damaged_body"):
                await everything(opened)


async def test_a_record_that_another_version_wrote_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    def newer(_: bytes) -> list[Publish]:
        raise ValueError

    async with journal(tmp_path) as opened:
        await opened.append([record(1, batch(b"x")), record(2, Tick())])
    async with Journal(tmp_path / "journal.sqlite", "main", newer) as opened:
        with pytest.raises(CorruptError, match="unreadable_record"):
            await everything(opened)


OTHERS = {0: 8, 1: START, 2: START, 3: to_row(record(7, batch(b"y")))[3], 4: 1}


@pytest.mark.parametrize("column", OTHERS)
def test_a_changed_column_of_a_row_is_noticed(column: int) -> None:
    row = to_row(record(7, batch(b"x")))
    for changed in (OTHERS[column], None, "text", 0.5, b""):
        damaged = (*row[:column], changed, *row[column + 1 :])
        with pytest.raises(CorruptError, match="corrupt_record"):
            from_row(damaged, lambda _: (), lambda _: {})  # type: ignore[arg-type] # that is the point


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 2**62), st.integers(-(2**62), 2**62), st.text(max_size=20))
def test_a_row_gives_back_any_record(raw: bytes, t: int, received_at: int, session: str) -> None:
    written = Record(1, t, received_at, Batch(session, 1, False, 0, raw))  # noqa: FBT003 -- as in the journal
    found = from_row(to_row(written), lambda packets: [Publish("t", packets)], lambda _: {})
    assert (found.t, found.received_at, found.body) == (t, received_at, written.body)
    assert msgspec.to_builtins(found.messages) == msgspec.to_builtins([Publish("t", raw)])
