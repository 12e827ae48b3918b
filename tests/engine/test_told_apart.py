"""What a command becomes that its device cannot be told as it is wanted: of a whole, or for as long."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import orjson

from hub.model.effects import Effects
from hub.model.records import Control
from tests.engine.desk import SECOND, Desk, device, documents, native
from tests.engine.foreign import DOORS, ask, foreign

GATE = foreign("gate", "access_controller", "uhppoted/ut0311-l04", "doors", "405419896", card=8165538)
SMALL = foreign("gate", "access_controller", "uhppoted/ut0311-l04", "doors", "405419896", card=8165538, doors=1)


def told(*effects: Effects) -> list[tuple[int, str]]:
    """Return (door, control) of every request to uhppoted."""
    sent = [one for each in effects for one in each.transmissions if one.topic.startswith("uhppoted/")]
    requests: list[Mapping[str, object]] = [orjson.loads(one.payload)["message"]["request"] for one in sent]
    return [(int(str(each["door"])), str(each["control"])) for each in requests]


def burning() -> Desk:
    """Return a desk at which the fire button of a door beside the gate was pressed."""
    desk = Desk(documents(DOORS, GATE, device("door-1", "access_controller")))
    desk.hear(native("door-1", {"values": {"fire_button": True}}))
    return desk


def test_in_a_fire_each_door_opens_of_a_controller_that_is_told_of_one_at_a_time() -> None:
    desk = burning()
    assert told(desk.effects[-1]) == [(door, "normally open") for door in (1, 2, 3, 4)]


def test_each_is_held_until_a_person_ends_it_and_then_each_is_let_go() -> None:
    desk = burning()
    assert sorted(told(*(desk.tick(1) for _ in range(301)))) == [(door, "normally open") for door in (1, 2, 3, 4)]
    desk.hear(native("door-1", {"values": {"fire_button": False}}))
    words = {"rule": "fire-input", "key": "s1/door-1"}
    cleared = desk.say(Control("1-0", "c1", "li", "clear", desk.wall + 30 * SECOND, dict(words)))
    assert told(cleared) == [(door, "controlled") for door in (1, 2, 3, 4)]


def test_what_a_person_asks_of_the_whole_goes_to_each_of_its_doors() -> None:
    desk = Desk(documents(DOORS, GATE))
    reply, effects = ask(desk, "gate", "hold_door", ttl="30s")
    assert (reply.code, reply.detail) == ("accepted", "c1-1 to c1-4: 4 of 4")
    assert told(effects) == [(door, "normally open") for door in (1, 2, 3, 4)]


def test_a_controller_of_one_door_is_told_of_that_one() -> None:
    desk = Desk(documents(DOORS, SMALL))
    reply, effects = ask(desk, "gate", "hold_door", ttl="30s")
    assert (reply.code, reply.detail, told(effects)) == ("accepted", "c1", [(1, "normally open")])


FRAMED = {
    "profile": "acme/lock", "version": "1.0.0", "kind": "access_controller", "label": {"en": "Lock", "zh": "锁"},
    "payload": {"format": "json"}, "time": {"from": "none"}, "examples": [],
    "properties": {"door": {"path": "d", "values": {"0": "closed", "1": "open"}}},
    "commands": {"hold_door": {"hex": "01 {ttl.s:u8}"}, "release_door": {"hex": "00"}},
}  # fmt: skip


def heard_by_the_lock(desk: Desk, seconds: int) -> list[tuple[int, bytes]]:
    """Return when (s) the lock was told what from the last record on."""
    found = [(0, one.payload) for one in desk.effects[-1].transmissions if "/lock-1/" in one.topic]
    for second in range(1, seconds + 1):
        found += [(second, one.payload) for one in desk.tick(1).transmissions if "/lock-1/" in one.topic]
    return found


def test_a_door_whose_frame_holds_no_ten_minutes_is_told_again_before_it_closes_in_a_fire() -> None:
    devices = device("door-1", "access_controller"), device("lock-1", "access_controller", "acme/lock")
    desk = Desk({**documents(*devices), "profile/acme/lock": orjson.dumps(FRAMED)})
    desk.hear(native("door-1", {"values": {"fire_button": True}}))
    said = heard_by_the_lock(desk, 600)
    assert {payload for _, payload in said} == {bytes([1, 255])}
    assert max(b - a for (a, _), (b, _) in pairwise(said)) < 255


def test_what_a_person_holds_for_longer_than_a_frame_says_lasts_as_long_as_was_asked() -> None:
    desk = Desk(
        {**documents(device("lock-1", "access_controller", "acme/lock")), "profile/acme/lock": orjson.dumps(FRAMED)}
    )
    ask(desk, "lock-1", "hold_door", ttl="10m")
    said = heard_by_the_lock(desk, 601)
    assert said[-1] == (600, bytes([0]))
    assert max(b - a for (a, _), (b, _) in pairwise(said)) < 255


def grave(desk: Desk) -> list[tuple[str, str, str]]:
    """Return (event, device, severity) of what became of commands."""
    return [(one.name, one.device, one.severity.value) for one in desk.events if one.name.startswith("command.")]


def test_a_door_that_refuses_to_open_in_a_fire_is_told_as_gravely_as_one_that_cannot() -> None:
    desk = burning()
    door = next(one for one in desk.effects[-1].transmissions if "/door-1/" in one.topic)
    refusal = {"id": door.command, "ok": False, "code": "jammed"}
    desk.hear(native("door-1", refusal, "response"))
    assert grave(desk) == [("command.rejected", "door-1", "critical")]


def test_a_door_that_nobody_could_tell_in_a_fire_is_told_as_gravely() -> None:
    desk = Desk(documents(device("door-1", "access_controller")))
    desk.hear(native("door-1", {"values": {"fire_button": True}}))
    desk.tick(11)
    assert grave(desk) == [("command.expired", "door-1", "critical")]


def test_what_a_person_asked_for_and_a_door_refused_is_no_alarm() -> None:
    desk = Desk(documents(device("door-1", "access_controller")))
    _, effects = ask(desk, "door-1", "unlock", ttl="5s")
    desk.hear(native("door-1", {"id": effects.transmissions[0].command, "ok": False, "code": "jammed"}, "response"))
    assert ("command.rejected", "door-1", "medium") in grave(desk)
