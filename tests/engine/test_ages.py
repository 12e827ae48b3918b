"""How long before it was told something happened: by the device's clock, less what that clock is wrong."""

from __future__ import annotations

from tests.engine.desk import COMMUNITY, SECOND, Desk, device, documents
from tests.engine.test_alarms import native

WRONG_SECONDS = 3_600
"""The clocks of these devices run an hour behind."""


def desk_with_a_gate() -> Desk:
    desk = Desk(documents(*COMMUNITY, device("lane", "plate_reader")))
    for _ in range(12):  # ten messages teach its clock
        for name in ("door-1", "lane"):
            desk.hear(native(name, {"t": clock(desk), "values": {}}, "telemetry"))
        desk.tick(1)
    return desk


def clock(desk: Desk, seconds_ago: float = 0) -> int:
    return round(desk.wall / 1e6 - (WRONG_SECONDS + seconds_ago) * 1_000)


def swipe(desk: Desk, seconds_ago: float) -> None:
    said = {"t": clock(desk, seconds_ago), "part": "door-1", "signals": [{"name": "access.granted", "card": "4711"}]}
    desk.hear(native("door-1", said))


def test_a_swipe_that_was_told_later_says_how_long_before_that_it_was() -> None:
    desk = desk_with_a_gate()
    swipe(desk, 40)
    swipe(desk, 600)
    assert [(event.late, event.age) for event in desk.events] == [(False, 40 * SECOND), (True, 600 * SECOND)]


def test_a_plate_says_so_too() -> None:
    desk = desk_with_a_gate()
    desk.hear(native("lane", {"t": clock(desk, 25), "values": {"plate": "鲁B12345"}}, "telemetry"))
    assert [(event.name, event.age) for event in desk.events] == [("vehicle.passage", 25 * SECOND)]


def test_without_a_device_clock_nobody_knows() -> None:
    desk = Desk(documents(*COMMUNITY))
    desk.hear(native("door-1", {"part": "door-1", "signals": [{"name": "access.granted", "card": "4711"}]}))
    assert [event.age for event in desk.events] == [0]
