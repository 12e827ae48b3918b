"""`hub init`: what it writes, what it leaves alone, and that the whole of it works with real servers."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish
from typing_extensions import override

from hub.config.settings import read_settings
from hub.registry import credentials
from hub.registry.brokers.knock import Answer, knock
from hub.registry.registry import Registry
from hub.services.child import free_port
from hub.ui.installing.choices import RedisChoice, secrets_of
from tests.machine import find, needs, needs_mosquitto
from tests.servers.process import ServerProcess
from tests.ui.conftest import Cli, Said
from tests.ui.every_command import commands
from tests.ui.installation import FIRE, HubRun
from tests.waiting import PATIENCE_SECONDS, wait_until

SECRET = "only-this-detector-knows"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "garden"


def made(cli: Cli, place: Path, *flags: str) -> dict[str, str]:
    """Return what became of each file."""
    said = cli("init", str(place), "--yes", "--json", *flags)
    assert said.code == 0, said.err
    return {str(Path(row["file"]).relative_to(place)): row["outcome"] for row in said.document()}


def contents(place: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file's bytes, and when it was last written."""
    return {
        str(path.relative_to(place)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in place.rglob("*")
        if path.is_file()
    }


def test_it_writes_an_installation_whose_secrets_only_we_can_read(cli: Cli, place: Path) -> None:
    outcomes = made(cli, place, "--redis", "redis-server", "--partition", "east", "--mqtt-port", "2883")
    assert set(outcomes.values()) == {"created"}
    assert set(outcomes) == {
        "README.md",
        "broker/acl",
        "broker/mosquitto.conf",
        "broker/passwords",
        "hub.toml",
        "redis/redis.conf",
        "secrets.toml",
        "systemd/hub-city.service",
        "systemd/hub-forward@.service",
        "systemd/hub-mosquitto.service",
        "systemd/hub-notify.service",
        "systemd/hub-redis.service",
        "systemd/hub.service",
    }
    secret = {name for name in outcomes if stat.S_IMODE((place / name).stat().st_mode) == 0o600}
    assert secret == {
        "broker/acl",
        "broker/mosquitto.conf",
        "broker/passwords",
        "redis/redis.conf",
        "secrets.toml",
    }
    settings = read_settings(place / "hub.toml")
    assert (settings.partition, settings.mqtt.port, settings.data_dir) == ("east", 2883, place / "data")
    passwords = secrets_of(place).mqtt
    assert settings.mqtt.passwords.telemetry.get_secret_value() == passwords["telemetry"]
    assert len({*passwords.values()}) == 6
    told = [path for path in place.rglob("*") if path.is_file() and path.name not in {"secrets.toml", "redis.conf"}]
    clear = [*passwords.values(), secrets_of(place).redis]
    assert [path.name for path in told if any(secret in path.read_text("utf-8") for secret in clear)] == []


def test_again_it_changes_nothing_and_says_so(cli: Cli, place: Path) -> None:
    made(cli, place, "--redis", "valkey")
    before = contents(place)
    assert set(made(cli, place).values()) == {"unchanged"}
    assert contents(place) == before
    assert "0 created, 12 were there: none changed" in cli("init", str(place), "--yes").out


def test_what_people_wrote_is_kept_and_what_is_missing_comes_back_with_the_same_secrets(cli: Cli, place: Path) -> None:
    made(cli, place, "--redis", "redis-server")
    with (place / "hub.toml").open("a", encoding="utf-8") as file:
        file.write('\n[retention]\nage = "3d"\n')
    conf, secrets = (place / "redis" / "redis.conf").read_text("utf-8"), secrets_of(place)
    for name in ("redis/redis.conf", "README.md", "broker/mosquitto.conf"):
        (place / name).unlink()
    outcomes = made(cli, place)
    assert {name for name, outcome in outcomes.items() if outcome == "kept"} == {"hub.toml"}
    assert 'age = "3d"' in (place / "hub.toml").read_text("utf-8")
    assert secrets_of(place) == secrets
    assert (place / "broker" / "mosquitto.conf").exists()
    assert (place / "redis" / "redis.conf").read_text("utf-8") == conf


def test_of_an_older_installation_it_says_which_settings_to_add(cli: Cli, place: Path) -> None:
    made(cli, place)
    file = place / "hub.toml"
    lines = file.read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if "notify" not in line and "port = 808" not in line), "utf-8")
    lacks = ["[http]", "port = 8080", "[notify]", f'dir = "{place}/notify"', "http = {port = 8082}"]
    said = cli("init", str(place), "--yes")
    assert "hub.toml does not say what this version writes" in said.out
    assert [line.strip() for line in said.out.splitlines() if line.startswith("  ")] == lacks
    told = {Path(row["file"]).name: row["lacks"] for row in cli("init", str(place), "--yes", "--json").document()}
    assert {name: lines for name, lines in told.items() if lines} == {"hub.toml": lacks}


