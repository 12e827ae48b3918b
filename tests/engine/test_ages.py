"""How long before it was told something happened: by the device's clock, less what that clock is wrong."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.engine.ages import HOUR_NS, SECOND_NS, age_of, first_time, live_ages
from hub.engine.known import DeviceState, Written
from hub.engine.state import decode_entries
from hub.model.records import Control
from hub.model.values import Quality, Scalar
from tests.engine.desk import COMMUNITY, SECOND, Desk, device, documents, native

WRONG_SECONDS = 3_600
"""The clocks of these devices run an hour behind."""


def desk_with_a_gate() -> Desk:
    desk = Desk(documents(*COMMUNITY, device("lane", "plate_reader")))
    for _ in range(12):  # ten messages teach its clock
        for name in ("door-1", "lane"):
            desk.hear(native(name, {"t": clock(desk), "values": {}}, "telemetry"))
        desk.tick(1)
    return desk


def test_whoever_would_lie_upon_another_takes_the_next_free_ns_of_its_millisecond() -> None:
    known = DeviceState()
    times = [first_time(known, identity, 7_999_999)[0] for identity in "abc"]
    assert (times, first_time(known, "b", 7_999_999)) == ([7_999_999, 7_000_000, 7_000_001], (7_000_000, False))


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


def test_what_an_answer_says_is_of_now_and_what_is_measured_after_it_is_newer_by_a_clock_that_is_behind() -> None:
    desk = desk_with_a_gate()
    desk.hear(native("door-1", {"t": clock(desk), "values": {"lock": "locked"}}, "telemetry"))
    words: dict[str, Scalar] = {"site": "s1", "device": "door-1", "command": "unlock"}
    assert desk.say(Control("1-0", "c1", "li", "command", desk.wall + 30 * SECOND, words)).replies[0].ok
    desk.hear(native("door-1", {"id": "c1", "ok": True, "state": {"lock": "unlocked", "battery": 101}}, "response"))
    door = desk.engine.content.find("s1", "door-1")
    assert door is not None
    held = {name: (value, quality) for name, (value, _, _, quality) in door.state.held("").items()}
    assert held == {"battery": (101, Quality.BAD), "lock": ("unlocked", Quality.GOOD)}
    desk.tick(5)
    desk.hear(native("door-1", {"t": clock(desk), "values": {"lock": "locked"}}, "telemetry"))
    assert door.state.held("").value("lock") == "locked"


@pytest.mark.parametrize("where", [{}, {"part": "door-1"}], ids=["whole", "part"])
def test_what_was_said_before_a_clock_told_a_time_is_not_newer_than_all_that_it_tells(where: dict[str, str]) -> None:
    desk = Desk(documents(*COMMUNITY))
    for values in ({"lock": "locked", "door": "closed"}, {"door": "closed"}):
        desk.hear(native("door-1", {**where, "values": values}, "telemetry"))
    desk.tick(5)
    for values in ({"door": "open"}, {"lock": "unlocked"}):
        desk.hear(native("door-1", {**where, "t": clock(desk), "values": values}, "telemetry"))
    door = desk.engine.content.find("s1", "door-1")
    assert door is not None
    (held,) = door.state.by_part().values()
    assert [held.value(name) for name in ("door", "lock")] == ["open", "unlocked"]


class Former:
    """The clock's error by its definition: a list of the least difference in each of the last 24 heard hours."""

    def __init__(self) -> None:
        self.hours: list[list[int]] = []

    def learn(self, hour: int, difference: int) -> None:
        if not self.hours or self.hours[-1][0] != hour:
            self.hours = [*self.hours, [hour, difference]][-24:]
        self.hours[-1][1] = min(self.hours[-1][1], difference)

    @property
    def error(self) -> int:
        return min(least for _, least in self.hours)


def heard(known: DeviceState, hour: int, difference: int) -> None:
    known.heard_awake = hour * HOUR_NS
    age_of(known, difference, 60 * SECOND, None)


DIFFERENCES = st.one_of(st.integers(-3, 40), st.integers(-(10**18), 10**18))
HEARD = st.lists(st.tuples(st.sampled_from([0, 0, 1, 1, 1, 2, 30]), DIFFERENCES), min_size=1, max_size=90)


@given(said=HEARD, written_after=st.integers(0, 60))
def test_what_is_kept_of_a_day_knows_the_clock_as_the_whole_day_does(
    said: list[tuple[int, int]], written_after: int
) -> None:
    known, former, hour = DeviceState(), Former(), 100
    known.taught = 10
    for count, (later, difference) in enumerate(said):
        if count == written_after:  # a checkpoint of a former version, which kept the whole day
            body = msgspec.msgpack.encode({"taught": 10, "differences": former.hours, "clock_error": known.clock_error})
            ((_, entry),) = decode_entries([("device/s1/room", body)])
            assert isinstance(entry, DeviceState)
            known = entry
        hour += later
        heard(known, hour, difference)
        former.learn(hour, difference)
        newest_hour, least = former.hours[-1]
        found, most, end = live_ages(known, 7)
        assert (found, end) == (least, (newest_hour + 1) * HOUR_NS)
        assert 0 <= former.error + 7 - most < SECOND_NS
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(known.written()), type=Written) == known.written()
