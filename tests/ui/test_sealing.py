"""What the hub seals without being asked: proof that outlives the journal, bounded, and told when it cannot."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.clock import SystemClock
from hub.errors import StoppedError
from hub.outward.ledger import Ledger
from hub.outward.parcel import Parcel
from hub.replay.evidence import Evidence
from hub.sinks.redis_link import Link, RedisAddress, pairs, rows
from hub.sinks.streams import events_key, parse_rfc3339, rfc3339
from hub.ui.dossiers import opened
from hub.ui.sealing import Sealing
from tests.clocks import ManualClock
from tests.machine import is_running, needs_mosquitto, waits_for_a_lock
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import FIRE, NORMAL, SENSOR, SITE, Installation, environment, hub_command
from tests.waiting import PATIENCE_SECONDS, wait_until

TELEMETRY = f"hub/{SITE}/{SENSOR}/telemetry"
PASSING = """
rule: smoke-alarm
label: {en: Smoke that passes, zh: 会消散的烟雾}
for_each: smoke_sensor
when: status == 'alarm'
raise: {event: fire.smoke_alarm, severity: high}
clear: {when: "status == 'normal'"}
"""
MINE = ("--type", "fire.smoke_alarm", "--since", "1h")

pytestmark = needs_mosquitto


@pytest.fixture(scope="module")
def smoking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start an installation whose smoke alarm, instead of ours, ends as soon as the smoke does."""
    directory = tmp_path_factory.mktemp("smoking")
    it = Installation(directory)
    (rules := directory / "rules").mkdir()
    (rules / "passing.yaml").write_text(PASSING, encoding="utf-8")
    with it.config.open("a", encoding="utf-8") as config:
        config.write(f'rules_dir = "{rules}"\n')
    with it:
        yield it


@pytest.fixture
def at(cli: Cli, smoking: Installation) -> At:
    return At(cli, smoking)


def burn(at: At) -> dict[str, Any]:
    """Let it smoke; return the event that began the alarm."""
    known = len(at("events", "list", *MINE))
    at.installation.publish(TELEMETRY, FIRE)
    found = at.until("events", "list", *MINE, meets=lambda told: len(told) > known)
    raised: dict[str, Any] = found[-1]
    return raised


def over(at: At) -> dict[str, Any]:
    """Let it smoke and be over; return the event that began the alarm."""
    raised = burn(at)
    at.installation.publish(TELEMETRY, NORMAL)
    at.until("events", "list", *MINE, meets=lambda told: told[-1]["transition"] == "cleared")
    return raised


def with_settings(at: At, cli: Cli, file: Path, settings: str) -> At:
    """Return the CLI with other settings than its hub has."""
    file.write_text(settings + at.installation.config.read_text(encoding="utf-8"), encoding="utf-8")
    other = Installation.__new__(Installation)
    other.config = file
    return At(cli, other)


