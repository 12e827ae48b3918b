"""Root makes an installation for another account, which would have it write somewhere else."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hub.errors import ConfigError
from hub.ui.installing import files
from tests.ui.conftest import Cli

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can write where others cannot")

ACCOUNT = pwd.getpwnam("daemon")


@pytest.fixture
def top() -> Iterator[Path]:
    """A directory of root's that all may look into, unlike those of pytest."""
    made = Path(tempfile.mkdtemp(prefix="hub-", dir="/var/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@contextmanager
def as_account() -> Iterator[None]:
    """Do what the account may; what it may not fails and is passed over."""
    os.seteuid(ACCOUNT.pw_uid)
    try:
        with suppress(OSError):
            yield
    finally:
        os.seteuid(0)


def init(cli: Cli, place: Path) -> str:
    """Make an installation for the account; return what was said when that failed."""
    said = cli("init", str(place), "--yes", "--redis", "redis-server", "--user", ACCOUNT.pw_name)
    return said.err if said.code else ""


def exchanged(place: Path, name: str, machine: Path) -> Callable[[], None]:
    """Return the attempt of the account to put a link to one of the machine's in the place of a name of its own."""

    def attempt() -> None:
        with as_account():
            (place / name).rename(place / f"{name}.away")
            (place / name).symlink_to(machine)

    return attempt


@pytest.mark.parametrize("name", ["systemd", "redis", "broker"])
def test_what_root_writes_lands_in_the_directory_however_the_account_exchanges_names_in_it(
    cli: Cli, top: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place, machine, put = top / "garden", top / "machine", files._put  # noqa: SLF001 -- each file is written there
    machine.mkdir()
    assert init(cli, place) == ""
    for path in [*(place / name).iterdir(), place / "README.md"]:
        path.unlink()
    attempt = exchanged(place, name, machine)

    def put_late(path: Path, planned: files._Planned) -> files.Written:
        attempt()
        return put(path, planned)

    monkeypatch.setattr(files, "_put", put_late)
    assert init(cli, place) == ""
    assert list(machine.iterdir()) == []
    assert len(list((place / name).iterdir())) > 0
    assert {path.stat().st_uid for path in (place, *place.rglob("*"))} == {ACCOUNT.pw_uid}


@pytest.mark.parametrize("name", ["systemd", "hub.toml", "secrets.toml", "README.md"])
def test_a_link_that_the_account_has_put_where_root_would_write_or_read_is_refused(
    cli: Cli, top: Path, name: str
) -> None:
    place, machine = top / "garden", top / "machine"
    machine.mkdir()
    assert init(cli, place) == ""
    exchanged(place, name, machine)()
    said = init(cli, place)
    assert "[path_untrusted]" in said
    assert str(place / name) in said
    assert place.stat().st_uid == ACCOUNT.pw_uid
    assert place.stat().st_mode & 0o777 == 0o750


def test_an_installation_whose_directory_a_killed_init_left_with_root_is_given_back_by_the_next(
    cli: Cli, top: Path
) -> None:
    place = top / "garden"
    assert init(cli, place) == ""
    os.chown(place, 0, -1)
    assert init(cli, place) == ""
    assert {path.stat().st_uid for path in (place, *place.rglob("*"))} == {ACCOUNT.pw_uid}


def test_what_root_had_made_when_it_failed_is_the_accounts(
    cli: Cli, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, put = top / "garden", files._put  # noqa: SLF001 -- each file is written there
    assert init(cli, place) == ""
    shutil.rmtree(place / "systemd")
    (place / "README.md").unlink()

    def put_until_full(path: Path, planned: files._Planned) -> files.Written:
        if path.name == "README.md":
            raise ConfigError("disk_full", "no room", file=str(path))
        return put(path, planned)

    monkeypatch.setattr(files, "_put", put_until_full)
    assert "[disk_full]" in init(cli, place)
    assert len(list((place / "systemd").iterdir())) > 0
    assert {path.stat().st_uid for path in (place, *place.rglob("*"))} == {ACCOUNT.pw_uid}


def test_secrets_with_a_second_name_are_not_read(cli: Cli, top: Path) -> None:
    place, secrets = top / "garden", top / "others.toml"
    assert init(cli, place) == ""
    (place / "secrets.toml").rename(place / "mine.toml")
    secrets.write_text("[redis]\nurl = 'redis://:of-another@127.0.0.1:1/0'\n")
    (place / "secrets.toml").hardlink_to(secrets)
    assert "[path_untrusted]" in init(cli, place)


@pytest.mark.parametrize(("mode", "owner"), [(0o755, ACCOUNT.pw_uid), (0o777, 0), (0o1777, 0), (0o775, 0)])
def test_a_directory_that_others_can_exchange_is_not_written_into(cli: Cli, top: Path, mode: int, owner: int) -> None:
    home = top / "home"
    home.mkdir()
    os.chown(home, owner, -1)
    home.chmod(mode)
    assert "[path_untrusted]" in init(cli, home / "garden")
    assert list(home.iterdir()) == []


def test_a_link_on_the_way_is_refused(cli: Cli, top: Path) -> None:
    (top / "elsewhere").mkdir()
    (top / "srv").symlink_to(top / "elsewhere")
    assert "[path_untrusted]" in init(cli, top / "srv" / "garden")
    assert list((top / "elsewhere").iterdir()) == []
