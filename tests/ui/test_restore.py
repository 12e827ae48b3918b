"""`hub restore`: an installation where it was restored, all of it or nothing; and a registry that moves."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.config.settings import read_settings
from hub.config.toml_files import read_layers
from hub.sinks.timeseries.local import LocalStore
from hub.ui.backups import settings_text
from tests.ui.backups import rows, with_secrets
from tests.ui.conftest import Cli
from tests.ui.office import Office


def test_a_setting_that_is_new_stands_before_all_comments_and_a_known_one_where_it_was(tmp_path: Path) -> None:
    text = '# ours\nrules_dir = "rules"  # by hand\n\n# the broker of the site\n[mqtt]\nport = 1883\n'
    expected = text.replace('"rules"', f'"{tmp_path / "rules"}"')
    assert settings_text.moved(text, tmp_path, ["data_dir", "rules_dir"]) == (
        f'data_dir = "{tmp_path / "data"}"\n{expected}'
    )


@pytest.fixture
def office(office: Office) -> Office:
    """An office with secrets in both files."""
    return with_secrets(office)


def test_what_was_sealed_is_sealed_in_an_installation_made_of_a_backup(office: Office) -> None:
    file, home = office.directory / "a.tar", office.directory / "home"
    kept = office.directory / "data" / "dossiers" / "a1.jsonl"
    kept.parent.mkdir()
    kept.write_bytes(b"{}\n")
    office.json("backup", str(file))
    office.json("restore", str(file), str(home))
    again = home / "data" / "dossiers" / "a1.jsonl"
    assert (again.read_bytes(), stat.S_IMODE(again.stat().st_mode)) == (b"{}\n", 0o600)


def test_the_history_of_the_local_store_is_in_it_unless_somebody_says_otherwise(office: Office) -> None:
    file = office.directory / "data" / "timeseries.sqlite"
    asyncio.run(measure(file))
    for name, flags, is_there in (("a.tar", (), True), ("b.tar", ("--no-points",), False)):
        home = office.directory / name.removesuffix(".tar")
        made = office.json("backup", str(office.directory / name), *flags)
        assert made["elsewhere"] == ([] if is_there else [f"timeseries = {file}"])
        office.json("restore", str(office.directory / name), str(home))
        again = home / "data" / file.name
        assert again.exists() is is_there
    restored = office.directory / "a" / "data" / file.name
    assert (rows(restored), stat.S_IMODE(restored.stat().st_mode)) == (rows(file), 0o600)
    asyncio.run(measure(restored))  # it goes on with it


async def measure(file: Path) -> None:
    """Write a point as a hub with a store of its own does."""
    async with LocalStore(file, SystemClock()) as store:
        await store.write([b"smoke_sensor,device=smoke-1 temperature=21.5 1772366400000000000"])


def test_a_restored_installation_lies_where_it_was_restored(office: Office) -> None:
    file, home = office.directory / "a.tar", office.directory / "home"
    office.json("backup", str(file))
    said = office("restore", str(file), str(home))
    assert "fill in" in said.out
    assert "cursor_ahead" in said.out
    text = (home / "hub.toml").read_text(encoding="utf-8")
    assert f'data_dir = "{home / "data"}"' in text
    assert f'rules_dir = "{home / "rules"}"' in text
    assert str(office.directory / "data") not in text
    assert rows(home / "data" / "registry.sqlite") == rows(office.directory / "data" / "registry.sqlite")
    assert (home / "rules" / "own.yaml").read_bytes() == (office.directory / "rules" / "own.yaml").read_bytes()


class Disk:
    """What has been fsynced: inodes, each with what some path was at that moment."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: dict[int, bool] = {}
        fsync = os.fsync

        def noted(descriptor: int) -> None:
            fsync(descriptor)
            self.synced[os.fstat(descriptor).st_ino] = path.exists()

        monkeypatch.setattr(os, "fsync", noted)

    def holds(self, path: Path) -> bool:
        """Return whether a file has been fsynced, and its name behind that by its directory's."""
        return path.stat().st_ino in self.synced and self.synced.get(path.parent.stat().st_ino, False)


