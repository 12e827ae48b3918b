"""`hub init`: what it writes, what it leaves alone, and what it asks."""

from __future__ import annotations

import asyncio
import io
import os
import pwd
import stat
import subprocess
import sys
from dataclasses import fields
from errno import ENOSPC
from pathlib import Path

import pytest
from typing_extensions import override

from hub.config.settings import read_settings
from hub.ui.installing import files
from hub.ui.installing.asking import Flags, choose
from hub.ui.installing.belonging import account_of
from hub.ui.installing.choices import secrets_of
from hub.whole import alone_in
from tests.ui.conftest import Cli
from tests.ui.making import contents, made
from tests.waiting import wait_until


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "garden"


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


def test_what_people_wrote_in_a_charset_of_their_own_is_kept(cli: Cli, place: Path) -> None:
    made(cli, place)
    for name in ("README.md", "systemd/hub.service"):
        (place / name).write_bytes("# 花园\n".encode("gbk"))
    assert {name for name, outcome in made(cli, place).items() if outcome == "kept"} == {
        "README.md", "systemd/hub.service",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["acl", "mosquitto.conf", "passwords"])
def test_a_file_of_the_broker_that_is_missing_is_made(cli: Cli, place: Path, name: str) -> None:
    made(cli, place)
    text = (place / "broker" / name).read_text("utf-8")
    (place / "broker" / name).unlink()
    assert made(cli, place)[f"broker/{name}"] == "created"
    again = (place / "broker" / name).read_text("utf-8")
    assert [line.partition(":")[0] for line in again.splitlines()] == [
        line.partition(":")[0] for line in text.splitlines()
    ]


@pytest.mark.parametrize(
    ("flags", "stands"),
    [
        (("--partition", "west"), "--partition: it stands there as 'main'"),
        (("--influxdb-org", "city"), "--influxdb-org: it stands there as ''"),
        (("--tls-cert", "/etc/hostname", "--tls-key", "/etc/hostname"), "--tls-cert: it stands there as None"),
    ],
)
def test_a_flag_that_says_otherwise_than_what_stands_there_is_refused(
    cli: Cli, place: Path, flags: tuple[str, ...], stands: str
) -> None:
    made(cli, place)
    before = contents(place)
    said = cli("init", str(place), "--yes", *flags)
    assert said.code == 2
    assert f"[installation_differs] {stands}" in said.err
    assert contents(place) == before


@pytest.mark.parametrize(
    ("file", "stands", "mistake"),
    [("hub.toml", "port = 1883", 'port = "mqtt"'), ("secrets.toml", "127.0.0.1:6380", "127.0.0.1:99999")],
)
def test_settings_that_cannot_be_are_told_by_their_file_and_without_secrets(
    cli: Cli, place: Path, file: str, stands: str, mistake: str
) -> None:
    made(cli, place, "--redis", "valkey")
    secret = secrets_of(place).redis
    text = (place / file).read_text("utf-8")
    assert stands in text
    (place / file).write_text(text.replace(stands, mistake), "utf-8")
    said = cli("init", str(place), "--yes")
    assert (said.code, secret in said.err) == (2, False)
    assert f"{place}/hub.toml: [setting_invalid] a port in it" in said.err


@pytest.mark.parametrize("last", ["secrets.toml", "hub.toml"])
def test_one_that_was_ended_before_its_settings_were_whole_goes_on_with_what_was_chosen(
    cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    put = files._put  # noqa: SLF001 -- each file is written there

    def put_until_full(path: Path, planned: files._Planned) -> files.Written:
        if path.name == last:
            path.with_name(f".{last}.draft").write_text("cut o")
            raise OSError(ENOSPC, "No space left on device", str(path))
        return put(path, planned)

    flags = ("--yes", "--redis", "redis://:pw@cache:6379/0")
    monkeypatch.setattr(files, "_put", put_until_full)
    assert "No space left" in cli("init", str(place), *flags).err
    monkeypatch.undo()
    said = cli("init", str(place), *flags)
    assert said.code == 0, said.err
    assert read_settings(place / "hub.toml").redis.url.get_secret_value() == "redis://:pw@cache:6379/0"


def test_of_two_at_the_same_moment_one_waits_and_takes_the_secrets_of_the_other(place: Path) -> None:
    """Broker, Redis and settings had some of the one and some of the other: nothing came in."""
    place.mkdir()
    command = [sys.executable, "-m", "hub.ui.cli.main", "init", str(place), "--yes", "--redis", "redis-server"]
    with alone_in(place):
        secrets = secrets_of(place)
        late = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        asyncio.run(wait_until(lambda: late.poll() is not None or waits_for_a_lock(late.pid)))
        flags = dict.fromkeys((each.name for each in fields(Flags)), None) | {"yes": True, "redis": "redis-server"}
        files.install(place, choose(Flags(**flags), account_of(place)), secrets)  # type: ignore[arg-type] # of each flag
        before = contents(place)
    assert late.wait() == 0
    assert contents(place) == before
    assert (secrets_of(place), secrets.redis in (place / "redis" / "redis.conf").read_text("utf-8")) == (secrets, True)


def waits_for_a_lock(pid: int) -> bool:
    """Return whether a process waits for another to let go of a file."""
    locks = Path("/proc/locks").read_text("ascii").splitlines()
    return any("->" in line and str(pid) in line.split() for line in locks)


def test_it_is_for_who_calls_whatever_a_variable_says(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind `su` LOGNAME is still somebody else, whose all passwords would be."""
    monkeypatch.setenv("LOGNAME", "daemon")
    made(cli, place)
    assert f"User={pwd.getpwuid(os.geteuid()).pw_name}\n" in (place / "systemd" / "hub.service").read_text("utf-8")
    assert (place / "secrets.toml").stat().st_uid == os.geteuid()


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
        (("--tls-port", "8884"), "tls_incomplete"),
        (("--user", "nobody-is-called-so"), "account_unknown"),
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
