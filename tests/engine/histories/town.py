"""The town of the histories: a few devices and places, and a rule of every kind over them."""

from __future__ import annotations

import tempfile
from collections import ChainMap
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import orjson

from tests.engine.desk import Desk, documents, place, stands
from tests.engine.histories.strangers import DOCUMENTS, USED

RULES = """
rule: hot
for_each: environment_sensor
params: {limit: 50.0}
when: temperature > $limit
for: 20s
raise: {event: fire.hot, severity: high}
clear: {when: temperature < 40, for: 10s}
ladder: [{severity: critical, after: 1m}, {severity: low, when: humidity > 50}]
remind: {every: 1m}
escalate: [{after: 90s, to: lead}]
do:
  - {command: unlock, args: {ttl: 20s}, to: {kind: access_controller, in: building}, until: cleared, at_most: 3m}
---
rule: very-hot
for_each: environment_sensor
when: temperature > 70
raise: {event: fire.very_hot, severity: critical}
clear: {by: operator, role: security, refuse_while: temperature > 60}
do:
  - {command: hold_door, args: {ttl: 10s}, to: {kind: access_controller, in: site}, until: cleared,
     priority: life_safety}
---
rule: damp
for_each: environment_sensor
facts: {away: false}
when: humidity > 90
unless: $away
inhibit: {by: [hot, very-hot], in: building, wait: 5s, settle: 10s}
raise: {event: utility.damp, severity: low}
---
rule: two-hot
for_each: building
inputs:
  hot: {of: environment_sensor, where: temperature > 50, unless: testing or silent, take: distinct(device), within: 30s}
when: hot >= 2
raise: {event: fire.two_hot, severity: critical}
do:
  - {command: recall, to: {kind: elevator, in: building}, until: cleared, at_most: 40s, priority: life_safety}
---
rule: stays-hot
for_each: building
inputs:
  hot: {of: environment_sensor, where: temperature > 50, take: distinct(device)}
when: hot >= 1
raise: {event: fire.stays_hot, severity: high}
clear: {by: operator, refuse_while: hot > 0}
---
rule: mean
for_each: building
inputs:
  mean: {of: environment_sensor, where: temperature > -50, fresh: 1m, take: avg(temperature)}
  low: {of: environment_sensor, where: temperature > -50, take: min(temperature)}
when: mean > 45 or low < -20
on_missing: clear
raise: {event: utility.mean, severity: low}
---
rule: rising
for_each: environment_sensor
inputs: {moved: {take: changes(humidity), within: 40s}}
when: moved >= 3
raise: {event: utility.rising, severity: low}
---
rule: quiet
for_each: {kind: [environment_sensor, access_controller]}
params: {limit: 2m}
absent_for: $limit
raise: {event: device.quiet, severity: low}
inhibit: {by: mass, in: building, wait: 20s}
---
rule: mass
for_each: building
inputs: {n: {of: [environment_sensor, access_controller], where: silent, take: count}}
when: n >= 2
raise: {event: device.mass, severity: high}
---
rule: pressed
for_each: {part: door}
on_signal: exit_button.pressed
count: {at_least: 2, within: 30s}
raise: {event: access.pressed, severity: info}
clear: {absent_for: 20s}
---
rule: forced
for_each: {kind: access_controller, part: any}
when: door == 'open'
without: {signal: access.granted, within: 5s, settle: 3s}
raise: {event: security.forced, severity: high}
---
rule: night
for_each: environment_sensor
schedule: [{from: '16:01', until: '16:03'}, {from: '16:05', until: '18:00'}]
when: temperature > 30
confirm: {times: 2, of: 3, within: 1m}
while_pending: [{command: unlock, args: {ttl: 8s}, to: {kind: access_controller, in: place}}]
raise: {event: fire.night, severity: low}
clear: {when: temperature < 20}
---
rule: card
for_each: {value: card, of: [access_controller], forget_after: 1m}
on_signal: access.denied
count: {at_least: 2, within: 50s, distinct: device}
raise: {event: access.card, severity: low}
clear: {by: operator}
---
rule: guest
for_each: access_controller
on_signal: access.granted
where: card in list('guests')
raise: {event: access.guest, severity: info}
---
rule: trapped
for_each: elevator
when: elevator__entrapment_level
raise: {event: elevator.trapped, severity: critical}
do: [{command: play_voice, to: {kind: elevator, in: place}, args: {prompt: calm}}]
---
rule: ebike
for_each: elevator
when: ebike_present
unless: entrapment_level
raise: {event: elevator.bike, severity: medium}
inhibit: {by: very-hot, in: building, settle: 5s}
do: [{command: hold_door, to: {kind: elevator, in: place}, args: {ttl: 20s}, until: cleared, at_most: 2m}]
clear: {for: 5s}
---
rule: smoke
for_each: smoke_sensor
when: alarm
raise: {event: fire.smoke, severity: critical}
do:
  - {command: close_valve, to: {kind: gas_detector, in: site}, priority: life_safety, until: cleared}
  - {command: hold_door, args: {ttl: 30s}, to: {kind: access_controller, in: site}, until: cleared,
     priority: life_safety}
---
rule: gas
for_each: gas_detector
when: alarm or fault
raise: {event: fire.gas, severity: critical}
do:
  - {command: switch_relay_on, args: {ttl: 30s}, to: {kind: gas_detector, in: place}, until: cleared, at_most: 5m}
  - {command: close_valve, to: {kind: gas_detector, in: place}, until: cleared, at_most: 30m}
---
rule: burns
for_each: site
inputs: {n: {of: [smoke_sensor, gas_detector], where: alarm, take: distinct(device), fresh: 1h}}
when: n >= 1
raise: {event: fire.burns, severity: critical}
"""
ROOMS, DOORS, LIFTS = ("env-1", "env-2", "env-3"), ("door-1", "door-2"), ("lift-1",)
EYES = ("eye-1",)
DEVICES = (*ROOMS, *DOORS, *LIFTS, *EYES)
PLACES = ("b1", "b2", "z1", "f1", "car-1")
KINDS = ("environment_sensor", "access_controller", "elevator", "ai_camera", "smoke_sensor")
NEXT_DOOR = ("s2/env-1", "s2/door-1")
"""Another site, where things have the same names."""
BEHIND_MS = {"env-2": 3_600_000, "env-3": 0}
"""The clocks of devices, and how far they are behind; the others have none."""
FACT = "place/s1/b1"
SCENE = {"scene/warmth": orjson.dumps({"scene": "warmth", "rules": ["hot", "damp", "two-hot"]})}


