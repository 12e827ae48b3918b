"""A car, a lane and a gate that interlocks watch over: what is asked of them, sent to them, told of them."""

from __future__ import annotations

from functools import cache

import orjson

from hub.model.effects import Event, Reply
from hub.model.records import Control, Outcome, OutcomeKind
from hub.model.values import Scalar
from tests.engine.desk import SECOND, SITE, Desk, documents, native, place, stands


@cache
def content() -> dict[str, bytes]:
    found = documents(
        place(SITE, "site", building=""), place("b1", "building", SITE), place("lift-1", "elevator", "b1"),
        place("lane-1", "lane", SITE, ""),
        stands("box-1", "elevator", "lift-1"), stands("board-1", "elevator", "lift-1"),
        stands("lane-reader", "plate_reader", "lane-1", building=""), stands("gate-1", "access_controller", "b1"),
    )  # fmt: skip
    kept = ("rule/ebike", "rule/entrapment", "rule/fire-input")
    return {key: body for key, body in found.items() if not key.startswith("rule/") or key.startswith(kept)}


def says(desk: Desk, name: str, *, part: str = "", **values: Scalar) -> None:
    said = {"values": values, "part": part} if part else {"values": values}
    desk.hear(native(name, said, "telemetry"))


def ask(desk: Desk, device: str, command: str, **args: Scalar) -> Reply:
    identity = f"id-{len(desk.records)}"
    words: dict[str, Scalar] = {"site": SITE, "device": device, "command": command, **args}
    return desk.say(Control("1-0", identity, "li", "command", desk.wall + 30 * SECOND, words)).replies[0]


def sent(desk: Desk, name: str) -> list[str]:
    found = [one for effects in desk.effects for one in effects.transmissions if f"/{name}/" in one.topic]
    return [orjson.loads(one.payload)["command"] for one in found]


def told(desk: Desk, what: str) -> list[Event]:
    return [event for event in desk.events if event.name == f"command.{what}"]


def done(desk: Desk, *, ok: bool | None = None) -> None:
    """Let everything that is on its way arrive, and its devices answer if they do."""
    for one in [one for effects in desk.effects for one in effects.transmissions]:
        desk.say(Outcome(one.command, OutcomeKind.DELIVERED))
        if ok is not None:
            desk.hear(native(one.topic.split("/")[2], {"id": one.command, "ok": ok}, "response"))
