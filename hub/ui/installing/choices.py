"""What an installation may choose, and what one that exists has chosen."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hub.config.settings import SECRETS_FILE, CitySettings
from hub.config.toml_files import read_layers
from hub.registry.brokers.mosquitto_files import TlsListener
from hub.registry.hashing import new_secret
from hub.services.broker import DAEMON_PATH

HUB_USERS = ("telemetry", "events", "downlink", "record", "doctor", "drill")
"""Each connection of the hub is a user of its own; three of them for `hub record`, `hub doctor`, `hub drill`."""

NOTIFY_PORT = 8082
"""Where `hub notify run` shows its health."""
REDIS_PORT = 6380
"""Where a Redis of its own listens when nobody says otherwise: that of the distribution listens on 6379."""
CITY_PORT = CitySettings().http.port
"""Where `hub city run` does: the default of its setting."""


class RedisChoice(StrEnum):
    """Whose Redis it is."""

    SERVER = "redis-server"
    VALKEY = "valkey"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Influx:
    """Where InfluxDB is."""

    url: str
    org: str
    bucket: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What was chosen. ``redis_url`` is of a Redis elsewhere; without ``influx`` points go to a local file.

    ``account`` is who the units run as, and whom the files belong to.
    """

    partition: str
    mqtt_port: int
    http_port: int
    redis: RedisChoice
    redis_port: int
    redis_url: str
    influx: Influx | None
    tls: TlsListener | None
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets of an installation: of each user of the broker, and of Redis."""

    mqtt: dict[str, str]
    redis: str


def found_executable(name: str) -> str | None:
    """Return where a server is, daemon folders included."""
    return shutil.which(name) or shutil.which(name, path=DAEMON_PATH)


def usual_redis() -> RedisChoice:
    """Return the distribution's where it is installed, else the wheel's."""
    return RedisChoice.SERVER if found_executable("redis-server") else RedisChoice.VALKEY


def hub_command() -> list[str]:
    """Return the words by which the hub of this Python is called, in full."""
    script = Path(sys.executable).with_name("hub")
    return [str(script)] if script.exists() else [sys.executable, "-m", "hub.ui.cli.main"]


def remembered(directory: Path, account: str) -> Choices | None:
    """Return what the installation in ``directory`` has chosen, None where there is none."""
    file = directory / "hub.toml"
    if not file.exists():
        return None
    values = values_of(directory)
    mqtt, redis, series = (section(values, name) for name in ("mqtt", "redis", "timeseries"))
    url, whose = str(redis.get("url", "")), _redis_of(directory, redis)
    influx = Influx(**{name: str(series.get(name, "")) for name in ("url", "org", "bucket", "token")})
    return Choices(
        partition=str(values.get("partition", "main")),
        mqtt_port=int(mqtt.get("port", 1883)),
        http_port=int(section(values, "http").get("port", 8080)),
        redis=whose,
        redis_port=urlsplit(url).port or (6379 if url or whose is RedisChoice.ELSEWHERE else REDIS_PORT),
        redis_url=url,
        influx=influx if series.get("store") == "influxdb" else None,
        tls=_tls_of(section(values, "broker")),
        account=account,
    )


def secrets_of(directory: Path) -> Secrets:
    """Return the secrets that the installation has, and new ones for what has none."""
    values = values_of(directory)
    passwords = section(section(values, "mqtt"), "passwords")
    url = urlsplit(str(section(values, "redis").get("url", "")))
    return Secrets(
        mqtt={name: str(passwords.get(name) or new_secret()) for name in HUB_USERS},
        redis=url.password or new_secret(),
    )


def values_of(directory: Path) -> dict[str, Any]:
    """Return what the settings of an installation say, secrets among them."""
    files = [directory / name for name in ("hub.toml", SECRETS_FILE)]
    return read_layers([file for file in files if file.exists()])[0]


def section(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a table of settings, empty where there is none."""
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _tls_of(broker: dict[str, Any]) -> TlsListener | None:
    if "tls_port" not in broker or "cert_file" not in broker:
        return None
    return TlsListener(
        host=str(broker.get("listen", "0.0.0.0")),  # noqa: S104 -- the setting's own default
        port=int(broker["tls_port"]),
        cert_file=Path(broker["cert_file"]),
        key_file=Path(broker.get("key_file", "")),
    )


def _redis_of(directory: Path, redis: dict[str, Any]) -> RedisChoice:
    if redis.get("child_dir"):
        return RedisChoice.VALKEY
    return RedisChoice.SERVER if (directory / "redis").is_dir() else RedisChoice.ELSEWHERE