def test_a_flag_that_says_otherwise_than_what_stands_there_is_refused(cli: Cli, place: Path) -> None:
    made(cli, place)
    before = contents(place)
    said = cli("init", str(place), "--yes", "--partition", "west")
    assert said.code == 2
    assert "[installation_differs] --partition: it stands there as 'main'" in said.err
    assert contents(place) == before


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--redis", "memcached"), "redis_invalid"),
        (("--redis", "http://127.0.0.1"), "redis_url_invalid"),
        (("--influxdb", "http://hub:hush@127.0.0.1:8086"), "influxdb_url_invalid"),
        (("--partition", "a b"), "partition_invalid"),
        (("--tls-cert", "/etc/hostname"), "tls_incomplete"),
        (("--tls-cert", "/nowhere", "--tls-key", "/nowhere"), "tls_file_missing"),
        (("--mqtt-port", "8080"), "ports_collide"),
        (
            ("--http-port", "8082"),
            "ports_collide] 8082 is for health of hub run (--http-port) and health of hub notify",
        ),
        (("--redis-port", "8081"), "ports_collide] 8081 is for health of hub city run and Redis"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    cli: Cli, place: Path, flags: tuple[str, ...], code: str
) -> None:
    said = cli("init", str(place), "--yes", *flags)
    assert (said.code, f"[{code}" in said.err.replace("\n", " "), "hush" in said.err) == (2, True, False), said.err
    assert not place.exists()


def test_a_directory_that_holds_something_else_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    assert "[directory_not_empty]" in cli("init", str(tmp_path), "--yes").err
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_path_that_some_file_would_have_to_quote_is_refused(cli: Cli, tmp_path: Path) -> None:
    assert "[path_invalid]" in cli("init", str(tmp_path / "a b"), "--yes").err


