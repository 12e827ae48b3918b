"""Repair and adoption: the hub goes on, and exactly what is missing is said."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from hub.bridge.frames import decode_packets
from hub.errors import ConfigError, CorruptError
from hub.journal.files import Lock
from hub.journal.gaps import begin_anew
from hub.journal.neighbours import opened
from hub.journal.records import to_row
from hub.journal.repair import Cut, Repair, repair
from hub.journal.state_file import StateFile
from hub.model.records import Record, Tick
from tests.journal.papers import EVERY_KIND, PARTITION, SECOND, START, everything, journal, noise, record, records

LAST = 40
HOUR = 3_600 * SECOND


def written() -> list[Record]:
    return records(1, EVERY_KIND) + noise(len(EVERY_KIND) + 1, LAST - len(EVERY_KIND))


ROWS = [to_row(each) for each in written()]


async def fill(directory: Path, *, checkpoint: int, trim_to: int = 0) -> str:
    """Make journal and state; return the journal's id."""
    async with journal(directory) as one:
        await one.append(written()[:-1])
        await one.append(written()[-1:], trim_to=trim_to, limits=(2**62 if trim_to else 0, 0))
        async with StateFile(directory / "state.sqlite", one.id) as state:
            await state.checkpoint(checkpoint, {"device/s1/1": b"1"}, [], [])
        return one.id


def damage(directory: Path, *positions: int) -> None:
    """Change the body of these records."""
    connection = sqlite3.connect(directory / "journal.sqlite")
    with connection:
        for position in positions:
            connection.execute("UPDATE records SET body = x'00' WHERE position = ?", (position,))
    connection.close()


def mend(directory: Path) -> Repair:
    return repair(directory, PARTITION, decode_packets)


def messages(numbers: Sequence[int]) -> int:
    return sum(len(each.messages) for each in written() if each.position in numbers)


async def start(directory: Path) -> tuple[list[int], int]:
    """Start as a hub does and journal one tick; return the positions that were applied, and that of the tick."""
    async with opened(directory, PARTITION, decode_packets) as (one, state, saved):
        applied = [each async for each in one.read(saved.position)]
        assert [to_row(each) for each in applied] == [ROWS[each.position - 1] for each in applied]
        tick = record(one.last + 1, Tick(), at=START + 99 * SECOND)
        await one.append([tick])
        await state.checkpoint(tick.position, {}, [], [])
        assert [each.position for each in await everything(one)][-1] == tick.position
    async with opened(directory, PARTITION, decode_packets) as (one, _, saved):
        assert (saved.position, one.last) == (tick.position, tick.position)
        assert dict(saved.entries) == {"device/s1/1": b"1"}
    return [each.position for each in applied], tick.position


async def test_a_whole_journal_is_left_alone(tmp_path: Path) -> None:
    await fill(tmp_path, checkpoint=20)
    before = (tmp_path / "journal.sqlite").read_bytes()
    assert mend(tmp_path) == Repair(kept=(1, LAST), cuts=[], next_position=LAST + 1, damaged=None)
    assert (tmp_path / "journal.sqlite").read_bytes() == before
    assert await start(tmp_path) == (list(range(21, LAST + 1)), LAST + 1)


async def test_damage_behind_the_checkpoint_cuts_there_and_says_what_is_lost(tmp_path: Path) -> None:
    identity = await fill(tmp_path, checkpoint=20)
    damage(tmp_path, 30)
    before = (tmp_path / "journal.sqlite").read_bytes()
    with pytest.raises(CorruptError, match="corrupt_record"):
        await start(tmp_path)
    lost = range(30, LAST + 1)
    aside = tmp_path / "journal.sqlite.damaged"
    done = mend(tmp_path)
    cut = Cut(
        first=30,
        last=LAST,
        is_applied=False,
        readable=len(lost) - 1,
        messages=messages(lost) - messages([30]),
        received_from=START + 31 * SECOND,
        received_to=START + LAST * SECOND,
    )
    assert done == Repair(kept=(1, 29), cuts=[cut], next_position=LAST + 1, damaged=aside)
    assert aside.read_bytes() == before
    assert await start(tmp_path) == (list(range(21, 30)), LAST + 1)
    async with journal(tmp_path) as one:
        assert one.id == identity
        assert [each.position for each in await everything(one)] == [*range(1, 30), LAST + 1]