def test_a_backup_and_what_is_made_of_it_are_on_the_disk(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut took what had just been restored, or the backup's name, and people had cleared away the rest."""
    file, home = office.directory / "a.tar", office.directory / "home"
    disk = Disk(file, monkeypatch)
    office.json("backup", str(file))
    assert disk.holds(file)
    disk = Disk(home, monkeypatch)
    office.json("restore", str(file), str(home))
    assert disk.holds(home)
    assert {path for path in home.rglob("*") if path.stat().st_ino not in disk.synced} == set()


def test_every_place_that_the_settings_name_is_there_after_a_restore_and_none_is_the_old_one(office: Office) -> None:
    old, home, file = office.directory, office.directory / "home", office.directory / "a.tar"
    (old / "profiles").mkdir()
    (old / "rules" / "own.yaml").unlink()
    settings = old / "hub.toml"
    text = settings.read_text(encoding="utf-8").replace("[redis]\n", f'[redis]\nchild_dir = "{old}/valkey"\n')
    more = f'[notify]\ndir = "{old}/wishes"\n[broker]\ndirectory = "{old}/broker"\n'
    settings.write_text(f'profiles_dir = "{old}/profiles"\n{text}{more}', encoding="utf-8")
    office.json("backup", str(file))
    office.json("restore", str(file), str(home))
    new = read_settings(home / "hub.toml")
    places = [new.data_dir, new.profiles_dir, new.rules_dir, new.notify.dir, new.broker.directory, new.redis.child_dir]
    assert [place for place in places if place is None or not place.is_dir() or place.parent != home] == []


@pytest.mark.parametrize("form", ['{{directory = "{0}"}}', '{{"directory" = \'{0}\', keeper = "mosquitto"}} # ours'])
def test_a_place_in_a_table_on_one_line_leads_there_too_and_all_else_stays_as_it_was_written(
    form: str, office: Office
) -> None:
    old, home, file = office.directory, office.directory / "home", office.directory / "a.tar"
    settings, ours = old / "hub.toml", f"broker = {form}\n"
    settings.write_text(ours.format(old / "broker") + settings.read_text(encoding="utf-8"), encoding="utf-8")
    (old / "secrets.toml").write_text(f'"notify"."dir" = "{old}/wishes"\n', encoding="utf-8")
    office.json("backup", str(file), "--with-secrets")
    office.json("restore", str(file), str(home))
    text = (home / "hub.toml").read_text(encoding="utf-8")
    assert ours.format(home / "broker").replace("'", '"') in text.replace("'", '"')
    new = read_settings(home / "hub.toml")
    assert (new.broker.directory, new.notify.dir) == (home / "broker", home / "notify")
    assert (home / "broker").is_dir()
    assert str(old / "broker") not in text


def test_nothing_is_overwritten(office: Office) -> None:
    file, home = office.directory / "a.tar", office.directory / "home"
    office.json("backup", str(file))
    assert "[file_exists]" in office.refused("backup", str(file))
    home.mkdir()
    (home / "x").write_text("mine", encoding="utf-8")
    assert "[directory_not_empty]" in office.refused("restore", str(file), str(home))
    assert [path.name for path in home.iterdir()] == ["x"]


def test_an_empty_directory_that_is_there_stays_what_it_is(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a disk is mounted, or where somebody stands, it was to be removed first: [file_failed], "try again"."""
    file, home = office.directory / "a.tar", office.directory / "home"
    office.json("backup", str(file))
    home.mkdir(mode=0o750)
    there, around = home.stat(), sorted(office.directory.iterdir())
    monkeypatch.chdir(home)
    office.json("restore", str(file), ".")
    assert (home.stat().st_ino, home.stat().st_mode) == (there.st_ino, there.st_mode)
    assert sorted(path.name for path in home.iterdir()) == ["data", "hub.toml", "rules"]
    assert f'data_dir = "{home / "data"}"' in (home / "hub.toml").read_text(encoding="utf-8")
    assert sorted(office.directory.iterdir()) == around


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[data.index(b"SQLite format 3") + 200] ^= 1
    file.write_bytes(data)


def lead_out(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"rules/own.yaml", b"../../own.yaml"))


def garble(file: Path) -> None:
    data, said = bytearray(file.read_bytes()), b'"digest":"'
    data[data.index(said) + len(said)] ^= 0x80
    file.write_bytes(data)


def no_backup(file: Path) -> None:
    file.write_bytes(b"a letter\n" * 1_000)


@pytest.mark.parametrize("damage", [cut, flip, lead_out, garble, no_backup])
def test_a_damaged_backup_restores_nothing(office: Office, damage: Callable[[Path], None]) -> None:
    file, home = office.directory / "a.tar", office.directory / "home"
    office.json("backup", str(file))
    damage(file)
    assert "[backup_damaged]" in office.refused("restore", str(file), str(home))
    assert sorted(path.name for path in office.directory.iterdir()) == [
        "a.tar", "data", "hub.toml", "rules", "secrets.toml",
    ]  # fmt: skip


def test_a_registry_moves_to_another_database(office: Office, tmp_path: Path) -> None:
    settings = office.directory / "hub.toml"
    old = office.directory / "data" / "registry.sqlite"
    before = rows(old)
    other = tmp_path / "other.sqlite"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(f'registry.url = "sqlite+aiosqlite:///{other}"\n{text}', encoding="utf-8")
    assert office.json("registry", "load", str(old))["rows"] == sum(map(len, before.values())) - 3
    assert {**rows(other), "sqlite_sequence": []} == {**before, "sqlite_sequence": []}
    assert "[registry_not_empty]" in office.refused("registry", "load", str(old))
    assert "no such file" in office.refused("registry", "load", str(tmp_path / "nowhere"))


def test_a_restored_installation_has_a_redis_of_its_own_again(cli: Cli, tmp_path: Path) -> None:
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "a.tar"
    words = ("--yes", "--redis", "redis-server", "--redis-port", "26381")
    assert cli("init", str(old), *words).code == 0
    assert cli("--config", str(old / "hub.toml"), "sites", "add", "garden").code == 0
    assert cli("--config", str(old / "hub.toml"), "backup", str(file), "--with-secrets").code == 0
    assert cli("restore", str(file), str(new)).code == 0
    assert cli("init", str(new), "--yes").code == 0
    expected = (old / "redis" / "redis.conf").read_text(encoding="utf-8").replace(str(old), str(new))
    assert (new / "redis" / "redis.conf").read_text(encoding="utf-8") == expected
    assert "hub-redis.service" in (new / "systemd" / "hub.service").read_text(encoding="utf-8")
    assert "somebody else's" not in (new / "README.md").read_text(encoding="utf-8")


def test_a_redis_whose_address_was_left_out_does_not_take_the_port_of_the_distribution_s(
    cli: Cli, tmp_path: Path
) -> None:
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "a.tar"
    assert cli("init", str(old), "--yes", "--redis", "redis-server").code == 0
    assert cli("--config", str(old / "hub.toml"), "sites", "add", "garden").code == 0
    assert cli("--config", str(old / "hub.toml"), "backup", str(file)).code == 0
    assert cli("restore", str(file), str(new)).code == 0
    assert cli("init", str(new), "--yes").code == 0
    lines = [(home / "redis" / "redis.conf").read_text(encoding="utf-8").splitlines() for home in (old, new)]
    assert [[line for line in each if line.startswith("port")] for each in lines] == [["port 6380"]] * 2


@pytest.mark.parametrize(("redis", "copies"), [("redis-server", 2), ("valkey", 2), ("redis://:p@redis.example/0", 1)])
def test_what_moves_to_another_machine_has_a_place_there(cli: Cli, tmp_path: Path, redis: str, copies: int) -> None:
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "a.tar"
    assert cli("init", str(old), "--yes", "--redis", redis).code == 0
    assert cli("--config", str(old / "hub.toml"), "sites", "add", "garden").code == 0
    assert cli("--config", str(old / "hub.toml"), "backup", str(file), "--with-secrets").code == 0
    assert cli("restore", str(file), str(new)).code == 0
    lines = (old / "README.md").read_text(encoding="utf-8").splitlines()
    moves = [line.split()[2:4] for line in lines if line.startswith("cp -a")]
    assert len(moves) == copies
    for source, target in moves:
        assert (old / source).parent.is_dir()
        assert Path(target.replace("/srv/hub", str(new))).is_dir()


def test_the_address_of_a_redis_elsewhere_that_was_left_out_is_not_invented(cli: Cli, tmp_path: Path) -> None:
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "a.tar"
    assert cli("init", str(old), "--yes", "--redis", "redis://:p@redis.example/0").code == 0
    assert cli("--config", str(old / "hub.toml"), "sites", "add", "garden").code == 0
    assert cli("--config", str(old / "hub.toml"), "backup", str(file)).code == 0
    said = cli("restore", str(file), str(new)).out
    assert "redis.url" in next(line for line in said.splitlines() if line.startswith("fill in"))
    assert cli("init", str(new), "--yes").code == 0
    assert read_layers([new / "secrets.toml"])[0]["redis"] == {}
