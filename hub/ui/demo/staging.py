"""The demo's stage: a directory with Valkey, a broker and a registry of its own, all made for one run."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from pydantic import SecretStr

from hub.clock import Clock
from hub.config.settings import (
    BrokerKeeper,
    BrokerSettings,
    HttpSettings,
    MqttPasswords,
    MqttSettings,
    RedisSettings,
    Settings,
)
from hub.durations import write_duration
from hub.errors import ConfigError, UnavailableError
from hub.keeping import Keeper, directory_of, mosquitto
from hub.registry import credentials
from hub.registry.brokers.mosquitto_files import CONFIG
from hub.registry.hashing import new_secret
from hub.registry.nouns import Device, Place, Site
from hub.registry.registry import Registry
from hub.services.broker import IOTCORE_NOTICE, IotcoreService, MosquittoService, mosquitto_executable
from hub.services.child import free_port
from hub.services.valkey import ValkeyService

PREFIX = "hub"
CONNECTIONS = ("telemetry", "events", "downlink")

# Detectors of the demo report every few seconds instead of once a day.
_RULES = """\
rule: detector-silent
version: 1.0.0-demo
label: {{en: "Smoke detector silent", zh: "烟感失联"}}
for_each: smoke_sensor
absent_for: {absent_for}
raise: {{event: device.detector_silent, severity: medium}}
"""


class BrokerChoice(StrEnum):
    """Which broker the demo starts."""

    AUTO = "auto"
    MOSQUITTO = "mosquitto"
    IOTCORE = "iotcore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who plays: one site with its places and devices."""

    site: Site
    places: Sequence[Place]
    devices: Sequence[Device]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the hub and the simulator need; ``passwords`` by user, None where the broker asks for none.

    ``notice`` is what people must know of the broker, empty for a real one.
    """

    settings: Settings
    passwords: Mapping[str, str] | None
    notice: str = ""


def empty_directory(wanted: Path | None) -> Path:
    """Make ``wanted``, or a temporary directory; ConfigError ``directory_not_empty`` for one that holds something."""
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="hub-demo-"))
    wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(wanted.iterdir()):
        raise ConfigError("directory_not_empty", "the demo wants a directory of its own", file=str(wanted))
    return wanted


@asynccontextmanager
async def staged(
    directory: Path, cast: Cast, choice: BrokerChoice, clock: Clock, *, silent_after: timedelta
) -> AsyncIterator[Stage]:
    """Build the stage in a ``directory`` that :func:`empty_directory` made, and take its servers down again."""
    rules = _prepare(directory, silent_after)
    async with ValkeyService(directory / "valkey", port=(redis_port := free_port()), clock=clock) as valkey:
        passwords = {f"{PREFIX}-{connection}": new_secret() for connection in CONNECTIONS}
        settings = _settings(directory, rules, _redis_url(valkey, redis_port), passwords)
        secrets = await _register(settings, cast, clock)
        place, port = directory_of(settings), settings.mqtt.port
        log_file = place / "broker.log"
        if choice is BrokerChoice.IOTCORE or (choice is BrokerChoice.AUTO and mosquitto_executable() is None):
            open_to_all = settings.model_copy(update={"broker": BrokerSettings()})
            async with IotcoreService(place, port=port, log_file=log_file, clock=clock) as toy, _watched(toy):
                yield Stage(settings=open_to_all, passwords=None, notice=IOTCORE_NOTICE)
        else:
            async with (
                MosquittoService(place / CONFIG, port=port, log_file=log_file, clock=clock) as broker,
                _watched(broker),
            ):
                yield Stage(settings=settings, passwords=secrets)


@asynccontextmanager
async def _watched(broker: IotcoreService | MosquittoService) -> AsyncIterator[None]:
    """End with UnavailableError ``broker_died`` when it does: devices would try to reach it for ever."""
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(_end_with(broker), name="demo.broker")
        yield
        watch.cancel()


async def _end_with(broker: IotcoreService | MosquittoService) -> None:
    raise UnavailableError("broker_died", "the demo's broker has ended", returncode=await broker.ended())


def _prepare(directory: Path, silent_after: timedelta) -> Path:
    """Make the directory of the demo's own rules, and return it."""
    rules = directory / "rules"
    rules.mkdir()
    (rules / "demo.yaml").write_text(_RULES.format(absent_for=write_duration(silent_after)), encoding="utf-8")
    return rules


def _redis_url(valkey: ValkeyService, port: int) -> SecretStr:
    return SecretStr(f"redis://:{valkey.password.get_secret_value()}@127.0.0.1:{port}/0")


def _settings(directory: Path, rules: Path, redis_url: SecretStr, passwords: Mapping[str, str]) -> Settings:
    mine = {connection: SecretStr(passwords[f"{PREFIX}-{connection}"]) for connection in CONNECTIONS}
    # Not the usual way: a demo must not be led elsewhere by the HUB_* variables of a real installation.
    return Settings.model_construct(
        data_dir=directory / "hub",
        rules_dir=rules,
        broker=BrokerSettings(keeper=BrokerKeeper.MOSQUITTO, directory=directory / "broker"),
        mqtt=MqttSettings(port=free_port(), username_prefix=PREFIX, passwords=MqttPasswords(**mine)),
        redis=RedisSettings(url=redis_url),
        http=HttpSettings(port=free_port()),
    )


async def _register(settings: Settings, cast: Cast, clock: Clock) -> dict[str, str]:
    """Register who plays, and write the broker's files; return the users' secrets."""
    async with Registry(settings.registry_url()) as registry:
        await registry.add_site(cast.site)
        await registry.add_places(cast.places)
        await registry.add_devices(cast.devices)
        made = await credentials.make_secrets(registry, {(device.site, device.id) for device in cast.devices})
        await Keeper(settings, registry, mosquitto(settings, clock)).apply()
        return {each.user: each.secret for each in made}
