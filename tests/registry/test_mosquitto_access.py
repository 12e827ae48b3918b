"""A running mosquitto with the hub's files: who may come in, say and hear what."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hub.registry import credentials
from hub.registry.brokers.grants import SourceTopics
from hub.registry.network_credentials import rotate_source
from hub.registry.nouns import Device, Source
from tests.servers.kept import KeptBroker
from tests.waiting import PATIENCE_SECONDS


async def test_a_device_may_publish_its_own_topics(kept: KeptBroker) -> None:
    own = [f"hub/s1/gate-1/{topic_class}" for topic_class in ("telemetry", "signal", "response", "availability")]
    assert [topic for topic in own if await kept.heard("s1/gate-1", topic)] == own


async def test_a_gateway_publishes_for_each_device_that_it_carries(kept: KeptBroker) -> None:
    assert await kept.heard("gateway-1", "hub/s1/smoke-1/telemetry")
    assert await kept.heard("gateway-1", "hub/s1/smoke-2/telemetry")
    assert not await kept.heard("gateway-1", "hub/s1/gate-1/telemetry")


async def test_the_hub_sends_commands_into_the_networks_that_it_was_told_of_only(
    kept: KeptBroker,
) -> None:
    foreign = {"main": SourceTopics(downlinks=("application/+/device/+/command/down",), telemetry=("application/#",))}
    await kept.broker.apply(await credentials.read_roster(kept.registry, foreign))
    async with kept.client("hub-telemetry") as hub:
        await hub.subscribe("#", qos=1)
        for topic, payload in (("event/up", b"forged"), ("command/down", b"asked")):
            async with kept.client("hub-downlink") as downlink:
                await downlink.publish(f"application/a/device/0101/{topic}", payload, qos=1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            first = await anext(hub.messages)
    assert first.payload == b"asked"


async def test_a_network_says_what_is_heard_of_it_and_nothing_of_the_hubs_own(kept: KeptBroker) -> None:
    await kept.registry.add_source(Source(id="lora", network="chirpstack"))
    made = await rotate_source(kept.registry, "lora", timedelta())
    kept.secrets[made.user] = made.secret
    await kept.keep()
    assert await kept.heard(made.user, "application/a/device/0101/event/up")
    assert not await kept.heard(made.user, "application/a/device/0101/command/down")
    assert not await kept.heard(made.user, "hub/s1/gate-1/telemetry")


async def test_the_hub_reads_the_brokers_own_figures(kept: KeptBroker) -> None:
    async with kept.client("hub-events") as hub:
        await hub.subscribe("$SYS/broker/publish/messages/dropped")
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert int((await anext(hub.messages)).payload) == 0


async def test_a_removed_device_is_cut_off_and_the_others_stay(kept: KeptBroker) -> None:
    async with kept.client("gateway-1") as gateway:
        gate = kept.client("s1/gate-1")
        await gate.__aenter__()
        await kept.registry.remove_device("s1", "gate-1")
        assert (await kept.keep()).revoked == ("s1/gate-1",)
        with pytest.raises(aiomqtt.MqttError, match="Disconnected"):
            await asyncio.wait_for(anext(gate.messages), PATIENCE_SECONDS)
        with suppress(aiomqtt.MqttError):
            await gate.__aexit__(None, None, None)
        await gateway.publish("hub/s1/smoke-1/telemetry", b"x", qos=1)
    assert not await kept.is_welcome("s1/gate-1")


async def test_a_new_device_connects_as_soon_as_the_broker_was_told(kept: KeptBroker) -> None:
    await kept.registry.add_devices([Device(site="s1", id="gate-9", kind="access_controller")])
    await kept.provide()
    assert (await kept.keep()).added == ("s1/gate-9",)
    assert await kept.heard("s1/gate-9", "hub/s1/gate-9/telemetry")


async def test_who_is_kicked_may_come_again(kept: KeptBroker) -> None:
    async with kept.client("s1/gate-2") as other:
        gate = kept.client("s1/gate-1")
        await gate.__aenter__()
        await kept.broker.kick(["s1/gate-1"])
        with pytest.raises(aiomqtt.MqttError, match="Disconnected"):
            await asyncio.wait_for(anext(gate.messages), PATIENCE_SECONDS)
        with suppress(aiomqtt.MqttError):
            await gate.__aexit__(None, None, None)
        await other.publish("hub/s1/gate-2/telemetry", b"x", qos=1)
    assert await kept.is_welcome("s1/gate-1")


async def test_a_sleeping_session_is_kept_five_thousand_messages(kept: KeptBroker) -> None:
    # The stock limit is 1,000, and the publisher is told Success for those that are dropped.
    expiry = Properties(PacketTypes.CONNECT)
    expiry.SessionExpiryInterval = 0xFFFFFFFF

    def sleeper() -> aiomqtt.Client:
        return kept.client("hub-telemetry", clean_start=False, properties=expiry)

    async with sleeper() as hub:
        await hub.subscribe("hub/+/+/telemetry", qos=1)
    async with kept.client("s1/gate-1") as gate:
        gate.pending_calls_threshold = 10_000
        for number in range(5_000):
            await gate.publish("hub/s1/gate-1/telemetry", str(number).encode(), qos=1)
    async with sleeper() as hub, asyncio.timeout(PATIENCE_SECONDS):
        heard = [int((await anext(hub.messages)).payload) for _ in range(5_000)]
    assert heard == list(range(5_000))


async def test_devices_elsewhere_connect_by_tls_and_see_whom_they_talk_to(kept_tls: KeptBroker) -> None:
    port = kept_tls.settings.broker.tls_port
    async with kept_tls.client("s1/gate-1", port=port, tls_context=kept_tls.trust()) as gate:
        assert await kept_tls.hears(gate, "hub/s1/gate-1/telemetry")
    assert not await kept_tls.is_welcome("nobody", "x", port=port, tls_context=kept_tls.trust())
