"""A water meter of which something is desired: its rules, what it reports, what people want, what is sent and told."""

from __future__ import annotations

from pathlib import Path

import orjson

from hub.model.effects import DesiredValue, Reply
from hub.model.heard import Publish
from hub.model.records import Control
from hub.model.values import Scalar
from tests.engine.desk import SECOND, Desk, device, documents, native

LEAK = """
rule: leak-closes
for_each: water_meter
when: leak
raise: {event: utility.leak, severity: high}
do: [{command: close_valve, until: cleared, at_most: 10m, args: {}, priority: automatic}]
clear: {when: not leak}
---
rule: flow-closes
for_each: water_meter
when: reverse_flow
raise: {event: utility.reverse_flow, severity: high}
do: [{command: close_valve}]
"""
BARRED = [{"never": "tamper", "because": {"en": "somebody works at it", "zh": "正在检修"}}]


def meter(directory: Path) -> dict[str, bytes]:
    """Return the documents of the meter; ``directory`` is where its rules are written."""
    (directory / "rules.yaml").write_text(LEAK, encoding="utf-8")
    found = documents(device("meter-1", "water_meter"), rules=[directory])
    mine = {"kind/water_meter", "rule/leak-closes", "rule/flow-closes", "device/s1/meter-1"}
    kind = orjson.loads(found["kind/water_meter"])
    kind["commands"]["close_valve"]["interlocks"] = BARRED
    return {key: body for key, body in found.items() if key in mine} | {"kind/water_meter": orjson.dumps(kind)}


def reports(desk: Desk, **values: Scalar) -> None:
    desk.hear(native("meter-1", {"values": values}, "telemetry"))


def is_at(desk: Desk, state: str) -> None:
    desk.hear(Publish("hub/s1/meter-1/availability", state.encode()))


def asks(desk: Desk, verb: str, **args: Scalar) -> Reply:
    words: dict[str, Scalar] = {"site": "s1", "device": "meter-1", **args}
    actor, identity = str(words.pop("actor", "li")), f"{verb}-{len(desk.records)}"
    return desk.say(Control("1-0", identity, actor, verb, desk.wall + 30 * SECOND, words)).replies[0]


def wants(desk: Desk, value: Scalar, **args: Scalar) -> Reply:
    return asks(desk, "desire", name="valve", value=value, reason="winter", **args)


def sent(desk: Desk) -> list[str]:
    return [orjson.loads(each.payload)["command"] for effects in desk.effects for each in effects.transmissions]


def ids(desk: Desk) -> list[str]:
    return [each.command for effects in desk.effects for each in effects.transmissions]


def told(desk: Desk) -> list[str]:
    return [event.name for event in desk.events if event.name.startswith("device.")]


def twin(desk: Desk) -> DesiredValue:
    (found,) = desk.engine.twins_of("s1")
    return found.desired["valve"]


def passes(desk: Desk, seconds: int) -> None:
    for _ in range(seconds):
        desk.tick(1)
