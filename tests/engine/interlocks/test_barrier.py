"""What lowers a barrier and what does not: who stands there, who says so, who vouches for whom, and for how long."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from hub.model.records import Control, SessionCaughtUp, SessionConnected, Started
from hub.model.values import Scalar
from tests.engine.desk import SECOND, SESSIONS, SITE, Desk, native, place, stands
from tests.engine.interlocks.interlocked import ask, content, done, says, sent, told


@pytest.mark.parametrize("present", [True, None])
def test_a_barrier_is_not_lowered_on_a_vehicle_or_where_nobody_knows(desk: Desk, present: bool | None) -> None:  # noqa: FBT001 -- three-valued
    if present is not None:
        says(desk, "lane-reader", vehicle_present=present)
    assert ask(desk, "lane-reader", "release_barrier").code == "interlocked"
    assert ask(desk, "lane-reader", "hold_barrier", ttl="5s").ok
    desk.tick(6)
    desk.tick(60)
    assert sent(desk, "lane-reader") == ["hold_barrier"]
    assert len(told(desk, "interlocked")) == 1
    says(desk, "lane-reader", vehicle_present=False)
    desk.tick(1.1)
    assert sent(desk, "lane-reader") == ["hold_barrier", "release_barrier"]


def test_a_barrier_waits_for_the_vehicle_over_a_restart(desk: Desk) -> None:
    says(desk, "lane-reader", vehicle_present=True)
    ask(desk, "lane-reader", "hold_barrier", ttl="5s")
    desk.tick(6)
    later = desk.restart()
    says(later, "lane-reader", vehicle_present=False)
    later.tick(1.1)
    assert sent(later, "lane-reader") == ["release_barrier"]


def test_that_nobody_stood_there_a_minute_ago_lowers_no_barrier(desk: Desk) -> None:
    says(desk, "lane-reader", vehicle_present=False)
    assert ask(desk, "lane-reader", "hold_barrier", ttl="58s").ok
    desk.tick(50)
    assert ask(desk, "lane-reader", "release_barrier").ok
    assert ask(desk, "lane-reader", "hold_barrier", ttl="5s").ok
    desk.tick(15)
    desk.tick(600)
    assert sent(desk, "lane-reader") == ["hold_barrier", "release_barrier", "hold_barrier"]
    says(desk, "lane-reader", confidence=0.9)  # it is alive, and says nothing of vehicles
    desk.tick(1.1)
    assert ask(desk, "lane-reader", "release_barrier").code == "interlocked"
    says(desk, "lane-reader", vehicle_present=False)
    desk.tick(1.1)
    assert sent(desk, "lane-reader")[-1] == "release_barrier"


def test_what_was_said_before_or_while_the_hub_was_blind_lowers_no_barrier(desk: Desk) -> None:
    says(desk, "lane-reader", vehicle_present=False)
    assert ask(desk, "lane-reader", "hold_barrier", ttl="5s").ok
    later = desk.restart()
    later.wait(3_600)  # awake, it is as if no time had passed
    later.say(Started("test", SESSIONS))
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    waited = native("lane-reader", {"values": {"vehicle_present": False}}, "telemetry")  # nobody knows for how long
    later.hear(waited, connection=2)
    for session in SESSIONS:
        later.say(SessionCaughtUp(session, 2))
    later.tick(2)
    assert sent(later, "lane-reader") == []
    later.hear(waited, connection=2)
    later.tick(1.1)
    assert sent(later, "lane-reader") == ["release_barrier"]


def test_a_blink_of_the_hub_makes_nobody_a_stranger_unless_the_broker_has_forgotten_it_too(desk: Desk) -> None:
    says(desk, "lane-reader", vehicle_present=False)
    for connection, is_remembered, code in ((2, True, "accepted"), (3, False, "interlocked")):
        desk.lose()
        desk.wait(1)
        for session in SESSIONS:
            desk.say(SessionConnected(session, connection, session_present=is_remembered))
        for session in SESSIONS:
            desk.say(SessionCaughtUp(session, connection))
        assert ask(desk, "lane-reader", "release_barrier").code == code


def test_what_a_reader_measured_minutes_ago_or_a_broker_remembers_lowers_no_barrier(desk: Desk) -> None:
    old = {"t": desk.wall // 1_000_000 - 120_000, "values": {"vehicle_present": False}}
    now = {"t": desk.wall // 1_000_000, "values": {"confidence": 0.9}}
    desk.hear(native("lane-reader", now, "telemetry"), native("lane-reader", old, "telemetry"))
    assert ask(desk, "lane-reader", "release_barrier").code == "interlocked"
    said = native("lane-reader", {"values": {"vehicle_present": False}}, "telemetry")
    other = Desk(content())
    other.hear(msgspec.structs.replace(said, retain=True))
    assert ask(other, "lane-reader", "release_barrier").code == "interlocked"


def test_a_whole_reader_lowers_only_what_is_known_to_be_free_everywhere(desk: Desk) -> None:
    says(desk, "lane-reader", part="lane-1", vehicle_present=False)
    says(desk, "lane-reader", part="lane-2", vehicle_present=True)
    assert ask(desk, "lane-reader", "release_barrier").code == "interlocked"
    assert ask(desk, "lane-reader", "release_barrier", part="lane-1").ok
    says(desk, "lane-reader", part="lane-2", vehicle_present=False)
    assert ask(desk, "lane-reader", "release_barrier").ok


def lane(*cameras: str) -> Desk:
    """Return a lane at which a camera and a loop stand, and what the camera has said of its parts."""
    camera = stands("camera", "plate_reader", "lane-1", building="")
    desk = Desk({**content(), **camera, **stands("elsewhere", "plate_reader", "b1")})
    for part in cameras:
        says(desk, "camera", part=part, confidence=0.9)
    return desk


@pytest.mark.parametrize("cameras", [("",), ("lane-1",)])
def test_a_loop_beside_a_camera_that_says_nothing_of_vehicles_vouches_for_it(cameras: tuple[str, ...]) -> None:
    desk = lane(*cameras)
    assert ask(desk, "camera", "hold_barrier", ttl="5s").ok
    says(desk, "elsewhere", vehicle_present=False)
    desk.tick(6)
    assert sent(desk, "camera") == ["hold_barrier"]
    says(desk, "lane-reader", vehicle_present=True)
    desk.tick(2)
    assert sent(desk, "camera") == ["hold_barrier"]
    says(desk, "lane-reader", vehicle_present=False)
    desk.tick(1.1)
    assert sent(desk, "camera") == ["hold_barrier", "release_barrier"]


def test_what_a_loop_said_a_minute_ago_or_before_it_went_away_vouches_for_nobody() -> None:
    desk = lane("")
    says(desk, "lane-reader", vehicle_present=False)
    desk.tick(61)
    assert ask(desk, "camera", "release_barrier").code == "interlocked"
    says(desk, "lane-reader", vehicle_present=False)
    desk.hear(native("lane-reader", "offline", "availability"))
    assert ask(desk, "camera", "release_barrier").code == "interlocked"


def test_a_loop_vouches_for_one_lane_of_several_only_by_name() -> None:
    desk = lane("lane-1", "lane-2")
    says(desk, "lane-reader", vehicle_present=False)
    assert ask(desk, "camera", "release_barrier", part="lane-1").code == "interlocked"
    says(desk, "lane-reader", part="lane-1", vehicle_present=False)
    assert ask(desk, "camera", "release_barrier", part="lane-1").ok
    assert ask(desk, "camera", "release_barrier", part="lane-2").code == "interlocked"
    assert ask(desk, "camera", "release_barrier").code == "interlocked"


def test_a_camera_that_has_spoken_of_another_lane_only_has_several() -> None:
    desk = lane("lane-1")
    says(desk, "lane-reader", vehicle_present=False)
    assert ask(desk, "camera", "release_barrier", part="lane-2").code == "interlocked"
    says(desk, "lane-reader", part="lane-2", vehicle_present=False)
    assert ask(desk, "camera", "release_barrier", part="lane-2").ok


def test_a_whole_reader_waits_for_a_lane_of_which_only_its_signals_tell(desk: Desk) -> None:
    desk.hear(native("lane-reader", {"signals": [{"name": "plate.unread"}], "part": "lane-1"}, "telemetry"))
    says(desk, "lane-reader", part="lane-2", vehicle_present=False)
    assert ask(desk, "lane-reader", "release_barrier").code == "interlocked"
    assert ask(desk, "lane-reader", "release_barrier", part="lane-2").ok


def gate() -> Desk:
    """Return a gate with a camera at its entry and a reader with a loop at its exit, registered at one place."""
    cameras = [stands(name, "plate_reader", "north", building="") for name in ("entry", "exit")]
    north = place("north", "gate", SITE, "")
    return Desk({**content(), **north, **{key: body for each in cameras for key, body in each.items()}})


@pytest.mark.parametrize("part", ["", "in"])
def test_the_loop_of_a_gates_exit_vouches_for_nobody_at_its_entry(part: str) -> None:
    desk = gate()
    says(desk, "entry", part=part, confidence=0.9)
    for whose in ("", "out"):
        says(desk, "exit", part=whose, vehicle_present=False)
        assert ask(desk, "entry", "release_barrier", part=part).code == "interlocked"
    assert ask(desk, "entry", "hold_barrier", part=part, ttl="5s").ok
    for _ in range(8):
        desk.tick(1)
        says(desk, "exit", vehicle_present=False)
        says(desk, "exit", part="out", vehicle_present=False)
    assert sent(desk, "entry") == ["hold_barrier"]


def test_at_a_gate_one_that_names_the_same_part_vouches_for_it_alone() -> None:
    desk = gate()
    says(desk, "entry", part="in", confidence=0.9)
    says(desk, "exit", part="in", vehicle_present=False)
    assert ask(desk, "entry", "release_barrier", part="in").ok
    assert ask(desk, "entry", "release_barrier", part="out").code == "interlocked"
    says(desk, "exit", part="in", vehicle_present=True)
    assert ask(desk, "entry", "release_barrier", part="in").code == "interlocked"
    assert ask(desk, "entry", "release_barrier", part="in", seen=True).code == "interlocked"


def test_who_says_such_a_thing_itself_is_not_vouched_for_when_it_is_silent_about_it() -> None:
    desk = lane("")
    says(desk, "camera", vehicle_present=False)
    desk.tick(61)
    says(desk, "lane-reader", vehicle_present=False)
    assert ask(desk, "camera", "release_barrier").code == "interlocked"


def test_who_stands_there_lowers_a_barrier_of_which_nobody_knows_but_not_on_what_a_device_sees() -> None:
    desk = lane("")
    assert ask(desk, "camera", "hold_barrier", ttl="5s").ok
    desk.tick(6)
    assert ask(desk, "camera", "release_barrier", seen="yes").code == "interlocked"
    assert ask(desk, "camera", "release_barrier", seen=True).ok
    assert sent(desk, "camera") == ["hold_barrier", "release_barrier"]
    assert "seen" not in orjson.loads(desk.effects[-1].transmissions[0].payload).get("args", {})
    done(desk)
    desk.tick(60)
    assert sent(desk, "camera") == ["hold_barrier", "release_barrier"]  # and nothing more is owed
    for who in ("camera", "lane-reader"):
        says(desk, who, vehicle_present=True)
        assert ask(desk, "camera", "release_barrier", seen=True).code == "interlocked"
        says(desk, who, vehicle_present=False)


@pytest.mark.parametrize("who", ["camera", "lane-reader"])
def test_a_no_bars_who_stands_there_for_as_long_as_it_is_fresh_and_names_its_device(who: str) -> None:
    desk = lane("")
    says(desk, who, vehicle_present=True)
    reply = ask(desk, "camera", "release_barrier", seen=True)
    assert reply.detail == f"a vehicle may stand under the barrier: {who} says so / 道闸下可能有车：{who} 上报"
    desk.tick(59)
    assert ask(desk, "camera", "release_barrier", seen=True).code == "interlocked"
    desk.tick(2)
    assert ask(desk, "camera", "release_barrier").detail == "a vehicle may stand under the barrier / 道闸下可能有车"
    assert ask(desk, "camera", "release_barrier", seen=True).ok


def test_a_loop_that_saw_a_vehicle_and_died_bars_who_stands_there_for_a_minute_and_not_for_ever() -> None:
    desk = lane("")
    says(desk, "lane-reader", part="lane-1", vehicle_present=True)
    desk.hear(native("lane-reader", "offline", "availability"))
    assert ask(desk, "camera", "release_barrier", seen=True).code == "interlocked"
    desk.lose()  # and a hub that blinks forgets it no sooner
    desk.catch_up(2)
    assert ask(desk, "camera", "release_barrier", seen=True).code == "interlocked"
    desk.tick(7_200)
    assert ask(desk, "camera", "release_barrier").code == "interlocked"
    assert ask(desk, "camera", "release_barrier", seen=True).ok


def test_nobody_stands_at_a_device_that_is_offline(desk: Desk) -> None:
    desk.hear(native("lane-reader", "offline", "availability"))
    assert ask(desk, "lane-reader", "release_barrier", seen=True).code == "interlocked"


def test_what_a_person_saw_is_no_reason_to_hold_for_minutes(desk: Desk) -> None:
    reply = ask(desk, "lane-reader", "hold_barrier", ttl="5m", seen=True)
    assert (reply.ok, reply.code) == (False, "seen_is_of_now")
    assert sent(desk, "lane-reader") == []


def test_what_a_person_saw_is_of_one_device() -> None:
    desk = lane("")
    words: dict[str, Scalar] = {"site": SITE, "place": "lane-1", "command": "release_barrier", "seen": True}
    one = Control("1-0", "one", "li", "command", desk.wall + 30 * SECOND, words)
    reply = desk.say(one).replies[0]
    assert (reply.ok, reply.code) == (False, "seen_is_of_one_device")
    assert told(desk, "requested") == []
    alone = Desk(content())
    assert alone.say(one).replies[0].ok
    assert sent(alone, "lane-reader") == ["release_barrier"]


def test_a_reader_that_is_offline_knows_nothing_of_vehicles(desk: Desk) -> None:
    says(desk, "lane-reader", vehicle_present=False)
    desk.hear(native("lane-reader", "offline", "availability"))
    assert ask(desk, "lane-reader", "release_barrier").code == "interlocked"
