"""The systemd units that `hub init` writes: what they start, and what that may do to the machine."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from hub.config.settings import read_settings
from tests.machine import needs
from tests.ui.conftest import Cli
from tests.ui.every_command import commands
from tests.ui.making import made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "garden"


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
def test_systemd_finds_the_hub_wherever_people_have_put_it(
    cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = place.parent / "100% of our 环境"
    there.mkdir()
    (there / "hub").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(there / "python"))
    made(cli, place)
    unit = str(place / "systemd" / "hub.service")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "hub" in line] == []
    (line,) = [line for line in (place / "README.md").read_text("utf-8").splitlines() if line.startswith("0 3 ")]
    assert shlex.split(line)[6] == str(there / "hub")


def test_root_starts_units_that_the_account_of_the_hub_cannot_rewrite(cli: Cli, place: Path) -> None:
    made(cli, place, "--redis", "redis-server", *(["--user", "daemon"] if os.getuid() == 0 else []))
    etc = place.parent / "etc"
    etc.mkdir()
    for line in (place / "README.md").read_text("utf-8").splitlines():
        if "/etc/systemd/system" in line:
            command = line.replace("/etc/systemd/system", str(etc)).partition(" && ")[0]
            subprocess.run(shlex.split(command), check=True)
    assert {path.name for path in etc.iterdir()} == {path.name for path in (place / "systemd").iterdir()}
    assert {(path.lstat().st_uid, oct(path.lstat().st_mode)) for path in etc.iterdir()} == {(os.getuid(), "0o100644")}


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
