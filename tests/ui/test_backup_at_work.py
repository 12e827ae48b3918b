"""`hub backup` beside a hub at work, into an installation that goes on where it was."""

from __future__ import annotations

import asyncio
import stat
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hub.journal.readings import read_progress
from tests.machine import needs_mosquitto
from tests.servers.valkey import ValkeyServer
from tests.ui.at import At
from tests.ui.backups import members, rows
from tests.ui.conftest import Cli
from tests.ui.installation import FIRE, NORMAL, SENSOR, SITE, Installation, environment, hub_command
from tests.waiting import wait_until

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
    installation.publish(topics[0], FIRE)
    (alarm,) = at.until("alarms", "list")
    file, home = tmp_path / "hub.tar.gz", tmp_path / "restored"
    made = at("backup", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = {each["partition"]: each for each in made["partitions"]}
    at("restore", str(file), str(home))
    for topic in topics:
        installation.publish(topic, FIRE)  # what happens after a backup is not in it
    for site in (SITE, "oak"):
        at.until("events", "list", "--type", "fire.smoke_alarm", "--place", site)
    old, new = installation.directory / "data", home / "data"
    registry = rows(old / "registry.sqlite")
    lost = taken_on(at, alarm["id"])
    installation.stop()

    assert set(kept) == set(FILES)
    for partition, place in FILES.items():
        journal = rows(new / place / "journal.sqlite")
        first = {row[0] for row in journal["records"]}
        assert journal["records"] == [row for row in rows(old / place / "journal.sqlite")["records"] if row[0] in first]
        assert max(first) == kept[partition]["last"]
        progress = read_progress(new / place / "state.sqlite")
        assert (progress.journal, progress.position) == (kept[partition]["journal"], kept[partition]["position"])
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
    assert at("trace", taken_on(at, alarm["id"], lost))["proven"]


def taken_on(at: At, alarm: str, lost: str = "") -> str:
    """Let somebody take ``alarm`` on; return the id by which that is told, which is not the one that was ``lost``.

    A hub that was restored at once hears again itself what was asked of it before.
    """
    at.said("alarms", "ack", alarm)

    def told() -> list[str]:
        found = at("events", "list", "--type", "fire.smoke_alarm")
        return [each["id"] for each in found if each["transition"] == "acknowledged" and each["id"] != lost]

    asyncio.run(wait_until(lambda: asyncio.to_thread(told)))
    return told()[0]


def tell(installation: Installation, topics: Sequence[str]) -> None:
    """Let each sensor say that all is well."""
    for topic in topics:
        installation.publish(topic, NORMAL)


HELD = """
rule: way-out
label: {en: The way out is open, zh: 出口保持开放}
for_each: smoke_sensor
when: status == 'alarm'
raise: {event: fire.way_out, severity: high}
do:
  - command: unlock
    args: {ttl: 1h}
    to: {kind: access_controller, in: site}
    priority: life_safety
    until: cleared
"""


@needs_mosquitto
def test_what_is_restored_beside_a_new_redis_has_no_id_of_what_was_told_and_sent_in_the_time_that_is_lost(
    cli: Cli, tmp_path: Path, valkey: ValkeyServer
) -> None:
    """Whoever tells by id dropped what was new as a repeat; a device that knew the id of its release did nothing."""
    old, home, file = tmp_path / "old", tmp_path / "restored", tmp_path / "hub.tar"
    (old / "rules").mkdir(parents=True)
    (old / "rules" / "held.yaml").write_text(HELD, encoding="utf-8")
    with Installation(old, f'rules_dir = "{old / "rules"}"\n') as installation:
        at = At(cli, installation)
        installation.publish(f"hub/{SITE}/{SENSOR}/telemetry", FIRE)
        at.until("events", "list", "--type", "command.failed")  # no gate listens
        (kept,) = at("backup", str(file))["partitions"]
        assert {Path(name).suffix for name in members(file)} == {".json", ".toml", ".sqlite", ".yaml"}
        lost = ended(at, kept["last"])
        installation.stop()

        at("restore", str(file), str(home))
        installation.config = home / "hub.toml"
        text = installation.config.read_text(encoding="utf-8")
        installation.config.write_text(f'redis.url = "{valkey.url}"\n{text}', encoding="utf-8")
        installation.start("redis_forgot")
        since = ended(at, kept["last"])
        assert not {*lost} & {*since}
        assert all(at("trace", event)["proven"] for event, transition in since.items() if transition != "sent")


def ended(at: At, last: int) -> dict[str, str]:
    """Take on what burns and let it end; return the ids of events told behind record ``last`` and of releases sent.

    With each goes the transition of an event, or "sent".
    """
    burning = at.until("alarms", "list", meets=lambda found: any(one["rule"] == "way-out" for one in found))
    at("alarms", "ack", next(one["id"] for one in burning if one["rule"] == "way-out"))
    at.installation.publish(f"hub/{SITE}/{SENSOR}/telemetry", NORMAL)
    told = [each for each in at.until("events", "list", meets=releases) if max(each["causes"], default=[0])[0] > last]
    assert {"acknowledged", "cleared"} <= {each["transition"] for each in told}
    return {each["id"]: each["transition"] for each in told} | dict.fromkeys(releases(told), "sent")


def releases(events: Sequence[Any]) -> list[str]:
    """Return the ids of commands that let the gate go."""
    return [each["data"]["id"] for each in events if each["data"].get("command") == "lock"]
