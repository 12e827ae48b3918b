"""`hub backup` and `hub restore`: beside a hub at work, into an empty directory, compared; and what is refused."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hub.bridge.frames import decode_packets
from hub.clock import SystemClock
from hub.config.settings import read_settings
from hub.journal.neighbours import opened
from hub.journal.readings import read_progress
from hub.sinks.timeseries.local import LocalStore
from hub.ui.backups import settings_text
from hub.ui.backups.making import PAGES, snapshot
from tests.journal.papers import PARTITION, batch, record
from tests.machine import needs_mosquitto
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import FIRE, NORMAL, SENSOR, SITE, Installation, environment, hub_command
from tests.ui.office import Office
from tests.waiting import wait_until

SECRET = "planted-secret-7f3a"


def rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything in a SQLite file."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}  # noqa: S608 -- names of its own


FILES = {"main": Path(), "east": Path("partitions/east")}
"""Where the files of each partition lie in a data directory."""


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start servers and a hub of two partitions in two workers."""
    directory = tmp_path_factory.mktemp("installation")
    with Installation(directory, 'more_partitions = ["east"]\nworkers = 2\n') as it:
        yield it


@needs_mosquitto
def test_what_two_partitions_at_work_know_is_in_an_installation_made_of_their_backup(
    cli: Cli, installation: Installation, tmp_path: Path
) -> None:
    at = At(cli, installation)
    at("sites", "add", "oak", "--partition", "east")
    at("devices", "add", "oak", "smoke-2", "--kind", "smoke_sensor", "--profile", "milesight/gs524n")
    topics = [f"hub/{SITE}/{SENSOR}/telemetry", "hub/oak/smoke-2/telemetry"]
    told = partial(tell, installation, topics)  # again, until the one that is new is known
    at.until("telemetry", "query", "smoke_sensor", "smoke-2", meets=lambda found: found or told())
    at("lists", "add", "block", "鲁B12345")
    file, home = tmp_path / "hub.tar.gz", tmp_path / "restored"
    made = at("backup", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = {each["partition"]: each for each in made["partitions"]}
    at("restore", str(file), str(home))
    for topic in topics:
        installation.publish(topic, FIRE)  # what happens after a backup is not in it
    for site in (SITE, "oak"):
        at.until("events", "list", "--type", "fire.smoke_alarm", "--place", site)
    installation.stop()
    old, new = installation.directory / "data", home / "data"

    assert set(kept) == set(FILES)
    for partition, place in FILES.items():
        journal = rows(new / place / "journal.sqlite")
        first = {row[0] for row in journal["records"]}
        assert journal["records"] == [row for row in rows(old / place / "journal.sqlite")["records"] if row[0] in first]
        assert max(first) == kept[partition]["last"]
        progress = read_progress(new / place / "state.sqlite")
        assert (progress.journal, progress.position) == (kept[partition]["journal"], kept[partition]["position"])
    registry = rows(old / "registry.sqlite")
    assert rows(new / "registry.sqlite") == registry
    points, later = ({each[:2] for each in rows(place / "timeseries.sqlite")["points"]} for place in (new, old))
    assert points
    assert points < later

    at.installation.config.rename(installation.directory / "hub.toml.away")
    moved = home / "hub.toml"
    here = partial(cli, "--config", str(moved))
    for partition in FILES:
        whole = here("--partition", partition, "journal", "repair", "--json")  # opens and reads every record
        assert whole.document()["damaged"] is None
    shown = here("lists", "show", "--unmask", "--reason", "compared", "--json").document()
    assert [entry["value"] for entry in shown] == ["鲁B12345"]
    installation.config = moved
    text = moved.read_text(encoding="utf-8")
    moved.write_text(f'redis.url = "{installation.redis.url}"\n{text}', encoding="utf-8")
    words = hub_command("--config", str(moved), "run")
    refused = subprocess.run(words, capture_output=True, text=True, env=environment(), check=False)
    assert (refused.returncode, "[cursor_ahead]" in refused.stderr) == (2, True)  # that Redis was told of the fire
    # The heartbeat of the hub that was stopped lives for 5 s.
    for partition in FILES:
        adopted = partial(here, "--partition", partition, "journal", "adopt", partition, "--yes")
        asyncio.run(wait_until(lambda: asyncio.to_thread(lambda: "adopted" in adopted().out)))  # noqa: B023 -- asked here
    installation.start()
    for partition in FILES:
        (newest,) = here("--partition", partition, "journal", "show", "--last", "1", "--json").document()
        assert newest["position"] > kept[partition]["last"]


def test_a_setting_that_is_new_stands_before_all_comments_and_a_known_one_where_it_was(tmp_path: Path) -> None:
    text = '# ours\nrules_dir = "rules"  # by hand\n\n# the broker of the site\n[mqtt]\nport = 1883\n'
    expected = text.replace('"rules"', f'"{tmp_path / "rules"}"')
    assert settings_text.moved(text, tmp_path, ["data_dir", "rules_dir"]) == (
        f'data_dir = "{tmp_path / "data"}"\n{expected}'
    )


def tell(installation: Installation, topics: Sequence[str]) -> None:
    """Let each sensor say that all is well."""
    for topic in topics:
        installation.publish(topic, NORMAL)


@pytest.fixture
def office(office: Office) -> Office:
    """An office with secrets in both files."""
    office.json("places", "add", "garden", "b1", "--type", "building")
    settings = office.directory / "hub.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(f'{text}[redis]\nurl = "redis://:{SECRET}@127.0.0.1/0"\n', encoding="utf-8")
    secrets = f'[mqtt.passwords]\nevents = "{SECRET}-too"\n'
    (office.directory / "secrets.toml").write_text(secrets, encoding="utf-8")
    return office


def members(file: Path) -> dict[str, bytes]:
    """Return what is in a backup."""
    with tarfile.open(file) as archive:
        found = {member.name: archive.extractfile(member) for member in archive}
        return {name: part.read() for name, part in found.items() if part is not None}


def test_secrets_are_left_out_and_named(office: Office) -> None:
    file = office.directory / "a.tar"
    assert office.json("backup", str(file))["left_out"] == ["redis.url"]
    inside = members(file)
    assert sorted(inside) == ["backup.json", "data/registry.sqlite", "hub.toml", "rules/own.yaml"]
    assert SECRET.encode() not in file.read_bytes()
    assert b"# redis.url: left out" in inside["hub.toml"]
    assert office.json("audit", "--what", "backup")[0]["subject"] == "file/a.tar"


def test_secrets_are_kept_by_who_asks(office: Office) -> None:
    file, home = office.directory / "a.tar", office.directory / "home"
    (office.directory / "data" / "pseudonyms.key").write_bytes(b"k" * 32)
    (office.directory / "data" / "authority").mkdir()
    (office.directory / "data" / "authority" / "ca.key").write_bytes(b"PEM")
    office.json("backup", str(file), "--with-secrets")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    office.json("restore", str(file), str(home))
    for name in ("secrets.toml", "data/pseudonyms.key", "data/authority/ca.key", "data/registry.sqlite"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    assert SECRET in (home / "hub.toml").read_text(encoding="utf-8")
    assert office.json("audit", "--what", "backup")[0]["reason"] == "with secrets"


async def journaled(directory: Path) -> None:
    """Make the files of a partition that has heard something."""
    async with opened(directory, PARTITION, decode_packets) as (journal, _, _):
        await journal.append([record(1, batch(b"smoke"))])


def test_a_partition_without_its_state_is_in_it_and_one_without_its_journal_is_named(office: Office) -> None:
    """Both were left out without a word: of an alarm that was acknowledged, nothing was in the backup."""
    data, file, home = office.directory / "data", office.directory / "a.tar", office.directory / "home"
    settings = office.directory / "hub.toml"
    settings.write_text(f'more_partitions = ["east", "west"]\n{settings.read_text("utf-8")}', encoding="utf-8")
    east = data / "partitions" / "east"
    east.mkdir(parents=True)
    (east / "journal.end").touch()
    asyncio.run(journaled(data))
    (data / "state.sqlite").unlink()
    made = office.json("backup", str(file))
    assert [(each["partition"], each["last"], each["position"]) for each in made["partitions"]] == [("main", 1, 0)]
    assert made["elsewhere"] == ["partition east, whose journal is gone"]
    office.json("restore", str(file), str(home))
    assert rows(home / "data" / "journal.sqlite")["records"] == rows(data / "journal.sqlite")["records"]


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


def test_a_secret_that_cannot_be_left_out_alone_is_refused(office: Office) -> None:
    settings = office.directory / "hub.toml"
    text = settings.read_text(encoding="utf-8").partition("[redis]")[0]
    settings.write_text(f'{text}redis = {{url = "redis://:{SECRET}@127.0.0.1/0"}}\n', encoding="utf-8")
    file = office.directory / "a.tar"
    assert "[secret_hidden]" in office.refused("backup", str(file))
    assert sorted(path.name for path in office.directory.iterdir()) == ["data", "hub.toml", "rules", "secrets.toml"]


@pytest.mark.parametrize(
    ("mine", "above"),
    [
        (f'[mqtt.passwords]\nevents = "{SECRET}"\n', '[mqtt.passwords]\nevents = "newer"\n'),
        (f'[mqtt.passwords]\nevents = "{SECRET}"\n', ""),
    ],
    ids=["secrets.toml", "variable"],
)
def test_a_secret_that_another_goes_before_is_left_out_too(
    office: Office, monkeypatch: pytest.MonkeyPatch, mine: str, above: str
) -> None:
    settings, file = office.directory / "hub.toml", office.directory / "a.tar"
    text = settings.read_text(encoding="utf-8").partition("[redis]")[0]
    settings.write_text(text + mine, encoding="utf-8")
    (office.directory / "secrets.toml").write_text(above, encoding="utf-8")
    if not above:
        monkeypatch.setenv("HUB_MQTT__PASSWORDS__EVENTS", "newer")
    assert office.json("backup", str(file))["left_out"] == ["mqtt.passwords.events"]
    assert SECRET.encode() not in file.read_bytes()


def test_a_secret_that_stands_otherwise_than_it_is_read_is_not_let_through(office: Office) -> None:
    settings, file = office.directory / "hub.toml", office.directory / "a.tar"
    text = settings.read_text(encoding="utf-8").partition("[redis]")[0]
    settings.write_text(f'{text}mqtt.passwords = {{events = "{SECRET}\\\\"}}\n', encoding="utf-8")
    assert "[secret_hidden]" in office.refused("backup", str(file))
    assert not file.exists()


def test_a_secret_that_nobody_has_given_hides_nowhere(office: Office) -> None:
    settings, file = office.directory / "hub.toml", office.directory / "a.tar"
    with settings.open("a", encoding="utf-8") as more:
        more.write('[forward.city]\ndomains = ["fire"]\n')
    assert office.json("backup", str(file))["left_out"] == ["redis.url"]


def test_what_an_editor_leaves_beside_rules_keeps_nobody_from_a_backup(office: Office) -> None:
    (office.directory / "rules" / ".#own.yaml").symlink_to("mei@desk.4711")  # emacs, while it is open
    office.json("backup", str(office.directory / "a.tar"))
    assert "rules/own.yaml" in members(office.directory / "a.tar")


def test_a_file_whose_name_is_no_utf8_is_named_instead_of_a_backup(office: Office) -> None:
    name = os.fsdecode("规则.txt".encode("gbk"))
    (office.directory / "rules" / name).touch()
    file = office.directory / "a.tar"
    assert "[name_invalid]" in office.refused("backup", str(file))
    assert not file.exists()
    (office.directory / "rules" / name).unlink()
    office.json("backup", str(file))


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


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[data.index(b"SQLite format 3") + 200] ^= 1
    file.write_bytes(data)


def lead_out(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"rules/own.yaml", b"../../own.yaml"))


def no_backup(file: Path) -> None:
    file.write_bytes(b"a letter\n" * 1_000)


@pytest.mark.parametrize("damage", [cut, flip, lead_out, no_backup])
def test_a_damaged_backup_restores_nothing(office: Office, damage: Callable[[Path], None]) -> None:
    file, home = office.directory / "a.tar", office.directory / "home"
    office.json("backup", str(file))
    damage(file)
    assert "[backup_damaged]" in office.refused("restore", str(file), str(home))
    assert sorted(path.name for path in office.directory.iterdir()) == [
        "a.tar", "data", "hub.toml", "rules", "secrets.toml",
    ]  # fmt: skip


def test_a_file_that_others_write_to_is_copied_as_it_was_at_one_moment(tmp_path: Path) -> None:
    source, target = tmp_path / "busy.sqlite", tmp_path / "copy.sqlite"
    database = sqlite3.connect(source, check_same_thread=False, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY, filling BLOB)")
    database.executemany("INSERT INTO numbers VALUES (?, randomblob(4000))", ((n,) for n in range(3 * PAGES)))
    pieces: list[int] = []

    def write(done: int) -> None:  # between two pieces of the copy, as a hub does
        thread = threading.Thread(target=database.execute, args=("INSERT INTO numbers (filling) VALUES ('later')",))
        thread.start()
        thread.join()
        pieces.append(done)

    snapshot(source, target, write)
    written = database.execute("SELECT count(*) FROM numbers").fetchone()[0]
    database.close()
    assert len(pieces) >= 3
    assert written == 3 * PAGES + len(pieces)
    assert len(rows(target)["numbers"]) == 3 * PAGES
    assert sum(pieces) == target.stat().st_size


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
    assert cli("--config", str(old / "hub.toml"), "backup", str(file), "--with-secrets").code == 0
    assert cli("restore", str(file), str(new)).code == 0
    assert cli("init", str(new), "--yes").code == 0
    expected = (old / "redis" / "redis.conf").read_text(encoding="utf-8").replace(str(old), str(new))
    assert (new / "redis" / "redis.conf").read_text(encoding="utf-8") == expected
    assert "hub-redis.service" in (new / "systemd" / "hub.service").read_text(encoding="utf-8")
    assert "somebody else's" not in (new / "README.md").read_text(encoding="utf-8")