def test_where_nobody_can_answer_it_says_how_to_go_on(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert "[answers_missing]" in cli("init", str(place)).err
    assert not place.exists()


class Person(io.StringIO):
    """Somebody at a terminal."""

    @override
    def isatty(self) -> bool:
        return True


def test_a_person_is_asked_what_no_flag_says(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Person("north\nvalkey\n6399\n\n\n"))
    said = cli("init", str(place), "--mqtt-port", "2883")
    assert said.code == 0, said.err
    settings = read_settings(place / "hub.toml")
    assert (settings.partition, settings.mqtt.port, settings.http.port) == ("north", 2883, 8080)
    assert settings.redis.child_dir == place / "valkey"
    assert settings.redis.url.get_secret_value().endswith("@127.0.0.1:6399/0")


def test_a_redis_and_an_influxdb_of_somebody_else_stand_in_the_settings(cli: Cli, place: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t0ken\n", encoding="utf-8")
    flags = ("--influxdb", "http://series:8086", "--influxdb-org", "city", "--influxdb-token-file", str(token))
    outcomes = made(cli, place, "--redis", "redis://:pw@cache:6379/0", *flags)
    assert [name for name in outcomes if "redis" in name] == []
    settings = read_settings(place / "hub.toml")
    assert settings.redis.url.get_secret_value() == "redis://:pw@cache:6379/0"
    assert (settings.timeseries.store, settings.timeseries.org) == ("influxdb", "city")
    assert settings.timeseries.token.get_secret_value() == "t0ken"
    assert set(made(cli, place).values()) == {"unchanged"}


def test_what_somebody_chose_is_written_as_it_is_quotes_and_backslashes_too(
    cli: Cli, place: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text('t"1\\n', encoding="utf-8")
    flags = ("--influxdb", "http://influx:8086", "--influxdb-org", 'the "east"')
    made(
        cli, place, "--redis", 'redis://:p"w\\b@cache:6379/0', *flags, "--influxdb-token-file", str(tmp_path / "token")
    )
    settings = read_settings(place / "hub.toml")
    assert settings.redis.url.get_secret_value() == 'redis://:p"w\\b@cache:6379/0'
    assert (settings.timeseries.org, settings.timeseries.token.get_secret_value()) == ('the "east"', 't"1\\n')
    assert set(made(cli, place).values()) == {"unchanged"}


def test_a_listener_for_devices_is_remembered(cli: Cli, place: Path, tmp_path: Path) -> None:
    for name in ("crt", "key"):
        (tmp_path / name).touch()
    made(cli, place, "--tls-cert", str(tmp_path / "crt"), "--tls-key", str(tmp_path / "key"))
    conf = (place / "broker" / "mosquitto.conf").read_text("utf-8")
    assert f"listener 8883 0.0.0.0\nuse_username_as_clientid true\ncertfile {tmp_path}/crt" in conf
    (place / "broker" / "mosquitto.conf").unlink()
    made(cli, place)
    assert (place / "broker" / "mosquitto.conf").read_text("utf-8") == conf


def test_each_unit_of_ours_starts_a_command_that_there_is_with_the_settings_of_the_installation(
    cli: Cli, place: Path
) -> None:
    made(cli, place)
    lines = [line for path in (place / "systemd").iterdir() for line in path.read_text("utf-8").splitlines()]
    ours = [line.partition(f" --config {place}/hub.toml ")[2] for line in lines if "--config" in line]
    assert sorted(ours) == ["city run", "events forward %i", "notify run", "run"]
    assert {words.removesuffix(" %i") for words in ours} <= set(commands())
    settings = read_settings(place / "hub.toml").notify
    assert (settings.dir, settings.http and settings.http.port) == (place / "notify", 8082)


@needs("systemd-analyze")
@pytest.mark.parametrize("redis", ["redis-server", "valkey"])
def test_systemd_finds_nothing_wrong_with_the_units(cli: Cli, place: Path, redis: str) -> None:
    made(cli, place, "--redis", redis)
    units = sorted(str(path) for path in (place / "systemd").iterdir())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "hub" in line]
    assert (done.returncode, ours) == (0, [])


@needs("systemd-analyze")
def test_no_unit_may_do_more_to_the_machine_than_it_needs(cli: Cli, place: Path) -> None:
    made(cli, place, *(["--user", "daemon"] if os.getuid() == 0 else []))
    found = {}
    for path in sorted((place / "systemd").iterdir()):
        most = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(path)]
        found[path.name] = subprocess.run(most, capture_output=True, check=False).returncode
    assert len(found) == 6
    assert {name: code for name, code in found.items() if code} == {}  # 1.7 of 10 each; 8.7 without these walls


def test_the_hub_is_ended_alone_and_when_it_hangs(cli: Cli, place: Path) -> None:
    """Told at the same time as the hub, its workers were told twice, and ended the hard way."""
    made(cli, place)
    unit = ConfigParser(interpolation=None, strict=False)
    unit.read(place / "systemd" / "hub.service", encoding="utf-8")
    service = unit["Service"]
    assert (service["KillMode"], service["WatchdogSec"], service["NotifyAccess"]) == ("mixed", "120", "main")


# ----------------------------------------------------------------------------------------- the whole of it, at work


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
