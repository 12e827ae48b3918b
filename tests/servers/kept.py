"""A real mosquitto with the files that the hub writes: a registry, its keeper, and clients that try to come in."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiomqtt
import pytest
from pydantic import SecretStr

from hub.clock import Clock, SystemClock
from hub.config.settings import BrokerKeeper, BrokerSettings, LimitSettings, MqttPasswords, MqttSettings, Settings
from hub.keeping import Keeper, authority_of, mosquitto
from hub.registry import credentials
from hub.registry.brokers.broker import BrokerUser, Drift
from hub.registry.brokers.mosquitto import Mosquitto
from hub.registry.hashing import hash_secret, new_secret
from hub.registry.nouns import Device, Site
from hub.registry.registry import Registry
from hub.services.child import free_port
from tests.machine import find
from tests.ready_registry import lay_ready
from tests.servers.process import ServerProcess
from tests.waiting import PATIENCE_SECONDS

PASSWORDS = {"telemetry": "t", "events": "e", "downlink": "d", "record": "r", "drill": "p"}
DEVICES = (
    Device(site="s1", id="gate-1", kind="access_controller"),
    Device(site="s1", id="gate-2", kind="access_controller"),
    Device(site="s2", id="gate-1", kind="access_controller"),
    Device(site="s1", id="smoke-1", kind="smoke_sensor", user="gateway-1"),
    Device(site="s1", id="smoke-2", kind="smoke_sensor", user="gateway-1"),
)
FENCE = "fence"
REFUSED = aiomqtt.MqttError
"""What a client says that was not let in."""


class KeptBroker:
    """The broker of two sites with three gates and a gateway; ``secrets`` by user. Open it with ``async with``."""

    def __init__(self, directory: Path, clock: Clock | None = None, *, tls: bool = False) -> None:
        self.clock = clock or SystemClock()
        self.settings = Settings.model_construct(
            data_dir=directory / "data",
            mqtt=MqttSettings(
                port=free_port(), passwords=MqttPasswords(**{name: SecretStr(text) for name, text in PASSWORDS.items()})
            ),
            broker=BrokerSettings(
                keeper=BrokerKeeper.MOSQUITTO,
                listen="127.0.0.1",
                tls_port=free_port() if tls else None,
                certificate_port=free_port() if tls else None,
            ),
            limits=LimitSettings(payload=100_000),
        )
        self.registry = Registry(self.settings.registry_url(), clock=self.clock)
        self.authority = authority_of(self.settings, self.clock)
        self.broker: Mosquitto = mosquitto(self.settings, self.clock)
        self.keeper = Keeper(self.settings, self.registry, self.broker)
        command = [find("mosquitto") or "mosquitto", "-c", str(self.broker.config)]
        self.process = ServerProcess(directory / "mosquitto.log", lambda: command)
        self.process.port = self.settings.mqtt.port
        self.secrets: dict[str, str] = {f"hub-{name}": text for name, text in PASSWORDS.items()}
        self.secrets["spy"] = new_secret()
        reads = ("#", "$SYS/#", "$CONTROL/#")
        self.spy = BrokerUser(user="spy", password_hash=hash_secret(self.secrets["spy"]), reads=reads, writes=(FENCE,))
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        lay_ready(self.settings.data_dir)
        await self._opened.enter_async_context(self.registry)
        for site in ("s1", "s2"):
            await self.registry.add_site(Site(id=site, zone="Asia/Shanghai"))
        await self.registry.add_devices(DEVICES)
        await self.provide()
        await self.keep()
        self._opened.callback(self.process.kill)
        self.process.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def provide(self) -> None:
        """Make a secret for every device that has none."""
        keys = {(device.site, device.id) for device in await self.registry.devices()}
        self.secrets |= {each.user: each.secret for each in await credentials.make_secrets(self.registry, keys)}

    async def keep(self) -> Drift:
        """Bring the broker in step; with a spy beside, who may read everything, so that tests see what got through."""
        wanted = await self.keeper.settled()
        return await self.broker.apply(replace(wanted, users={**wanted.users, "spy": self.spy}))

    def reload(self) -> None:
        """Have mosquitto read its files again, whatever is in them."""
        self.process.send_signal(signal.SIGHUP)

    def client(self, user: str | None, secret: str | None = None, **more: Any) -> aiomqtt.Client:  # noqa: ANN401 -- whatever aiomqtt takes
        """Return a client of ``user`` on the plain listener, with its own secret unless told another."""
        secret = self.secrets.get(user or "") if secret is None else secret
        more = {"identifier": user, "protocol": aiomqtt.ProtocolVersion.V5, "timeout": PATIENCE_SECONDS, **more}
        return aiomqtt.Client(
            "127.0.0.1", more.pop("port", self.settings.mqtt.port), username=user, password=secret, **more
        )

    def trust(self, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
        """Return what believes the hub's authority; with a client certificate, where one is given."""
        context = ssl.create_default_context(cadata=self.authority.certificate)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
        return context

    async def is_welcome(self, user: str | None, secret: str | None = None, **more: Any) -> bool:  # noqa: ANN401 -- whatever aiomqtt takes
        """Whether the broker lets ``user`` in."""
        try:
            async with self.client(user, secret, **more):
                return True
        except REFUSED:
            return False

    async def heard(self, user: str, topic: str, **more: Any) -> bool:  # noqa: ANN401 -- whatever aiomqtt takes
        """Let ``user`` publish to ``topic``; whether that gets through."""

        async def publish() -> None:
            # mosquitto hangs up behind a publish that it refused.
            with suppress(REFUSED):
                async with self.client(user, **more) as device:
                    await device.publish(topic, b"x", qos=1)

        return await self._gets_through(topic, b"x", publish)

    async def hears(self, device: aiomqtt.Client, topic: str, payload: bytes = b"x") -> bool:
        """Let a connected ``device`` publish what it may; whether that gets through."""

        async def publish() -> None:
            await device.publish(topic, payload, qos=1)

        return await self._gets_through(topic, payload, publish)

    async def _gets_through(self, topic: str, payload: bytes, publish: Callable[[], Awaitable[None]]) -> bool:
        """Whether the spy hears what is published before what it publishes itself afterwards."""
        async with self.client("spy") as spy:
            await spy.subscribe([(each, 1) for each in self.spy.reads])
            await publish()
            await spy.publish(FENCE, b"", qos=1)
            async with asyncio.timeout(PATIENCE_SECONDS):
                async for message in spy.messages:
                    if str(message.topic) == topic and message.payload == payload:
                        return True
                    if str(message.topic) == FENCE:
                        return False
        raise AssertionError(topic)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[KeptBroker]:
    """A running mosquitto with the hub's own files."""
    async with KeptBroker(tmp_path) as broker:
        yield broker


@pytest.fixture
async def kept_tls(tmp_path: Path) -> AsyncIterator[KeptBroker]:
    """The same, with listeners for secrets and for certificates over TLS."""
    async with KeptBroker(tmp_path, tls=True) as broker:
        yield broker
