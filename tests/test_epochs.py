"""Epochs on their way into the state file: written when there are any, and nobody is woken for none."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from typing_extensions import override

from hub.epochs import Epochs
from hub.errors import UnavailableError
from hub.journal.state_file import StateFile
from tests.clocks import ManualClock
from tests.waiting import wait_until

JOURNAL = "00000000-0000-4000-8000-000000000001"


async def test_epochs_are_written_in_order_and_between_them_nobody_is_woken(tmp_path: Path) -> None:
    clock = ManualClock()
    async with StateFile(tmp_path / "state.sqlite", JOURNAL) as file:
        epochs = Epochs(file, 0, clock)
        running = asyncio.Task(epochs.run())
        for epoch in (1, 2):
            epochs.keep(epoch)
        await wait_until(lambda: epochs.last == 2)
        epochs.keep(3)
        await wait_until(lambda: epochs.last == 3)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        assert (await file.load()).epoch == 3
    assert clock.sleeps == []


async def test_a_full_disk_gets_the_epoch_when_it_has_room(tmp_path: Path) -> None:
    clock = ManualClock()

    class Full(StateFile):
        refusals = 2

        @override
        async def keep_epoch(self, epoch: int) -> None:
            if self.refusals:
                self.refusals -= 1
                code = "disk_full"
                raise UnavailableError(code)
            await super().keep_epoch(epoch)

    async with Full(tmp_path / "state.sqlite", JOURNAL) as file:
        epochs = Epochs(file, 0, clock)
        epochs.keep(7)
        running = asyncio.Task(epochs.run())
        await wait_until(lambda: epochs.last == 7)
        running.cancel()
    assert clock.sleeps == [1.0, 1.0]