async def test_damage_before_the_checkpoint_costs_history_alone(tmp_path: Path) -> None:
    await fill(tmp_path, checkpoint=20)
    damage(tmp_path, 4, 11)
    done = mend(tmp_path)
    assert done.kept == (12, LAST)
    assert [(cut.first, cut.last, cut.is_applied, cut.readable) for cut in done.cuts] == [(1, 11, True, 9)]
    assert await start(tmp_path) == (list(range(21, LAST + 1)), LAST + 1)


async def test_damage_on_both_sides_of_the_checkpoint_is_cut_on_both(tmp_path: Path) -> None:
    await fill(tmp_path, checkpoint=20)
    damage(tmp_path, 20, 21)
    done = mend(tmp_path)
    assert done.kept is None
    assert [(cut.first, cut.last, cut.is_applied) for cut in done.cuts] == [(1, 20, True), (21, LAST, False)]
    assert await start(tmp_path) == ([], LAST + 1)


async def test_a_trimmed_journal_is_repaired_from_where_it_begins(tmp_path: Path) -> None:
    await fill(tmp_path, checkpoint=20, trim_to=20)
    damage(tmp_path, 33)
    done = mend(tmp_path)
    assert done.kept == (7, 32)
    assert await start(tmp_path) == (list(range(21, 33)), LAST + 1)


async def test_a_record_that_is_gone_is_one_that_is_damaged(tmp_path: Path) -> None:
    await fill(tmp_path, checkpoint=20)
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    with connection:
        connection.execute("DELETE FROM records WHERE position IN (25, 38, 39, 40)")
    connection.close()
    done = mend(tmp_path)
    assert done.kept == (1, 24)
    assert [(cut.first, cut.last, cut.readable) for cut in done.cuts] == [(25, LAST, 12)]
    assert await start(tmp_path) == (list(range(21, 25)), LAST + 1)


@pytest.mark.parametrize("content", [None, b"", b"\0" * 50_000])
async def test_a_lost_journal_beside_its_state_costs_what_was_unapplied(tmp_path: Path, content: bytes | None) -> None:
    identity = await fill(tmp_path, checkpoint=20)
    (tmp_path / "journal.sqlite").unlink()
    if content is not None:
        (tmp_path / "journal.sqlite").write_bytes(content)
    done = mend(tmp_path)
    assert (done.kept, done.next_position) == (None, LAST + 1)
    assert [(cut.first, cut.last, cut.is_applied, cut.readable) for cut in done.cuts] == [(21, LAST, False, 0)]
    assert await start(tmp_path) == ([], LAST + 1)
    async with journal(tmp_path) as one:
        assert one.id == identity


async def test_a_journal_shorter_than_its_state_goes_on_above_it(tmp_path: Path) -> None:
    await fill(tmp_path, checkpoint=30)
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    with connection:
        connection.execute("DELETE FROM records WHERE position > 25")
    connection.close()
    (tmp_path / "journal.end").unlink()
    with pytest.raises(CorruptError, match="journal_behind_state"):
        await start(tmp_path)
    done = mend(tmp_path)
    assert (done.kept, done.next_position) == (None, 31)
    assert [(cut.first, cut.last, cut.is_applied) for cut in done.cuts] == [(1, 30, True)]
    assert await start(tmp_path) == ([], 31)


async def test_a_repaired_journal_can_be_damaged_and_repaired_again(tmp_path: Path) -> None:
    await fill(tmp_path, checkpoint=20)
    damage(tmp_path, 30)
    mend(tmp_path)
    damage(tmp_path, 25)
    done = mend(tmp_path)
    assert (done.kept, done.next_position) == ((1, 24), LAST + 1)
    assert [(cut.first, cut.last, cut.readable) for cut in done.cuts] == [(25, LAST, 4)]
    assert done.damaged == tmp_path / "journal.sqlite.damaged-2"
    assert await start(tmp_path) == (list(range(21, 25)), LAST + 1)


