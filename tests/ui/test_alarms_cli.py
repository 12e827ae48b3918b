"""Alarms beside a running hub: what people see, do about them, and can prove afterwards."""

from __future__ import annotations

import os
import pwd
from datetime import UTC, datetime
from pathlib import Path

import orjson

from hub.clock import SystemClock
from hub.rules.pseudonyms import pseudonym
from tests.machine import needs_mosquitto
from tests.ui import latching as scene
from tests.ui.installation import FIRE, GATE, NORMAL, SENSOR, SITE
from tests.ui.latching import KEY, TELEMETRY, Burning, is_calm

CARD = "4711471147"

pytestmark = needs_mosquitto
latching, at = scene.latching, scene.at


def test_the_worst_alarm_is_listed_first_with_its_place_in_the_words_of_the_registry(at: Burning) -> None:
    at.burn()
    lines = at.said("alarms", "list").out.splitlines()
    assert ["critical" in lines[1], "high" in lines[2]] == [True, True]
    assert f"柳园 › {SENSOR}" in lines[1]


def test_that_nothing_is_active_at_a_site_that_is_not_there_is_not_said(at: Burning) -> None:
    at.burn()
    assert "[site_unknown]" in at.refused("alarms", "list", "--site", "wilow")
    assert at("alarms", "list", "--site", SITE) != []


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
    at.until("telemetry", "query", "smoke_sensor", SENSOR, meets=is_calm)
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
