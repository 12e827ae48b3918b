"""Documents that revisions change in tests, and what an engine made of them: the same as if it were built anew."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import orjson

from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.known import DeviceState
from hub.engine.places import Place
from hub.engine.rows import Document
from hub.engine.state import State
from tests.engine.desk import device, documents
from tests.engine.foreign import RAW, foreign

SITES, PLACES, NAMES = ("s1", "s2"), ("b1", "z1", "g1"), ("a", "b", "c", "d")

KINDS = ("smoke_sensor", "access_controller", "environment_sensor")

HOT = {
    "rule": "hot", "version": "1.0.0", "for_each": "environment_sensor", "params": {"limit": 50.0},
    "facts": {"free_exit": False}, "when": "temperature > $limit", "unless": "$free_exit",
    "raise": {"event": "fire.hot", "severity": "high"},
}  # fmt: skip

COLD = {
    "rule": "cold", "version": "1.0.0", "for_each": "environment_sensor", "when": "temperature < 21",
    "schedule": {"from": "16:01", "until": "18:00"},
    "raise": {"event": "device.cold", "severity": "low"},
}  # fmt: skip

GUEST = {
    "rule": "guest", "version": "1.0.0", "for_each": "access_controller", "on_signal": "access.denied",
    "where": "card in list('vip')", "raise": {"event": "access.guest", "severity": "low"},
}  # fmt: skip

ZONE = {
    "rule": "zone", "version": "1.0.0", "for_each": "fire_zone",
    "inputs": {"alarming": {"of": ["smoke_sensor"], "where": "alarm", "take": "distinct(device)", "within": "180s"}},
    "when": "alarming >= 1", "raise": {"event": "fire.zone", "severity": "high"},
}  # fmt: skip


@cache
def beginning() -> dict[str, bytes]:
    found = documents(RAW, foreign("cam-1", "smoke_sensor", "milesight/gs524n", "raw", "cam-1"))
    wanted = ("kind/", "rule/door-held", "rule/smoke-alarm", "rule/device-offline", "rule/fire-", "source/", "device/")
    used = ("profile/milesight/gs524n", "network/raw")
    found = {key: body for key, body in found.items() if key.startswith((*wanted, *used))}
    return {**found, **{f"place/{site}/{site}": place(site, site, "site", "") for site in SITES}}


def place(site: str, name: str, kind: str, parent: str, **facts: object) -> bytes:
    row = {
        "site": site, "place": name, "type": kind, "parent": parent, "building": "b1" if name == "b1" else "",
        "zone": "Asia/Shanghai", "label": {}, "facts": facts,
    }  # fmt: skip
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)


def row_of(site: str, name: str, kind: str, at: str, profile: str) -> dict[str, bytes]:
    ((key, body),) = device(name, kind, profile, building=at, site=site).items()
    return {key: body}


def body_of(site: str, name: str) -> bytes:
    (body,) = device(name, KINDS[0], site=site).values()
    return body


def rule(words: Mapping[str, object], **more: object) -> dict[str, bytes]:
    return {f"rule/{words['rule']}": orjson.dumps({**words, **more})}


def of_site(noun: str, site: str, name: str, **more: object) -> dict[str, bytes]:
    """Return what parameters of a rule are at a site, who is on a list of it, or that a scene is off there."""
    what = {"params": "rule", "list": "list", "off": "scene"}[noun]
    return {f"{noun}/{site}/{name}": orjson.dumps({"site": site, what: name, **more})}


def params_of(name: str, **where: str) -> dict[str, bytes]:
    """Return other parameters of HOT for whom they are: a profile, a place and what is below it, a device, anybody."""
    return {f"params/{name}": orjson.dumps({"rule": "hot", "values": {"limit": 30 + len(name)}, **where})}


@cache
def other_profile(number: int) -> bytes:
    return orjson.dumps({**orjson.loads(beginning()["profile/milesight/gs524n"]), "version": f"{number}.9.0"})


def looks(content: Content) -> dict[str, object]:
    """Return what an engine works with, as words: what is not the same object is the same word for word."""
    devices = list(content.devices())
    found: dict[str, object] = {each.key: _look(each) for each in devices}
    found |= {key: _look_of_place(each) for key, each in content.stands.places.items()}
    found |= {f"of {site}": [each.key for each in content.devices_of(site)] for site in SITES}
    called = {name: content.of_network("raw", name) for name in ("cam-1", "cam-2")}
    found |= {f"called {name}": None if each is None else each.key for name, each in called.items()}
    return found | {"rules": sorted(content.rules), "bodies": dict(content.bodies())}


def _look(device: Device) -> tuple[object, ...]:
    row, outfit = device.row, device.outfit
    profile = None if not device.profile else outfit.reach
    return row, _words(device), [each.key for each in device.places], device.called, outfit.guards.keys(), profile


def _look_of_place(place: Place) -> tuple[object, ...]:
    there = {kind: [each.key for each in devices] for kind, devices in sorted(place.by_kind.items())}
    return place.row, _words(place), there, place._idle  # noqa: SLF001 -- what never begins there shows nowhere else


def _words(subject: Device | Place) -> list[tuple[object, ...]]:
    rules = subject.rules.by_name.values()
    waking = [rule.name for rule in subject.rules._waking]  # noqa: SLF001 -- as above
    return [(rule.rule, rule.lists, rule.is_open) for rule in rules] + [tuple(waking)]


def built_anew(content: Content, state: State) -> Content:
    fresh = Content()
    bodies = content.bodies()
    fresh.documents = {key: Document(bodies[key]) for key in bodies}
    states = {f"device/{each.key}": each.state for each in content.devices()}
    copies = State()
    copies.clock = state.clock
    fresh.restore({key: DeviceState(each.heard_awake) for key, each in states.items()}, copies)
    return fresh
