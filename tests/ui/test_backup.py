"""`hub backup`: what is in it, which secrets are left out, and what is refused."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from hub.bridge.frames import decode_packets
from hub.journal.neighbours import opened
from hub.registry.registry import Registry
from hub.ui.backups.making import PAGES, snapshot
from tests.journal.papers import PARTITION, batch, record
from tests.ui.backups import SECRET, members, rows, with_secrets
from tests.ui.office import Office


@pytest.fixture
def office(office: Office) -> Office:
    """An office with secrets in both files."""
    return with_secrets(office)


def test_secrets_are_left_out_and_named(office: Office) -> None:
    """Those of secrets.toml were left out without a word: nobody was told any more, for no address was there."""
    file = office.directory / "a.tar"
    assert office.json("backup", str(file))["left_out"] == ["redis.url", "mqtt.passwords.events"]
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


async def begun(directory: Path) -> None:
    """Make the files of a partition and a registry, as a hub does that is then refused."""
    async with Registry(f"sqlite:///{directory / 'registry.sqlite'}"), opened(directory, PARTITION, decode_packets):
        pass


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


def test_an_installation_whose_disk_is_not_there_is_no_backup(office: Office) -> None:
    """A nightly backup of the empty folder below it was told as made, and took the place of a good one."""
    data, file = office.directory / "data", office.directory / "a.tar"
    data.rename(office.directory / "away")
    data.mkdir()
    asyncio.run(begun(data))
    assert "[nothing_to_save]" in office.refused("backup", str(file))
    assert not file.exists()


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
    assert office.json("backup", str(file))["left_out"] == ["redis.url", "mqtt.passwords.events"]


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
