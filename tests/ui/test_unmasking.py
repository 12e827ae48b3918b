"""Plates, cards and persons that a running hub has heard: nowhere on the screen, unless somebody says why."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import orjson
import pytest

from hub.catalogue import Typed
from hub.clock import SystemClock
from hub.config import packaged
from hub.ui.profile_shelf import Shelf
from tests.machine import needs_mosquitto
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import GATE, SITE, Installation, environment, hub_command
from tests.waiting import wait_until

PLATE, CARD, PERSON = "鲁B7K2M9", "8844221133", "P-55190042"
PLANTED = (PLATE, CARD, PERSON)
LANE = "lane-cam"
WHY = ("--unmask", "--reason", "ticket 9")
RULES = """
rule: plate-watched
label: {en: A plate that is watched, zh: 关注车辆}
for_each: plate_reader
when: listed == 'block' and plate != 'none'
raise: {event: vehicle.watched, severity: low}
---
rule: card-told
label: {en: A card is told, zh: 卡号}
for_each: {value: card, of: access_controller, forget_after: 1d, reveal: true}
on_signal: access.denied
raise: {event: access.card_told, severity: low}
"""

pytestmark = needs_mosquitto


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start an installation with a camera and a rule that tells plates and one that reveals cards."""
    directory = tmp_path_factory.mktemp("passing")
    it = Installation(directory)
    (directory / "rules").mkdir()
    (directory / "rules" / "own.yaml").write_text(RULES, encoding="utf-8")
    with it.config.open("a", encoding="utf-8") as config:
        config.write(f'rules_dir = "{directory / "rules"}"\n')
    try:
        it.open()
        words = ("devices", "add", SITE, LANE, "--kind", "plate_reader")
        subprocess.run(hub_command("--config", str(it.config), *words), env=environment(), check=True)
        yield it
    finally:
        it.close()


class Gatehouse(At):
    """The CLI beside an installation at whose gate vehicles and people pass."""

    def plant(self) -> None:
        """Let a vehicle and a person pass, and send what is broken and what nobody registered; wait for all of it."""
        lane = {"values": {"plate": PLATE, "listed": "block", "direction": "in"}}
        self.installation.publish(f"hub/{SITE}/{LANE}/telemetry", orjson.dumps(lane))
        self.swipe(granted=True)
        self.swipe(granted=False)
        broken = {"values": {"confidence": PLATE, "plate": PLATE}}
        self.installation.publish(f"hub/{SITE}/{LANE}/telemetry", orjson.dumps(broken))
        self.installation.publish(f"hub/{SITE}/{GATE}/signal", orjson.dumps({"cardNo": CARD, "employeeNo": PERSON}))
        stranger = {"eventType": "AccessControllerEvent", "dateTime": _now(), "AccessControllerEvent": _passage(75)}
        self.installation.publish(f"hub/{SITE}/stranger/signal", orjson.dumps(stranger))
        self.until("alarms", "list", meets=lambda found: [one for one in found if one["rule"] == "plate-watched"])
        for name in ("access.passage", "access.card_told", "vehicle.passage"):
            self.until("events", "list", "--type", name)
        self.until("dead-letters", "list", meets=lambda found: len(found) >= 3)
        self.until("telemetry", "query", "plate_reader", LANE)
        self.until("telemetry", "query", "event", GATE)

    def swipe(self, *, granted: bool) -> None:
        """Let a person hold a card to the gate."""
        body = {
            "eventType": "AccessControllerEvent", "eventState": "active", "dateTime": _now(),
            "AccessControllerEvent": _passage(75 if granted else 9),
        }  # fmt: skip
        self.installation.publish(f"hub/{SITE}/{GATE}/signal", orjson.dumps(body))

    def words(self, verb: str) -> tuple[str, ...]:
        """Return a command line with what it needs to name: an alarm, an event, a dead letter."""
        match verb.split():
            case ["alarms", "show"]:
                return (*verb.split(), self._alarm())
            case ["rules", "explain"]:
                return (*verb.split(), "--alarm", self._alarm())
            case ["trace", name]:
                return ("trace", self("events", "list", "--type", name)[0]["id"])
            case ["dead-letters", "show", device]:
                letters = self("dead-letters", "list")
                found = next(each["number"] for each in letters if each["device"] == device)
                return ("dead-letters", "show", str(found))
            case words:
                return tuple(words)

    def _alarm(self) -> str:
        return next(str(each["id"]) for each in self("alarms", "list") if each["rule"] == "plate-watched")

    def looks(self) -> list[tuple[str, str, str, str]]:
        """Return who looked at what and why, by the audit."""
        lines = [line for line in self("audit") if line["what"].endswith(".unmasked")]
        return [(line["os_user"], line["what"], line["subject"], line["reason"]) for line in lines]


