"""mosquitto with the files that the registry writes: who may connect, and to which topics."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hub.clock import SystemClock
from hub.errors import ConfigError
from hub.registry.brokers.mosquitto import MosquittoFiles, TlsListener, configuration, hash_password, new_secret
from hub.registry.nouns import Connection
from hub.services.broker import MosquittoService
from hub.services.child import free_port
from tests.machine import needs, needs_mosquitto
from tests.waiting import wait_until

HUB_PASSWORDS = {"hub-telemetry": "t", "hub-events": "e", "hub-downlink": "d"}
GATE = Connection(user="gate-1", password_hash=hash_password("gate secret"), devices=(("s1", "gate-1"),))
GATEWAY = Connection(
    user="gateway-1", password_hash=hash_password("gateway secret"), devices=(("s1", "smoke-1"), ("s1", "smoke-2"))
)


@pytest.fixture
def files(tmp_path: Path) -> MosquittoFiles:
    return MosquittoFiles(tmp_path / "broker", port=free_port(), hub_passwords=HUB_PASSWORDS)


@pytest.fixture
async def broker(files: MosquittoFiles, tmp_path: Path) -> AsyncIterator[MosquittoService]:
    files.write([GATE, GATEWAY])
    port = int(files.config.read_text(encoding="utf-8").partition("listener ")[2].split()[0])
    async with MosquittoService(files.config, port=port, log_file=tmp_path / "log", clock=SystemClock()) as service:
        yield service


def client(port: int, user: str | None, password: str | None = None, identifier: str | None = None) -> aiomqtt.Client:
    return aiomqtt.Client(
        "127.0.0.1",
        port,
        username=user,
        password=password,
        identifier=identifier or user,
        protocol=aiomqtt.ProtocolVersion.V5,
    )


async def heard_by_hub(port: int, user: str, password: str, topic: str) -> bool:
    """Publish ``topic`` and then a fence that must arrive; tell whether ``topic`` arrived before it."""
    async with client(port, "hub-telemetry", "t") as hub, client(port, user, password) as device:
        await hub.subscribe("#", qos=1)
        await device.publish(topic, b"x", qos=1)
        async with client(port, "hub-events", "e") as fence:
            await fence.publish("hub/_hub/fence/marker", b"x", qos=1)
        async with asyncio.timeout(10):
            first = await anext(hub.messages)
    return str(first.topic) == topic


def test_a_password_hash_is_the_one_that_mosquitto_passwd_makes() -> None:
    # Made by mosquitto_passwd -U 2.0.11 from the line "x:secret".
    made = (
        "$7$101$DzIsVltIvWmuaeBk$"
        "eNBECKTABHx55YPfAeuTFCQU3UMAhMGgP7RVPPi1Q3T4kMm6QwPDf62FBdtJBG79pvx5P1IpE+pbuwbWkky7dQ=="
    )
    assert hash_password("secret", base64.b64decode("DzIsVltIvWmuaeBk")) == made


@needs_mosquitto
async def test_the_hub_may_send_commands_into_the_networks_that_it_was_told_of_and_nowhere_else(tmp_path: Path) -> None:
    port = free_port()
    topics = ("application/+/device/+/command/down",)
    files = MosquittoFiles(tmp_path / "broker", port=port, hub_passwords=HUB_PASSWORDS, foreign=topics)
    files.write([])
    async with (
        MosquittoService(files.config, port=port, log_file=tmp_path / "log", clock=SystemClock()),
        client(port, "hub-telemetry", "t") as hub,
    ):
        await hub.subscribe("#", qos=1)
        for topic, payload in (("event/up", b"forged"), ("command/down", b"asked")):
            async with client(port, "hub-downlink", "d") as downlink:
                await downlink.publish(f"application/a/device/0101/{topic}", payload, qos=1)
        async with asyncio.timeout(10):
            first = await anext(hub.messages)
    assert first.payload == b"asked"


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password("secret") != hash_password("secret")


def test_a_new_secret_holds_256_bits() -> None:
    assert len(new_secret()) == 43
    assert new_secret() != new_secret()


def test_only_we_can_read_the_files(files: MosquittoFiles) -> None:
    files.write([GATE])
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in files.directory.iterdir()}
    assert modes == {"mosquitto.conf": 0o600, "passwords": 0o600, "acl": 0o600}
    assert stat.S_IMODE(files.directory.stat().st_mode) == 0o700


def test_no_secret_is_written_in_the_clear(files: MosquittoFiles) -> None:
    files.write([GATE, GATEWAY])
    assert "gate secret" not in "".join(file.read_text(encoding="utf-8") for file in files.directory.iterdir())


def test_nothing_is_written_or_reloaded_when_nothing_changed(files: MosquittoFiles) -> None:
    reloads: list[int] = []
    assert files.write([GATE], lambda: reloads.append(1))
    assert not files.write([GATE], lambda: reloads.append(2))
    assert files.write([GATE, GATEWAY], lambda: reloads.append(3))
    assert reloads == [1, 3]


@pytest.mark.parametrize("user", ["a:b", "a\ntopic readwrite #", "", "hub-telemetry", "a b"])
def test_a_user_name_that_would_change_the_files_is_refused(files: MosquittoFiles, user: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a device's user"):
        files.write([Connection(user=user, password_hash="x", devices=())])


def test_nothing_is_dropped_before_a_quarter_of_the_memory_is_queued(tmp_path: Path) -> None:
    lines = configuration(tmp_path, 1883, None).splitlines()
    quarter = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
    assert f"max_queued_bytes {quarter}" in lines
    assert "max_queued_messages 0" in lines
    assert "allow_anonymous false" in lines


@needs_mosquitto
async def test_nobody_connects_without_a_password(broker: MosquittoService) -> None:
    for user, password in ((None, None), ("gate-1", "wrong"), ("stranger", "x")):
        with pytest.raises(aiomqtt.MqttError):
            await client(broker.port, user, password).__aenter__()


@needs_mosquitto
@pytest.mark.parametrize("topic_class", ["telemetry", "signal", "response", "availability"])
async def test_a_device_may_publish_its_own_topics(broker: MosquittoService, topic_class: str) -> None:
    assert await heard_by_hub(broker.port, "gate-1", "gate secret", f"hub/s1/gate-1/{topic_class}")


@needs_mosquitto
@pytest.mark.parametrize(
    "topic",
    [
        "hub/s1/smoke-1/telemetry",
        "hub/s2/gate-1/telemetry",
        "hub/s1/gate-1/command",
        "hub/s1/gate-1",
        "hub/s1/gate-1/telemetry/more",
        "hub/_hub/main-telemetry/marker",
        "$SYS/broker/uptime",
        "anything",
    ],
)
async def test_a_device_may_publish_nothing_else(broker: MosquittoService, topic: str) -> None:
    assert not await heard_by_hub(broker.port, "gate-1", "gate secret", topic)


@needs_mosquitto
async def test_a_gateway_publishes_for_each_device_that_it_carries(broker: MosquittoService) -> None:
    assert await heard_by_hub(broker.port, "gateway-1", "gateway secret", "hub/s1/smoke-1/telemetry")
    assert await heard_by_hub(broker.port, "gateway-1", "gateway secret", "hub/s1/smoke-2/telemetry")
    assert not await heard_by_hub(broker.port, "gateway-1", "gateway secret", "hub/s1/gate-1/telemetry")


@needs_mosquitto
async def test_a_command_reaches_its_device_only(broker: MosquittoService) -> None:
    async with (
        client(broker.port, "gate-1", "gate secret") as gate,
        client(broker.port, "gateway-1", "gateway secret") as gateway,
        client(broker.port, "hub-downlink", "d") as hub,
    ):
        await gate.subscribe("hub/s1/gate-1/command", qos=1)
        await gateway.subscribe("hub/s1/smoke-1/command", qos=1)
        # mosquitto grants any subscription and checks at delivery, so only what arrives tells.
        await gateway.subscribe("hub/s1/gate-1/command", qos=1)
        await hub.publish("hub/s1/gate-1/command", b"open", qos=1)
        await hub.publish("hub/s1/smoke-1/command", b"silence", qos=1)
        async with asyncio.timeout(10):
            assert (await anext(gate.messages)).payload == b"open"
            assert (await anext(gateway.messages)).payload == b"silence"


@needs_mosquitto
async def test_a_device_cannot_throw_another_off_by_taking_its_client_id(broker: MosquittoService) -> None:
    async with client(broker.port, "gate-1", "gate secret") as gate:
        async with client(broker.port, "gateway-1", "gateway secret", identifier="gate-1") as gateway:
            await gateway.publish("hub/s1/smoke-1/telemetry", b"x", qos=1)
        await gate.publish("hub/s1/gate-1/telemetry", b"x", qos=1)


@needs_mosquitto
async def test_the_hub_reads_the_brokers_own_figures(broker: MosquittoService) -> None:
    async with client(broker.port, "hub-events", "e") as hub:
        await hub.subscribe("$SYS/broker/publish/messages/dropped")
        async with asyncio.timeout(20):
            assert int((await anext(hub.messages)).payload) == 0


@needs_mosquitto
async def test_a_removed_device_is_cut_off_and_the_others_stay(files: MosquittoFiles, broker: MosquittoService) -> None:
    async with client(broker.port, "gateway-1", "gateway secret") as gateway:
        gate = client(broker.port, "gate-1", "gate secret")
        await gate.__aenter__()
        assert files.write([GATEWAY], broker.reload)
        with pytest.raises(aiomqtt.MqttError, match="Disconnected"):
            await asyncio.wait_for(anext(gate.messages), 10)
        with suppress(aiomqtt.MqttError):
            await gate.__aexit__(None, None, None)
        await gateway.publish("hub/s1/smoke-1/telemetry", b"x", qos=1)
    with pytest.raises(aiomqtt.MqttError):
        await client(broker.port, "gate-1", "gate secret").__aenter__()


@needs_mosquitto
async def test_a_new_device_connects_after_a_reload(files: MosquittoFiles, broker: MosquittoService) -> None:
    secret = new_secret()
    fresh = Connection(user="gate-2", password_hash=hash_password(secret), devices=(("s1", "gate-2"),))
    files.write([GATE, GATEWAY, fresh], broker.reload)

    async def connects() -> bool:
        try:
            return await heard_by_hub(broker.port, "gate-2", secret, "hub/s1/gate-2/telemetry")
        except aiomqtt.MqttError:
            return False

    assert await wait_until(connects)


@needs_mosquitto
async def test_a_sleeping_session_is_kept_five_thousand_messages(broker: MosquittoService) -> None:
    # The stock limit is 1,000, and the publisher is told Success for those that are dropped.
    expiry = Properties(PacketTypes.CONNECT)
    expiry.SessionExpiryInterval = 0xFFFFFFFF

    def sleeper() -> aiomqtt.Client:
        return aiomqtt.Client(
            "127.0.0.1",
            broker.port,
            username="hub-telemetry",
            password="t",
            identifier="hub-telemetry",
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=expiry,
        )

    async with sleeper() as hub:
        await hub.subscribe("hub/+/+/telemetry", qos=1)
    async with client(broker.port, "gate-1", "gate secret") as gate:
        gate.pending_calls_threshold = 10_000
        for number in range(5_000):
            await gate.publish("hub/s1/gate-1/telemetry", str(number).encode(), qos=1)
    async with sleeper() as hub, asyncio.timeout(20):
        heard = [int((await anext(hub.messages)).payload) for _ in range(5_000)]
    assert heard == list(range(5_000))


@needs_mosquitto
@needs("openssl")
async def test_devices_elsewhere_connect_by_tls_and_see_whom_they_talk_to(tmp_path: Path) -> None:
    certificate, key = tmp_path / "server.crt", tmp_path / "server.key"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1", "-nodes"]
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", *subject, "-keyout", str(key), "-out", str(certificate)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    plain, tls = free_port(), TlsListener(host="127.0.0.1", port=free_port(), cert_file=certificate, key_file=key)
    files = MosquittoFiles(tmp_path / "broker", port=plain, hub_passwords=HUB_PASSWORDS, tls=tls)
    files.write([GATE])

    def secured(user: str) -> aiomqtt.Client:
        trust = ssl.create_default_context(cafile=str(certificate))
        return aiomqtt.Client("127.0.0.1", tls.port, username=user, password="gate secret", tls_context=trust)

    async with MosquittoService(files.config, port=plain, log_file=tmp_path / "log", clock=SystemClock()):
        async with client(plain, "hub-telemetry", "t") as hub, secured("gate-1") as gate:
            await hub.subscribe("hub/#", qos=1)
            await gate.publish("hub/s1/gate-1/telemetry", b"by tls", qos=1)
            assert (await asyncio.wait_for(anext(hub.messages), 10)).payload == b"by tls"
        with pytest.raises(aiomqtt.MqttError):
            await client(tls.port, "gate-1", "gate secret").__aenter__()
        with pytest.raises(aiomqtt.MqttError):
            await secured("nobody").__aenter__()
