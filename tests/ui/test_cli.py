"""The command line beside a running hub: alarms, events, telemetry, dead letters, commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess

import pytest

from hub.model.effects import Event, Transition
from hub.model.values import Severity
from hub.sinks.redis_link import Link, RedisAddress, checked
from hub.sinks.streams import pack_event
from tests.machine import needs_mosquitto
from tests.ui.burning import TELEMETRY, Burning, in_thread
from tests.ui.conftest import Cli
from tests.ui.installation import BROKEN, GATE, NORMAL, SENSOR, SITE, Installation, environment, hub_command
from tests.ui.listener import Listener, Meter
from tests.waiting import PATIENCE_SECONDS

METER = "meter-1"

pytestmark = needs_mosquitto


async def written(url: str, event: Event) -> None:
    """Write an event into its stream."""
    async with Link(RedisAddress(url=url)) as link:
        checked((await link.exchange([pack_event(event, "test")], 1))[0])


@pytest.fixture
def at(cli: Cli, installation: Installation) -> Burning:
    return Burning(cli, installation)


def test_smoke_is_an_alarm_that_an_operator_acknowledges_once(at: Burning) -> None:
    alarm = at.burn()
    assert (alarm["name"], alarm["severity"], alarm["key"]) == ("fire.smoke_alarm", "critical", f"{SITE}/{SENSOR}")
    first = at("alarms", "ack", alarm["id"][:10], "--as", "li")
    assert (first["ok"], first["code"]) == (True, "ok")
    at.until("alarms", "list", meets=lambda alarms: alarms[0]["acknowledged_by"] == "li")
    again = at.said("alarms", "ack", alarm["rule"], alarm["key"])
    assert (again.code, again.out.split()[:2]) == (1, ["refused:", "already_acknowledged"])


def test_an_alarm_is_listed_with_its_names_and_place(at: Burning) -> None:
    at.burn()
    table = at.said("alarms", "list").out
    assert "critical  烟雾报警 / Smoke alarm" in table
    assert f"柳园 › {SENSOR}" in table


def test_an_alarm_id_that_nothing_begins_with_is_a_mistake(at: Burning) -> None:
    said = at.said("alarms", "ack", "zzz")
    assert said.code == 2
    assert "alarm_unknown" in said.err


def test_events_are_listed_with_what_was_true(at: Burning) -> None:
    alarm = at.burn()
    events = at.until("events", "list", "--domain", "fire", "--since", "1h")
    terms = {"alarm": True, "status": "alarm", "testing": False}
    assert {"id": alarm["id"], "transition": "raised", "data": terms}.items() <= events[0].items()
    assert at("events", "list", "--domain", "care") == []


def test_events_are_followed_until_ctrl_c_without_a_word_of_complaint(at: Burning) -> None:
    command = hub_command("--config", str(at.installation.config), "events", "tail", "--json")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment(), text=True) as tail:
        assert tail.stdout is not None
        os.set_blocking(tail.stdout.fileno(), False)

        def line() -> object:
            at.said("commands", "send", SITE, GATE, "unlock", "--part", "door-1")
            return tail.stdout.readline() if tail.stdout else None

        # Nobody answers the gate's commands here: each is an event when its time is up.
        event = json.loads(str(in_thread(line)))
        tail.send_signal(signal.SIGINT)
        assert (tail.wait(PATIENCE_SECONDS), tail.stderr.read() if tail.stderr else "") == (130, "")
    assert event["name"].startswith("command.")


def test_telemetry_is_read_back_as_it_was_measured(at: Burning) -> None:
    at.installation.publish(TELEMETRY, NORMAL)
    states = {"status": "normal", "alarm": False, "testing": False}
    wanted = {**states, "battery": 100.0, "concentration": 30.0, "temperature": 26.0}
    rows = at.until(
        "telemetry", "query", "smoke_sensor", SENSOR, meets=lambda rows: any(row["fields"] == wanted for row in rows)
    )
    assert rows[-1]["tags"]["site"] == SITE
    some = at("telemetry", "query", "smoke_sensor", SENSOR, "-p", "battery")
    assert {name for row in some for name in row["fields"]} == {"battery"}


def test_telemetry_for_people_has_a_course_of_each_number(at: Burning) -> None:
    at.installation.publish(TELEMETRY, NORMAL)
    at.until("telemetry", "query", "smoke_sensor", SENSOR)
    table = at.said("telemetry", "query", "smoke_sensor", SENSOR).out
    assert "battery              ▁" in table
    assert "status               ▁" not in table


def test_a_name_that_cannot_be_a_measurement_is_a_mistake(at: Burning) -> None:
    said = at.said("telemetry", "query", 'x"; DROP', SENSOR)
    assert said.code == 2
    assert "bad_name" in said.err


def test_a_dead_letter_is_listed_and_shown_with_its_bytes(at: Burning) -> None:
    at.installation.publish(TELEMETRY, BROKEN)
    letter = at.until("dead-letters", "list", "--code", "bad_checksum")[0]
    assert (letter["topic"], letter["payload"]) == (TELEMETRY, BROKEN.hex())
    number = str(letter["number"])
    assert at("dead-letters", "show", number)["detail"] == letter["detail"]
    assert "00000000  22 11 64 32 1f 19" in at.said("dead-letters", "show", number).out
    assert at.said("dead-letters", "show", number, "--raw").out.encode() == BROKEN


def test_a_dead_letter_that_is_not_there_is_a_mistake(at: Burning) -> None:
    at.installation.publish(TELEMETRY, BROKEN)
    at.until("dead-letters", "list")
    assert at.said("dead-letters", "show", "999999").code == 2


def test_a_command_is_accepted_for_a_device_that_knows_it(at: Burning) -> None:
    reply = at("commands", "send", SITE, GATE, "unlock", "--part", "door-1", "--arg", "ttl=5s")
    assert (reply["ok"], reply["code"]) == (True, "accepted")


@pytest.mark.parametrize(
    ("device", "command", "code"), [("nobody", "unlock", "unknown_device"), (GATE, "fly", "unknown_command")]
)
def test_a_command_that_cannot_be_is_refused(at: Burning, device: str, command: str, code: str) -> None:
    said = at.said("commands", "send", SITE, device, command)
    assert (said.code, said.out.split()[:2]) == (1, ["refused:", code])


def test_a_place_is_asked_by_its_name_and_a_second_person_agrees_only_to_what_was_asked(at: Burning) -> None:
    said = at.said("commands", "send", SITE, "@nowhere", "unlock")
    assert (said.code, said.out.split()[:2]) == (1, ["refused:", "unknown_place"])
    said = at.said("commands", "confirm", SITE, "7c9e6679-7425-40de-944b-e07fc1f90ae7", "--as", "wang")
    assert (said.code, said.out.split()[:2]) == (1, ["refused:", "no_such_request"])


def test_a_hold_is_listed_shown_with_who_caused_it_and_taken_back(at: Burning) -> None:
    words = ("commands", "send", SITE, GATE, "unlock", "--part", "door-2", "--arg", "ttl=50s", "--as", "li")
    with Listener(at.installation.broker.port, GATE) as gate:
        in_thread(lambda: gate.is_listening)
        hold = at(*words)["detail"]
        (row,) = [each for each in at("commands", "list", "--site", SITE, "--state", "open") if each["id"] == hold]
        assert (row["command"], row["part"], row["cause"], row["state"]) == ("unlock", "door-2", "operator li", "holds")
        shown = at.until("commands", "show", hold[:13], meets=lambda one: one["steps"][-1]["what"] == "delivered")
        assert [step["what"] for step in shown["steps"]] == ["wanted", "accepted", "sent", "delivered"]
        assert (shown["hold"]["release"], shown["args"]) == ("lock", {"ttl": 50_000})
        told = at.said("commands", "show", hold).out
        assert f"by operator li, with priority operator  ttl=50000\nhold {hold} holds" in told
        assert at("commands", "cancel", SITE, hold, "--reason", "enough", "--as", "wang")["code"] == "cancelled"
        release = at.until("commands", "list", meets=lambda rows: rows[0]["detail"] == "lock delivered")[0]
        assert (release["state"], release["cause"]) == ("releases", "operator wang")
        in_thread(lambda: gate.told[-1]["command"] == "lock")
        again = at.said("commands", "cancel", SITE, hold, "--as", "wang")
        assert (again.code, again.out.split()[:2]) == (1, ["refused:", "already_over"])


def test_a_command_that_is_older_than_the_memory_of_the_hub_is_shown_from_its_event(at: Burning) -> None:
    words = {"command": "lock", "detail": "jammed", "priority": "operator"}
    old = Event(
        id="e1", name="command.rejected", severity=Severity.MEDIUM, transition=Transition.OCCURRED, number=1,
        time=1_772_352_000_240_000_000, key=f"{SITE}/{GATE}", rule="operator zhao", rule_version="", site=SITE,
        device=GATE, part="door-1",
        data={**words, "id": "old-1", "accepted_at": 1_772_352_000_000, "steps": "sent 12, rejected 240"},
    )  # fmt: skip
    asyncio.run(written(at.installation.redis.url, old))
    shown = at("commands", "show", "old-")
    assert (shown["cause"], shown["state"], shown["part"]) == ("operator zhao", "rejected", "door-1")
    assert shown["steps"] == [
        {"what": "accepted", "at": 1_772_352_000_000, "detail": ""},
        {"what": "sent", "at": 1_772_352_000_012, "detail": ""},
        {"what": "rejected", "at": 1_772_352_000_240, "detail": "jammed"},
    ]
    assert "old-1" in [each["id"] for each in at("commands", "list", "--since", "1h", "--state", "rejected")]
    assert "old-1" not in [each["id"] for each in at("commands", "list")]
    assert "state_unknown" in at.refused("commands", "list", "--state", "done")
    unknown = at.said("commands", "show", "nothing-like-it")
    assert (unknown.code, "command_unknown" in unknown.err) == (2, True)


def test_a_device_that_comes_back_gets_what_is_desired_once_also_when_the_hub_was_killed_meanwhile(at: Burning) -> None:
    which = f"{SITE}/{METER}"
    at("devices", "add", SITE, METER, "--kind", "water_meter")
    wish = ("twin", "set", which, "valve=closed", "--reason", "frost", "--as", "li")
    in_thread(lambda: at.said(*wish).code == 0)  # once the hub knows of it
    at.installation.kill()
    at.installation.start()
    waiting = at.until("twin", "show", METER)[0]
    assert (waiting["reported"], waiting["desired"]["valve"]["progress"]) == ({}, "pending")
    with Meter(at.installation.broker.port, METER) as meter:
        shown = at.until(
            "twin", "show", which, meets=lambda rows: rows[0]["desired"]["valve"]["progress"] == "satisfied"
        )
        assert shown[0]["reported"]["valve"][0] == "closed"
        assert [each["command"] for each in meter.told] == ["close_valve"]
    (command,) = at("commands", "list", "--device", METER)
    assert (command["cause"], command["priority"], command["state"]) == (
        "desired by operator li",
        "convenience",
        "verified",
    )
    told = at.until("events", "list", "--type", "device.reconciled", "--since", "1h")
    assert (told[0]["device"], told[0]["data"]["desired"]) == (METER, "closed")
    table = at.said("twin", "show", which).out
    assert "closed" in table
    assert "satisfied" in table
    assert at("twin", "unset", which, "valve", "--reason", "thaw")["valve"]["code"] == "cleared"
    wrong = at.said("twin", "set", which, "flow=3", "--reason", "x")
    assert (wrong.code, wrong.out.split()[:3]) == (1, ["flow:", "refused:", "not_writable"])
    assert "twin_unknown" in at.refused("twin", "show", f"{SITE}/nobody")


def test_an_option_that_says_nothing_is_a_mistake(at: Burning) -> None:
    assert at.said("commands", "send", SITE, GATE, "unlock", "--arg", "ttl").code == 2
