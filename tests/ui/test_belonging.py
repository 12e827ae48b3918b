"""Root works in an installation of another account: what it makes there is for that one's hub and mosquitto to read."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import combinations
from pathlib import Path
from types import FrameType

import pytest

from hub.ui.installing.belonging import give, hand_over
from hub.whole import write_whole
from tests.ui.conftest import Cli

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files that others cannot read")

ACCOUNT, OTHER = pwd.getpwnam("daemon"), pwd.getpwnam("games")


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


def test_what_root_restores_into_a_directory_of_the_account_is_the_accounts(cli: Cli, place: Path) -> None:
    assert cli("--config", str(place / "hub.toml"), "sites", "add", "garden", "--en", "Garden").code == 0
    file, again = place.parent / "b.tar", place.parent / "again"
    assert cli("--config", str(place / "hub.toml"), "backup", str(file), "--with-secrets").code == 0
    again.mkdir()
    os.chown(again, ACCOUNT.pw_uid, -1)
    said = cli("restore", str(file), str(again))
    assert said.code == 0, said.err
    assert (again / "data" / "registry.sqlite").exists()
    assert owners(again).keys() == {ACCOUNT.pw_uid}, owners(again)[0]


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


class Raid:
    """What an account does in its directory while root is there; ``shadow`` is the machine's, with a second name here.

    ``made``: files that root has left, and that stay; they lie before and behind the others.
    """

    def __init__(self, top: Path) -> None:
        self.place, self.machine, self.shadow = top / "place", top / "machine", top / "machine" / "shadow"
        for folder in (self.place / "inner", self.machine):
            folder.mkdir(parents=True)
        self.made = [self.place / f"made-{number}" for number in range(4)]
        inner = self.place / "inner"
        first, *others = self.made
        for path in (first, self.place / "shadow", self.shadow, self.machine / "group", inner / "group", *others):
            path.write_text("of root")
        (self.place / "second").hardlink_to(self.shadow)
        os.chown(self.place, ACCOUNT.pw_uid, -1)

    def exchanges_a_directory_for_a_link(self) -> None:
        (self.place / "inner").rename(self.place / "away")
        (self.place / "inner").symlink_to(self.machine)

    def exchanges_the_place_for_a_link(self) -> None:
        self.place.rename(self.place.with_name("away"))
        self.place.symlink_to(self.machine)

    def puts_the_place_back(self) -> None:
        self.place.unlink()
        self.place.with_name("away").rename(self.place)

    def exchanges_a_file_for_a_link(self) -> None:
        (self.place / "shadow").unlink()
        (self.place / "shadow").symlink_to(self.shadow)

    def exchanges_a_file_for_a_second_name(self) -> None:
        (self.place / "second").rename(self.place / "shadow")

    def exchanges_a_second_name_for_a_file(self) -> None:
        (self.place / "shadow").rename(self.place / "second")

    def takes_a_second_name_away(self) -> None:
        (self.place / "second").unlink()

    def takes_files_away(self) -> None:
        (self.place / "shadow").unlink()
        shutil.rmtree(self.place / "inner")


def interrupted(work: Callable[[], None], deeds: Mapping[int, Callable[[], None]]) -> int:
    """Do ``work``, and each deed before the call into C of its number; return how many calls there were."""
    calls = 0

    def counted(_frame: FrameType, event: str, _called: object) -> None:
        nonlocal calls
        if event == "c_call":
            calls += 1
            deeds.get(calls, int)()

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize(
    "deed",
    [
        Raid.exchanges_a_directory_for_a_link,
        Raid.exchanges_the_place_for_a_link,
        Raid.exchanges_a_file_for_a_link,
        Raid.exchanges_a_file_for_a_second_name,
        Raid.exchanges_a_second_name_for_a_file,
        Raid.takes_a_second_name_away,
        Raid.takes_files_away,
    ],
)
def test_whatever_the_account_does_meanwhile_it_gets_all_that_is_there_and_nothing_of_the_machine(
    deed: Callable[[Raid], None], tmp_path: Path
) -> None:
    at, calls = 0, 1
    while at < calls:
        at += 1
        raid = Raid(tmp_path / str(at))
        calls = interrupted(partial(hand_over, [raid.place]), {at: partial(deed, raid)})
        assert owners(raid.machine).keys() == {0}, at
        if not raid.place.is_symlink():
            assert {path.stat().st_uid for path in raid.made} == {ACCOUNT.pw_uid}, at
    assert at > 10


def test_a_file_that_root_writes_is_nobodys_in_a_directory_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # hundreds of times, and a busy disk is slow
    calls = interrupted(partial(write_whole, Raid(tmp_path / "calm").place / "passwords", "somebody"), {})
    assert calls > 10
    for at, until in combinations(range(1, calls + 1), 2):
        raid = Raid(tmp_path / f"{at}-{until}")
        deeds = {at: raid.exchanges_the_place_for_a_link, until: raid.puts_the_place_back}
        with suppress(FileNotFoundError):
            interrupted(partial(write_whole, raid.place / "passwords", "somebody"), deeds)
        assert owners(raid.machine).keys() == {0}, (at, until)


def test_an_installation_goes_to_another_account_whole(cli: Cli, place: Path) -> None:
    assert cli("init", str(place), "--yes", "--user", OTHER.pw_name).code == 0
    assert owners(place).keys() == {OTHER.pw_uid}, owners(place)


def test_init_gives_no_directory_that_is_the_machines_by_now(tmp_path: Path) -> None:
    raid = Raid(tmp_path)
    raid.exchanges_the_place_for_a_link()
    give(raid.place, ACCOUNT.pw_uid)
    assert owners(raid.machine).keys() == {0}


def test_init_lets_nobody_read_a_file_of_the_machine_that_a_draft_was_exchanged_for(
    cli: Cli, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow, draft = tmp_path / "shadow", place / ".README.md.draft"
    shadow.touch(0o600)
    (place / "README.md").unlink()

    def exchanged(_descriptor: int) -> None:
        if draft.exists():
            draft.unlink()
            draft.symlink_to(shadow)

    monkeypatch.setattr(os, "fsync", exchanged)
    assert cli("init", str(place), "--yes").code == 0
    assert (place / "README.md").readlink() == shadow
    assert shadow.stat().st_mode & 0o777 == 0o600


def test_what_is_restored_is_the_accounts_again_as_the_readme_has_it(cli: Cli, place: Path, tmp_path: Path) -> None:
    saved, again = tmp_path / "saved.tar.gz", tmp_path / "again"
    told = (place / "README.md").read_text("utf-8")
    order = next(line.partition("#")[0].split() for line in told.splitlines() if line.startswith("hub init /srv/again"))
    assert cli("--config", str(place / "hub.toml"), "sites", "add", "garden", "--en", "Garden").code == 0
    assert cli("--config", str(place / "hub.toml"), "backup", str(saved), "--with-secrets").code == 0
    assert cli("restore", str(saved), str(again)).code == 0
    assert cli("init", str(again), *order[3:]).code == 0
    assert owners(again).keys() == {ACCOUNT.pw_uid}, owners(again)
    assert f"User={ACCOUNT.pw_name}\n" in (again / "systemd" / "hub.service").read_text("utf-8")


def test_what_is_roots_stays_roots(tmp_path: Path) -> None:
    (tmp_path / "made").write_text("by root")
    hand_over([tmp_path, tmp_path / "nowhere"])
    assert (tmp_path / "made").stat().st_uid == 0


def test_mosquitto_becomes_root_only_for_files_that_are_roots(cli: Cli, place: Path, tmp_path: Path) -> None:
    assert not (place / "broker" / "mosquitto.conf").read_text("utf-8").startswith("user root")
    assert cli("init", str(tmp_path / "ours"), "--yes", "--redis", "redis-server").code == 0
    assert (tmp_path / "ours" / "broker" / "mosquitto.conf").read_text("utf-8").startswith("user root\n")
