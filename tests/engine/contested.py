"""One door that a rule holds, a fire opens and people ask for."""

from __future__ import annotations

from hub.model.effects import Reply
from hub.model.records import Control
from hub.model.values import Scalar
from tests.engine.desk import SECOND, Desk, native, transmitted

PROPPED = """
rule: door-propped
for_each: {part: door}
on_signal: doorbell.pressed
raise: {event: access.propped, severity: low}
clear: {when: "door == 'closed'"}
do: [{command: hold_door, args: {ttl: 60s}, until: cleared}]
"""


def rings(desk: Desk) -> None:
    desk.hear(native("door-1", {"part": "door-1", "signals": [{"name": "doorbell.pressed"}]}))


def ask(desk: Desk, command: str, identity: str = "id-1", **args: Scalar) -> Reply:
    words: dict[str, Scalar] = {"site": "s1", "device": "door-1", "command": command, **args}
    return desk.say(Control("1-0", identity, "li", "command", desk.wall + 30 * SECOND, words)).replies[0]


def sent(desk: Desk) -> list[str]:
    return [command for topic, command in transmitted(desk) if "door-1" in topic]
