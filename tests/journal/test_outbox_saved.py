"""What an outbox owes over checkpoints, restarts and refusals of the disk: everything, once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import UnavailableError
from hub.journal.outbox import STREAMS, TIMESERIES, Outbox, Places
from hub.journal.owed_rows import Confirmed
from hub.journal.state_file import StateFile
from hub.model.effects import LineWork
from tests.journal.owing import NOW, outbox, owe, take
from tests.journal.papers import set_read_only


async def test_a_checkpoint_remembers_how_far_a_sink_with_its_own_cursor_was_and_nothing_that_it_does_not_cover(
    tmp_path: Path,
) -> None:
    async with outbox(tmp_path, STREAMS) as (box, file):
        owe(box, 1, 2, 3)
        await box.confirm(3, {"events": 3})
        await file.checkpoint(2, {}, box.unsaved(2), [], box.confirmed(2))
    async with outbox(tmp_path, STREAMS) as (box, _):
        assert box.cursor == 2
        owe(box, 3)  # applied again: its store may have forgotten it
        assert await take(box) == [3]


async def test_work_that_a_checkpoint_saved_survives_a_restart(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, file):
        owe(box, 1, 2, 3, 4)
        await box.confirm(1, {"written": 1})
        await file.checkpoint(3, {}, box.unsaved(3), [])
        box.saved(3)
    async with outbox(tmp_path) as (box, _):
        assert not box.is_empty
        owe(box, 3, 4, 5)  # applied again
        assert await take(box) == [2, 3]
        await box.confirm(3, {"written": 2})
        assert await take(box) == [4, 5]
        await box.confirm(5, {"written": 2})
        assert box.tally == {"written": 5}


async def test_a_checkpoint_writes_only_what_no_disk_holds(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, file):
        owe(box, 1, 2, 3)
        assert [position for _, position, _ in box.unsaved(2)] == [1, 2]
        assert [position for _, position, _ in box.unsaved(2)] == [1, 2]  # that write may have failed
        await file.checkpoint(2, {}, box.unsaved(2), [])
        box.saved(2)
        owe(box, 4)
        assert [position for _, position, _ in box.unsaved(3)] == [3]
        assert [position for _, position, _ in box.unsaved(9)] == [3, 4]


async def test_a_disk_that_takes_nothing_stops_no_delivery(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, file):
        owe(box, 1, 2)
        set_read_only(file, is_on=True)
        await box.spill(limit=0)
        assert await take(box) == [1, 2]
        await box.confirm(1, {"written": 1})
        assert await take(box) == [2]
        assert (box.writes_postponed, box.tally) == (2, {"written": 1})
        set_read_only(file, is_on=False)
        await box.confirm(2, {"written": 1})
        saved = await file.load()
    assert (saved.cursors, saved.tallies) == ({"timeseries": 2}, {"timeseries": {"written": 2}})


async def test_a_confirmation_that_the_disk_refused_goes_along_with_the_checkpoint(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, file):
        owe(box, 1)
        set_read_only(file, is_on=True)
        await box.confirm(1, {"written": 1})
        set_read_only(file, is_on=False)
        await file.checkpoint(1, {}, box.unsaved(1), [], box.confirmed(1))
        box.saved(1)
        assert (await file.load()).cursors == {"timeseries": 1}
    async with outbox(tmp_path) as (box, _):
        assert (box.is_empty, box.cursor, box.tally) == (True, 1, {"written": 1})


async def test_a_confirmation_that_the_disk_refused_goes_ahead_of_a_spill(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, file):
        owe(box, 1)
        set_read_only(file, is_on=True)
        await box.confirm(1, {"written": 1})
        owe(box, 2)
        set_read_only(file, is_on=False)
        await box.spill(limit=0)
    async with outbox(tmp_path) as (box, _):
        owe(box, 1, 2)
        assert (box.cursor, [position for position, _ in await box.take(items=9, linger=NOW)]) == (1, [2])
        await box.confirm(2, {"written": 1})
        assert box.tally == {"written": 2}


async def test_a_checkpoint_beside_a_confirmation_pairs_no_new_counts_with_the_old_cursor(tmp_path: Path) -> None:
    async with outbox(tmp_path) as (box, file):
        owe(box, 1, 2)
        set_read_only(file, is_on=True)
        await box.confirm(1, {"written": 1})
        found: list[Confirmed] = []

        async def look() -> None:
            found.extend(box.confirmed(2))

        async with asyncio.TaskGroup() as group:
            group.create_task(box.confirm(2, {"written": 1}))
            group.create_task(look())
        assert found == [Confirmed("timeseries", 1, {"written": 1})]
        assert box.confirmed(2) == [Confirmed("timeseries", 2, {"written": 2})]


async def test_a_sink_with_its_own_cursor_clears_the_disk_as_soon_as_that_lets_it(tmp_path: Path) -> None:
    async with outbox(tmp_path, STREAMS) as (box, file):
        owe(box, 1, 2)
        await box.spill(limit=0)
        set_read_only(file, is_on=True)
        await box.confirm(2, {})
        assert file.outbox_bytes > 0
        set_read_only(file, is_on=False)
        owe(box, 3)
        await box.confirm(3, {})
        assert file.outbox_bytes == 0


STEPS = st.lists(st.sampled_from(["add", "take", "spill", "checkpoint", "restart", "full", "free"]), max_size=40)


@settings(max_examples=60)
@given(STEPS)
@pytest.mark.parametrize("places", [TIMESERIES, STREAMS], ids=lambda it: it.sink)
def test_whatever_happens_all_work_is_delivered_in_order_and_counted_once(
    tmp_path_factory: pytest.TempPathFactory, places: Places, steps: list[str]
) -> None:
    asyncio.run(story(tmp_path_factory.mktemp("story"), places, steps))


async def story(directory: Path, places: Places, steps: list[str]) -> None:
    """Tell a sink everything; a restart applies what the last checkpoint does not cover again."""
    told_so_far = Teller(places)
    rest = [*steps, "restart", *["take"] * len(steps)]
    while rest:
        async with outbox(directory, places) as (box, file):
            owe(box, *range(told_so_far.checkpoint + 1, told_so_far.position + 1))
            while rest and (step := rest.pop(0)) != "restart":
                await told_so_far.step(step, box, file)
                is_refused = box._is_refused  # noqa: SLF001 -- the disk holds then what is confirmed, until it may forget
                assert is_refused or box.owed.number == await count_all(box)
            if not rest and not places.has_own_cursor:
                assert box.tally.get("written", 0) == told_so_far.position
            assert rest or box.is_empty
    assert told_so_far.delivered == list(range(1, told_so_far.position + 1))


async def count_all(box: Outbox[LineWork]) -> int:
    """Return how much a sink would get that took everything, without confirming."""
    count, last = 0, box.cursor
    while taken := await box.more(after=last, items=1_000):
        count, last = count + len(taken), taken[-1][0]
    return count


class Teller:
    """The pipeline and a sink around an outbox; what a sink's own cursor covers it drops.

    What was delivered comes again only where the disk had refused to remember that.
    """

    def __init__(self, places: Places) -> None:
        self.has_own_cursor = places.has_own_cursor
        self.position = self.checkpoint = 0
        self.delivered: list[int] = []
        self.was_full = False

    async def step(self, step: str, box: Outbox[LineWork], file: StateFile) -> None:
        if step == "add":
            self.position += 1
            owe(box, self.position)
        elif step == "spill":
            await box.spill(limit=0)
        elif step in {"full", "free"}:
            set_read_only(file, is_on=step == "full")
            self.was_full |= step == "full"
        elif step == "checkpoint":
            with suppress(UnavailableError):
                await file.checkpoint(self.position, {}, box.unsaved(self.position), [], box.confirmed(self.position))
                box.saved(self.position)
                self.checkpoint = self.position
        elif not box.is_empty:
            await self._deliver(box)

    async def _deliver(self, box: Outbox[LineWork]) -> None:
        taken = await take(box, items=2)
        fresh = [one for one in taken if one > max(self.delivered, default=0)]
        assert fresh == taken or self.has_own_cursor or self.was_full
        self.delivered += fresh
        await box.confirm(taken[-1], {"written": len(fresh if self.has_own_cursor else taken)})
