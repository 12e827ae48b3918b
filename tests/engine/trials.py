"""Devices and rules to be tested and drilled, how that is asked for, and what is told meanwhile."""

from __future__ import annotations

from functools import cache

import orjson

from hub.model.effects import AlarmState, Effects, Reply
from hub.model.records import Control
from hub.model.values import Scalar
from tests.engine.desk import SECOND, Desk, device, documents, native

MINUTE = 60
RULES = """\
rule: hot
label: {en: Hot, zh: 过热}
for_each: environment_sensor
when: temperature > 50
raise: {event: fire.hot, severity: high}
clear: {when: temperature < 40}
remind: {every: 10m}
do: [{command: unlock, args: {ttl: 1h}, to: {kind: access_controller, in: site}, until: cleared}]
---
rule: two-hot
for_each: building
inputs: {hot: {of: environment_sensor, where: temperature > 50 and not testing, take: distinct(device)}}
when: hot >= 2
raise: {event: fire.two_hot, severity: critical}
clear: {by: operator}
---
rule: warm-building
for_each: building
when: temperature > 50
raise: {event: utility.warm_building, severity: low}
---
rule: damp
for_each: environment_sensor
when: humidity > 90
inhibit: {by: hot, in: building}
raise: {event: utility.damp, severity: low}
---
rule: pressed
for_each: access_controller
on_signal: exit_button.pressed
raise: {event: access.pressed, severity: info}
clear: {by: operator}
"""
NAMES = ("hot", "two-hot", "warm-building", "damp", "pressed")
DEVICES = (
    device("env-1", "environment_sensor"),
    device("env-2", "environment_sensor"),
    device("env-3", "environment_sensor", building="b2"),
    device("door-1", "access_controller"),
)
PLACES = {
    f"place/s1/{place}": orjson.dumps({"site": "s1", "place": place, "type": "building", "parent": "s1"})
    for place in ("b1", "b2")
} | {"place/s1/s1": orjson.dumps({"site": "s1", "place": "s1", "type": "site"})}


@cache
def shipped() -> dict[str, bytes]:
    return {key: body for key, body in documents(*DEVICES).items() if not key.startswith("rule/")} | PLACES


def ask(desk: Desk, verb: str, what: str, **words: Scalar) -> Reply:
    """Ask as li for half an hour, because of the annual inspection; wang agrees where a second person has to."""
    args: dict[str, Scalar] = {"site": "s1", "what": what, "for": "30m", "reason": "annual inspection"}
    args |= ({"rules": " ".join(NAMES)} if verb == "drill" else {}) | words
    identity = args.pop("id", f"id-{len(desk.records)}")
    reply = desk.say(Control("1-0", str(identity), "li", verb, desk.wall + 30 * SECOND, args)).replies[0]
    if reply.code != "needs_second_person":
        return reply
    agreed: dict[str, Scalar] = {"request": str(identity)}
    return desk.say(Control("1-0", f"{identity}+", "wang", "confirm", desk.wall + 30 * SECOND, agreed)).replies[0]


def say(desk: Desk, name: str, connection: int = 1, **values: float) -> Effects:
    return desk.hear(native(name, {"values": values}, "telemetry"), connection=connection)


def told(desk: Desk) -> list[str]:
    """Return the events of rules: transition, rule, device, and how they are marked."""
    marked = [
        (event, "".join(f" {mark}" for mark in ("test", "drill") if getattr(event, mark))) for event in desk.events
    ]
    of_rules = [each for each in marked if each[0].rule and not each[0].rule.startswith("operator")]
    return [f"{event.transition} {event.rule} {event.device}".rstrip() + mark for event, mark in of_rules]


def alarms(desk: Desk) -> dict[str, AlarmState]:
    return {f"{alarm.rule} {alarm.key}": alarm for alarm in desk.engine.alarms()}
