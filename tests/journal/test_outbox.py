"""The outbox: in order, the same until confirmed, once; in memory and on disk."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from hub.journal.outbox import STREAMS
from tests.journal.owing import NOW, SHORT, outbox, owe, owed, take, told
from tests.journal.papers import lines, set_read_only
from tests.waiting import wait_until


async def test_work_comes_in_order_and_again_until_it_is_confirmed(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, _):
        owe(box, 1, 2, 5, 7)
        assert await take(box) == [1, 2, 5, 7]
        assert await take(box, items=3) == [1, 2, 5]
        await box.confirm(2, {})
        assert await take(box) == [5, 7]
        assert (box.waiting_items, box.waiting_bytes, box.is_empty) == (2, 20, False)
        await box.confirm(7, {})
        assert (box.waiting_items, box.waiting_bytes, box.is_empty) == (0, 0, True)


async def test_a_record_with_more_than_was_asked_for_comes_alone(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, _):
        box.add(1, lines(*[b"x"] * 50), 50, 500)
        box.add(2, lines(b"y"), 1, 10)
        assert [position for position, _ in await box.take(items=10, linger=NOW)] == [1]


async def test_taking_waits_for_work(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, _), asyncio.TaskGroup() as group:
        taking = group.create_task(take(box))
        await wait_until(lambda: not box._arrived.is_set())  # noqa: SLF001 -- nothing else shows that it waits
        owe(box, 4)
        assert await taking == [4]


async def test_taking_lingers_until_enough_has_come_together(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, _), asyncio.TaskGroup() as group:
        owe(box, 1)
        taking = group.create_task(box.take(items=3, linger=timedelta(seconds=20)))
        await wait_until(lambda: not box._arrived.is_set())  # noqa: SLF001 -- nothing else shows that it waits
        owe(box, 2)
        assert not box._arrived.is_set()  # noqa: SLF001 -- it is not woken for less than it waits for
        owe(box, 3)
        assert told(await taking) == [1, 2, 3]


async def test_lingering_ends_with_what_there_is(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, _):
        owe(box, 1)
        assert told(await box.take(items=3, linger=SHORT)) == [1]


async def test_who_is_hurried_lingers_no_longer(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, _), asyncio.TaskGroup() as group:
        owe(box, 1)
        taking = group.create_task(box.take(items=3, linger=timedelta(hours=1)))
        await wait_until(lambda: not box._arrived.is_set())  # noqa: SLF001 -- nothing else shows that it waits
        box.hurry()
        assert told(await taking) == [1]
        assert told(await box.take(items=3, linger=timedelta(hours=1))) == [1]


async def test_who_is_hurried_waits_for_work_all_the_same(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, _), asyncio.TaskGroup() as group:
        box.hurry()
        taking = group.create_task(box.take(items=3, linger=timedelta(hours=1)))
        await wait_until(lambda: not box._arrived.is_set())  # noqa: SLF001 -- nothing else shows that it waits
        owe(box, 4)
        assert told(await taking) == [4]


async def test_what_a_cursor_covers_is_not_owed_again(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, _):
        owe(box, 1, 2, 3)
        await box.confirm(2, {"written": 2})
    async with outbox(tmp_path) as (box, _):
        assert (box.cursor, box.tally) == (2, {"written": 2})
        owe(box, 1, 2, 3)
        assert await take(box) == [3]


async def test_above_its_limit_memory_goes_to_disk_and_comes_back_in_order(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, file):
        owe(box, *range(1, 11))
        await box.spill(limit=100)
        assert (box.spills, file.outbox_bytes) == (0, 0)
        owe(box, 11)
        await box.spill(limit=100)
        assert (box.spills, box.waiting_bytes, box.waiting_items) == (1, 0, 0)
        owe(box, 12, 13)
        assert await take(box) == list(range(1, 12))
        await box.confirm(5, {})
        assert await take(box) == list(range(6, 12))
        await box.confirm(11, {})
        assert await take(box) == [12, 13]
        await box.confirm(13, {})
        assert (box.is_empty, file.outbox_bytes) == (True, 0)


async def test_what_went_to_disk_is_owed_until_it_is_confirmed_also_after_a_restart(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, file):
        owe(box, 1, 2, 3, 4)
        assert owed(box) == (4, 40)
        await box.spill(limit=0)
        assert owed(box) == (4, file.outbox_bytes)
        owe(box, 5)
        assert owed(box) == (5, file.outbox_bytes + 10)
    async with outbox(tmp_path) as (box, file):
        assert owed(box) == (4, file.outbox_bytes)
        await box.confirm(1, {})
        assert owed(box) == (3, file.outbox_bytes)
        owe(box, 5)
        await box.confirm(4, {})
        assert owed(box) == (1, 10)
        await box.confirm(5, {})
        assert owed(box) == (0, 0)


async def test_what_a_checkpoint_saved_is_owed_once_though_disk_and_memory_hold_it(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, file):
        owe(box, 1, 2, 3)
        await file.checkpoint(2, {}, box.unsaved(2), [], box.confirmed(2))
        box.saved(2)
        assert owed(box) == (3, file.outbox_bytes + 10)
        await box.spill(limit=0)
        assert owed(box) == (3, file.outbox_bytes)


@pytest.mark.parametrize("up_to", [5, 10])
async def test_what_is_confirmed_during_a_spill_is_not_owed(tmp_path: Path, up_to: int) -> None:
    async with outbox(tmp_path) as (box, file):
        owe(box, *range(1, 11))
        async with asyncio.TaskGroup() as group:
            group.create_task(box.spill(limit=0))
            group.create_task(box.confirm(up_to, {}))
        assert owed(box) == (10 - up_to, file.outbox_bytes)
        owe(box, 11)
        await box.confirm(10, {})
        assert owed(box) == (1, 10)


async def test_what_a_checkpoint_forgets_for_a_disk_that_had_refused_is_not_owed(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, file):
        owe(box, *range(1, 11))
        await box.spill(limit=0)
        set_read_only(file, is_on=True)
        await box.confirm(3, {})
        set_read_only(file, is_on=False)
        await file.checkpoint(20, {}, box.unsaved(20), [], box.confirmed(20))
        assert owed(box) == (7, file.outbox_bytes)
        await box.confirm(4, {})
        assert owed(box) == (6, file.outbox_bytes)
        set_read_only(file, is_on=True)
        await box.confirm(10, {})
        assert owed(box) == (0, 0)


async def test_a_backlog_on_disk_is_read_in_large_bites(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, _):
        for position in range(1, 11):
            box.add(position, lines(b"x" * 2**20), 1, 2**20)
        await box.spill(limit=0)
        assert [position for position, _ in await box.take(items=1, linger=NOW)] == [1, 2, 3, 4]


async def test_what_was_spilled_while_it_was_being_delivered_is_confirmed_once(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, file):
        owe(box, 1, 2, 3)
        assert await take(box) == [1, 2, 3]
        async with asyncio.TaskGroup() as group:
            group.create_task(box.spill(limit=0))
            group.create_task(box.confirm(2, {"written": 2}))
        assert await take(box) == [3]
        await box.confirm(3, {"written": 1})
        assert (box.is_empty, file.outbox_bytes, box.tally) == (True, 0, {"written": 3})


async def test_a_sink_with_its_own_cursor_leaves_nothing_on_disk_either(tmp_path: Path) -> None:
    async with outbox(tmp_path, STREAMS) as (box, file):
        owe(box, 1, 2, 3)
        async with asyncio.TaskGroup() as group:
            group.create_task(box.spill(limit=0))
            group.create_task(box.confirm(3, {}))
        assert (box.is_empty, file.outbox_bytes) == (True, 0)


async def test_a_sink_with_its_own_cursor_costs_no_write_while_nothing_is_on_disk(tmp_path: Path) -> None:
    async with outbox(tmp_path, STREAMS) as (box, file):
        owe(box, 1, 2)
        await box.confirm(2, {"events": 2})
        assert (await file.load()).cursors == {}
        assert box.tally == {"events": 2}
