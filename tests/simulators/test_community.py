"""A community: the same for the same seed, run against a real broker, its ledger equal to what was heard."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiomqtt
import orjson
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hub.clock import SystemClock
from hub.model.values import PlaceType
from hub.registry.brokers.broker import BrokerUser, Roster
from hub.registry.brokers.mosquitto import Mosquitto
from hub.registry.brokers.mosquitto_files import Listeners
from hub.registry.hashing import hash_secret
from hub.registry.registry import Registry
from hub.services.broker import IotcoreService, MosquittoService
from hub.services.child import free_port
from simulators.community import Community, Run, Size
from simulators.link import Broker, Ledger, Link
from simulators.smoke import SmokeSensor
from tests.chaos.watch import starved_ns
from tests.clocks import START_NS, ManualClock
from tests.machine import needs_mosquitto
from tests.waiting import PATIENCE_SECONDS, wait_until

SMALL = Size(dwellings=20, gates=2)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def iotcore(tmp_path: Path) -> AsyncIterator[IotcoreService]:
    service = IotcoreService(tmp_path, port=free_port(), log_file=tmp_path / "broker.log", clock=SystemClock())
    async with service:
        yield service


def client(port: int) -> aiomqtt.Client:
    return aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5)


def said(community: Community) -> list[tuple[float, str, bytes]]:
    return [
        (at, report.topic, report.payload)
        for at, act in community.traffic(rate=20, duration=MINUTE)
        for report in act(START_NS)
    ]


def test_one_seed_is_one_community_and_another_is_another() -> None:
    assert said(Community(seed=7, size=SMALL)) == said(Community(seed=7, size=SMALL))
    assert said(Community(seed=7, size=SMALL)) != said(Community(seed=8, size=SMALL))


def test_the_traffic_is_in_order_and_as_dense_as_was_asked() -> None:
    moments = [at for at, _ in Community(seed=1, size=SMALL).traffic(rate=20, duration=MINUTE)]
    assert moments == sorted(moments)
    assert len(moments) == 20 * 60 + 8  # with the scripted ones: smoke, its end, a forced door, five denials


def test_the_script_has_one_fire_that_ends_one_forced_door_and_denials() -> None:
    community = Community(seed=1, size=SMALL)
    stories = Counter(
        (report.story, report.device)
        for _, act in community.traffic(rate=20, duration=MINUTE)
        for report in act(START_NS)
    )
    burning = {device for story, device in stories if story == "smoke alarm"}
    assert burning == {community.alarming.device}
    assert stories["forced door", community.forced.device] == 1
    assert sum(count for (story, _), count in stories.items() if story == "denial") > 5
    assert community.alarming.report().story == "smoke report"


def test_one_sensor_falls_silent_early_and_for_good() -> None:
    community = Community(seed=1, size=SMALL)
    heard: dict[str, float] = {}
    for at, act in community.traffic(rate=20, duration=MINUTE):
        heard |= {report.device: at for report in act(START_NS)}
    assert heard[community.silent.device] < 7
    assert min(at for device, at in heard.items() if device != community.silent.device) > 50


async def test_the_registry_takes_a_community_as_it_is(tmp_path: Path) -> None:
    community = Community(seed=1, size=Size(dwellings=130, gates=3))
    async with Registry(f"sqlite+aiosqlite:///{tmp_path / 'registry.sqlite'}") as registry:
        await registry.add_site(community.site)
        await registry.add_places(community.places())
        await registry.add_devices(community.devices())
        documents = await registry.documents()
    assert len(documents) == 1 + 3 + 130 + 3 + 130 + 3
    assert orjson.loads(documents["device/willow-court/smoke-0121"])["building"] == "b3"
    assert {place.type for place in community.places()} == {PlaceType.BUILDING, PlaceType.DWELLING, PlaceType.GATE}


async def test_what_the_ledger_says_was_taken_is_what_a_listener_heard(iotcore: IotcoreService) -> None:
    run = Run(Community(seed=1, size=SMALL), Broker(port=iotcore.port), clock=ManualClock())
    async with client(iotcore.port) as hub:
        await hub.subscribe("hub/#", qos=1)
        ledger = await run.run(rate=10, duration=timedelta(seconds=30))
        expected = Counter((report.topic, report.payload) for report in ledger.acknowledged)
        async with asyncio.timeout(PATIENCE_SECONDS):
            messages = [await anext(hub.messages) for _ in range(expected.total())]
    assert Counter((str(message.topic), message.payload) for message in messages) == expected
    assert ledger.by_class().keys() == {"telemetry", "signal"}
    assert (ledger.refused, ledger.repeated) == (0, 0)


async def test_a_run_lasts_as_long_as_it_was_told(iotcore: IotcoreService) -> None:
    clock = ManualClock()
    before = clock.monotonic_ns()
    run = Run(Community(seed=1, size=SMALL), Broker(port=iotcore.port), clock=clock)
    await run.run(rate=1, duration=timedelta(seconds=10))
    assert clock.monotonic_ns() - before == 10_000_000_000


async def test_a_gate_answers_an_unlock_on_the_response_topic(iotcore: IotcoreService) -> None:
    community = Community(seed=1, size=SMALL)
    run = Run(community, Broker(port=iotcore.port), clock=SystemClock())
    asked = Properties(PacketTypes.PUBLISH)
    asked.ResponseTopic = "hub/willow-court/gate-1/response"
    asked.CorrelationData = b"c-1"
    async with client(iotcore.port) as hub:
        await hub.subscribe("hub/+/+/response", qos=1)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(run.run(rate=1, duration=timedelta(seconds=30)))

            async def answered() -> bool:
                # The gate may not have subscribed yet; it does the same id once, however often it is asked.
                command = b'{"id": "c-1", "command": "unlock", "part": "door-1"}'
                await hub.publish("hub/willow-court/gate-1/command", command, qos=1, properties=asked)
                return len(hub.messages) > 0

            await wait_until(answered)
            response = await anext(hub.messages)
            running.cancel()
    assert orjson.loads(bytes(response.payload)) == {"id": "c-1", "ok": True}
    assert getattr(response.properties, "CorrelationData", None) == b"c-1"
    assert community.gates[0].unlocked == 1


async def test_a_link_says_everything_although_its_broker_was_killed(tmp_path: Path) -> None:
    port, ledger = free_port(), Ledger()
    link = Link(Broker(port=port), "gateway-1", None, ledger=ledger, clock=SystemClock())
    sensor = SmokeSensor("s1", "smoke-1", seed=1)

    def broker() -> IotcoreService:
        return IotcoreService(tmp_path, port=port, log_file=tmp_path / "log", clock=SystemClock())

    async with asyncio.TaskGroup() as tasks:
        talking = tasks.create_task(link.run())
        async with broker() as service:
            for _ in range(10):
                await link.say(sensor.report())
            await wait_until(lambda: len(ledger.acknowledged) == 10)
            os.kill(service.pid, signal.SIGKILL)
        for _ in range(10):
            await link.say(sensor.report())
        await link.finish()
        async with broker():
            await talking
    assert len(ledger.acknowledged) == 20


@needs_mosquitto
async def test_a_message_that_the_broker_refused_is_not_counted_as_taken(tmp_path: Path) -> None:
    port, ledger = free_port(), Ledger()
    broker = Mosquitto(tmp_path / "broker", Listeners(port=port), SystemClock())
    allowed = ("hub/s1/smoke-1/telemetry",)
    user = BrokerUser(user="gateway-1", password_hash=hash_secret("secret"), writes=allowed)
    await broker.apply(Roster(users={user.user: user}))
    async with (
        MosquittoService(broker.config, port=port, log_file=tmp_path / "log", clock=SystemClock()),
        asyncio.TaskGroup() as tasks,
    ):
        link = Link(Broker(port=port), "gateway-1", "secret", ledger=ledger, clock=SystemClock())
        tasks.create_task(link.run())
        for device in ("smoke-1", "smoke-2", "smoke-1"):
            await link.say(SmokeSensor("s1", device, seed=1).report())
        await link.finish()
    assert [report.device for report in ledger.acknowledged] == ["smoke-1", "smoke-1"]
    assert ledger.refused == 1


async def test_a_thousand_messages_take_seconds_not_minutes(iotcore: IotcoreService) -> None:
    run = Run(Community(seed=1, size=SMALL), Broker(port=iotcore.port), clock=ManualClock())
    before = seconds_worked(iotcore.pid)
    ledger = await run.run(rate=50, duration=timedelta(seconds=30))
    assert len(ledger.acknowledged) > 1_500
    assert seconds_worked(iotcore.pid) - before < 20


def seconds_worked(broker: int) -> float:
    """Return the time, less what we and a broker have waited for a processor that others had."""
    return time.perf_counter() - sum(map(starved_ns, (os.getpid(), broker))) / 1e9
