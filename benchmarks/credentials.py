"""What many credentials cost: making them, telling mosquitto, and how long everybody else waits meanwhile.

Run: python -m benchmarks.credentials [DEVICES] [CONNECTED]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import mqtt5
from pydantic import SecretStr

from hub.clock import SystemClock
from hub.config.settings import BrokerKeeper, BrokerSettings, MqttPasswords, MqttSettings, Settings
from hub.keeping import Keeper, mosquitto
from hub.registry import credentials
from hub.registry.nouns import Device, Site
from hub.registry.registry import Registry
from hub.services.broker import MosquittoService
from hub.services.child import free_port

DEVICES, CONNECTED = 10_000, 3_000
AT_ONCE, PAUSE_SECONDS = 50, 0.001
CLOCK = SystemClock()


class Publisher:
    """A device in a process of its own that publishes without end: how long each acknowledgement took."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def worst(self) -> float:
        """Return the longest wait since the last time that this was asked, in ms."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError
        self._process.stdin.write(b"\n")
        return float(await self._process.stdout.readline())


@asynccontextmanager
async def publisher_of(port: int, user: str, secret: str) -> AsyncIterator[Publisher]:
    """Start a publisher."""
    command = (sys.executable, "-m", "benchmarks.credentials", "publish", str(port), user, secret)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    try:
        yield Publisher(process)
    finally:
        process.kill()
        await process.wait()


async def publish(port: int, user: str, secret: str) -> None:
    """Publish, wait for the acknowledgement, and again; a line on standard input asks for the worst wait so far."""
    reader, writer = await connect(port, user, secret)
    topic, number, waits = f"hub/{user}/telemetry", 0, [0.0]

    def tell() -> None:
        sys.stdin.readline()
        print(max(waits) * 1000, flush=True)
        waits[:] = [0.0]

    asyncio.get_running_loop().add_reader(sys.stdin, tell)
    while True:
        number = number % 60_000 + 1
        began = perf_counter()
        packet = mqtt5.PublishPacket(topic, payload=b"{}", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=number)
        writer.write(packet.write())
        await reader.readexactly((await reader.readexactly(2))[1])
        waits.append(perf_counter() - began)
        await CLOCK.sleep(PAUSE_SECONDS)


async def connect(port: int, user: str, secret: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Come in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        mqtt5.ConnectPacket(user, username=user, password=secret.encode(), keep_alive=600, clean_start=True).write()
    )
    await reader.readexactly((await reader.readexactly(2))[1])
    return reader, writer


async def crowd(
    port: int, secrets: Mapping[str, str], count: int
) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Let ``count`` of those who have ``secrets`` come in and stay."""
    inside: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    names = list(secrets)[:count]
    for first in range(0, count, AT_ONCE):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(connect(port, user, secrets[user])) for user in names[first : first + AT_ONCE]]
        inside += [task.result() for task in tasks]
    return inside


def settings_in(directory: Path) -> Settings:
    """Return an installation whose broker the hub keeps."""
    passwords = MqttPasswords(telemetry=SecretStr("t"), events=SecretStr("e"), downlink=SecretStr("d"))
    return Settings.model_construct(
        data_dir=directory,
        mqtt=MqttSettings(port=free_port(), passwords=passwords),
        broker=BrokerSettings(keeper=BrokerKeeper.MOSQUITTO),
    )


@asynccontextmanager
async def running(settings: Settings, keeper: Keeper) -> AsyncIterator[None]:
    """Start the mosquitto of these settings."""
    await keeper.apply()
    config = settings.data_dir / "broker" / "mosquitto.conf"
    log_file = settings.data_dir / "log"
    async with MosquittoService(config, port=settings.mqtt.port, log_file=log_file, clock=CLOCK):
        yield


async def measure(devices: int, connected: int) -> None:
    """Add ``devices`` beside a publisher, then one more and one less while ``connected`` of them are there."""
    with tempfile.TemporaryDirectory() as place:
        settings = settings_in(Path(place))
        async with Registry(settings.registry_url()) as registry:
            keeper = Keeper(settings, registry, mosquitto(settings, CLOCK))
            await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
            await registry.add_devices([Device(site="s1", id="first", kind="smoke_sensor")])
            (first,) = await credentials.make_secrets(registry, [("s1", "first")])
            device = (settings.mqtt.port, first.user, first.secret)
            async with running(settings, keeper), publisher_of(*device) as publisher:
                await _measure(registry, keeper, publisher, (devices, connected))


async def _measure(registry: Registry, keeper: Keeper, publisher: Publisher, size: tuple[int, int]) -> None:
    devices, connected = size
    await CLOCK.sleep(3)
    print(f"publish to PUBACK, nothing else going on: worst {await publisher.worst():.1f} ms")
    began = perf_counter()
    await registry.add_devices([Device(site="s1", id=f"d{n}", kind="smoke_sensor") for n in range(devices)])
    print(f"{devices:,} devices registered: {perf_counter() - began:.1f} s")
    began = perf_counter()
    made = await credentials.make_secrets(registry, {("s1", f"d{n}") for n in range(devices)})
    print(f"{devices:,} secrets made and kept by hash: {perf_counter() - began:.1f} s")
    await publisher.worst()
    began = perf_counter()
    await keeper.apply()
    took, worst = perf_counter() - began, await publisher.worst()
    print(f"mosquitto told of them: {took:.2f} s; publisher's worst wait {worst:.0f} ms")
    inside = await crowd(publisher_port(keeper), {each.user: each.secret for each in made}, connected)
    await publisher.worst()
    began = perf_counter()
    await credentials.rotate(registry, ("s1", "d0"), timedelta(hours=1))
    await keeper.apply()
    took, worst = perf_counter() - began, await publisher.worst()
    print(f"one device rotated, {connected:,} connected: {took:.2f} s; publisher's worst wait {worst:.0f} ms")
    began = perf_counter()
    owner, _ = await credentials.revoke(registry, ("s1", "d1"))
    async with asyncio.TaskGroup() as group:
        mending = group.create_task(keeper.revoke(owner))
        user = made.index(next(each for each in made if each.user == owner))
        await inside[user][0].read()  # until the broker hangs up
        cut = perf_counter() - began
        await mending
    worst = await publisher.worst()
    print(
        f"one device revoked, {connected:,} connected: cut off after {cut:.2f} s; publisher's worst wait {worst:.0f} ms"
    )
    for _, writer in inside:
        writer.close()


def publisher_port(keeper: Keeper) -> int:
    """Return where the broker listens."""
    return keeper.settings.mqtt.port


if __name__ == "__main__" and sys.argv[1:2] == ["publish"]:
    asyncio.run(publish(int(sys.argv[2]), *sys.argv[3:]))
elif __name__ == "__main__":
    asyncio.run(measure(*(int(each) for each in sys.argv[1:]), *(DEVICES, CONNECTED)[len(sys.argv) - 1 :]))