@cache
def town() -> Mapping[str, bytes]:
    """Return its documents: of what ships only the kinds, for the rest takes time."""
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder, "rules.yaml")
        rules.write_text(RULES, encoding="utf-8")
        found = documents(rules=[rules.parent])
    mine = {f"rule/{line.split()[1]}" for line in RULES.splitlines() if line.startswith("rule:")}
    kinds = {f"kind/{name}" for name in KINDS}
    there = [
        place("s1", "site", "", ""), place("b1", "building", "s1"), place("b2", "building", "s1", "b2"),
        place("z1", "fire_zone", "b1"), place("f1", "floor", "b1"), place("car-1", "elevator", "b1"),
        stands("env-1", "environment_sensor", "b1"), stands("env-2", "environment_sensor", "z1"),
        stands("env-3", "environment_sensor", "b2", building="b2"), stands("door-1", "access_controller", "b1"),
        stands("door-2", "access_controller", "f1"), stands("lift-1", "elevator", "car-1"),
        stands("eye-1", "ai_camera", "car-1"), SCENE,
    ]  # fmt: skip
    used = {key: body for key, body in found.items() if key in {*mine, *kinds, *USED}}
    return {**used, **ChainMap(*there), **DOCUMENTS, **_next_door(ChainMap(*there))}


def _next_door(here: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the documents of the other site."""
    there = ("place/s1/s1", "place/s1/b1", "device/s1/env-1", "device/s1/door-1")
    return {key.replace("s1", "s2"): here[key].replace(b'"s1"', b'"s2"') for key in there}


@cache
def morning() -> Desk:
    """Return the town before anything happens there, its checkpoint written; nobody says anything to it."""
    desk = Desk(town())
    desk.write_down()
    return desk
