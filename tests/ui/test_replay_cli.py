"""Beside a running hub: a recording, replays of it and of the journal, a plan, and rules that change meanwhile."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.errors import CorruptError
from hub.model.records import Tick
from hub.replay.recording import RecordingTape
from tests.machine import needs_mosquitto
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import FIRE, NORMAL, SENSOR, SITE, Installation, environment, hub_command
from tests.waiting import PATIENCE_SECONDS, wait_until

TELEMETRY = f"hub/{SITE}/{SENSOR}/telemetry"
MINE = """
rule: smoke-{name}
label: {{en: Smoke, zh: 烟雾}}
for_each: smoke_sensor
when: status == 'alarm'
raise: {{event: fire.smoke_{name}, severity: {severity}}}
clear: {{by: operator}}
"""

pytestmark = needs_mosquitto


class Ruled(At):
    """An installation with two rules of its own, and the CLI with its settings."""

    def __init__(self, cli: Cli, installation: Installation) -> None:
        super().__init__(cli, installation)
        self.rules = installation.directory / "rules"

    def write(self, **severities: str) -> None:
        """Let the own rules be these."""
        text = "---".join(MINE.format(name=name, severity=severity) for name, severity in severities.items())
        (self.rules / "mine.yaml").write_text(text, encoding="utf-8")

    def burn(self) -> dict[str, dict[str, Any]]:
        """Let the sensor report smoke; return its alarms by rule."""
        self.installation.publish(TELEMETRY, FIRE)
        alarms = self.until("alarms", "list", meets=lambda found: len(found) == 3)
        return {alarm["rule"]: alarm for alarm in alarms}


def is_calm(rows: list[dict[str, Any]]) -> bool:
    """Return whether the last point says so."""
    return bool(rows) and rows[-1]["fields"]["status"] == "normal"


def has_ticked(file: Path) -> bool:
    """Return whether a recording is under way."""
    try:
        tape = RecordingTape(file)
    except CorruptError:  # not even its first line is on the disk
        return False
    return any(isinstance(record.body, Tick) for record in tape.read(0))


@pytest.fixture
def at(cli: Cli, tmp_path: Path) -> Iterator[Ruled]:
    it = Installation(tmp_path)
    here = Ruled(cli, it)
    here.rules.mkdir()
    here.write(one="high", two="high")
    with it.config.open("a", encoding="utf-8") as config:
        config.write(f'rules_dir = "{here.rules}"\n')
    with it:
        yield here


def test_rules_change_in_a_running_hub_and_the_others_keep_their_alarms(at: Ruled) -> None:
    before = at.burn()
    at("alarms", "ack", before["smoke-one"]["id"], "--as", "li")
    at.write(one="high", three="medium")
    plan = at("rules", "plan")
    assert [(each["rule"], each["change"], each["kept"], each["ended"]) for each in plan["rules"]] == [
        ("smoke-three", "added", 0, 0),
        ("smoke-two", "removed", 0, 1),
    ]
    assert [alarm["id"] for alarm in plan["rules"][1]["open"]] == [before["smoke-two"]["id"]]
    assert [event["data"]["reason"] for event in plan["rules"][1]["closed"]] == ["rule removed"]
    assert (plan["states_untouched"], plan["others"]) == (2, {})
    reply = at("rules", "apply", "--as", "li")["main"]
    assert (reply["code"], reply["detail"]) == ("reloaded", "2 documents changed")
    after = at.until("alarms", "list", meets=lambda found: len(found) == 2)
    assert {alarm["rule"]: (alarm["id"], alarm["acknowledged_by"]) for alarm in after} == {
        "smoke-alarm": (before["smoke-alarm"]["id"], None),
        "smoke-one": (before["smoke-one"]["id"], "li"),
    }
    events = at.until("events", "list", "--type", "device.content_reloaded")
    assert events[-1]["data"] == {"actor": "li", "changed": 2}
    assert at("rules", "plan")["rules"] == []


def test_a_changed_word_is_planned_and_applied_with_its_state_kept(at: Ruled) -> None:
    before = at.burn()
    at.write(one="high", two="critical")
    plan = at("rules", "plan")
    assert plan["rules"][0]["words"] == {
        "raise": [
            {"event": "fire.smoke_two", "severity": "high"},
            {"event": "fire.smoke_two", "severity": "critical"},
        ]
    }
    assert (plan["rules"][0]["kept"], plan["rules"][0]["ended"]) == (1, 0)
    assert at("rules", "apply")["main"]["code"] == "reloaded"
    alarms = at.until("alarms", "list", meets=lambda found: len(found) == 3)
    assert before["smoke-two"]["id"] in {alarm["id"] for alarm in alarms}
    assert at("rules", "apply")["main"]["code"] == "unchanged"


def test_a_hub_that_reads_other_files_refuses(at: Ruled) -> None:
    other = at.installation.directory / "other"
    other.mkdir()
    (other / "mine.yaml").write_text(MINE.format(name="other", severity="low"), encoding="utf-8")
    config = at.installation.directory / "other.toml"
    config.write_text(at.installation.config.read_text("utf-8").replace(f'"{at.rules}"', f'"{other}"'), "utf-8")
    command = hub_command("--config", str(config), "rules", "apply", "--json")
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    reply = json.loads(done.stdout)["main"]
    assert (done.returncode, reply["code"]) == (1, "revision_refused")
    assert "other_files" in reply["detail"]


def test_a_rule_that_cannot_work_changes_nothing(at: Ruled) -> None:
    at.burn()
    (at.rules / "mine.yaml").write_text(MINE.format(name="one", severity="terrible"), encoding="utf-8")
    for verb in ("plan", "apply"):
        said = at.said("rules", verb)
        assert said.code == 2
        assert "mine.yaml:" in said.err
    assert len(at("alarms", "list")) == 3


def test_the_journal_of_a_running_hub_is_replayed_under_other_rules(at: Ruled) -> None:
    at.burn()
    at.installation.publish(TELEMETRY, NORMAL)
    at.until("telemetry", "query", "smoke_sensor", SENSOR, meets=is_calm)
    same = at("rules", "replay")
    assert (same["differences"], same["same"] >= 3, same["state"]) == ([], True, "exact")
    at.write(one="low")
    other = at("rules", "replay")
    assert [(each["change"], (each["would_be"] or each["was"])["name"]) for each in other["differences"]] == [
        ("severity", "fire.smoke_one"),
        ("vanished", "fire.smoke_two"),
    ]
    assert at.installation.readiness()[0] == 200


def test_what_was_recorded_is_replayed_without_the_hub(at: Ruled) -> None:
    file = at.installation.directory / "evening.hubrec"
    command = hub_command("--config", str(at.installation.config), "record", str(file), "--duration", "8s")
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as recorder:
        # Its first tick comes when the subscriptions stand.
        asyncio.run(wait_until(lambda: file.exists() and has_ticked(file)))
        at.burn()
        assert recorder.wait(PATIENCE_SECONDS) == 0
    assert at.installation.stop() == 0
    assert at("rules", "replay", "--recording", str(file))["same"] == 3
    at.write(one="low", two="high")
    other = at("rules", "replay", "--recording", str(file))
    assert [(each["change"], each["would_be"]["severity"]) for each in other["differences"]] == [("severity", "low")]
    assert (other["messages"] >= 1, other["recording_cut"]) == (True, False)
    assert [(line["what"], line["subject"]) for line in at("audit", "--what", "recording.")] == [
        ("recording.made", "file/evening.hubrec")
    ]


def test_a_profile_that_changed_shows_which_values_would(at: Ruled) -> None:
    at.burn()
    own = at.installation.directory / "profiles"
    own.mkdir()
    shipped = Path("device_profiles/milesight/gs524n.yaml").read_text(encoding="utf-8")
    changed = shipped.replace("battery: {at: 2,", "battery: {at: 3,")
    assert changed != shipped
    (own / "gs524n.yaml").write_text(changed, encoding="utf-8")
    found = at("profiles", "replay", "--profiles", str(own))
    tallies = {each["property"]: each for each in found["properties"]}
    assert (tallies["battery"]["changed"] >= 1, tallies["battery"]["examples"][0]["was"]) == (True, 100.0)
    assert [name for name, each in tallies.items() if each["changed"] or each["appeared"] or each["vanished"]] == [
        "battery"
    ]
