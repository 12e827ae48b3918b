"""What people answer to `hub init`, by flags or in words: asked once, checked before anything is written."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import typer

from hub.config.addresses import refuse_login
from hub.config.ports import refuse_collision
from hub.errors import ConfigError
from hub.registry.brokers.mosquitto_files import TlsListener
from hub.registry.validation import IDENTIFIER
from hub.sinks.redis_link import RedisAddress
from hub.ui.installing.choices import CITY_PORT, NOTIFY_PORT, REDIS_PORT, Choices, Influx, RedisChoice, usual_redis

MQTT_PORT, TLS_PORT, HTTP_PORT = 1883, 8883, 8080
BUCKET = "hub/autogen"
T = TypeVar("T", str, int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line said; None where it said nothing. ``yes`` takes defaults instead of asking."""

    partition: str | None
    mqtt_port: int | None
    http_port: int | None
    redis: str | None
    redis_port: int | None
    influxdb: str | None
    influxdb_org: str | None
    influxdb_bucket: str | None
    influxdb_token_file: Path | None
    tls_cert: Path | None
    tls_key: Path | None
    tls_port: int | None
    yes: bool

    def ask(self, question: str, said: T | None, usual: T) -> T:
        """Return what was said, else ask; ConfigError ``answers_missing`` where nobody can answer."""
        if said is not None:
            return said
        if self.yes:
            return usual
        if not sys.stdin.isatty():
            raise ConfigError(
                "answers_missing", f"nobody is there to tell: {question}", hint="say --yes, or give flags"
            )
        answer: T = typer.prompt(question, default=usual, type=type(usual))
        return answer


def choose(flags: Flags, account: str) -> Choices:
    """Return the choices of a new installation; ConfigError for what cannot be."""
    partition = flags.ask("partition", flags.partition, "main")
    if not IDENTIFIER.fullmatch(partition):
        raise ConfigError("partition_invalid", f"{partition!r} is no name", hint="letters, digits, . _ -, at most 64")
    tls = _tls(flags)
    mqtt_port = flags.ask("port of mosquitto, on this machine", flags.mqtt_port, MQTT_PORT)
    redis, url = _redis(flags.ask("Redis (redis-server, valkey, or a URL)", flags.redis, usual_redis().value))
    redis_port = REDIS_PORT if url else flags.ask("port of Redis", flags.redis_port, REDIS_PORT)
    http_port = flags.ask("port of health and metrics", flags.http_port, HTTP_PORT)
    ports = {
        "mosquitto": mqtt_port,
        "health of hub run (--http-port)": http_port,
        "health of hub city run": CITY_PORT,
        "health of hub notify run": NOTIFY_PORT,
        **({} if url else {"Redis": redis_port}),
        **({"mosquitto for devices": tls.port} if tls else {}),
    }
    refuse_collision(ports)
    return Choices(
        partition=partition,
        mqtt_port=mqtt_port,
        http_port=http_port,
        redis=redis,
        redis_port=redis_port,
        redis_url=url,
        influx=_influx(flags),
        tls=tls,
        account=account,
    )


def refuse_change(file: Path, known: Choices, flags: Flags) -> None:
    """ConfigError ``installation_differs`` for a flag that says otherwise than the installation in ``file``."""
    influx, tls = known.influx, known.tls
    theirs: Mapping[str, tuple[object, object]] = {
        "--partition": (flags.partition, known.partition),
        "--mqtt-port": (flags.mqtt_port, known.mqtt_port),
        "--http-port": (flags.http_port, known.http_port),
        "--redis-port": (flags.redis_port, known.redis_port),
        "--redis": (flags.redis, known.redis_url if known.redis is RedisChoice.ELSEWHERE else known.redis.value),
        "--influxdb": (flags.influxdb, influx.url if influx else ""),
        "--influxdb-org": (flags.influxdb_org, influx.org if influx else ""),
        "--influxdb-bucket": (flags.influxdb_bucket, influx.bucket if influx else ""),
        "--tls-cert": (_place(flags.tls_cert), tls and _place(tls.cert_file)),
        "--tls-key": (_place(flags.tls_key), tls and _place(tls.key_file)),
        "--tls-port": (flags.tls_port, tls.port if tls else flags.tls_port),
    }
    for flag, (said, stands) in theirs.items():
        if said is not None and said != stands:
            what = "another address" if "://" in str(stands) else repr(stands)  # an address may hold a password
            raise ConfigError(
                "installation_differs",
                f"{flag}: it stands there as {what}",
                file=str(file),
                hint="init changes nothing that is there: edit that file, or choose another directory",
            )


def _place(file: Path | None) -> str | None:
    return None if file is None else str(file.absolute())


def _redis(answer: str) -> tuple[RedisChoice, str]:
    """Return whose Redis it is, and its URL when it is somebody else's."""
    if "://" in answer:
        RedisAddress(url=answer).connection()  # raises what is wrong with it
        return RedisChoice.ELSEWHERE, answer
    if answer not in {RedisChoice.SERVER, RedisChoice.VALKEY}:
        raise ConfigError("redis_invalid", f"{answer!r} is none", hint="redis-server, valkey, or redis://host:6379/0")
    return RedisChoice(answer), ""


def _influx(flags: Flags) -> Influx | None:
    url = flags.ask("InfluxDB (its URL; empty: a local file)", flags.influxdb, "")
    if not url:
        return None
    try:
        refuse_login(url)
    except ValueError as error:
        raise ConfigError("influxdb_url_invalid", str(error), hint="--influxdb-token-file") from error
    file = flags.influxdb_token_file
    try:
        token = "" if file is None else file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("token_unreadable", str(error), file=str(file)) from error
    return Influx(url=url, org=flags.influxdb_org or "", bucket=flags.influxdb_bucket or BUCKET, token=token)


def _tls(flags: Flags) -> TlsListener | None:
    cert, key = flags.tls_cert, flags.tls_key
    if cert is None and key is None and flags.tls_port is None:
        return None
    if cert is None or key is None:
        raise ConfigError(
            "tls_incomplete", "a listener needs both a certificate and its key", hint="--tls-cert, --tls-key"
        )
    for file in (cert, key):
        if not file.is_file():
            raise ConfigError("tls_file_missing", "there is no such file", file=str(file))
    port, everywhere = flags.tls_port or TLS_PORT, "0.0.0.0"  # noqa: S104 -- devices are not on this machine
    return TlsListener(host=everywhere, port=port, cert_file=cert.absolute(), key_file=key.absolute())
