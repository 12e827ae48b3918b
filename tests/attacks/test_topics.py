"""Attacks by a device that was let in: on what others say, hear and are told, and on the broker itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiomqtt
import mqtt5
import pytest

from hub.errors import ConfigError
from hub.registry import credentials
from hub.registry.brokers.broker import BrokerUser
from hub.registry.brokers.mosquitto_files import write_acl, write_passwords
from hub.registry.hashing import hash_secret
from hub.registry.nouns import Device, DeviceState, Site, Source
from hub.registry.registry import Registry
from hub.whole import write_whole
from tests.servers.kept import FENCE, KeptBroker
from tests.waiting import PATIENCE_SECONDS, wait_until

COMMAND = "hub/s1/gate-2/command"


async def overheard(kept: KeptBroker, filters: Sequence[str], said: Sequence[tuple[str, str]]) -> list[str]:
    """Let gate-1 subscribe to ``filters``; return what reaches it of what was ``said`` (user, topic)."""
    own = "hub/s1/gate-1/command"
    async with kept.client("s1/gate-1") as gate:
        for each in [*filters, own]:
            # mosquitto grants any subscription and asks again at each delivery: only what arrives tells.
            await gate.subscribe(each, qos=1)
        for user, topic in said:
            async with kept.client(user) as speaker:
                await speaker.publish(topic, b"secret", qos=1)
        async with kept.client("hub-downlink") as hub:
            await hub.publish(own, b"end", qos=1)
        heard: list[str] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for message in gate.messages:
                if message.payload == b"end":
                    return heard
                heard.append(str(message.topic))
    raise AssertionError(heard)


# ------------------------------------------------------------------------------------------------------------- forging


NOT_ITS_OWN = (
    "hub/s1/gate-2/telemetry",
    "hub/s1/smoke-1/signal",
    "hub/s2/gate-1/telemetry",
    "hub/s3/gate-1/telemetry",
    "hub/s1/gate-1/command",
    "hub/s1/gate-2/command",
    "hub/s1/gate-1",
    "hub/s1/gate-1/telemetry/more",
    "hub//s1/gate-1/telemetry",
    "hub/_hub/main-telemetry/marker",
    "hub/_hub/gate-1/telemetry",
    "application/1/device/2/event/up",
    "$SYS/broker/uptime",
    "anything",
)


async def test_a_device_speaks_for_itself_only(kept: KeptBroker) -> None:
    """Proves exact topics.

    Refused are other devices, the same id at another site, a site that is not there, commands, the hub's markers (which
    would make it believe that it has caught up), foreign networks and $SYS.
    """
    assert [topic for topic in NOT_ITS_OWN if await kept.heard("s1/gate-1", topic)] == []
    assert await kept.heard("s1/gate-1", "hub/s1/gate-1/telemetry")


async def test_a_gateway_speaks_for_the_devices_that_it_carries_and_no_others(kept: KeptBroker) -> None:
    """Proves that one secret for many devices is worth those devices."""
    assert await kept.heard("gateway-1", "hub/s1/smoke-2/telemetry")
    for topic in ("hub/s1/gate-1/telemetry", "hub/s2/smoke-1/telemetry", "hub/s1/gateway-1/telemetry"):
        assert not await kept.heard("gateway-1", topic)


async def test_a_last_will_is_no_way_around(kept: KeptBroker) -> None:
    """Proves that a will is checked like any message: nobody commands a gate by dying; one's own will is heard."""
    own = "hub/s1/gate-1/availability"
    async with kept.client("spy") as spy:
        await spy.subscribe([("#", 1)])
        for topic in (COMMAND, "hub/s2/gate-1/availability", own):
            await _die(kept, mqtt5.Will(topic=topic, payload=b"will", qos=mqtt5.QoS.AT_LEAST_ONCE, retain=True))
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert str((await anext(spy.messages)).topic) == own


async def _die(kept: KeptBroker, will: mqtt5.Will) -> None:
    """Be gone without a goodbye; the next one takes the place, so that the will is due."""
    _, writer = await _come_in(kept, will)
    writer.transport.abort()


