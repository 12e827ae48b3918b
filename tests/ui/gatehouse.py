"""A gatehouse: an installation at whose gate vehicles and people pass, and the CLI beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from hub.clock import SystemClock
from tests.ui.at import At
from tests.ui.installation import GATE, SENSOR, SITE, Installation

PLATE, CARD, PERSON = "鲁B7K2M9", "8844221133", "P-55190042"
PLANTED = (PLATE, CARD, PERSON)
DRIVER = "person:c0ffee11c0ffee22"
LANE, EYE = "lane-cam", "lane-eye"
WHY = ("--unmask", "--reason", "ticket 9")
RULES = f"""
rule: plate-watched
label: {{en: A plate that is watched, zh: 关注车辆}}
params: {{wanted: {PLATE}}}
for_each: plate_reader
when: listed == 'block' and plate == $wanted
raise: {{event: vehicle.watched, severity: low}}
---
rule: card-told
label: {{en: A card is told, zh: 卡号}}
for_each: {{value: card, of: access_controller, forget_after: 1d, reveal: true}}
on_signal: access.denied
raise: {{event: access.card_told, severity: low}}
---
rule: card-known
label: {{en: A card that is named, zh: 指定卡号}}
for_each: access_controller
on_signal: access.denied
where: card in ('{CARD}', '1') or person == '{PERSON}'
raise: {{event: access.card_known, severity: low}}
"""


def opened(it: Installation) -> Installation:
    """Start an installation with a camera and with rules that tell plates, reveal cards, and name somebody."""
    (it.directory / "rules").mkdir()
    (it.directory / "rules" / "own.yaml").write_text(RULES, encoding="utf-8")
    with it.config.open("a", encoding="utf-8") as config:
        config.write(f'rules_dir = "{it.directory / "rules"}"\n')
    it.open()
    for words in (
        ("devices", "add", SITE, LANE, "--kind", "plate_reader"),
        ("devices", "add", SITE, EYE, "--kind", "ai_camera"),
        ("places", "add", SITE, "b1", "--type", "building"),
        ("lists", "add", "block", PLATE, CARD, PERSON, "--note", f"{PERSON} drives {PLATE}"),
        ("codes", "link", DRIVER, f"plate:{PLATE}"),
        ("params", "set", "plate-watched", f"wanted={PLATE}", "--site", SITE),
    ):
        it.does(*words)
    return it


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
        self.ask()

    def ask(self) -> None:
        """Ask for things with words that name somebody."""
        self("alarms", "comment", self._alarm(), f"{PLATE} again")
        self("drill", "start", SITE, SENSOR, "--for", "1h", "--rule", "smoke-alarm", "--reason", f"as if {PLATE} burnt")
        self("test", "start", SITE, SENSOR, "--for", "1h", "--reason", f"{PLATE} hit it")
        voice = ("play_voice", "--arg", f"prompt={PLATE}, move")
        self.until("commands", "send", SITE, EYE, *voice, meets=lambda reply: reply["ok"])
        refused = ("commands", "send", SITE, GATE, "unlock", "--arg", f"plate={PLATE}", "--arg", f"card={CARD}")
        assert self.said(*refused).code == 1
        self.until("audit", meets=lambda found: [line for line in found if line["what"] == "control.command"])
        # What the hub works with and what lies on disk now differ in whom a rule names.
        (self.installation.directory / "rules" / "own.yaml").write_text(RULES.replace("'1'", "'2'"), encoding="utf-8")

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
            case ["rules", "explain", "alarm"]:
                return ("rules", "explain", "--alarm", self._alarm())
            case ["trace", name]:
                return ("trace", self("events", "list", "--type", name)[0]["id"])
            case ["dead-letters", "show", device]:
                letters = self("dead-letters", "list")
                found = next(each["number"] for each in letters if each["device"] == device)
                return ("dead-letters", "show", str(found))
            case ["commands", "show"]:
                return ("commands", "show", self("commands", "list")[0]["id"])
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


def written(planted: str) -> Sequence[str]:
    """Return the ways in which a value can stand on a screen."""
    raw = planted.encode()
    return planted, raw.hex(), raw.hex(" "), repr(raw)[2:-1], orjson.dumps(planted).decode()[1:-1]


def seen(out: str) -> set[str]:
    """Return what was planted and is on the screen."""
    return {each for each in PLANTED if any(way in out for way in written(each))}
