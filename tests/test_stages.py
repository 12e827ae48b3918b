"""What hangs is found out, what is only slow or away is not, and a hub goes on when what hung lets go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiomqtt
import pytest
from pydantic import SecretStr

from hub.app import Hub
from hub.clock import SystemClock
from hub.config.settings import MqttSettings, RedisSettings, Settings, TimeseriesSettings
from hub.journal.own_thread import OwnThread
from hub.registry.nouns import Device, Site
from hub.registry.registry import Registry
from hub.stages import HUNG_LOOKS, Stage, Stages, stages_of
from hub.ui.pages.observing import Watch
from tests.machine import needs_mosquitto
from tests.running import running
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

T = TypeVar("T")


class Work:
    """A stage that a test moves."""

    def __init__(self, *, disk_is_awaited: bool = False) -> None:
        self.owes, self.moved, self.works, self.disk_is_awaited = True, 0, False, disk_is_awaited
        stage = Stage(name="it", owes=lambda: self.owes, moved=lambda: self.moved, works=lambda: self.works)
        self.stages = Stages([stage], disk_is_awaited=lambda: self.disk_is_awaited)
        self.stages.look()

    def look(self, times: int) -> tuple[int, list[str]]:
        for _ in range(times):
            self.stages.look()
        return self.stages.still["it"], list(self.stages.hung)


def test_a_stage_hangs_after_a_minute_of_looks_without_a_move_and_no_more_once_it_moves() -> None:
    it = Work()
    assert it.look(HUNG_LOOKS - 1) == (HUNG_LOOKS - 1, [])
    assert it.look(1) == (HUNG_LOOKS, ["it"])
    it.moved += 1
    assert it.look(1) == (0, [])


def test_one_that_moves_now_and_then_does_not_hang() -> None:
    it = Work()
    for _ in range(3):
        assert it.look(HUNG_LOOKS - 1) == (HUNG_LOOKS - 1, [])
        it.moved += 1
        assert it.look(1) == (0, [])


def test_one_that_has_nothing_to_do_does_not_hang() -> None:
    it = Work()
    it.owes = False
    assert it.look(2 * HUNG_LOOKS) == (0, [])


def test_one_that_works_or_waits_for_the_disk_stands_still_and_does_not_hang() -> None:
    it = Work(disk_is_awaited=True)
    assert it.look(2 * HUNG_LOOKS) == (2 * HUNG_LOOKS, [])
    it.disk_is_awaited, it.works = False, True
    assert it.look(2 * HUNG_LOOKS) == (4 * HUNG_LOOKS, [])
    it.works = False
    assert it.look(HUNG_LOOKS - 1)[1] == []
    assert it.look(1)[1] == ["it"]


def test_whoever_asks_ten_times_a_second_is_answered_once_a_second() -> None:
    it = Work()
    for tenth in range(1, 31):
        it.stages.look_if_due(tenth * 100_000_000)
    assert it.stages.still == {"it": 3}


async def test_a_thread_that_computes_has_worked_and_one_that_sleeps_has_not() -> None:
    thread, go_on = OwnThread("tried"), threading.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(thread.call(go_on.wait))
        await wait_until(lambda: thread.owes and not thread.has_worked())
        go_on.set()
    await wait_until(lambda: not thread.owes)
    assert (thread.answered, thread.has_worked()) == (1, True)
    thread.close()
    assert not thread.has_worked()


# --------------------------------------------------------------------------------------------------------- a real hub


@asynccontextmanager
async def at_work(directory: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Hub]:
    """Let a hub with a sensor run, and be ready."""
    settings = Settings(
        data_dir=directory / "data",
        mqtt=MqttSettings(port=mosquitto.port),
        redis=RedisSettings(url=SecretStr(valkey.url)),
        timeseries=TimeseriesSettings(store="local"),
    )
    settings.data_dir.mkdir()
    async with Registry(settings.registry_url()) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        await registry.add_devices([Device(site="s1", id="env", kind="environment_sensor")])
    async with Hub(settings, SystemClock()) as hub, running(hub):
        await wait_until(lambda: not Watch(hub).missing())
        yield hub


async def speak(mosquitto: Mosquitto, device: str = "env") -> None:
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        await client.publish(f"hub/s1/{device}/telemetry", b'{"values": {"co2": 500}}', qos=1)


def held(step: Callable[[], Awaitable[T]], go_on: asyncio.Event) -> Callable[[], Awaitable[T]]:
    """Return a step of a task that waits for what does not come, until it comes."""

    async def wait() -> T:
        await go_on.wait()
        return await step()

    return wait


async def until_hung(hub: Hub, *stages: str) -> None:
    """Look as often as it takes; others, looked at in such haste, seem to hang for a moment."""

    def are_hung() -> bool:
        hub.stages.look()
        return list(hub.stages.hung) == [*stages]

    await wait_until(are_hung)


async def until_well(hub: Hub) -> None:
    def is_well() -> bool:
        hub.stages.look()
        return not hub.stages.hung

    await wait_until(is_well)


@needs_mosquitto
async def test_a_thread_of_the_journal_that_hangs_is_found_out_and_nothing_is_lost_when_it_goes_on(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer
) -> None:
    async with at_work(tmp_path, mosquitto, valkey) as hub:
        watch, go_on = Watch(hub), threading.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(hub.journal.thread.call(go_on.wait))
            await speak(mosquitto)
            await until_hung(hub, "journal.thread")
            assert "stage_stands_still" in {reason.code for reason in watch.missing()}
            assert hub.hearing.acknowledged["telemetry"] == 0
            go_on.set()
        await until_well(hub)
        await wait_until(lambda: hub.hearing.acknowledged["telemetry"] == 1)
        await wait_until(lambda: hub.timeseries_box.tally.get("written") == 1)


@needs_mosquitto
async def test_a_judge_that_waits_for_ever_is_found_out_and_nobody_else_is_accused(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(tmp_path, mosquitto, valkey) as hub:
        go_on = asyncio.Event()
        monkeypatch.setattr(hub.applying, "spill", held(hub.applying.spill, go_on))
        for _ in range(2 * hub.hearing.heard.maxsize):
            await speak(mosquitto)
        await wait_until(hub.hearing.heard.full)
        await until_hung(hub, "judging")
        go_on.set()
        await until_well(hub)
        await wait_until(lambda: hub.timeseries_box.tally.get("written") == 2 * hub.hearing.heard.maxsize)


@needs_mosquitto
async def test_a_sink_that_waits_for_ever_is_found_out(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(tmp_path, mosquitto, valkey) as hub:
        go_on = asyncio.Event()
        for part, name in ((hub.writer, "_wake"), (hub.stream_sink, "_catch_up")):
            monkeypatch.setattr(part, name, held(getattr(part, name), go_on))
        await speak(mosquitto)
        await speak(mosquitto, "nobody")  # a dead letter is told
        await until_hung(hub, "streams", "timeseries")
        go_on.set()
        await until_well(hub)
        await wait_until(lambda: hub.streams_box.is_empty and hub.timeseries_box.is_empty)


@needs_mosquitto
async def test_sinks_whose_servers_are_away_move_with_each_attempt(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer
) -> None:
    async with at_work(tmp_path, mosquitto, valkey) as hub:
        valkey.kill()
        connection = hub.store._writing  # type: ignore[attr-defined] # noqa: SLF001 -- the pragma belongs to the connection
        connection.execute("PRAGMA query_only = 1")
        await speak(mosquitto)
        await speak(mosquitto, "nobody")
        await wait_until(lambda: hub.stream_sink.retries and hub.writer.writes_failed)
        stages = stages_of(hub)  # which the hub does not look at too

        def stand_still() -> bool:
            stages.look()
            return min(stages.still["streams"], stages.still["timeseries"]) > 0

        await wait_until(stand_still)
        tried = hub.stream_sink.retries, hub.writer.writes_failed
        await wait_until(lambda: hub.stream_sink.retries > tried[0] and hub.writer.writes_failed > tried[1])
        stages.look()
        assert (stages.still["streams"], stages.still["timeseries"]) == (0, 0)
        valkey.start()
        connection.execute("PRAGMA query_only = 0")
        await wait_until(lambda: hub.streams_box.is_empty and hub.timeseries_box.is_empty)