def sealed_of(at: At, alarm: str) -> Path:
    return at.installation.directory / "data" / "dossiers" / f"{alarm}.jsonl"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of whoever writes a dossier."""
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def test_an_alarm_that_is_over_is_sealed_once_and_stays_proven(at: At) -> None:
    raised = over(at)
    done = at("alarms", "seal", "--after", "0s")
    assert (done["unproven"], done["waiting"], done["error"]) == (0, 0, "")
    whole = opened(sealed_of(at, raised["id"]).read_bytes())
    head: Any = whole.lines[0]["body"]
    assert head["verdict"].startswith("proven: ")
    assert head["made_at"].endswith("+00:00")  # whoever reads it is on another machine
    told = [line["body"]["transition"] for line in whole.lines if line["what"] == "event"]  # type: ignore[index]
    assert told == ["raised", "cleared"]
    (line,) = [each for each in at("audit", "--what", "alarm.sealed") if each["subject"] == f"alarm/{raised['id']}"]
    assert (line["after"]["digest"], line["after"]["proven"]) == (whole.digest, True)
    assert at("alarms", "seal", "--after", "0s")["sealed"] == 0


def test_who_asks_later_is_told_what_was_sealed_then(at: At, tmp_path: Path) -> None:
    raised = over(at)
    at("alarms", "seal", "--after", "0s")
    made = at("alarms", "dossier", raised["id"], str(tmp_path / "later.jsonl"))
    assert made["sealed_then"] == [str(sealed_of(at, raised["id"]))]


def test_whom_an_alarm_was_told_stands_in_its_dossier_however_much_was_told_since(at: At, tmp_path: Path) -> None:
    raised = over(at)
    asyncio.run(tell(at.installation.directory / "data" / "notify", raised["id"], *"abcd"))
    at("alarms", "dossier", raised["id"], str(tmp_path / "told.jsonl"))
    lines = opened((tmp_path / "told.jsonl").read_bytes()).lines
    assert [line["body"]["event"] for line in lines if line["what"] == "told"] == [raised["id"]]  # type: ignore[index]


async def tell(directory: Path, *events: str) -> None:
    """Let a ledger say that these were to be told, one after the other."""
    parcels = [
        Parcel(channel="duty", lane="a", entry=each, event=each, name="fire.smoke_alarm", kind="", body=b"", due=0)
        for each in events
    ]
    directory.mkdir()
    async with Ledger(directory, SystemClock()) as ledger:
        await ledger.keep(parcels, {}, {})


def test_what_is_over_only_now_waits_until_people_were_told(at: At) -> None:
    raised = over(at)
    assert at("alarms", "seal")["waiting"] == 0
    assert not sealed_of(at, raised["id"]).exists()


def test_the_oldest_goes_for_a_new_one_and_is_not_made_again(at: At, cli: Cli, tmp_path: Path) -> None:
    first = over(at)
    at("alarms", "seal", "--after", "0s")
    second = over(at)
    small = with_settings(at, cli, tmp_path / "hub.toml", "retention.dossiers = 1\n")
    done = small("alarms", "seal", "--after", "0s")
    assert (done["sealed"], done["removed"] >= 1) == (1, True)
    assert (sealed_of(at, first["id"]).exists(), sealed_of(at, second["id"]).exists()) == (False, True)
    assert small("alarms", "seal", "--after", "0s")["sealed"] == 0
    gone = [each for each in at("audit", "--what", "alarm.removed") if each["subject"] == f"alarm/{first['id']}"]
    assert [each["after"]["file"] for each in gone] == [f"{first['id']}.jsonl"]


def test_of_two_who_seal_at_once_one_does_and_what_a_kill_left_goes(at: At) -> None:
    raised = over(at)
    draft = sealed_of(at, raised["id"]).with_name(f".{raised['id']}.jsonl.01172026")
    command = hub_command("--config", str(at.installation.config), "alarms", "seal", "--after", "0s", "--json")
    with alone(draft.parent):
        both = [subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) for _ in range(2)]
        asyncio.run(wait_until(lambda: all(waits_for_a_lock(each.pid) for each in both)))
        draft.write_bytes(b"half")
    said = [each.communicate(timeout=PATIENCE_SECONDS)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    (line,) = [each for each in at("audit", "--what", "alarm.sealed") if each["subject"] == f"alarm/{raised['id']}"]
    assert line["after"]["digest"] == opened(sealed_of(at, raised["id"]).read_bytes()).digest
    assert not draft.exists()


def test_an_alarm_that_does_not_end_is_sealed_as_it_stands_and_once_more_at_its_end(
    at: At, cli: Cli, tmp_path: Path
) -> None:
    raised = burn(at)
    short = with_settings(at, cli, tmp_path / "hub.toml", 'retention.age = "1s"\n')
    alarm = sealed_of(at, raised["id"])
    short.until("alarms", "seal", "--back", "1h", meets=lambda _: alarm.with_suffix(".open.jsonl").exists())
    assert not alarm.exists()
    at.installation.publish(TELEMETRY, NORMAL)
    at.until("events", "list", *MINE, meets=lambda told: told[-1]["transition"] == "cleared")
    at("alarms", "seal", "--after", "0s")
    assert alarm.exists()


def test_a_disk_without_room_is_told_and_what_waits_is_counted(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    at("alarms", "seal", "--after", "0s")
    over(at)
    with monkeypatch.context() as patched:
        patched.setattr("hub.ui.cli.alarms_seal.free_bytes", lambda _path: 0)
        said = at.said("alarms", "seal", "--after", "0s", "--json")
    done = said.document()
    assert (said.code, done["sealed"], done["waiting"]) == (1, 0, 1)
    assert "disk_full" in done["error"]
    assert done["behind"] > 0
    assert at("alarms", "seal", "--after", "0s")["sealed"] == 1


def test_without_room_nothing_is_done_again(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    over(at)
    with monkeypatch.context() as patched:
        patched.setattr("hub.ui.cli.alarms_seal.free_bytes", lambda _path: 0)
        patched.delattr("hub.ui.cli.alarms_seal.dossier_of")
        done = at.said("alarms", "seal", "--after", "0s", "--json").document()
    assert "disk_full" in done["error"]


def test_what_takes_too_long_is_told_and_sealed_later(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    raised = over(at)
    with monkeypatch.context() as patched:
        patched.setattr("hub.ui.cli.alarms_seal.ONE_SECONDS", 0.0)
        done = at.said("alarms", "seal", "--after", "0s", "--json").document()
    assert "too_long" in done["error"]
    assert raised["id"] in done["failed"]
    assert not sealed_of(at, raised["id"]).exists()
    at("alarms", "seal", "--after", "0s")
    assert sealed_of(at, raised["id"]).exists()


def test_what_is_unproven_is_counted_so_whatever_else_is_sealed_of_it(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    at("alarms", "seal", "--after", "0s")
    raised = over(at)
    other = sealed_of(at, raised["id"]).with_suffix(".open.jsonl")
    other.parent.mkdir(exist_ok=True)
    other.write_text("{}", encoding="utf-8")
    missing = Evidence(again=None, why="the journal is gone")
    with monkeypatch.context() as patched:
        patched.setattr("hub.ui.cli.alarms_dossier.again", lambda *_, **__: missing)
        done = at("alarms", "seal", "--after", "0s")
    assert (done["sealed"], done["unproven"]) == (1, 1)
    other.unlink()


def test_what_redis_was_given_only_now_is_not_sealed_before_people_were_told(at: At) -> None:
    at("alarms", "seal", "--after", "0s")
    over(at)
    written = asyncio.run(written_an_hour_late(at.installation.redis.url))
    assert at("alarms", "seal")["sealed"] == 0
    assert at("alarms", "seal", "--after", "0s")["sealed"] == 2
    assert sealed_of(at, written).exists()


async def written_an_hour_late(url: str) -> str:
    """Write the last alarm once more as one of an hour ago that Redis was not there for; return its id."""
    async with Link(RedisAddress(url=url)) as link:
        stream = events_key("fire.smoke_alarm")
        both = [pairs(rows(entry)[1]) for entry in rows(await link.ask("XREVRANGE", stream, "+", "-", "COUNT", 2))][
            ::-1
        ]
        for fields in both:
            time = rfc3339(parse_rfc3339(fields[b"time"].decode()) - 3_600_000_000_000).encode()
            late = {**fields, b"id": fields[b"id"][::-1], b"time": time}
            await link.ask("XADD", stream, "*", *(part for field in late.items() for part in field))
    return both[0][b"id"][::-1].decode()


def test_a_child_ends_with_the_hub_however_that_ends(at: At) -> None:
    command = hub_command("--config", str(at.installation.config), "alarms", "seal", "--after", "0s", "--json")
    folder = at.installation.directory / "data" / "dossiers"
    over(at)
    program = f"""
