"""Root works in an installation of another account: what it makes there is for that one's hub and mosquitto to read."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from hub.registry.whole import write_whole
from hub.ui.installing.belonging import hand_over
from tests.ui.conftest import Cli

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files that others cannot read")

ACCOUNT = pwd.getpwnam("daemon")


@pytest.fixture
def place(cli: Cli, tmp_path: Path) -> Path:
    """An installation that root has made for another account."""
    said = cli("init", str(tmp_path / "garden"), "--yes", "--redis", "redis-server", "--user", ACCOUNT.pw_name)
    assert said.code == 0, said.err
    return tmp_path / "garden"


def owners(place: Path) -> dict[int, list[str]]:
    """Return what belongs to whom, the directory too."""
    found: dict[int, list[str]] = {}
    for path in (place, *place.rglob("*")):
        found.setdefault(path.lstat().st_uid, []).append(str(path.relative_to(place)))
    return found


def test_registry_and_broker_files_that_root_writes_are_the_accounts(cli: Cli, place: Path) -> None:
    """As root's they let mosquitto refuse everybody, and the hub end again and again."""
    assert owners(place).keys() == {ACCOUNT.pw_uid}
    config = ("--config", str(place / "hub.toml"))
    assert cli(*config, "sites", "add", "garden", "--en", "Garden").code == 0
    said = cli(*config, "devices", "add", "garden", "smoke-1", "--kind", "smoke_sensor", "--credentials")
    assert said.code == 0, said.err
    assert "garden/smoke-1:" in (place / "broker" / "passwords").read_text("utf-8")
    assert (place / "data" / "registry.sqlite").exists()
    assert owners(place).keys() == {ACCOUNT.pw_uid}, owners(place)[0]


def test_a_command_that_fails_hands_over_too(cli: Cli, place: Path) -> None:
    assert cli("--config", str(place / "hub.toml"), "sites", "remove", "nowhere").code != 0
    assert owners(place).keys() == {ACCOUNT.pw_uid}


def test_a_file_is_the_accounts_before_its_server_can_open_it(tmp_path: Path) -> None:
    os.chown(tmp_path, ACCOUNT.pw_uid, -1)
    write_whole(tmp_path / "passwords", "somebody")
    assert (tmp_path / "passwords").stat().st_uid == ACCOUNT.pw_uid


def test_init_again_keeps_the_account_and_gives_it_what_root_made_meanwhile(cli: Cli, place: Path) -> None:
    (place / "rules" / "mine.yaml").write_text("")
    said = cli("init", str(place), "--yes", "--json")
    assert {row["outcome"] for row in said.document()} == {"unchanged"}
    assert owners(place).keys() == {ACCOUNT.pw_uid}


def test_nothing_else_of_the_machine_is_given_away_through_a_link(tmp_path: Path) -> None:
    place, shadow = tmp_path / "data", tmp_path / "shadow"
    place.mkdir()
    shadow.write_text("of the machine")
    (place / "symbolic").symlink_to(shadow)
    (place / "hard").hardlink_to(shadow)
    (place / "made").write_text("by root")
    os.chown(place, ACCOUNT.pw_uid, -1)
    hand_over([place])
    assert shadow.stat().st_uid == 0
    assert (place / "made").stat().st_uid == ACCOUNT.pw_uid


def test_what_is_roots_stays_roots(tmp_path: Path) -> None:
    (tmp_path / "made").write_text("by root")
    hand_over([tmp_path, tmp_path / "nowhere"])
    assert (tmp_path / "made").stat().st_uid == 0


def test_mosquitto_becomes_root_only_for_files_that_are_roots(cli: Cli, place: Path, tmp_path: Path) -> None:
    assert not (place / "broker" / "mosquitto.conf").read_text("utf-8").startswith("user root")
    assert cli("init", str(tmp_path / "ours"), "--yes", "--redis", "redis-server").code == 0
    assert (tmp_path / "ours" / "broker" / "mosquitto.conf").read_text("utf-8").startswith("user root\n")
