"""A backup made while a forwarder works: what went out after it goes out again, and nothing is passed over."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.config.settings import read_settings
from hub.errors import UnavailableError
from hub.outward.ledger import Ledger
from hub.outward.parcel import State
from hub.outward.standing import read_counts, read_lines
from hub.sinks.redis_link import rows
from hub.sinks.rounds import Position, Rounds
from hub.ui.backups.making import Backup
from hub.ui.backups.restoring import manifest_of, opened, restore
from tests.citywide.rig import write
from tests.outward.rig import Desk, event, numbers, told
from tests.servers.http_stub import Answer, HttpStub
from tests.servers.valkey import ValkeyServer
from tests.ui.office import Office
from tests.waiting import wait_until

PLACE = Path("forward/it")
FAR_MS = 7_200_000


def backup_of(home: Path, file: Path, *, has_secrets: bool = True) -> None:
    config = home / "hub.toml"
    Backup(read_settings(config), config, has_secrets=has_secrets).make(file, SystemClock(), lambda _done: None)


def restored(file: Path, home: Path) -> Path:
    """Make an installation out of a backup; return its data directory."""
    with opened(file) as archive:
        restore(archive, manifest_of(archive, file), home, SystemClock(), lambda _done: None)
    return home / "data"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    (path / "hub.toml").write_text(f'data_dir = "{path / "data"}"\n', encoding="utf-8")
    return path


async def test_what_a_forwarder_sent_after_its_backup_is_sent_again_the_same_and_nothing_is_passed_over(
    home: Path, tmp_path: Path, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    file = tmp_path / "hub.tar"
    http_stub.judge = lambda lines: Answer(status=500 if b"garden/stuck" in lines[0] else 204)
    desk = Desk(home / "data" / PLACE, valkey, http_stub)
    async with valkey.link() as link, desk.at_work() as process:
        await wait_until(lambda: process.follower.is_reading)
        await write(link, event(0, "stuck"), *(event(number) for number in range(1, 40)))
        await wait_until(lambda: len(desk.ended()) >= 10)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(backup_of, home, file))
            await write(link, *(event(number, f"gate-{number % 3}") for number in range(40, 80)))
        await write(link, *(event(number) for number in range(80, 100)))
        await wait_until(lambda: len(desk.ended()) == 99)

    data = restored(file, tmp_path / "again")
    known = {int(line.event, 16) for line in read_lines(data / PLACE, state=State.DELIVERED, limit=1_000)}
    assert 10 <= len(known) < 80
    before, bodies = len(http_stub.requests), {document["id"]: document for document in told(http_stub)}
    http_stub.judge = lambda _lines: Answer()
    there = Desk(data / PLACE, valkey, http_stub)
    async with there.at_work():
        await wait_until(lambda: len(there.ended()) == 100 - len(known))
    sent = numbers(http_stub)[before:]
    assert set(sent) == set(range(100)) - known
    assert all(document == bodies[document["id"]] for document in told(http_stub))
    assert read_counts(data / PLACE) | {"retried": 0} == {"delivered": 100, "waiting": 0, "retried": 0}
    secret = data / PLACE / "secret"
    assert secret.read_bytes() == (home / "data" / PLACE / "secret").read_bytes()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (secret, secret.with_name("ledger.sqlite"))} == {0o600}


async def test_a_ledger_that_is_ahead_of_its_redis_passes_over_nothing(
    home: Path, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    desk = Desk(home / "data" / PLACE, valkey, http_stub)
    clock = SystemClock()
    async with valkey.link() as link, Ledger(desk.directory, clock) as ledger:
        await write(link, event(1))  # by a server whose clock is behind that of the one that was lost
        ahead = Position(clock.wall_ns() // 1_000_000 + FAR_MS, 0, 5_000)
        await ledger.keep([], dict.fromkeys(desk.errand.streams, ahead), {})
    async with valkey.link() as link, desk.at_work():
        await wait_until(lambda: desk.ended() == [1])
        await write(link, event(2))
        await wait_until(lambda: desk.ended() == [1, 2])
        await link.ask("FLUSHALL")  # as if another one had taken its place
        await link.ask("XADD", "hub:events:access", "1-0", "a", "1")  # nobody can read it, and its id is long past
        await link.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await wait_until(lambda: read_counts(desk.directory).get("unreadable") == 1)


async def test_a_redis_that_has_lost_its_last_second_costs_no_event_and_repeats_none(
    home: Path, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    desk, stream = Desk(home / "data" / PLACE, valkey, http_stub), "hub:events:access"
    async with valkey.link() as link:
        await write(link, event(0))
    async with valkey.link() as link, desk.at_work(since=0) as process:  # what was asked for again is sent once, too
        await wait_until(lambda: process.follower.read_until)
        await write(link, *(event(number) for number in range(1, 5)))
        await wait_until(lambda: len(desk.ended()) == 5)
        *first, _last = rows(await link.ask("XRANGE", stream, "-", "+"))
        valkey.kill()
        await wait_until(lambda: not process.follower.is_reading)
        valkey.start()
        async with valkey.link() as again:
            await again.ask("DEL", stream)
            for entry, fields in map(rows, first):
                await again.ask("XADD", stream, *map(_word, (entry, *rows(fields))))
            await wait_until(lambda: read_counts(desk.directory).get("set_back"))
            await write(again, event(5))
            await wait_until(lambda: desk.ended() == [0, 1, 2, 3, 4, 5])
    assert numbers(http_stub) == [0, 1, 2, 3, 4, 5]


def _word(answer: object) -> bytes:
    assert isinstance(answer, bytes)
    return answer


async def test_a_process_that_ends_before_it_has_read_what_was_set_back_repeats_nothing_and_from_does(
    home: Path, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    desk = Desk(home / "data" / PLACE, valkey, http_stub)
    async with valkey.link() as link:
        async with desk.at_work() as process:
            await wait_until(lambda: process.follower.read_until)
            await write(link, event(0), event(1))
            await wait_until(lambda: desk.ended() == [0, 1])
        async with Ledger(
            desk.directory, SystemClock()
        ) as ledger:  # as it is left by a kill after an hour was set back
            await ledger.keep([], dict.fromkeys(desk.errand.streams, Position(1, 0, 0)), {"set_back": 1})
        await write(link, event(2))
        async with desk.at_work():
            await wait_until(lambda: 2 in desk.ended())
        assert numbers(http_stub) == [0, 1, 2]
        async with desk.at_work(since=0):
            await wait_until(lambda: desk.ended() == [0, 1, 2, 0, 1, 2])


async def test_who_cannot_look_at_every_stream_is_told_of_all_that_were_set_back_the_next_time(
    valkey: ValkeyServer,
) -> None:
    first, second = streams = ["hub:events:access", "hub:events:fire"]
    async with valkey.link() as link:
        rounds = Rounds(link, streams)
        await rounds.begin(dict.fromkeys(streams, Position(FAR_MS, 0, 5)))
        await link.ask("XADD", first, "1-0", "a", "1")
        await link.ask("ACL", "SETUSER", "default", "resetkeys", f"~{first}")
        try:
            with pytest.raises(UnavailableError):
                await rounds.go_back()
        finally:
            await link.ask("ACL", "SETUSER", "default", "allkeys")
        await link.ask("XADD", second, "1-0", "a", "1")
        assert await rounds.go_back() == [first, second]


async def test_a_span_that_begins_after_the_last_entry_sends_nothing_old(
    home: Path, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    desk = Desk(home / "data" / PLACE, valkey, http_stub)
    async with valkey.link() as link:
        await write(link, event(1))
        since = SystemClock().wall_ns() // 1_000_000 + 1_000
        async with desk.at_work(since=since) as process:
            await wait_until(lambda: process.follower.read_until)
            await write(link, event(2))
            await wait_until(lambda: desk.ended() == [2])
    assert "set_back" not in read_counts(desk.directory)


def test_wishes_are_saved_without_addresses_and_lie_where_the_settings_lead(office: Office) -> None:
    file, home, wishes = office.directory / "a.tar", office.directory / "home", office.directory / "wishes"
    wishes.mkdir()
    (wishes / "duty.yaml").write_text("channel: duty\nurl_file: duty.url\n", encoding="utf-8")
    more = {"desk": "desk.yml", "lead": "lead.yaml", "far": "../far"}
    text = "---\n".join(f"channel: {name}\nurl_file: {file}\n" for name, file in more.items())
    (wishes / "more.yaml").write_text(text, encoding="utf-8")
    (wishes / "odd.yaml").write_text("channel: odd\nurl_file: old.yaml\n", encoding="utf-8")
    for name in ("duty.url", "desk.yml", "lead.yaml"):
        (wishes / name).write_text("json://duty:hush@example.org", encoding="utf-8")
    (wishes / "old.yaml").write_text("json: hush\n", encoding="utf-8")  # one that could be a document
    settings = office.directory / "hub.toml"
    text = settings.read_text(encoding="utf-8")
    words = f'[notify]\ndir = "{wishes}"\n[forward.city]\nwebhook = "https://hush.example"\n'
    words += 'secret_file = "/etc/hub/city.secret"\n'
    settings.write_text(f"{text}{words}", encoding="utf-8")
    made = office.json("backup", str(file))
    assert made["left_out"] == ["forward.city.webhook"]
    assert made["elsewhere"] == [
        "forward.city.secret_file = /etc/hub/city.secret",
        *(f"notify/{name}" for name in ("desk.yml", "duty.url", "lead.yaml", "old.yaml")),
        str(office.directory / "far"),
    ]
    assert b"hush" not in file.read_bytes()
    assert "forward.city.secret_file = /etc/hub/city.secret" in office("restore", str(file), str(home)).out
    assert sorted(path.name for path in (home / "notify").iterdir()) == ["duty.yaml", "more.yaml", "odd.yaml"]
    assert read_settings(home / "hub.toml").notify.dir == home / "notify"
    whole = office.directory / "b.tar"
    office.json("backup", str(whole), "--with-secrets")
    assert json.loads(office("restore", str(whole), str(office.directory / "all"), "--json").out)["left_out"] == []
    everything = office.directory / "all"
    assert (everything / "notify" / "duty.url").read_text(encoding="utf-8").startswith("json://")
    assert [path.name for path in everything.rglob("*") if path.is_file() and path.stat().st_mode & 0o077] == [
        "own.yaml"
    ]


def test_a_restored_ledger_is_told_with_what_it_means(tmp_path: Path, office: Office) -> None:
    directory = office.directory / "data" / PLACE
    directory.mkdir(parents=True)

    async def made() -> None:
        async with Ledger(directory, SystemClock()):
            pass

    asyncio.run(made())
    assert office.json("backup", str(tmp_path / "a.tar"))["ledgers"] == ["forward/it"]
    said = office("restore", str(tmp_path / "a.tar"), str(tmp_path / "there")).out
    assert "ledgers of what leaves the house: forward/it" in said
    assert "goes out again, with the same ids" in said
    assert (tmp_path / "there" / "data" / PLACE / "ledger.sqlite").exists()
