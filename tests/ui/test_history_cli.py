"""Alarms, events and traces beside a running hub: what people see, do and can prove afterwards."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from hub.clock import SystemClock
from hub.config.settings import read_settings
from hub.rules.pseudonyms import pseudonym
from hub.services.child import free_port
from hub.sinks.redis_link import Link, RedisAddress
from hub.sinks.streams import domain_key
from hub.ui.atlas import Atlas
from hub.ui.desk.desk import Desk
from hub.ui.history import History, Wanted
from tests.machine import needs_mosquitto
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import FIRE, GATE, NORMAL, SENSOR, SITE, Installation

TELEMETRY = f"hub/{SITE}/{SENSOR}/telemetry"
KEY = f"{SITE}/{SENSOR}"
LATCHED = """
rule: smoke-latched
label: {en: Smoke that a person must end, zh: 需人工解除的烟雾}
for_each: smoke_sensor
when: status == 'alarm'
raise: {event: fire.smoke_latched, severity: high}
clear: {by: operator, role: security}
do:
  - {command: unlock, args: {ttl: 30s}, to: {kind: access_controller, in: site}, priority: life_safety}
---
rule: exit-pressed
label: {en: The exit button is pressed, zh: 出门按钮被按下}
for_each: access_controller
on_signal: exit_button.pressed
raise: {event: access.exit_pressed, severity: low}
escalate: [{after: 1s, to: property_lead}, {after: 1h, to: street}]
clear: {by: operator}
---
rule: card-refused
label: {en: A card is refused, zh: 卡被拒}
for_each: {value: card, of: access_controller, forget_after: 1d}
on_signal: access.denied
raise: {event: access.card_refused, severity: low}
"""
CARD = "4711471147"

pytestmark = needs_mosquitto


@pytest.fixture(scope="module")
def latching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start an installation with a rule of its own, whose alarm sends a command and is ended by a person."""
    directory = tmp_path_factory.mktemp("latching")
    it = Installation(directory)
    rules = directory / "rules"
    rules.mkdir()
    (rules / "latched.yaml").write_text(LATCHED, encoding="utf-8")
    with it.config.open("a", encoding="utf-8") as config:
        config.write(f'rules_dir = "{rules}"\n')
    with it:
        yield it


class Burning(At):
    """The CLI beside an installation whose sensor can burn."""

    def burn(self) -> dict[str, Any]:
        """Let the sensor report smoke; return its alarm that a person must end."""
        self.installation.publish(TELEMETRY, FIRE)
        alarms = self.until("alarms", "list", meets=lambda found: _latched(found) and len(found) == 2)
        self.until("events", "list", "--type", "fire.smoke_latched", meets=bool)
        return _latched(alarms)[0]

    def calm(self) -> None:
        """Let the sensor be normal, and end what a person must end."""
        self.installation.publish(TELEMETRY, NORMAL)
        self.until("telemetry", "query", "smoke_sensor", SENSOR, meets=_is_calm)
        for alarm in _latched(self("alarms", "list")):
            self("alarms", "clear", alarm["id"], "--role", "security")
        self.until("alarms", "list", meets=lambda found: not _latched(found))


