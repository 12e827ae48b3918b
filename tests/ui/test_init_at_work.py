"""The whole of what `hub init` makes works with real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish

from hub.config.settings import read_settings
from hub.registry import credentials
from hub.registry.brokers.knock import Answer, knock
from hub.registry.registry import Registry
from hub.services.child import free_port
from hub.ui.installing.choices import RedisChoice
from tests.machine import find, needs, needs_mosquitto
from tests.servers.process import ServerProcess
from tests.ui.conftest import Cli, Said
from tests.ui.installation import FIRE, HubRun
from tests.ui.making import made
from tests.waiting import PATIENCE_SECONDS, wait_until

SECRET = "only-this-detector-knows"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "garden"


class Made(HubRun):
    """An installation that `hub init` made, with mosquitto and Redis started by the files that it wrote."""

    def __init__(self, cli: Cli, place: Path, redis: RedisChoice) -> None:
        self.broker = ServerProcess(
            place.parent / "mosquitto.log", lambda: [str(find("mosquitto")), "-c", str(place / "broker/mosquitto.conf")]
        )
        self.redis = ServerProcess(
            place.parent / "redis.log", lambda: [str(find("redis-server")), str(place / "redis/redis.conf")]
        )
        super().__init__(place, place / "hub.toml", free_port())
        ports = ("--mqtt-port", self.broker.port, "--redis-port", self.redis.port, "--http-port", self.http_port)
        made(cli, place, "--redis", redis, *map(str, ports))
        self._cli = cli
        self._has_redis = redis is RedisChoice.SERVER

    def open(self) -> None:
        self.broker.start()
        if self._has_redis:
            self.redis.start()

    def close(self) -> None:
        self.kill()
        self.redis.kill()
        self.broker.kill()

    def said(self, *words: str) -> Said:
        said = self._cli("--config", str(self.config), *words)
        assert said.code == 0, said.err
        return said

    def json(self, *words: str) -> Any:  # noqa: ANN401 -- JSON is anything
        return self.said(*words, "--json").document()

    def doctor(self) -> Any:  # noqa: ANN401 -- JSON is anything
        return self._cli("--config", str(self.config), "doctor", "--json").document()

    async def enrol(self, user: str, secret: str) -> None:
        """Give a device's user a secret as a hub elsewhere would: nobody tells this broker but `hub run`."""
        async with Registry(self.settings.registry_url()) as registry:
            await credentials.put_secrets(registry, {user: secret})

    async def lets_in(self, user: str, secret: str) -> bool:
        return await knock(self.broker.port, user, secret) is Answer.WELCOME

    @property
    def settings(self) -> Any:  # noqa: ANN401 -- Settings
        return read_settings(self.config)


@pytest.fixture(params=[pytest.param(RedisChoice.SERVER, marks=needs("redis-server")), RedisChoice.VALKEY])
def installation(
    cli: Cli, place: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Made]:
    monkeypatch.setattr("hub.ui.doctor.broker_probe.SYS_SECONDS", PATIENCE_SECONDS)
    it = Made(cli, place, request.param)
    try:
        yield it
    finally:
        it.close()


@needs_mosquitto
def test_what_init_made_hears_a_device_by_its_own_secret_and_tells_of_the_fire(installation: Made) -> None:
    it = installation
    it.open()
    it.said("sites", "add", "garden", "--zh", "花园")
    device = ("smoke-1", "--kind", "smoke_sensor", "--profile", "milesight/gs524n", "--user", "smoke-1")
    it.said("devices", "add", "garden", *device)
    it.start()
    asyncio.run(it.enrol("smoke-1", SECRET))
    asyncio.run(wait_until(lambda: it.lets_in("smoke-1", SECRET)))

    auth: publish.AuthParameter = {"username": "smoke-1", "password": SECRET}
    topic = "hub/garden/smoke-1/telemetry"
    publish.single(topic, FIRE, qos=1, hostname="127.0.0.1", port=it.broker.port, client_id="smoke-1", auth=auth)

    async def told(*words: str) -> Any:  # noqa: ANN401 -- JSON is anything
        return await wait_until(lambda: asyncio.to_thread(it.json, *words))

    (point,) = asyncio.run(told("telemetry", "query", "smoke_sensor", "smoke-1"))
    assert point["fields"]["status"] == "alarm"
    events = asyncio.run(told("events", "list", "--type", "fire"))
    assert [event["name"] for event in events] == ["fire.smoke_alarm"]
    found = {row["check"]: (row["grade"], row["found"]) for row in it.doctor()}
    assert {check: seen for check, seen in found.items() if seen[0] in {"bad", "unseen"}} == {}
    assert it.stop() == 0
