"""Events, traces and explanations beside a running hub: what is listed, what is proven, why a rule stands or not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.config.settings import read_settings
from hub.services.child import free_port
from hub.ui.atlas import Atlas
from hub.ui.desk.desk import Desk
from hub.ui.history import History, Wanted
from tests.machine import needs_mosquitto
from tests.ui import latching as scene
from tests.ui.conftest import Cli
from tests.ui.installation import FIRE, NORMAL, SENSOR, SITE, Installation
from tests.ui.latching import KEY, TELEMETRY, Burning, emptied, trimmed

pytestmark = needs_mosquitto
latching, at = scene.latching, scene.at


# --------------------------------------------------------------------------------------------------------------- events


LISTED = {
    ("--type", "fire"): {"fire.smoke_alarm", "fire.smoke_latched"},
    ("--type", "*.smoke_latched"): {"fire.smoke_latched"},
    ("--severity", "critical", "--type", "fire"): {"fire.smoke_alarm"},
    ("--domain", "fire", "--severity", "high"): {"fire.smoke_latched"},
    ("--device", f"{SITE}/{SENSOR}", "--type", "fire.smoke_alarm"): {"fire.smoke_alarm"},
    ("--device", SENSOR, "--type", "water"): set(),
    ("--place", SITE, "--type", "fire.smoke_latched"): {"fire.smoke_latched"},
    ("--place", SITE, "--device", SENSOR, "--type", "water"): set(),
}


def test_events_are_listed_by_what_was_asked(at: Burning) -> None:
    at.burn()
    found = {words: {event["name"] for event in at("events", "list", "--since", "1h", *words)} for words in LISTED}
    assert found == LISTED


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--place", "nowhere"), "place_unknown"),
        (("--place", SITE, "--place", "nowhere"), "place_unknown"),
        (("--device", "nobody"), "device_unknown"),
        (("--device", f"nowhere/{SENSOR}"), "device_unknown"),
    ],
)
def test_that_nothing_happened_at_a_place_or_device_that_never_was_is_no_answer(
    at: Burning, words: tuple[str, ...], code: str
) -> None:
    assert f"[{code}]" in at.refused("events", "list", *words)


def test_a_limit_counts_wanted_events_only(at: Burning) -> None:
    at.burn()
    first = at("events", "list", "--since", "1h", "--type", "fire.smoke_latched", "--limit", "1")
    assert [event["name"] for event in first] == ["fire.smoke_latched"]


def test_from_before_any_clock_on_all_there_is_is_listed(at: Burning) -> None:
    at.burn()
    first = at("events", "list", "--since", "36500d", "--type", "fire.smoke_latched", "--limit", "1")
    assert [event["name"] for event in first] == ["fire.smoke_latched"]


def test_events_that_the_streams_no_longer_hold_are_listed_from_the_store(at: Burning) -> None:
    alarm = at.burn()
    before = at("events", "list", "--type", "fire", "--since", "1h")
    asyncio.run(trimmed(at.installation, "fire"))
    after = at.until("events", "list", "--type", "fire", "--since", "1h", meets=lambda found: len(found) >= len(before))
    assert [event["id"] for event in after] == [event["id"] for event in before]
    assert alarm["id"] in {event["id"] for event in after}


def test_events_and_alarms_of_before_redis_was_emptied_are_listed_still(at: Burning) -> None:
    words = ("events", "list", "--since", "1h", "--limit", "1000")
    alarm = at.burn()
    assert alarm["id"] in {event["id"] for event in at(*words)}
    asyncio.run(emptied(at.installation))
    at.until("alarms", "list", meets=lambda found: alarm["id"] in {each["id"] for each in found})
    at.until(*words, meets=lambda found: alarm["id"] in {event["id"] for event in found})


def test_a_store_that_is_away_hides_no_event_of_now(
    at: Burning, cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alarm = at.burn()
    asyncio.run(emptied(at.installation))
    at.until("alarms", "list", meets=lambda found: alarm["id"] in {each["id"] for each in found})
    at.calm()  # which ends the alarm: an event that Redis has
    config = tmp_path / "hub.toml"
    away = f'timeseries = {{store = "influxdb", url = "http://127.0.0.1:{free_port()}"}}\n'
    config.write_text(away + at.installation.config.read_text(encoding="utf-8"), encoding="utf-8")
    said = cli("--config", str(config), "events", "list", "--since", "1h", "--type", "fire", "--json")
    assert said.code == 0, said.err
    assert "could not be asked of the store" in said.err
    assert [event["transition"] for event in said.document() if event["name"] == alarm["name"]] == ["cleared"]
    capsys.readouterr()
    asyncio.run(_asked_twice(config))
    assert capsys.readouterr().err.count("could not be asked of the store") == 1


async def _asked_twice(config: Path) -> None:
    """Look for events as one command does that looks for more than one thing."""
    desk = Desk(config)
    async with desk.redis() as link:
        history = History(desk, link, Atlas())
        for _ in range(2):
            await history.find(Wanted(), since=0, limit=10)


# ---------------------------------------------------------------------------------------------------------------- trace


def test_an_event_is_proven_from_the_bytes_of_the_journal(at: Burning) -> None:
    alarm = at.burn()
    proof = at("trace", alarm["id"])
    assert (proof["proven"], proof["differences"]) == (True, [])
    cause = proof["causes"][-1]
    assert (cause["topic"], cause["payload"]) == (TELEMETRY, FIRE.hex())
    assert {"name": "status", "value": "alarm"}.items() <= proof["terms"][0].items()
    assert proof["terms"][0]["cause"] == [cause["record"], cause["message"]]
    assert proof["rule"]["when"] == "status == 'alarm'"


def test_a_trace_tells_which_byte_became_which_value(at: Burning) -> None:
    alarm = at.burn()
    marks = at("trace", alarm["id"])["causes"][-1]["decoded"]["marks"]
    status = next(mark for mark in marks if mark["name"] == "status")
    assert (status["offset"], status["length"], status["value"]) == (1, 1, "alarm")


def test_a_trace_goes_on_to_what_people_and_devices_did(at: Burning) -> None:
    alarm = at.burn()
    at("alarms", "ack", alarm["id"], "--as", "li")
    proof = at.until("trace", alarm["id"], meets=lambda found: len(found["story"]) == 3)
    told = [(event["name"], event["transition"], event["data"].get("actor")) for event in proof["story"]]
    assert sorted(told) == [
        ("command.failed", "occurred", None),
        ("fire.smoke_latched", "acknowledged", "li"),
        ("fire.smoke_latched", "raised", None),
    ]


def test_what_a_person_did_is_proven_by_the_request_in_the_journal(at: Burning) -> None:
    alarm = at.burn()
    at("alarms", "ack", alarm["id"], "--as", "li")
    shown = at.until("alarms", "show", alarm["id"], meets=lambda found: len(found["history"]) == 2)
    said = at.said("trace", shown["history"][-1]["id"])
    assert said.code == 0
    assert "li asks: ack rule=smoke-latched" in said.out
    assert "proven: " in said.out


def test_an_event_that_only_the_store_remembers_is_proven_too(at: Burning) -> None:
    alarm = at.burn()
    at.until("events", "list", "--type", "fire.smoke_latched", "--since", "1h")
    asyncio.run(trimmed(at.installation, "fire"))
    words = ("events", "list", "--since", "1h", "--limit", "1000")  # the first 100 of the hour are not enough
    at.until(*words, meets=lambda found: alarm["id"] in {event["id"] for event in found})
    proof = at.until("trace", alarm["id"])
    assert (proof["event"]["causes"], proof["proven"]) == ([], True)
    assert proof["causes"][-1]["payload"] == FIRE.hex()


def test_an_event_that_nobody_knows_is_a_mistake(at: Burning) -> None:
    said = at.said("trace", "zzz")
    assert said.code == 2
    assert "event_unknown" in said.err


def test_asking_makes_no_files_where_no_hub_has_worked(cli: Cli, tmp_path: Path, latching: Installation) -> None:
    url = read_settings(latching.config).redis.url.get_secret_value()
    config = tmp_path / "hub.toml"
    config.write_text(f'data_dir = "{tmp_path / "none"}"\nredis.url = "{url}"\n', encoding="utf-8")
    assert cli("--config", str(config), "events", "list", "--since", "1h").code == 0
    assert not (tmp_path / "none").exists()


# ------------------------------------------------------------------------------------------------------------ explained


def test_an_alarm_is_explained_beside_the_running_hub(at: Burning) -> None:
    alarm = at.burn()
    (told,) = at("rules", "explain", "--alarm", alarm["id"][:12])
    assert (told["rule"], told["key"], told["phase"]) == ("smoke-latched", KEY, "active")
    assert [reason["code"] for reason in told["reasons"]] == ["active", "latched"]
    assert told["conditions"][0]["terms"][0]["seen"][0]["value"] == "alarm"


def test_a_rule_that_does_not_stand_is_explained_in_both_languages_and_as_it_was(at: Burning) -> None:
    words = ("rules", "explain", "smoke-alarm", "--device", KEY)
    at.installation.publish(TELEMETRY, NORMAL)
    (told,) = at.until(*words, meets=lambda found: _is_alarming(found) is False)
    lines = [line.strip() for line in at.said(*words).out.splitlines()]
    assert any(line.startswith("不成立 / false  status == 'alarm'  status=normal") for line in lines)
    then = datetime.fromtimestamp(told["at"] / 1e9, UTC).isoformat()
    at.burn()
    assert _is_alarming(at(*words)) is True
    assert _is_alarming(at(*words, "--at", then)) is False


def _is_alarming(told: list[dict[str, Any]]) -> bool | None:
    verdict: bool | None = told[0]["conditions"][0]["terms"][0]["verdict"]
    return verdict


def test_what_each_rule_did_is_told_beside_the_running_hub(at: Burning) -> None:
    at.burn()
    (told,) = at.until("rules", "stats", "smoke-latched", meets=lambda found: found[0]["fired"])
    assert told["evaluated"] >= told["true"] >= 1
    assert told["each_ns"] > 0
    lines = at.installation.page("/metrics")[1].decode().splitlines()
    assert [line for line in lines if line.startswith("hub_rules_fired_total{") and "smoke-latched" in line]
    assert "did you mean smoke-latched?" in at.refused("rules", "stats", "smoke-latchd")


def test_a_device_that_nobody_registered_is_not_explained(at: Burning) -> None:
    assert "the hub knows no willow/nobody" in at.refused(
        "rules", "explain", "smoke-alarm", "--device", "willow/nobody"
    )