def _latched(alarms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [alarm for alarm in alarms if alarm["rule"] == "smoke-latched"]


def _is_calm(rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and rows[-1]["fields"].get("status") == "normal"


@pytest.fixture
def at(cli: Cli, latching: Installation) -> Iterator[Burning]:
    here = Burning(cli, latching)
    yield here
    here.calm()


async def _trimmed(installation: Installation, *domains: str) -> None:
    """Empty streams as their retention does."""
    url = read_settings(installation.config).redis.url.get_secret_value()
    async with Link(RedisAddress(url=url)) as link:
        for domain in domains:
            await link.ask("XTRIM", domain_key(domain), "MAXLEN", 0)


# -------------------------------------------------------------------------------------------------------------- alarms


def test_the_worst_alarm_is_listed_first_with_its_place_in_the_words_of_the_registry(at: Burning) -> None:
    at.burn()
    lines = at.said("alarms", "list").out.splitlines()
    assert ["critical" in lines[1], "high" in lines[2]] == [True, True]
    assert f"柳园 › {SENSOR}" in lines[1]


def test_a_comment_becomes_part_of_the_history_of_its_alarm(at: Burning) -> None:
    alarm = at.burn()
    reply = at("alarms", "comment", alarm["id"], "有人在煎鱼", "--as", "li")
    assert (reply["ok"], reply["code"]) == (True, "ok")
    shown = at.until("alarms", "show", alarm["id"], meets=lambda found: len(found["history"]) == 2)
    assert [(event["transition"], event["data"].get("actor")) for event in shown["history"]] == [
        ("raised", None),
        ("commented", "li"),
    ]
    assert shown["history"][1]["data"]["comment"] == "有人在煎鱼"


def test_a_dossier_holds_the_bytes_the_rule_and_who_did_what_and_tells_when_it_was_changed(
    at: Burning, tmp_path: Path
) -> None:
    alarm = at.burn()
    at("alarms", "ack", alarm["id"], "--as", "li")
    at.until("alarms", "show", alarm["id"], meets=lambda found: found["alarm"]["acknowledged_by"] == "li")
    at.until("audit", "--what", "control.ack", meets=bool)
    assert at.said("commands", "send", SITE, SENSOR, "unlock", "--as", "zhao").code == 1  # it cannot, and it was asked
    at.until("audit", "--what", "control.command", meets=bool)
    file = tmp_path / "the14th.jsonl"
    made = at("alarms", "dossier", alarm["id"], str(file))
    assert made["proven"] is True
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert [lines[0]["what"], lines[1]["what"], lines[-1]["what"]] == ["about", "proof", "seal"]
    proof = lines[1]["body"]
    assert bytes.fromhex(proof["causes"][0]["payload"]) == FIRE
    assert proof["rule"]["rule"] == "smoke-latched"
    happened = [line["body"]["transition"] for line in lines if line["what"] == "event"]
    assert {"raised", "acknowledged"} <= set(happened)
    assert {"li", "zhao"} <= {line["body"]["actor"] for line in lines if line["what"] == "asked"}

    whole = at("alarms", "verify", str(file), "--key", made["public_key"])
    assert (whole["digest"], whole["about"]["event"]) == (made["digest"], alarm["id"])
    file.write_bytes(file.read_bytes().replace(b'"li"', b'"wu"', 1))
    assert "[dossier_broken]" in at.refused("alarms", "verify", str(file))


def test_a_comment_without_words_is_refused(at: Burning) -> None:
    alarm = at.burn()
    said = at.said("alarms", "comment", alarm["id"], " ")
    assert (said.code, said.out.split()[:2]) == (1, ["refused:", "bad_comment"])


def test_who_does_not_say_who_asks_is_the_user_of_the_operating_system(at: Burning) -> None:
    alarm = at.burn()
    at("alarms", "ack", alarm["id"])
    shown = at.until("alarms", "show", alarm["id"], meets=lambda found: found["alarm"]["acknowledged_by"])
    assert shown["alarm"]["acknowledged_by"] == pwd.getpwuid(os.getuid()).pw_name


def test_a_shelved_alarm_is_put_away_for_a_while_and_taken_back(at: Burning) -> None:
    alarm = at.burn()
    assert at("alarms", "shelve", alarm["id"], "--for", "8h", "--as", "li")["ok"] is True
    shelved = at.until("alarms", "list", meets=lambda found: any(each["shelved_until"] for each in found))
    assert [each["rule"] for each in shelved if each["shelved_until"] > each["since"]] == ["smoke-latched"]
    assert at("alarms", "shelve", alarm["id"], "--for", "0s")["ok"] is True
    at.until("alarms", "list", meets=lambda found: not any(each["shelved_until"] for each in found))


def test_an_alarm_that_ends_by_itself_cannot_be_cleared_by_a_person(at: Burning) -> None:
    at.burn()
    said = at.said("alarms", "clear", "smoke-alarm", KEY)
    assert (said.code, said.out.split()[:2]) == (1, ["refused:", "not_latched"])


def test_a_latched_alarm_is_not_cleared_while_its_cause_lasts(at: Burning) -> None:
    alarm = at.burn()
    said = at.said("alarms", "clear", alarm["id"], "--role", "security")
    assert (said.code, said.out.split()[:2]) == (1, ["refused:", "still_true"])


def test_a_latched_alarm_is_cleared_only_in_the_role_that_its_rule_asks_for(at: Burning) -> None:
    alarm = at.burn()
    at.installation.publish(TELEMETRY, NORMAL)
    at.until("telemetry", "query", "smoke_sensor", SENSOR, meets=_is_calm)
    said = at.said("alarms", "clear", alarm["id"], "--role", "cleaning")
    assert (said.code, said.out.split()[:2]) == (1, ["refused:", "role_needed"])
    assert at("alarms", "clear", alarm["id"], "--role", "security", "--as", "li")["ok"] is True
    shown = at.until("alarms", "show", alarm["id"], meets=lambda found: not found["is_active"])
    assert [(each["data"]["actor"], each["data"]["role"]) for each in shown["history"][-1:]] == [("li", "security")]


def test_whom_an_alarm_climbed_to_is_shown_while_it_stands_and_when_it_is_over(at: Burning) -> None:
    at.installation.publish(f"hub/{SITE}/{GATE}/signal", orjson.dumps(_pressed()))
    alarms = at.until("alarms", "list", meets=lambda found: [each["escalated"] for each in found] == [1])
    shown = at.until("alarms", "show", alarms[0]["id"], meets=lambda found: len(found["history"]) == 2)
    climbed = shown["history"][-1]
    assert (climbed["transition"], climbed["data"]["to"], climbed["data"]["step"]) == ("escalated", "property_lead", 1)
    assert "escalated to property_lead (step 1)" in at.said("alarms", "show", alarms[0]["id"]).out
    at("alarms", "clear", alarms[0]["id"])
    over = at.until("alarms", "show", alarms[0]["id"], meets=lambda found: not found["is_active"])["alarm"]
    assert (over["escalated"], over["escalated_to"]) == (1, "property_lead")


def _pressed() -> dict[str, object]:
    now = datetime.fromtimestamp(SystemClock().wall_ns() // 10**9, UTC)
    said = {"majorEventType": 5, "subEventType": 0x17, "doorNo": 1, "serialNo": 78, "currentEvent": True}
    words = {"eventType": "AccessControllerEvent", "eventState": "active", "AccessControllerEvent": said}
    return {"dateTime": now.isoformat(), **words}


def test_a_card_goes_by_a_pseudonym_of_this_installation_in_what_a_rule_for_cards_tells(at: Burning) -> None:
    now = datetime.fromtimestamp(SystemClock().wall_ns() // 10**9, UTC)
    body = {
        "dateTime": now.isoformat(), "eventType": "AccessControllerEvent",
        "eventState": "active",
        "AccessControllerEvent": {
            "majorEventType": 5, "subEventType": 9, "doorNo": 1, "serialNo": 77, "currentEvent": True, "cardNo": CARD,
        },
    }  # fmt: skip
    at.installation.publish(f"hub/{SITE}/{GATE}/signal", orjson.dumps(body))
    (event,) = at.until("events", "list", "--type", "access.card_refused", meets=bool)
    key = at.installation.directory / "data" / "pseudonyms.key"
    token = pseudonym("card", CARD, key.read_bytes())
    assert (event["part"], event["data"]["card"], event["data"]["device"]) == (token, token, GATE)
    assert event["place"] == {"id": SITE, "type": "site", "label": {"zh": "柳园"}}
    assert key.stat().st_mode & 0o777 == 0o600


def test_an_alarm_is_shown_with_its_cause_its_terms_and_its_commands(at: Burning) -> None:
    alarm = at.burn()
    shown = at.until("alarms", "show", alarm["id"], meets=lambda found: found["terms"][0]["now"] == "alarm")
    assert shown["is_active"] is True
    assert [TELEMETRY in line and "status=alarm" in line for line in shown["heard"]] == [True]
    assert shown["terms"][0] == {"name": "status", "then": "alarm", "now": "alarm"}
    assert [(command["command"], command["device"]) for command in shown["commands"]] == [("unlock", GATE)]
    for words in ("cause", "status  alarm", "raised", "unlock"):
        assert words in at.said("alarms", "show", alarm["id"]).out


def test_a_command_that_nobody_takes_is_shown_with_its_end(at: Burning) -> None:
    alarm = at.burn()
    shown = at.until("alarms", "show", alarm["id"], meets=lambda found: found["commands"][0]["state"] == "failed")
    assert {"id": f"{alarm['id']}-1", "detail": "no_matching_subscribers"}.items() <= shown["commands"][0].items()


def test_an_alarm_that_is_over_is_still_shown_with_who_ended_it(at: Burning) -> None:
    alarm = at.burn()
    at.calm()
    shown = at.until("alarms", "show", alarm["id"], meets=lambda found: len(found["history"]) == 2)
    assert (shown["is_active"], shown["history"][-1]["transition"]) == (False, "cleared")
    assert shown["history"][-1]["data"]["actor"] == pwd.getpwuid(os.getuid()).pw_name


# -------------------------------------------------------------------------------------------------------------- events


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--type", "fire"), {"fire.smoke_alarm", "fire.smoke_latched"}),
        (("--type", "*.smoke_latched"), {"fire.smoke_latched"}),
        (("--severity", "critical"), {"fire.smoke_alarm"}),
        (("--domain", "fire", "--severity", "high"), {"fire.smoke_latched"}),
        (("--device", f"{SITE}/{SENSOR}", "--type", "fire.smoke_alarm"), {"fire.smoke_alarm"}),
        (("--device", "nobody"), set()),
        (("--place", SITE, "--type", "fire.smoke_latched"), {"fire.smoke_latched"}),
        (("--place", "nowhere"), set()),
    ],
    ids=lambda each: " ".join(sorted(each)),
)
def test_events_are_listed_by_what_was_asked(at: Burning, words: tuple[str, ...], names: set[str]) -> None:
    at.burn()
    assert {event["name"] for event in at("events", "list", "--since", "1h", *words)} == names


def test_a_limit_counts_wanted_events_only(at: Burning) -> None:
    at.burn()
    first = at("events", "list", "--since", "1h", "--type", "fire.smoke_latched", "--limit", "1")
    assert [event["name"] for event in first] == ["fire.smoke_latched"]


def test_events_that_the_streams_no_longer_hold_are_listed_from_the_store(at: Burning) -> None:
    alarm = at.burn()
    before = at("events", "list", "--type", "fire", "--since", "1h")
    asyncio.run(_trimmed(at.installation, "fire"))
    after = at.until("events", "list", "--type", "fire", "--since", "1h", meets=lambda found: len(found) >= len(before))
    assert [event["id"] for event in after] == [event["id"] for event in before]
    assert alarm["id"] in {event["id"] for event in after}


def test_events_and_alarms_of_before_redis_was_emptied_are_listed_still(at: Burning) -> None:
    words = ("events", "list", "--since", "1h", "--limit", "1000")
    alarm = at.burn()
    assert alarm["id"] in {event["id"] for event in at(*words)}
    asyncio.run(_emptied(at.installation))
    at.until("alarms", "list", meets=lambda found: alarm["id"] in {each["id"] for each in found})
    at.until(*words, meets=lambda found: alarm["id"] in {event["id"] for event in found})


async def _emptied(installation: Installation) -> None:
    url = read_settings(installation.config).redis.url.get_secret_value()
    async with Link(RedisAddress(url=url)) as link:
        await link.ask("FLUSHALL")


def test_a_store_that_is_away_hides_no_event_of_now(
    at: Burning, cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alarm = at.burn()
    asyncio.run(_emptied(at.installation))
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


# --------------------------------------------------------------------------------------------------------------- trace


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
    proof = at.until(
        "trace", alarm["id"], meets=lambda found: any(e["name"].startswith("command.") for e in found["story"])
    )
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
    asyncio.run(_trimmed(at.installation, "fire"))
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


# ----------------------------------------------------------------------------------------------------------- explained


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
