"""What those say who do not speak our own words, what people want of them, and what becomes of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from tests.engine.foreign import APPLICATION
from tests.engine.histories.playing import AGO, NUMBER, Step
from tests.engine.histories.strangers import BOLT, EUIS, GAS, GATE, KITCHEN

_GAS_SAYS = (
    "058E00", "058E01", "058E01060101", "060100", "070101", "070100", "FF3F02", "FF3F03", "058E017777", "7777", "",
)  # fmt: skip
"""Quiet, gas, the valve, the relay, broken and whole; what is cut off, what nobody knows, and nothing."""
_DOOR_EVENTS = (0x15, 0x16, 0x17, 0x19, 0x1A, 0x1B, 0x4B, 0x08)
"""Unlocked, locked, the button, open, closed, forced, a face, a card that is over."""


def say(chance: Random) -> Step:
    """Let one of them say something, now or some time ago; or what it said before once more."""
    topic, said = chance.choice((_over_radio, _over_radio, _over_zigbee, _of_a_gate))(chance)
    words: dict[str, Any] = {"topic": topic, "said": json.dumps(said)}
    if chance.random() < 0.2:
        words["ago_ms"] = chance.choice((500, 30_000, 70_000, 7_200_000, 100_000_000, -240_000))
    if chance.random() < 0.05:
        words["times"] = 12
    if chance.random() < (0.3 if "zigbee" in topic else 0.02):
        words["retain"] = True
    return Step("hears", words)


def _over_radio(chance: Random) -> tuple[str, Mapping[str, object]]:
    name = chance.choice((GAS, GAS, BOLT))
    topic = f"application/{APPLICATION}/device/{EUIS[name]}/event"
    number = NUMBER if chance.random() < 0.9 else "again"
    if chance.random() < 0.1:
        return f"{topic}/{chance.choice(('join', 'status'))}", {"deduplicationId": number, "batteryLevel": 80.0}
    frame = bytes.fromhex(chance.choice(_GAS_SAYS)) if name == GAS else _bolt_says(chance)
    said: dict[str, object] = {"deduplicationId": number, "fPort": 85, "data": base64.b64encode(frame).decode()}
    if chance.random() < 0.8:
        said["time"] = AGO
    if chance.random() < 0.1:
        said["deviceInfo"] = {"deviceClassEnabled": chance.choice(("CLASS_A", "CLASS_C"))}
    return f"{topic}/up", said


def _bolt_says(chance: Random) -> bytes:
    return json.dumps({"fire": chance.choice(("normal", "open_circuit", "short_circuit"))}).encode()


def _over_zigbee(chance: Random) -> tuple[str, Mapping[str, object]]:
    name, state = chance.choice(("kitchen", "kitchen", "nobody")), chance.choice(("online", "offline"))
    match chance.randrange(8):
        case 0:
            return "zigbee2mqtt/bridge/state", {"state": state}
        case 1 | 2:
            return f"zigbee2mqtt/{name}/availability", {"state": state}
        case _:
            said: dict[str, object] = {"smoke": chance.choice((True, False, False)), "battery": chance.choice((9, 90))}
            return f"zigbee2mqtt/{name}", said | ({"last_seen": AGO} if chance.random() < 0.5 else {})


def _of_a_gate(chance: Random) -> tuple[str, Mapping[str, object]]:
    major, minor = chance.choice([*((5, each) for each in _DOOR_EVENTS), (1, 0x40A), (3, 1)])
    event = {
        "majorEventType": major, "subEventType": minor, "doorNo": chance.choice((1, 1, 2)), "cardNo": "1",
        "serialNo": NUMBER if chance.random() < 0.8 else 7, "currentEvent": chance.random() < 0.9,
    }  # fmt: skip
    said = {"eventType": "AccessControllerEvent", "dateTime": AGO, "AccessControllerEvent": event}
    return f"hub/s1/{GATE}/signal", said if chance.random() < 0.9 else {"eventType": "heartBeat", "dateTime": AGO}


def tell_of_itself(chance: Random) -> Step:
    """Let a last will, or what the broker kept of one, say whether a device is there; or the network, of a command."""
    name, state = chance.choice(("env-1", "door-1", "s2/env-1", GATE)), chance.choice(("online", "offline", "maybe"))
    place = name if "/" in name else f"s1/{name}"
    return Step("hears", {"topic": f"hub/{place}/availability", "said": state, "retain": chance.random() < 0.4})


def be_another(chance: Random) -> Step:
    """Let the document of one of them, or of the network of some, say something else."""
    change = chance.choice((
        {"key": "source/lora", "params": {"device_class": chance.choice(("CLASS_A", "CLASS_C"))}},
        {"key": f"device/s1/{GAS}", "network_id": chance.choice((EUIS[GAS], "24e124ffffffff09"))},
        {"key": f"device/s1/{KITCHEN}", "network_id": chance.choice(("kitchen", "nobody"))},
        {"key": f"device/s1/{KITCHEN}", "profile": "", "network_id": "kitchen"},
        {"key": f"device/s1/{GATE}", "profile": "", "kind": chance.choice(("access_controller", "smoke_sensor"))},
    ))  # fmt: skip
    return Step("is_changed", change)


def be_wanted(chance: Random) -> Step:
    """Ask for something of who sleeps, or let a person desire it lastingly."""
    command = chance.choice(("close_valve", "switch_relay_on", "switch_relay_off", "query_life", "silence"))
    words: dict[str, Any] = {"verb": "command", "device": GAS, "command": command, "ttl": "30s"}
    if command != "switch_relay_on":
        del words["ttl"]
    name, value = chance.choice((("valve", {"value": "closed"}), ("relay", {"value": False}), ("relay", {})))
    desire = {"verb": "desire", "device": GAS, "name": name, "reason": "a look", **value}
    bolt = {"verb": "command", "device": BOLT, "command": chance.choice(("lock", "release_door"))}
    return Step("is_asked", chance.choice((words, words, desire, bolt)))


CHANCES: Mapping[Callable[[Random], Step], int] = {say: 20, tell_of_itself: 2, be_another: 2, be_wanted: 5}
