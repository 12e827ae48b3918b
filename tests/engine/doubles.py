"""A town in which a drill speaks in the place of detectors: who stands where, what is played, what is told."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import orjson

from hub.model.effects import Effects, Event, Reply
from hub.model.heard import Publish
from hub.model.records import Control
from hub.model.values import Scalar
from tests.engine.desk import SECOND, Desk, device, documents

FIRE, NORMAL = bytes.fromhex("221164321F18"), bytes.fromhex("2217641E1A2B")
NEEDED = {
    f"rule/{name}" for name in ("smoke-alarm", "heat-alarm", "fire-confirmed", "fire-confirmed-building", "entrapment")
}
NEEDED |= {"profile/milesight/gs524n"}
NAMES = ("smoke-1", "smoke-2", "smoke-3")


def in_place(document: Mapping[str, bytes], place: str) -> dict[str, bytes]:
    return {key: orjson.dumps(orjson.loads(body) | {"place": place}) for key, body in document.items()}


def place(name: str, kind: str, parent: str = "", building: str = "") -> dict[str, bytes]:
    row = {"site": "s1", "place": name, "type": kind, "parent": parent, "building": building}
    return {f"place/s1/{name}": orjson.dumps(row)}


@cache
def town() -> dict[str, bytes]:
    devices = {
        **{
            key: body
            for name in NAMES
            for key, body in in_place(device(name, "smoke_sensor", "milesight/gs524n"), "z1").items()
        },
        **in_place(device("heat-1", "heat_sensor"), "z1"),
        **in_place(device("lift-1", "elevator"), "b1"),
        **in_place(device("door-1", "access_controller"), "b1"),
        **in_place(device("lift-2", "elevator", building="b2"), "b2"),
    }
    places = {
        **place("s1", "site"),
        **place("b1", "building", "s1", "b1"),
        **place("b2", "building", "s1", "b2"),
        **place("z1", "fire_zone", "b1", "b1"),
    }
    whole = documents(devices).items()
    return {key: body for key, body in whole if key in NEEDED or not key.startswith(("rule/", "profile/"))} | places


def ask(desk: Desk, verb: str, actor: str = "li", identity: str = "", **args: Scalar) -> Reply:
    identity = identity or f"id-{len(desk.records)}"
    words: dict[str, Scalar] = {"site": "s1", **args}
    return desk.say(Control("1-0", identity, actor, verb, desk.wall + 30 * SECOND, words)).replies[0]


def drill(
    desk: Desk, what: str = "z1", doubles: str = "smoke-1 smoke-2", identity: str = "drill", **more: Scalar
) -> Reply:
    words: dict[str, Scalar] = {"what": what, "for": "5m", "reason": "fire drill", "doubles": doubles, **more}
    return ask(desk, "drill", "li", identity, **words)


def played(desk: Desk, name: str, payload: bytes = FIRE) -> Effects:
    return desk.hear(Publish(f"hub/s1/{name}/drill", payload))


def real(desk: Desk, name: str, payload: bytes = FIRE) -> Effects:
    return desk.hear(Publish(f"hub/s1/{name}/telemetry", payload))


def told(events: list[Event]) -> list[str]:
    marked = [(event, " drill" if event.drill else "") for event in events]
    return [f"{each.transition} {each.name} {each.key}{mark}" for each, mark in marked if each.rule]


def burnt(desk: Desk) -> list[str]:
    return [line for line in told(desk.events) if " fire." in line]
