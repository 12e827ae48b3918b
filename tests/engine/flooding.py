"""A town whose devices have a quota, one that says more than that, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from hub.engine.meters import Quota, write_quota
from hub.model.heard import Publish
from hub.model.values import Scalar
from tests.engine.desk import Desk, device, documents

SMALL = Quota(per_second=5, burst=100)
DEVICES = (
    device("smoke-1", "smoke_sensor", "milesight/gs524n"),
    device("door-1", "access_controller"),
    device("room-1", "environment_sensor"),
    device("room-2", "environment_sensor"),
)
OURS = {"profile/milesight/gs524n", "rule/smoke-alarm", "rule/access-duress"}


def town(quota: Quota) -> dict[str, bytes]:
    """Return the documents of a few devices; what has nothing to say there would be compiled each time."""
    found = documents(*DEVICES, write_quota(quota))
    return {
        key: body for key, body in found.items() if key in OURS or not key.startswith(("profile/", "rule/", "scene/"))
    }


TOWN = town(SMALL)


def room(number: int, *, name: str = "room-1", **words: Scalar) -> Publish:
    said = {"values": {"temperature": number / 10}, **words}
    return Publish(f"hub/s1/{name}/telemetry", orjson.dumps(said))


def flood(desk: Desk, seconds: int, *, each: int = 40, garbage: bool = False) -> None:
    """Let room-1 say something else ``each`` times a second, in five batches, between ticks."""
    for second in range(seconds):
        for part in range(5):
            numbers = range(second * each + part * each // 5, second * each + (part + 1) * each // 5)
            if garbage:
                desk.hear(*(Publish("hub/s1/room-1/telemetry", b"{%d" % number) for number in numbers))
            else:
                desk.hear(*(room(number % 500) for number in numbers), session="telemetry")
            desk.wait(0.2)
        desk.tick()


def points(desk: Desk, name: str = "room-1") -> list[Mapping[str, Scalar]]:
    found = [point for effects in desk.effects for point in effects.points]
    return [values for series, _, values in found if series.device == name]


def named(desk: Desk, name: str) -> list[Mapping[str, Scalar]]:
    return [event.data for event in desk.events if event.name == name]
