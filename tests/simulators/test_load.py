"""The load generator on a real mosquitto: what it counts is what the broker said, whatever the broker does."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import aiomqtt
import pytest

from hub.clock import SystemClock
from hub.errors import ConfigError, UnavailableError
from hub.registry.brokers.broker import BrokerUser, Roster
from hub.registry.brokers.mosquitto import Mosquitto as KeptMosquitto
from hub.registry.brokers.mosquitto_files import Listeners
from hub.registry.hashing import hash_secret
from hub.services.broker import MosquittoService
from hub.services.child import free_port
from simulators.load import Load, Pace, Target, logins_of
from simulators.native import NativeSensors
from simulators.tally import Latencies, Tally
from simulators.wire import Login
from tests.machine import needs_mosquitto
from tests.servers.mosquitto import Mosquitto
from tests.waiting import PATIENCE_SECONDS, wait_until

SITE = "load"
CLOCK = SystemClock()


def target(port: int, logins: tuple[Login, ...]) -> Target:
    return Target(host="127.0.0.1", port=port, logins=logins)


async def run(load: Load, port: int, *, connections: int = 4) -> Tally:
    return await load.run(target(port, logins_of("gateway", connections)))


@needs_mosquitto
@pytest.mark.parametrize("rate", [0, 2_000])
async def test_every_message_is_published_once_by_its_device_and_counted(mosquitto: Mosquitto, rate: float) -> None:
    async with aiomqtt.Client("127.0.0.1", mosquitto.port, identifier="ear") as ear:
        await ear.subscribe("hub/#", qos=1)
        load = Load(NativeSensors(SITE, 10), Pace(rate=rate, count=1_000), clock=CLOCK)
        tally = await run(load, mosquitto.port)
        assert (tally.published, tally.taken, tally.unanswered, tally.unheard) == (1_000, 1_000, 0, 0)
        heard: Counter[str] = Counter()
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for message in ear.messages:
                heard[str(message.topic)] += 1
                if heard.total() == 1_000:
                    break
    assert heard == {f"hub/{SITE}/env-{number:06}/telemetry": 100 for number in range(1, 11)}


@needs_mosquitto
async def test_a_device_speaks_on_one_connection_and_all_of_them_are_used(mosquitto: Mosquitto) -> None:
    load = Load(NativeSensors(SITE, 10), Pace(rate=0, count=100), clock=CLOCK)
    tally = await run(load, mosquitto.port, connections=5)
    assert (tally.connects, tally.taken) == (5, 100)
    assert all(f"as gateway-{number} " in mosquitto.log() for number in range(1, 6))


@needs_mosquitto
async def test_what_nobody_subscribes_to_is_told(mosquitto: Mosquitto) -> None:
    load = Load(NativeSensors(SITE, 10), Pace(rate=0, count=50), clock=CLOCK)
    tally = await run(load, mosquitto.port)
    assert (tally.taken, tally.unheard) == (50, 50)


@needs_mosquitto
async def test_a_load_that_is_stopped_waits_for_its_answers(mosquitto: Mosquitto) -> None:
    load = Load(NativeSensors(SITE, 10), Pace(rate=1_000, seconds=60), clock=CLOCK)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(load, mosquitto.port))
        await wait_until(lambda: load.tally.taken > 20)
        load.stop()
    assert running.result().published == running.result().taken


@needs_mosquitto
async def test_a_broker_that_is_killed_is_spoken_to_again_and_every_message_has_one_end(mosquitto: Mosquitto) -> None:
    took: list[int] = []
    load = Load(NativeSensors(SITE, 10), Pace(rate=4_000, seconds=600), clock=CLOCK, took=took.extend)
    async with asyncio.TaskGroup() as group:
        group.create_task(run(load, mosquitto.port))
        await wait_until(lambda: load.tally.taken > 500)
        mosquitto.kill()
        mosquitto.start()
        await wait_until(lambda: load.tally.connects == 8)
        load.stop()
    tally = load.tally
    assert tally.connects == 8
    assert tally.published == tally.taken + tally.unanswered
    assert len(took) == len(set(took)) == tally.taken


@needs_mosquitto
async def test_what_was_due_while_the_broker_was_gone_for_good_is_told(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.load.PATIENCE_SECONDS", 0.2)
    load = Load(NativeSensors(SITE, 10), Pace(rate=500, count=500), clock=CLOCK)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(load, mosquitto.port))
        await wait_until(lambda: load.tally.taken > 20)
        mosquitto.kill()
    tally = running.result()
    assert tally.unsent > 0
    assert tally.taken + tally.unanswered + tally.unsent == tally.published + tally.unsent == 500


@needs_mosquitto
async def test_a_broker_that_is_not_there_is_told(mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    load = Load(NativeSensors(SITE, 1), Pace(rate=0, count=1), clock=CLOCK)
    with pytest.RaisesGroup(pytest.RaisesExc(UnavailableError, match="broker_unreachable")):
        await run(load, mosquitto.port, connections=1)


@pytest.fixture
async def files(tmp_path: Path) -> KeptMosquitto:
    made = KeptMosquitto(tmp_path / "broker", Listeners(port=free_port()), CLOCK)
    topics = (f"hub/{SITE}/env-000001/telemetry",)
    user = BrokerUser(user="gateway-1", password_hash=hash_secret("secret"), writes=topics)
    await made.apply(Roster(users={user.user: user}))
    return made


@needs_mosquitto
async def test_what_the_broker_refuses_is_counted_by_its_reason(files: KeptMosquitto, tmp_path: Path) -> None:
    port = int(files.config.read_text(encoding="utf-8").partition("listener ")[2].split()[0])
    async with MosquittoService(files.config, port=port, log_file=tmp_path / "log", clock=CLOCK):
        load = Load(NativeSensors(SITE, 2), Pace(rate=0, count=100), clock=CLOCK)
        tally = await load.run(target(port, logins_of("gateway", 1, {"gateway-1": "secret"})))
        # mosquitto 2.0.11 hangs up behind a refused publish: what was in flight is unanswered.
        assert tally.refused.keys() == {"NOT_AUTHORIZED"}
        assert tally.taken > 0
        assert tally.taken + tally.refused.total() + tally.unanswered == tally.published == 100
        for passwords, advice in ((None, "credentials are needed"), ({"gateway-1": "wrong"}, "password is wrong")):
            load = Load(NativeSensors(SITE, 2), Pace(rate=0, count=1), clock=CLOCK)
            with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match=advice)):
                await load.run(target(port, logins_of("gateway", 1, passwords)))


def test_the_same_seed_says_the_same_and_another_seed_something_else() -> None:
    def said(seed: int) -> list[tuple[int, str, bytes]]:
        sensors = NativeSensors(SITE, 7, seed=seed)
        return [sensors.say(number, 1_772_352_000_000_000_000) for number in range(100)]

    assert said(1) == said(1)
    assert said(1) != said(2)


def test_percentiles_are_right_to_three_percent_and_never_above_the_most() -> None:
    latencies = Latencies()
    assert latencies.percentile_ms(50) is None
    for us in range(1, 100_001):
        latencies.add(us)
    for percent in (1, 50, 90, 99, 99.9):
        found = latencies.percentile_ms(percent)
        assert found is not None
        assert found == pytest.approx(percent, rel=0.035)
    assert latencies.percentile_ms(100) == 100.0