def _now() -> str:
    return datetime.fromtimestamp(SystemClock().wall_ns() // 10**9, UTC).isoformat()


def _passage(code: int) -> dict[str, object]:
    number = SystemClock().wall_ns() // 1_000 % 10**9
    return {
        "majorEventType": 5, "subEventType": code, "doorNo": 1, "serialNo": number, "currentEvent": True,
        "cardNo": CARD, "employeeNoString": PERSON,
    }  # fmt: skip


@pytest.fixture(scope="module")
def planted() -> list[str]:
    """Remember, for the tests of this file, that everything is planted."""
    return []


@pytest.fixture
def at(cli: Cli, passing: Installation, planted: list[str]) -> Gatehouse:
    here = Gatehouse(cli, passing)
    if not planted:
        here.plant()
        planted.append("all")
    return here


VERBS = (
    "events list", "alarms list", "alarms show", "rules explain", "devices pending", "dead-letters list",
    f"dead-letters show {LANE}", f"telemetry query plate_reader {LANE}",
    f"telemetry query event {GATE}", "trace access.passage", "trace access.card_told",
)  # fmt: skip


def written(planted: str) -> Sequence[str]:
    """Return the ways in which a value can stand on a screen."""
    raw = planted.encode()
    return planted, raw.hex(), raw.hex(" "), repr(raw)[2:-1], orjson.dumps(planted).decode()[1:-1]


def seen(out: str) -> set[str]:
    """Return what was planted and is on the screen."""
    return {each for each in PLANTED if any(way in out for way in written(each))}


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_that_leads_to_a_person_is_on_the_screen(at: Gatehouse, verb: str) -> None:
    words = at.words(verb)
    for said in (at.said(*words), at.said(*words, "--json")):
        assert (said.code, seen(said.out), "00000000  " in said.out) == (0, set(), False)


@pytest.mark.parametrize("verb", VERBS)
def test_whoever_says_why_sees_it_and_the_audit_has_one_line_of_it(at: Gatehouse, verb: str) -> None:
    words, before = at.words(verb), at.looks()
    assert seen(at.said(*words, *WHY, "--json").out)
    (look,) = at.looks()[len(before) :]
    assert (look[0], look[3]) == (pwd.getpwuid(os.getuid()).pw_name, "ticket 9")
    assert look[1].partition(".")[0] == look[2].partition("/")[0]
    assert look[2].endswith(("/list", words[-1], words[-1].partition("/")[2]))


def test_who_does_not_say_why_sees_nothing_and_is_told_so(at: Gatehouse) -> None:
    before = at.looks()
    named = {"alarms show": "alarms show x", f"dead-letters show {LANE}": "dead-letters show 1"}
    for verb in (*VERBS, "events tail"):
        said = at.said(*named.get(verb, verb).split(), "--unmask", "--reason", " ", "--json")
        assert (said.code, said.out, "[reason_needed]" in said.err) == (2, "", True), verb
    assert at.looks() == before


def test_events_that_are_followed_are_masked_until_somebody_says_why(at: Gatehouse) -> None:
    assert seen(followed(at)) == set()
    before = at.looks()
    assert seen(followed(at, *WHY, "--json")) == {CARD, PERSON}
    assert [look[1:] for look in at.looks()[len(before) :]] == [("event.unmasked", "event/tail", "ticket 9")]


def followed(at: Gatehouse, *words: str) -> str:
    """Return the first line that following the events of doors prints."""
    command = hub_command("--config", str(at.installation.config), "events", "tail", "--domain", "access", *words)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), text=True) as tail:
        assert tail.stdout is not None
        os.set_blocking(tail.stdout.fileno(), False)

        def line() -> str:
            at.swipe(granted=True)
            return tail.stdout.readline() if tail.stdout else ""

        found = asyncio.run(wait_until(lambda: asyncio.to_thread(line), seconds=20))
        tail.send_signal(signal.SIGINT)
        tail.wait(10)
    return str(found)


def test_the_bytes_alone_of_what_may_tell_of_persons_are_refused_without_a_reason(at: Gatehouse) -> None:
    words = (*at.words(f"dead-letters show {LANE}"), "--raw")
    assert "[unmask_needed]" in at.refused(*words)
    assert PLATE in at.said(*words, *WHY).out


def test_what_is_left_out_is_said_with_its_size_and_its_format(at: Gatehouse) -> None:
    letter = at(*at.words(f"dead-letters show {GATE}"))
    assert (letter["payload"], letter["left_out"], letter["format"]) == (None, True, "json")
    assert letter["payload_bytes"] > len(CARD)
    said = at.said("dead-letters", "list").out
    assert "left out: it may tell of persons; --unmask --reason TEXT shows it" in said


def test_a_reading_of_a_person_is_proven_without_showing_who_it_was(at: Gatehouse) -> None:
    proof = at(*at.words("trace access.passage"))
    (cause,) = proof["causes"]
    assert (proof["proven"], cause["left_out"], cause["payload"], cause["decoded"]["marks"]) == (True, True, None, [])
    (reading,) = cause["decoded"]["readings"]
    assert (reading["signals"][0]["name"], reading["signals"][0]["data"]["card"]) == ("access.granted", "88***3")


def test_every_kind_marks_what_is_called_a_plate_a_card_or_a_person() -> None:
    kinds = Shelf([packaged("device_profiles") / "kinds"]).catalogue.kinds.values()
    named: list[tuple[str, Typed]] = [pair for kind in kinds for pair in kind.scalars()]
    personal = [typed.personal for name, typed in named if name in {"plate", "card", "person"}]
    assert (len(personal) > 6, all(personal)) == (True, True)