async def _come_in(
    kept: KeptBroker, will: mqtt5.Will | None = None, *, clean: bool = True, is_there: bool = False
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as gate-1, byte by byte; a session of it ``is_there`` or not."""
    secret = kept.secrets["s1/gate-1"].encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", kept.settings.mqtt.port)
    hello = mqtt5.ConnectPacket(
        "gate", username="s1/gate-1", password=secret, clean_start=clean, will=will, session_expiry_interval=3600
    )
    writer.write(hello.write())
    packet, _ = mqtt5.read(memoryview(await reader.read(100)))
    assert isinstance(packet, mqtt5.ConnAckPacket)
    assert packet.reason_code is mqtt5.ConnAckReasonCode.SUCCESS
    assert packet.session_present is is_there
    return reader, writer


async def test_a_device_controls_nothing(kept: KeptBroker) -> None:
    """Proves that the access list refuses $CONTROL, and that there is no plugin that would obey."""
    assert "plugin" not in kept.broker.config.read_text(encoding="utf-8")
    reader, writer = await _come_in(kept)
    qos, topic = mqtt5.QoS.AT_LEAST_ONCE, "$CONTROL/dynamic-security/v1"
    writer.write(mqtt5.PublishPacket(topic, payload=b"{}", qos=qos, packet_id=1).write())
    packet, _ = mqtt5.read(memoryview(await reader.read(100)))
    assert isinstance(packet, mqtt5.PubAckPacket)
    assert packet.reason_code is mqtt5.PubAckReasonCode.NOT_AUTHORIZED
    writer.close()


async def test_nothing_foreign_is_retained(kept: KeptBroker) -> None:
    """Proves that a refused message is not kept either: a command left behind would reach the next who subscribes."""
    for topic in (COMMAND, "hub/s1/gate-1/command"):
        async with kept.client("s1/gate-1") as gate:
            await gate.publish(topic, b"unlock", qos=1, retain=True)
    async with kept.client("spy") as spy:
        await spy.subscribe([("#", 1)])
        await spy.publish(FENCE, b"", qos=1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert str((await anext(spy.messages)).topic) == FENCE


# ------------------------------------------------------------------------------------------------------------- prying


PRYING = (
    ("#",),
    ("+/+/+/+",),
    ("hub/s1/+/command",),
    (COMMAND,),
    ("$share/thieves/hub/#",),
    ("$share/thieves/#", f"$share/thieves/{COMMAND}"),
)


async def test_a_device_overhears_neither_commands_nor_telemetry(kept: KeptBroker) -> None:
    """Proves that whatever is subscribed to, also as a shared subscription, only its own commands are delivered."""
    said = [("hub-downlink", COMMAND), ("s1/gate-2", "hub/s1/gate-2/telemetry"), ("gateway-1", "hub/s1/smoke-1/signal")]
    found = {filters: await overheard(kept, filters, said) for filters in PRYING}
    assert found == {filters: [] for filters in PRYING}


async def test_a_shared_subscription_takes_nothing_away_from_the_hub(kept: KeptBroker) -> None:
    """Proves that a device cannot drain what the hub should hear by joining in on the same topics."""
    async with kept.client("s1/gate-1") as thief, kept.client("hub-telemetry") as hub:
        await hub.subscribe("hub/+/+/telemetry", qos=1)
        await thief.subscribe("$share/g/hub/+/+/telemetry", qos=1)
        async with kept.client("s1/gate-2") as gate:
            for number in range(20):
                await gate.publish("hub/s1/gate-2/telemetry", str(number).encode(), qos=1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert [int((await anext(hub.messages)).payload) for _ in range(20)] == [*range(20)]


async def test_the_brokers_own_figures_are_the_hubs(kept: KeptBroker) -> None:
    """Proves that a device learns nothing of the others from $SYS, where versions, loads and counts are."""
    async with kept.client("s1/gate-1") as gate, kept.client("spy") as spy:
        await gate.subscribe("$SYS/#", qos=1)
        await gate.subscribe("hub/s1/gate-1/command", qos=1)
        await spy.subscribe("$SYS/broker/version", qos=1)
        assert str((await anext(spy.messages)).topic) == "$SYS/broker/version"  # they are there: retained
        async with kept.client("hub-downlink") as hub:
            await hub.publish("hub/s1/gate-1/command", b"end", qos=1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await anext(gate.messages)).payload == b"end"


# --------------------------------------------------------------------------------------------- the hub's own users


async def test_each_connection_of_the_hub_may_do_its_own_work_only(kept: KeptBroker) -> None:
    """Proves that a hub password that leaks is worth one connection: who hears cannot command."""
    for user in ("hub-telemetry", "hub-events", "hub-record"):
        assert not await kept.heard(user, COMMAND)
        assert not await kept.heard(user, "hub/s1/gate-1/telemetry")
    assert await kept.heard("hub-downlink", COMMAND)
    assert not await kept.heard("hub-downlink", "hub/s1/gate-1/telemetry")


async def test_only_the_user_of_drills_plays_and_it_can_do_nothing_else(kept: KeptBroker) -> None:
    """Proves that no device says "it was only a drill" of itself, and that who plays a fire can report no real one."""
    topic = "hub/s1/smoke-1/drill"
    assert await kept.heard("hub-drill", topic)
    for user in ("gateway-1", "s1/gate-1", "hub-downlink", "hub-record"):
        assert not await kept.heard(user, topic)
    for other in (COMMAND, "hub/s1/smoke-1/telemetry", "hub/s1/smoke-1/signal"):
        assert not await kept.heard("hub-drill", other)


async def test_a_hub_hears_and_commands_the_sites_of_its_own_partition_only(kept: KeptBroker) -> None:
    """Proves that partitions are apart in the broker: one partition's passwords are worth its own sites."""
    await kept.registry.add_site(Site(id="w1", zone="Asia/Shanghai", partition="west"))
    await kept.registry.add_devices([Device(site="w1", id="gate-1", kind="access_controller")])
    await kept.registry.add_source(Source(id="lora", network="chirpstack", partition="west"))
    west_users = {("west-downlink", "downlink"): "d", ("west-events", "events"): "e"}
    west = await credentials.hub_logins(kept.registry, "west", west_users)
    await credentials.keep_hub_logins(kept.registry, "west", west)
    kept.secrets |= {"west-downlink": "d", "west-events": "e"}
    await kept.keep()
    for hub, sites in (("west-downlink", {"w1": True, "s1": False}), ("hub-downlink", {"w1": False, "s1": True})):
        for site, may in sites.items():
            assert await kept.heard(hub, f"hub/{site}/gate-1/command") is may
    assert await kept.heard("west-downlink", "application/1/device/2/command/down")
    assert not await kept.heard("hub-downlink", "application/1/device/2/command/down")


async def test_no_device_is_registered_as_a_user_of_the_hub(kept: KeptBroker) -> None:
    """Proves that nobody gets what the hub may do by being carried under its name."""
    with pytest.raises(ConfigError, match="the hub's own"):
        await kept.registry.add_devices([Device(site="s1", id="new", kind="access_controller", user="hub-telemetry")])


# ----------------------------------------------------------------------------------------------------------- odd names


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    """A registry with one site, and no broker."""
    async with Registry(f"sqlite+aiosqlite:///{tmp_path / 'registry.sqlite'}") as it:
        await it.add_site(Site(id="s1", zone="Asia/Shanghai"))
        yield it


@pytest.mark.parametrize("name", ["+", "#", "/", "a/b", "a:b", "s1/gate-2", "a b", "gate\n1", "~probe", "gate-1~2", ""])
async def test_odd_names_are_refused_at_registration(registry: Registry, name: str) -> None:
    """Proves that no name gets near a file that could change its meaning there, as device, site or user."""
    with pytest.raises(ConfigError):
        await registry.add_devices([Device(site="s1", id=name, kind="access_controller")])
    with pytest.raises(ConfigError):
        await registry.add_site(Site(id=name, zone="Asia/Shanghai"))
    if name:  # no user is no odd one
        with pytest.raises(ConfigError):
            await registry.add_devices([Device(site="s1", id="new", kind="access_controller", user=name)])


ODD = ("+", "/", "s1/+", "+/gate-2", "s1/#", "s1/gate-2/x", "s1//gate-2")


async def test_odd_names_do_no_harm_where_they_are_forced_in(kept: KeptBroker) -> None:
    """Proves that the patterns hold even for a user whom somebody wrote into the files by hand; # begins a comment."""
    wanted = await kept.keeper.wanted()
    users = {**wanted.users, "spy": kept.spy}
    users |= {name: BrokerUser(user=name, password_hash=hash_secret("x")) for name in ODD}
    directory = kept.broker.directory
    write_whole(directory / "passwords", write_passwords(users, hash_secret("probe")))
    write_whole(directory / "acl", write_acl({**wanted.users, "spy": kept.spy}, ()))
    kept.reload()
    for name in ODD:
        await wait_until(lambda: kept.is_welcome(name, "x"))  # noqa: B023 -- it is awaited here
    kept.secrets |= dict.fromkeys(ODD, "x")
    topics = ("hub/s1/gate-2/telemetry", "hub/s2/gate-1/telemetry", COMMAND)
    assert [(name, topic) for name in ODD for topic in topics if await kept.heard(name, topic)] == []


# ------------------------------------------------------------------------------------------------- what was left behind


async def test_what_was_queued_for_somebody_who_is_gone_is_forgotten(kept: KeptBroker) -> None:
    """Proves that a session ends with its user: who has the name later hears no commands of before."""
    for clean, is_there in ((True, False), (False, True)):
        _, writer = await _come_in(kept, clean=clean, is_there=is_there)
        writer.write(mqtt5.DisconnectPacket().write())
        await writer.drain()
        writer.close()
    await kept.registry.set_device_state("s1", "gate-1", DeviceState.DISABLED)
    await kept.keep()
    await kept.registry.set_device_state("s1", "gate-1", DeviceState.ACTIVE)
    await kept.keep()
    _, writer = await _come_in(kept, clean=False, is_there=False)
    writer.close()


# ------------------------------------------------------------------------------------------------------------ too much


async def test_a_packet_that_is_too_large_ends_its_connection_and_no_other(kept: KeptBroker) -> None:
    """Proves `max_packet_size`: nobody fills the broker's memory with one message; what the hub judges still passes."""
    async with kept.client("s1/gate-2") as other:
        async with kept.client("s1/gate-1") as gate:
            assert await kept.hears(gate, "hub/s1/gate-1/telemetry", b"x" * kept.settings.limits.payload)
        with pytest.raises(aiomqtt.MqttError):
            async with kept.client("s1/gate-1", timeout=1.0) as gate:
                await gate.publish("hub/s1/gate-1/telemetry", b"x" * 2 * kept.settings.limits.payload, qos=1)
        assert await kept.hears(other, "hub/s1/gate-2/telemetry")
