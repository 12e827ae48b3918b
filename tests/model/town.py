"""The town of the model: a few devices under a few rules that ship, and what the documents say of them in turn."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import orjson

from hub.config.settings import packaged
from hub.revisions.files import read_yaml
from hub.rules.pseudonyms import DOCUMENT, KEY_BYTES, write_key
from tests.engine.desk import device

KINDS = ("smoke_sensor", "access_controller", "face_terminal", "elevator", "ai_camera", "environment_sensor")
RULES = (
    "smoke-alarm",  # a profile's frames, cleared after 10 s of waiting
    "repeated-denials",  # a count within a window
    "door-held-open",  # true for so long
    "access-passage",  # an event for each signal
    "access-duress",  # latched, with reminders and a command
    "ebike-reported",  # a hold that is renewed, a ladder, what holds it back
)
PLACES = {
    f"place/s1/{name}": orjson.dumps({"site": "s1", "place": name, "type": kind, "zone": "Asia/Shanghai", **more})
    for name, kind, more in (
        ("s1", "site", {}),
        ("b1", "building", {"parent": "s1"}),
        ("e1", "elevator", {"parent": "b1"}),
    )
}


def at(place: str, named: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return device documents, moved to a place."""
    return {key: orjson.dumps({**orjson.loads(body), "place": place}) for key, body in named.items()}


TOWN = (
    device("smoke-1", "smoke_sensor", "milesight/gs524n"),
    device("door-1", "access_controller"),
    at("e1", device("lift-1", "elevator")),
    device("room-1", "environment_sensor"),
    device("room-2", "environment_sensor"),
)
GHOST = device("ghost-1", "environment_sensor")
WIDE = "pseudonyms have a key"
"""The edition that differs from all others in more than devices and rules: the hub makes a whole checkpoint first."""


@cache
def _shipped() -> dict[str, bytes]:
    found = read_yaml([packaged("device_profiles")], [packaged("rules")])
    names = {f"kind/{kind}" for kind in KINDS} | {f"rule/{rule}" for rule in RULES}
    shipped = {key: body for key, body in found.items() if key in names or key == "profile/milesight/gs524n"}
    silence = orjson.loads(found["rule/device-offline"])
    silence |= {"for_each": {"kind": ["environment_sensor"]}, "ladder": silence["ladder"][:1]}  # which has no tamper
    return {**shipped, "rule/device-offline": orjson.dumps(silence)}


@cache
def everything() -> Mapping[str, bytes]:
    """Return the documents at first."""
    found = {**_shipped(), **PLACES}
    for each in TOWN:
        found |= each
    return found


def without(key: str) -> dict[str, bytes]:
    """Return the documents without one."""
    return {name: body for name, body in everything().items() if name != key}


def rule_with(rule: str, **words: object) -> dict[str, bytes]:
    """Return the documents with other words in a rule."""
    key = f"rule/{rule}"
    return {**everything(), key: orjson.dumps({**orjson.loads(everything()[key]), **words})}


@cache
def editions() -> Mapping[str, Mapping[str, bytes]]:
    """Return what the documents may come to, by name."""
    return {
        "as at first": everything(),
        "a device is added": {**everything(), **GHOST},
        "a device is removed": without("device/s1/room-2"),
        "an actuator is removed": without("device/s1/lift-1"),
        "a rule is removed": without("rule/smoke-alarm"),
        "a rule counts to two": rule_with("repeated-denials", params={"times": 2, "span": "60s"}),
        "a rule waits for longer": rule_with("ebike-reported", clear={"for": "20s"}),
        WIDE: {**everything(), DOCUMENT: write_key(bytes(range(KEY_BYTES)))},
    }
