"""`hub run` with several partitions in one process: what ends one of them, and what ends all."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Coroutine, Iterator

import aiohttp
import orjson
import pytest
from typing_extensions import override

from hub.app import Hub
from hub.clock import SystemClock
from hub.config.settings import MqttSettings, Settings
from hub.errors import CorruptError, HubError, OwnershipLostError, ours
from hub.partitions import settings_of
from hub.services.child import free_port
from hub.turns import Turns
from hub.ui.cli import run
from hub.ui.desk.desk import Desk

BOTH = Settings(mqtt=MqttSettings(port=free_port()), more_partitions=("east",))
DAMAGED = CorruptError("file_corrupt", "it is not what was written", file="/data/state.sqlite")


class Idle(Hub):
    """A hub that works until it is stopped, or its task ends with ``errors``."""

    def __init__(self, partition: str) -> None:
        super().__init__(settings_of(BOTH, partition), SystemClock())
        self._over, self._errors = asyncio.Event(), list[HubError]()

    @override
    async def run(self) -> None:
        await self._over.wait()
        if self._errors:
            raise ExceptionGroup("tasks", [ExceptionGroup("a task", self._errors)])

    @override
    def stop(self) -> None:
        self._over.set()

    def fail(self, *errors: HubError) -> None:
        self._errors += errors
        self._over.set()


class Process:
    """A process of two partitions, and the page of the second one while nobody else serves it."""

    def __init__(self, listening: socket.socket) -> None:
        self.main, self.east = Idle("main"), Idle("east")
        self._listening = listening

    def work(self) -> Coroutine[object, object, None]:
        serving = run._inherited(self._listening.fileno())  # noqa: SLF001 -- as a worker is given it
        places = [(self.main, serving), (self.east, serving)]
        return run._work(Desk(), places, Turns(SystemClock().monotonic_ns), None)  # noqa: SLF001 -- what a process does

    async def says(self) -> list[str]:
        url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/readyz"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return [f"{each['code']}: {each['detail']}" for each in orjson.loads(await answer.read())["reasons"]]


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    async def only_run(_desk: Desk, hub: Hub, *_: object) -> None:
        await hub.run()

    monkeypatch.setattr(run, "_run", only_run)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Process(listening)


async def test_what_a_person_must_mend_ends_one_partition_alone_also_while_it_runs(process: Process) -> None:
    async with asyncio.TaskGroup() as group:
        work = group.create_task(process.work())
        process.east.fail(DAMAGED)
        assert await process.says() == [f"partition_refused: {DAMAGED}"]
        assert not work.done()
        os.kill(os.getpid(), signal.SIGTERM)
        await work


async def test_when_the_last_one_is_refused_the_process_ends_with_that(process: Process) -> None:
    process.east.fail(DAMAGED)
    process.main.fail(DAMAGED)
    with pytest.raises(BaseExceptionGroup) as ended:
        await process.work()
    assert [*ours(ended.value)] == [DAMAGED]


async def test_a_partition_that_was_taken_over_ends_all_as_it_does_one(process: Process) -> None:
    lost = OwnershipLostError("owned_elsewhere", "another process has it")
    process.east.fail(DAMAGED, lost)
    with pytest.raises(BaseExceptionGroup) as ended:
        await process.work()
    assert lost in [*ours(ended.value)]
