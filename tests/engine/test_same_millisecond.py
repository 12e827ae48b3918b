"""What a device without an identity says in one millisecond of its clock: as many points as it says things."""

from __future__ import annotations

from itertools import count
from zlib import crc32

import orjson
import pytest

from hub.engine.ages import LESSONS, MILLION
from hub.model.heard import Publish
from tests.engine.desk import Desk, device, documents, native

TOPIC = "hub/s1/env-1/telemetry"


def reading(desk: Desk, co2: int) -> Publish:
    """Return what is measured in the second at hand of a clock that tells seconds."""
    return native("env-1", {"t": desk.wall // 1_000_000_000 * 1_000, "values": {"co2": co2}}, "telemetry")


def alike(desk: Desk, *more: int) -> tuple[int, int]:
    """Return two values that, said in the second at hand, have the same digest below the millisecond."""
    found: dict[int, int] = {}
    for co2 in count():
        digest = crc32(reading(desk, co2).payload, crc32(TOPIC.encode())) % MILLION
        if co2 not in more and (other := found.setdefault(digest, co2)) != co2:
            return other, co2
    raise AssertionError


def times(desk: Desk, *said: int) -> list[int]:
    """Return when the points of these are, each said in a message of its own."""
    return [desk.hear(reading(desk, co2), session="telemetry").points[0][1] for co2 in said]


@pytest.fixture(params=[0, LESSONS + 2], ids=["who is new", "who is known"])
def desk(request: pytest.FixtureRequest) -> Desk:
    desk = Desk(documents(device("env-1", "environment_sensor")))
    for number in range(request.param):
        desk.tick(60)
        desk.hear(reading(desk, number), session="telemetry")
    desk.tick(60)
    return desk


def test_two_whose_digests_are_alike_are_two_points_and_what_is_said_again_is_the_same_one(desk: Desk) -> None:
    """One pair in a million would be one point: five messages a second by a clock of whole seconds lose one a day."""
    for _ in range(3):
        before, after = alike(desk)
        other = next(number for number in count() if number not in {before, after})
        first, second, third = times(desk, other, before, after)
        assert len({first, second, third}) == 3
        assert len({time // MILLION for time in (first, second, third)}) == 1
        assert times(desk, after, before) == [third, second]
        desk.tick(1)


def test_also_of_two_a_second_each_is_a_point(desk: Desk) -> None:
    times(desk, 1, 2)  # the first such two are not compared
    for _ in range(3):
        desk.tick(1)
        assert len({*times(desk, *alike(desk))}) == 2


def test_what_was_kept_while_nobody_listened_is_as_many_points_as_it_is_messages(desk: Desk) -> None:
    before, after = alike(desk)
    old = [reading(desk, before), reading(desk, after)]
    desk.tick(60)
    times(desk, 1)
    found = [desk.hear(message, session="telemetry").points[0][1] for message in old]
    assert len(set(found)) == 2
    assert found[0] // MILLION == found[1] // MILLION


def test_records_of_one_message_are_as_many_points_as_they_are(desk: Desk) -> None:
    moment = desk.wall // 1_000_000_000 * 1_000
    said = orjson.dumps([{"t": moment, "values": {"co2": co2}} for co2 in range(60)])
    effects = desk.hear(Publish(TOPIC, said), session="telemetry")
    assert len({time for _, time, _ in effects.points}) == 60
