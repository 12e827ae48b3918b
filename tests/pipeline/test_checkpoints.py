"""Checkpoints: written while more is judged, of one record all the same; what came meanwhile goes with the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub import checkpoints
from hub.journal.state_file import read_dead_letters
from tests.engine.desk import ALARM, NORMAL, Desk, native, smoke
from tests.journal.papers import set_read_only
from tests.pipeline.court import GARBAGE, assert_is_whole, judging, locked, some_turns


async def test_judging_goes_on_and_commands_leave_while_somebody_else_locks_the_state_file(
    data: Path, desk: Desk
) -> None:
    async with judging(data, desk) as court:
        await court.settle()
        covered = court.made.position
        with locked(data / "state.sqlite"):
            desk.hear(smoke(NORMAL))
            while not court.file.thread.owes:
                desk.tick(6)
                await court.judge()
            desk.hear(smoke(ALARM))
            await court.judge()
            assert [one.topic for one in court.left] == ["hub/s1/door-1/command", "hub/s1/gate-1/command"]
            assert court.made.position == covered
        await court.settle()  # what was refused meanwhile is tried again behind the next record
        assert court.made.position > covered


async def test_a_checkpoint_is_of_one_record_whatever_is_judged_while_it_is_written(data: Path, desk: Desk) -> None:
    async with judging(data, desk) as court:
        async with court.held():
            desk.hear(smoke(ALARM), native("door-1", {"values": {"door": "open"}}, "telemetry"), GARBAGE)
            desk.tick(30)
            desk.hear(smoke(NORMAL), GARBAGE)
            await court.judge()
            assert not court.engine.state.is_checkpointing  # the next one is due, and waits
        covered = await court.until_written()
        assert covered < court.position
        assert_is_whole(data, desk, covered)
    assert_is_whole(data, desk, len(desk.records))


async def test_dead_letters_that_come_while_a_checkpoint_is_written_are_all_kept_and_judging_waits_for_none(
    data: Path, desk: Desk
) -> None:
    desk.hear(GARBAGE)
    async with judging(data, desk) as court:
        async with court.held():
            for _ in range(3):
                desk.hear(GARBAGE)
                desk.tick(1)
            await court.judge()
        await court.until_written()
        desk.tick(1)  # at which the others are buried, and wait for no checkpoint
        await court.judge()
        assert len(read_dead_letters(data / "state.sqlite", limit=99)) == 4
    assert_is_whole(data, desk, len(desk.records))


async def test_more_dead_letters_than_memory_may_hold_wait_for_the_checkpoint_and_judging_with_them(
    data: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "MEMORY_BYTES", len(GARBAGE.payload))
    async with judging(data, desk) as court:
        async with court.held():
            desk.hear(GARBAGE)
            desk.tick(1)
            desk.hear(GARBAGE)
            await court.judge()
            judged = court.position
            desk.tick(1)
            await court.tell()
            await some_turns()
            assert court.position == judged
        await court.judge()
        assert len(read_dead_letters(data / "state.sqlite", limit=99)) == 2
    assert_is_whole(data, desk, len(desk.records))


async def test_nothing_is_judged_while_the_disk_refuses_a_checkpoint_and_all_of_it_when_it_does_no_more(
    data: Path, desk: Desk
) -> None:
    async with judging(data, desk) as court:
        await court.until_refused(smoke(ALARM), GARBAGE)
        judged = court.position
        desk.tick(1)
        await court.tell()
        await some_turns()
        assert court.position == judged < len(desk.records)
        set_read_only(court.file, is_on=False)
        await court.settle()
        assert court.made.held_up_by == ""
    assert_is_whole(data, desk, len(desk.records))