import os, subprocess
child = subprocess.Popen([*{command!r}, "--of", str(os.getpid())], stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
child.wait()
"""
    with alone(folder):
        hub = subprocess.Popen([sys.executable, "-c", program], env=environment(), stdout=subprocess.PIPE, text=True)
        assert hub.stdout is not None
        child = int(hub.stdout.readline())
        asyncio.run(wait_until(lambda: waits_for_a_lock(child)))
        hub.kill()
        hub.communicate()
        asyncio.run(wait_until(lambda: not is_running(child)))


async def test_a_hub_seals_beside_its_work_and_says_how_far_it_is(smoking: Installation) -> None:
    sealing = Sealing(["--config", str(smoking.config), "--partition", "main"], SystemClock())
    await sealing.once()
    assert (sealing.error, sealing.waiting) == ("", 0)
    assert 900 <= sealing.behind_seconds < 1_000
    assert b"hub_dossiers_behind_seconds" in (await asyncio.to_thread(smoking.page, "/metrics"))[1]


async def test_what_ends_a_hub_is_not_changed_by_what_seals_beside_it(tmp_path: Path) -> None:
    sealing = Sealing(["--config", str(tmp_path / "none.toml")], SystemClock())
    async with asyncio.TaskGroup() as group:
        with pytest.raises(StoppedError), sealing.beside(group):
            raise StoppedError("stopped_while_opening", "it was stopped while it waited for the registry")


async def test_what_could_not_be_sealed_is_told_and_grows_older(tmp_path: Path) -> None:
    clock = ManualClock()
    sealing = Sealing(["--config", str(tmp_path / "none.toml")], clock)
    await sealing.once()
    clock.advance(7_300)
    assert "none.toml" in sealing.error
    assert sealing.behind_seconds == 7_300
