"""What a key refuses while it lies on disk: what comes behind it goes on, and nothing is read again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from hub.journal import outbox
from hub.journal.outbox import STREAMS, Outbox
from hub.journal.state_file import StateFile
from hub.model.effects import StreamWork
from hub.sinks.stream_readers import read_events
from hub.sinks.streams import domain_key
from tests.servers.valkey import ValkeyServer
from tests.sinks.streams.rig import Rig, event, work
from tests.waiting import wait_until

FIRE = domain_key("fire")
NOW = timedelta(0)


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[tuple[Outbox[StreamWork], StateFile]]:
    """Open an outbox as the hub does at start."""
    async with StateFile(directory / "state.sqlite", "j") as file:
        box = Outbox(STREAMS, file, StreamWork, cursor=(await file.load()).cursors.get(STREAMS.sink, 0))
        await box.open({})
        yield box, file


def owe(box: Outbox[StreamWork], position: int, name: str = "care.fall") -> None:
    box.add(position, work([event(position, name)]), 1, 300)


async def test_after_a_restart_too_what_one_stream_refuses_waits_alone(valkey: ValkeyServer, tmp_path: Path) -> None:
    async with valkey.link() as link:

        async def told(domain: str) -> list[int]:
            return [int(each.id, 16) for each in await read_events(link, [domain])]

        async def is_told(*numbers: int) -> bool:
            return await told("care") == [*numbers]

        await link.ask("SET", FIRE, "somebody's note")
        async with opened(tmp_path) as (box, file):
            owe(box, 1, "fire.confirmed")
            owe(box, 2)
            async with Rig(valkey.address, box).running():
                await wait_until(lambda: is_told(2))
            await file.checkpoint(2, {}, box.unsaved(2), [])
        async with opened(tmp_path) as (box, _):
            async with Rig(valkey.address, box).running():
                owe(box, 3)
                await wait_until(lambda: is_told(2, 3))
                owe(box, 4)
                await box.spill(0)
                owe(box, 5)
                await wait_until(lambda: is_told(2, 3, 4, 5))
                await link.ask("DEL", FIRE)
                await wait_until(lambda: box.is_empty)
            assert (await told("fire"), await told("care")) == ([1], [2, 3, 4, 5])


@pytest.mark.parametrize("is_killed", [False, True], ids=["alive", "killed"])
async def test_a_backlog_on_disk_behind_what_one_stream_refuses_is_told_to_the_others_portion_by_portion(
    valkey: ValkeyServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_killed: bool,  # noqa: FBT001 -- a case
) -> None:
    fires, falls = [*range(1, 60, 3)], [each for each in range(1, 60) if each % 3 != 1]
    async with valkey.link() as link:

        async def told(domain: str) -> list[int]:
            return [int(each.id, 16) for each in await read_events(link, [domain])]

        async def is_told(domain: str, numbers: list[int]) -> bool:
            return await told(domain) == numbers

        await link.ask("SET", FIRE, "somebody's note")
        async with opened(tmp_path) as (box, file):
            for position in range(1, 60):
                owe(box, position, "fire.confirmed" if position in fires else "care.fall")
            await box.spill(0)
            monkeypatch.setattr(outbox, "READ_BYTES", 4 * len((await file.owed(STREAMS.sink, 0, 1))[0][1]))
            asked = count_reads(file, monkeypatch)
            rig = Rig(valkey.address, box)
            async with rig.running():
                await wait_until(lambda: is_told("care", falls))
                retries = rig.sink.retries
                await wait_until(lambda: rig.sink.retries > retries + 1)  # by then it has read to the end
                count, retries = len(asked), rig.sink.retries
                await wait_until(lambda: rig.sink.retries > retries + 3)
                assert len(asked) == count  # nothing is read again to ask again
                if not is_killed:
                    await link.ask("DEL", FIRE)
                    await wait_until(lambda: box.is_empty)
        async with opened(tmp_path) as (box, _):
            async with Rig(valkey.address, box).running():
                owe(box, 60)
                await wait_until(lambda: is_told("care", [*falls, 60]))
                owe(box, 61, "fire.confirmed")
                await link.ask("DEL", FIRE) if is_killed else None
                await wait_until(lambda: box.is_empty)
            assert (await told("fire"), await told("care")) == ([*fires, 61], [*falls, 60])


def count_reads(file: StateFile, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the records behind which is read on disk from now on."""
    asked: list[int] = []
    ask = file.owed

    async def owed(sink: str, after: int, limit_bytes: int) -> list[tuple[int, bytes]]:
        asked.append(after)
        return await ask(sink, after, limit_bytes)

    monkeypatch.setattr(file, "owed", owed)
    return asked


async def test_an_arrival_is_what_comes_behind_a_record_in_memory_or_on_disk(tmp_path: Path) -> None:
    async with opened(tmp_path) as (box, _):
        for position in (1, 2):
            owe(box, position)
        for position in (3, 4):
            async with asyncio.TaskGroup() as group:
                arrival = group.create_task(box.arrival(after=position - 1))
                await asyncio.wait([arrival], timeout=0)
                assert not arrival.done()
                owe(box, position)
        await box.spill(0)
        await box.arrival(after=3)


async def test_what_lies_behind_a_record_is_found_on_disk_and_then_in_memory_a_portion_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as (box, file):

        async def more(after: int, items: int = 2) -> list[int]:
            return [position for position, _ in await box.more(after=after, items=items)]

        for position in range(1, 5):
            owe(box, position)
        await box.spill(0)
        row = len((await file.owed(STREAMS.sink, 0, 1))[0][1])
        monkeypatch.setattr(outbox, "READ_BYTES", 2 * row)
        assert [position for position, _ in await box.take(items=1, linger=NOW)] == [1, 2]
        for position in (5, 6, 7):
            owe(box, position)
        assert [await more(0), await more(2), await more(3)] == [[1, 2], [3, 4], [4]]
        assert [await more(4), await more(5), await more(6), await more(7)] == [[5, 6], [6, 7], [7], []]
        await box.confirm(6, {})
        assert [await more(6), await more(0)] == [[7], [7]]
        await box.spill(0)
        assert [position for position, _ in await box.take(items=1, linger=NOW)] == [7]
