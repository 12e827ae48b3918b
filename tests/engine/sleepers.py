"""LoRaWAN devices of class A: a gas detector, a lock and a water meter, their uplinks, and what is sent to them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import cache

import orjson

from hub.model.effects import Effects, Event
from hub.model.heard import Publish
from hub.rules.rule import Rule, write_rule
from hub.yaml_documents import canonical_json
from tests.engine.desk import SECOND, Desk, device, documents, native
from tests.engine.foreign import APPLICATION, LORA, foreign
from tests.normalize.devices import model

HOUR = 3_600
GAS, LOCK, METER = "24e124ffffffff01", "24e124ffffffff02", "24e124ffffffff03"
QUIET, LEAK, CLOSED = "058E00060101070100", "058E01060101070100", "058E00060100070100"
URGENT = {
    "rule": "close-all",
    "version": "1.0.0",
    "label": {"en": "Close all valves", "zh": "关闭所有阀门"},
    "for_each": "smoke_sensor",
    "when": "alarm",
    "raise": {"event": "fire.test", "severity": "critical"},
    "do": [{"command": "close_valve", "to": {"kind": "gas_detector", "in": "building"}, "priority": "life_safety"}],
}
LATCH = model(
    "access_controller",
    payload={"format": "json"},
    liveness={"report_every": "1h", "offline_after": "3h"},
    properties={"fire_input": {"path": "fire"}},
    commands={name: {"text": name, "port": 2, "confirm": False} for name in ("lock", "hold_door", "release_door")},
)
VALVE = model(
    "water_meter",
    payload={"format": "json"},
    liveness={"report_every": "1h", "offline_after": "3h"},
    properties={name: {"path": name} for name in ("valve", "leak", "fault")},
    commands={name: {"text": name, "port": 2} for name in ("close_valve", "open_valve")},
)
BARRIER = model(
    "plate_reader",
    payload={"format": "json"},
    liveness={"report_every": "1h", "offline_after": "3h"},
    properties={"confidence": {"path": "confidence"}},
    commands={"release_barrier": {"text": "release", "port": 2, "confirm": False}},
)


def closes(when: str) -> Rule:
    """Return a rule that holds the valve of a meter closed for ten minutes at most."""
    held = {"command": "close_valve", "until": "cleared", "at_most": "10m", "priority": "automatic"}
    return Rule.model_validate({
        "rule": f"{when}-closes", "version": "1.0.0", "label": {"en": "Close", "zh": "关阀"}, "for_each": "water_meter",
        "when": when, "clear": {"when": f"not {when}"}, "raise": {"event": f"utility.{when}", "severity": "high"},
        "do": [held],
    })  # fmt: skip


@cache
def content() -> dict[str, bytes]:
    found = documents(
        LORA,
        foreign("gas-1", "gas_detector", "milesight/gs101", "lora", GAS),
        foreign("gate-1", "access_controller", "test/model", "lora", LOCK),
        device("smoke-9", "smoke_sensor"),
    )
    used = {key: body for key, body in found.items() if not key.startswith("profile/") or key.endswith("gs101")}
    return {
        **used, "profile/test/model": canonical_json(LATCH), "rule/close-all": write_rule(Rule.model_validate(URGENT)),
    }  # fmt: skip


def spoke(desk: Desk, payload: str = QUIET, *, eui: str = GAS, behind: int = 0, **words: object) -> Publish:
    """Return what ChirpStack publishes of an uplink that it heard just now, or whose clock is so far ``behind`` (s)."""
    heard = datetime.fromtimestamp(desk.wall // SECOND - behind, UTC)
    body = {
        "deduplicationId": f"{desk.t}", "deviceInfo": {"devEui": eui, **words}, "fPort": 85, "time": heard.isoformat(),
        "data": base64.b64encode(bytes.fromhex(payload)).decode(),
    }  # fmt: skip
    return Publish(f"application/{APPLICATION}/device/{eui}/event/up", orjson.dumps(body))


def frames(effects: Effects) -> list[str]:
    """Return the bytes that the network is given for its devices."""
    return [base64.b64decode(orjson.loads(sent.payload)["data"]).hex() for sent in effects.transmissions]


def told(effects: Effects | Desk, *names: str) -> list[tuple[str, str]]:
    """Return (name, command) of the events of commands, or of those called ``names``."""
    wanted = [event for event in effects.events if event.name.startswith("command.")]
    return [(event.name, str(event.data["command"])) for event in wanted if not names or event.name in names]


def last(desk: Desk, name: str) -> Event:
    return [event for event in desk.events if event.name == name][-1]


ESCAPE = {
    "rule": "smoke-opens", "version": "1.0.0", "label": {"en": "Smoke opens", "zh": "烟感开门"},
    "for_each": "smoke_sensor", "when": "alarm", "clear": {"when": "not alarm"},
    "raise": {"event": "fire.opens", "severity": "critical"},
    "do": [{
        "command": "hold_door", "args": {"ttl": "30s"}, "to": {"kind": "access_controller", "in": "building"},
        "priority": "life_safety", "until": "cleared",
    }],
}  # fmt: skip


def burns(desk: Desk, *, connection: int = 1, alarm: bool = True) -> Effects:
    return desk.hear(native("smoke-9", {"values": {"alarm": alarm}}, "telemetry"), connection=connection)


@cache
def valves() -> dict[str, bytes]:
    """Return the documents of a water meter that two rules close, and that listens only after it spoke."""
    found = {key: body for key, body in content().items() if key.startswith(("kind/", "network/", "source/"))}
    meter = foreign("meter-1", "water_meter", "test/model", "lora", METER)
    rules = {f"rule/{name}-closes": write_rule(closes(name)) for name in ("leak", "fault")}
    return {**found, **meter, **rules, "profile/test/model": canonical_json(VALVE)}


def reports(desk: Desk, eui: str, **said: object) -> list[str]:
    """Return what a device is told in texts when it has reported."""
    left = frames(desk.hear(spoke(desk, orjson.dumps(said).hex(), eui=eui)))
    return [bytes.fromhex(each).decode() for each in left]


def fire_input(desk: Desk, state: str) -> Effects:
    return desk.hear(spoke(desk, orjson.dumps({"fire": state}).hex(), eui=LOCK))
