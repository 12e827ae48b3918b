"""Tests and drills beside a running hub: begun, seen, ended; and what was raised meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hub.config.settings import packaged
from tests.machine import needs_mosquitto
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import FIRE, NORMAL, SENSOR, SITE, Installation

TELEMETRY = f"hub/{SITE}/{SENSOR}/telemetry"
KEY = f"{SITE}/{SENSOR}"

pytestmark = needs_mosquitto


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start servers and a hub whose smoke alarm is over a second after its detector is normal again, and not ten."""
    directory = tmp_path_factory.mktemp("installation")
    alarm = (packaged("rules") / "fire.yaml").read_text(encoding="utf-8").partition("\n---\n")[0]
    (directory / "rules").mkdir()
    (directory / "rules" / "own.yaml").write_text(alarm.replace("for: 10s}", "for: 1s}"), encoding="utf-8")
    with Installation(directory, f'rules_dir = "{directory / "rules"}"\n') as it:
        yield it


@pytest.fixture
def at(cli: Cli, installation: Installation) -> Iterator[At]:
    here = At(cli, installation)
    yield here
    for noun in ("test", "drill"):
        here.said(noun, "end", SITE, SENSOR)
        here.said(noun, "end", SITE, f"@{SITE}")
    installation.publish(TELEMETRY, NORMAL)
    here.until("alarms", "list", meets=lambda found: not found)


def rules_of(found: list[dict[str, Any]]) -> list[tuple[str, bool, bool]]:
    return [(alarm["rule"], alarm["test"], alarm["drill"]) for alarm in found]


def test_a_test_is_listed_with_who_why_and_until_when(at: At) -> None:
    reply = at("test", "start", SITE, SENSOR, "--for", "30m", "--reason", "年检", "--as", "li")
    assert (reply["ok"], reply["code"]) == (True, "ok")
    (found,) = at.until("test", "list")
    assert (found["key"], found["data"]["actor"], found["data"]["reason"]) == (KEY, "li", "年检")
    assert found["data"]["until"] == found["since"] // 10**6 + 30 * 60 * 1_000
    assert [word in at.said("test", "list").out for word in (KEY, "li", "年检")] == [True] * 3
    assert at("drill", "list") == []


def test_what_burns_in_a_test_is_counted_apart_and_shown_when_asked(at: At) -> None:
    at("test", "start", SITE, SENSOR, "--for", "30m", "--reason", "inspection")
    at.installation.publish(TELEMETRY, FIRE)
    at.until("alarms", "list", meets=lambda found: ("smoke-alarm", True, False) in rules_of(found))
    short, whole = at.said("alarms", "list").out, at.said("alarms", "list", "--all").out
    assert ["no active alarms" in short, "and 2 of tests and drills" in short] == [True, True]
    assert ["(test)" in line for line in whole.splitlines()[1:]] == [True, True]
    events = at.until("events", "list", "--type", "fire.smoke_alarm", "--since", "1h")
    assert events[-1]["test"] is True
    assert "(test)" in at.said("events", "list", "--type", "fire.smoke_alarm").out.splitlines()[-1]


def test_what_still_burns_when_a_test_is_ended_is_real(at: At) -> None:
    at("test", "start", SITE, SENSOR, "--for", "30m", "--reason", "inspection")
    at.installation.publish(TELEMETRY, FIRE)
    at.until("alarms", "list", meets=lambda found: len(found) == 2)
    assert at("test", "end", SITE, SENSOR)["ok"] is True
    at.until("alarms", "list", meets=lambda found: rules_of(found) == [("smoke-alarm", False, False)])


def test_a_drill_of_a_site_is_one_of_everything_in_it(at: At) -> None:
    words = ("--for", "10m", "--reason", "fire drill", "--rule", "smoke-alarm", "--with-commands")
    asked = at("drill", "start", SITE, f"@{SITE}", *words, "--as", "li")
    assert asked["code"] == "needs_second_person"
    assert at("drill", "list") == []
    assert at("commands", "confirm", SITE, asked["id"], "--as", "wang")["ok"] is True
    (found,) = at.until("drill", "list")
    assert (found["data"]["rules"], found["data"]["with_commands"]) == ("smoke-alarm", True)
    at.installation.publish(TELEMETRY, FIRE)
    at.until("alarms", "list", meets=lambda found: ("smoke-alarm", False, True) in rules_of(found))


def test_what_nobody_knows_cannot_be_tried(at: At) -> None:
    said = at.said("test", "start", SITE, "nobody", "--for", "30m", "--reason", "inspection")
    assert (said.code, said.out.split()[:2]) == (1, ["refused:", "unknown_name"])