class Killed(BaseException):
    """As by SIGKILL: nothing of what was begun is brought to an end."""


async def test_a_repair_that_was_killed_anywhere_is_made_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two names there was no journal, and the next repair began an empty one."""
    origin = tmp_path / "origin"
    origin.mkdir()
    await fill(origin, checkpoint=20)
    with closing(sqlite3.connect(origin / "journal.sqlite")) as reader:
        reader.execute("SELECT count(*) FROM records").fetchone()  # so that the WAL stays
        damage(origin, 30)
        for at in count(1):
            place = tmp_path / str(at)
            shutil.copytree(origin, place)
            calls = killed_at(at, partial(mend, place), monkeypatch)
            if calls < at:
                break
            done = mend(place)
            assert (done.kept, done.next_position) == ((1, 29), LAST + 1), at
            assert done.damaged is not None
            assert (done.damaged.stat().st_size, Path(f"{done.damaged}-wal").exists()) == (size(origin), True), at
            assert not [*place.glob("*.repaired")], at
            assert await start(place) == (list(range(21, 30)), LAST + 1), at
    assert at > 3


def size(directory: Path) -> int:
    return (directory / "journal.sqlite").stat().st_size


def killed_at(at: int, work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> int:
    """Do ``work`` and kill it before its ``at``-th renaming; return how many it began."""
    rename, calls = os.rename, 0

    def counted(source: str, target: str) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise Killed
        rename(source, target)

    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(os, "rename", counted)
        work()
    return calls


async def test_damage_anywhere_in_the_file_can_be_repaired(tmp_path: Path) -> None:
    """Whatever is kept is what was written; what is cut and what is kept are all there was."""
    origin = tmp_path / "origin"
    origin.mkdir()
    await fill(origin, checkpoint=20)
    content = (origin / "journal.sqlite").read_bytes()
    chance = random.Random(7)  # noqa: S311 -- not for secrets
    for number in range(30):
        copied = tmp_path / str(number)
        copied.mkdir()
        for name in ("state.sqlite", "journal.end"):
            (copied / name).write_bytes((origin / name).read_bytes())
        broken = bytearray(content[: chance.choice([len(content), chance.randrange(len(content))])])
        for _ in range(4):
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        (copied / "journal.sqlite").write_bytes(broken)
        done = mend(copied)
        applied, following = await start(copied)
        assert following == LAST + 1
        last = max(20, done.kept[1]) if done.kept else 20
        assert applied == list(range(21, last + 1))
        assert sum(cut.last - cut.first + 1 for cut in done.cuts if not cut.is_applied) == LAST - last


async def test_a_directory_without_a_hub_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="journal_missing"):
        mend(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_running_hub_is_not_repaired(tmp_path: Path) -> None:
    await fill(tmp_path, checkpoint=20)
    with Lock(tmp_path), pytest.raises(ConfigError, match="already_running"):
        mend(tmp_path)


async def test_nothing_is_cut_when_nobody_knows_what_was_applied(tmp_path: Path) -> None:
    await fill(tmp_path, checkpoint=20)
    damage(tmp_path, 30)
    connection = sqlite3.connect(tmp_path / "state.sqlite")
    with connection:
        connection.execute("UPDATE meta SET value = '33' WHERE name = 'position'")
    connection.close()
    with pytest.raises(CorruptError, match="corrupt_row"):
        mend(tmp_path)
    assert not (tmp_path / "journal.sqlite.damaged").exists()


async def test_a_state_of_another_journal_repairs_nothing(tmp_path: Path) -> None:
    await fill(tmp_path, checkpoint=20)
    (tmp_path / "state.sqlite").unlink()
    async with StateFile(tmp_path / "state.sqlite", "another"):
        pass
    damage(tmp_path, 30)
    with pytest.raises(ConfigError, match="foreign_state"):
        mend(tmp_path)


# ------------------------------------------------------------------------------------------------------------ adoption


async def test_a_new_journal_starts_above_a_position(tmp_path: Path) -> None:
    async with opened(tmp_path, PARTITION, decode_packets) as (one, _, _):
        await one.start_above(5_000)
        assert (one.first, one.last, one.is_whole) == (5_001, 5_000, True)
    async with opened(tmp_path, PARTITION, decode_packets) as (one, _, saved):
        assert (saved.position, one.last) == (0, 5_000)
        assert [each async for each in one.read(0)] == []
        await one.append([record(5_001, Tick()), record(5_002, Tick())])
        assert [each.position async for each in one.read(0)] == [5_001, 5_002]
        await one.start_above(4_000)
        assert one.last == 5_002


async def test_a_journal_with_records_leaves_a_gap_that_is_none_of_its_own(tmp_path: Path) -> None:
    await fill(tmp_path, checkpoint=20)
    async with opened(tmp_path, PARTITION, decode_packets) as (one, _, _):
        await one.start_above(100)
        await one.start_above(200)
        assert one.last_t == written()[-1].t + len(written()[-1].messages) - 1
        assert one.after(LAST) == 201
    assert await start(tmp_path) == (list(range(21, LAST + 1)), 201)
    damage(tmp_path, 30)
    assert mend(tmp_path).next_position == 202


async def test_each_copy_of_a_journal_that_begins_anew_has_a_mark_of_its_own_and_goes_on_without_a_hole(
    tmp_path: Path,
) -> None:
    homes = [tmp_path / name for name in ("old", "first", "second")]
    homes[0].mkdir()
    await fill(homes[0], checkpoint=20)
    marks = []
    for n, home in enumerate(homes):
        if n:
            shutil.copytree(homes[0], home)
            begin_anew(home / "journal.sqlite", START + n * HOUR)
            begin_anew(home / "journal.sqlite", START + n * HOUR + 1)  # restored once more before it has begun
            assert mend(home).damaged is None
    for home in homes:
        async with opened(home, PARTITION, decode_packets) as (one, _, _):
            marks.append(one.began)
            last = written()[-1]
            moment = (last.t + len(last.messages) - 1, last.received_at + len(last.messages) - 1)
            assert (one.last_t, one.last_received_at) == moment
        assert (await start(home))[1] == LAST + 1
    assert marks[0] == 1
    assert len({*marks}) == 3


async def test_a_mark_outlives_adoption_and_repair(tmp_path: Path) -> None:
    await fill(tmp_path, checkpoint=20)
    began = []
    for now in (START + HOUR, START + 2 * HOUR):
        home = tmp_path / str(now)
        home.mkdir()
        for name in ("journal.sqlite", "state.sqlite"):
            shutil.copy(tmp_path / name, home)
        begin_anew(home / "journal.sqlite", now)
        with closing(sqlite3.connect(home / "journal.sqlite")) as connection:
            connection.execute("CREATE TABLE foreign_one (name TEXT)")
        assert mend(home).cuts == []
        async with opened(home, PARTITION, decode_packets) as (one, _, _):
            assert one.began == LAST + 1 + now
        damage(home, 30)
        assert mend(home).next_position == LAST + 1
        async with opened(home, PARTITION, decode_packets) as (one, _, _):
            began.append(one.began)
            await one.start_above(100)
            began.append(one.began)
            assert one.after(29) == 101
    assert len({1, *began}) == 5


async def test_trimming_goes_over_a_gap(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        await one.append(noise(1, 3))
        await one.start_above(10)
        await one.append(noise(11, 3))
        await one.append([record(14, Tick())], trim_to=12, limits=(2**62, 0))
        assert (one.first, one.trimmed_records) == (13, 5)
        assert [each.position for each in await everything(one)] == [13, 14]
    async with journal(tmp_path) as one:
        assert (one.first, one.last, one.is_whole) == (13, 14, False)
