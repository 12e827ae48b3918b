"""Dead letters taken again: late, at their own time, once; nobody lives by them, and nothing acts on them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import orjson
import pytest

from hub.engine.again import Retaken
from hub.engine.state import Waiting
from hub.model.effects import DeadLetter, Effects
from hub.model.heard import Publish
from hub.model.records import Control, Letter
from tests.engine.desk import ALARM, COMMUNITY, HOUR, NORMAL, SECOND, Desk, device, documents, encoded
from tests.engine.foreign import APPLICATION, EUI, LORA, RAW, SMOKE_1, foreign, source, uplink

UNREAD = documents(*COMMUNITY, device("smoke-2", "smoke_sensor"))
MENDED = documents(*COMMUNITY, device("smoke-2", "smoke_sensor", "milesight/gs524n"))
TOPIC = "hub/s1/smoke-2/telemetry"
DAY = 24 * HOUR


def frame(hexadecimal: str) -> Publish:
    return Publish(TOPIC, bytes.fromhex(hexadecimal))


def asked(desk: Desk, letters: Sequence[DeadLetter], identity: str, expires_in: int = 60, cut: int = 0) -> Effects:
    """Ask the engine as the rim does, which found ``cut`` letters beside these."""
    named = tuple(Letter(one.topic, one.payload, number=one.number, received_at=one.received_at) for one in letters)
    args: dict[str, str | int | float | bool] = {"last": named[-1].number if named else 0, "more": False, "cut": cut}
    entry, expires_at = f"{len(desk.records)}-0", desk.wall + expires_in * SECOND
    return desk.say(Control(entry, identity, "li", "retry", expires_at, args, named), named)


def counts(effects: Effects) -> tuple[int, int]:
    """Return how many letters were taken, and how many are still ones."""
    found = msgspec.json.decode(effects.replies[0].detail, type=Retaken)
    return found.taken, found.refused


def why(effects: Effects) -> dict[str, int]:
    return msgspec.json.decode(effects.replies[0].detail, type=Retaken).why


def heard_of(desk: Desk) -> tuple[object, ...]:
    found = desk.engine.content.find("s1", "smoke-2")
    assert found is not None
    return found.state.heard_at, found.state.heard_awake, found.state.differences, found.state.taught


def status_of(desk: Desk) -> object:
    (twin,) = (each for each in desk.engine.twins_of("s1") if each.name == "smoke-2")
    return twin.reported["status"][0]


def buried(hexadecimal: str = ALARM, hours: float = 3) -> tuple[Desk, list[DeadLetter]]:
    """Return a desk on which a frame was not understood, and its profile was mended so many hours later."""
    desk = Desk(UNREAD)
    letters = desk.hear(frame(hexadecimal)).dead_letters
    assert len(letters) == 1
    desk.tick(hours * HOUR)
    desk.revise(MENDED)
    return desk, letters


def test_a_letter_is_a_point_of_the_moment_at_which_it_came_and_no_letter_any_more() -> None:
    desk, letters = buried(NORMAL)
    effects = asked(desk, letters, "r1")
    assert counts(effects) == (1, 0)
    assert [each.number for each in effects.settled] == [letters[0].number]
    ((_, time, values),) = effects.points
    assert time // 10**6 == letters[0].received_at // 10**6
    assert values["status"] == "normal"
    assert status_of(desk) == "normal"
    ledger = desk.engine.state.ledger
    assert (ledger.heard, ledger.dead_lettered, ledger.replayed, ledger.points) == (1, 1, 1, 1)


def test_an_old_alarm_is_late_and_sends_nothing() -> None:
    desk, letters = buried()
    effects = asked(desk, letters, "r1")
    assert [(event.name, event.late) for event in effects.events] == [("fire.smoke_alarm", True)]
    assert effects.events[0].age == 3 * HOUR * SECOND
    assert effects.transmissions == []
    assert len(effects.points) == 1
    desk.tick(5)
    assert [event.name for event in desk.events if not event.late] == []


def test_what_the_device_has_said_since_stays_and_an_alarm_that_is_over_is_only_stored() -> None:
    desk, letters = buried()
    desk.hear(frame(NORMAL))
    before = heard_of(desk)
    effects = asked(desk, letters, "r1")
    assert (effects.events, effects.transmissions, len(effects.points)) == ([], [], 1)
    assert (status_of(desk), heard_of(desk)) == ("normal", before)


def test_what_came_when_our_clock_was_ahead_replaces_nothing_that_was_said_since() -> None:
    desk = Desk(UNREAD)
    desk.wall += 30 * DAY * SECOND
    letters = desk.hear(frame(ALARM)).dead_letters
    desk.wall -= 30 * DAY * SECOND
    desk.revise(MENDED)
    desk.hear(frame(NORMAL))
    effects = asked(desk, letters, "r1")
    assert (counts(effects), effects.settled, effects.events, effects.points) == ((0, 1), [], [], [])
    assert status_of(desk) == "normal"
    desk.tick(30 * DAY)
    effects = asked(desk, letters, "r2")
    assert (counts(effects), len(effects.points)) == ((1, 0), 1)


def test_nobody_lives_by_what_was_said_hours_ago() -> None:
    desk, letters = buried(NORMAL)
    before = heard_of(desk)
    asked(desk, letters, "r1")
    assert heard_of(desk) == before


def test_what_is_more_than_a_day_old_is_only_stored() -> None:
    told = documents(*COMMUNITY)
    desk = Desk(told)
    topic, said = "hub/s1/air-1/telemetry", {"values": {"temperature": 95.0}}
    letters = desk.hear(Publish(topic, orjson.dumps(said))).dead_letters
    desk.tick(DAY + 1)
    desk.revise(told | device("air-1", "environment_sensor"))
    effects = asked(desk, letters, "r1")
    assert (counts(effects), len(effects.points), effects.events) == ((1, 0), 1, [])


def test_what_is_not_understood_yet_stays_with_its_new_reason() -> None:
    desk, letters = buried("221164321F19")
    assert letters[0].code != "bad_checksum"
    effects = asked(desk, letters, "r1")
    assert (counts(effects), effects.settled, effects.points) == ((0, 1), [], [])
    (letter,) = effects.dead_letters
    assert (letter.number, letter.code, letter.received_at) == (
        letters[0].number,
        "bad_checksum",
        letters[0].received_at,
    )
    assert (letter.payload, letter.position) == (letters[0].payload, effects.position)
    assert desk.engine.state.ledger.dead_lettered == 1


def test_an_answer_or_an_availability_of_long_ago_is_not_said_again() -> None:
    desk = Desk(MENDED)
    said = (
        Publish("hub/s1/smoke-2/availability", b"gone"),
        Publish("hub/s1/door-1/response", b'{"id": "c1", "ok": true}'),
    )
    letters = desk.hear(*said).dead_letters
    desk.tick(HOUR)
    effects = asked(desk, letters, "r1")
    assert (counts(effects), effects.settled, effects.dead_letters, effects.events) == ((0, 2), [], [], [])


def test_each_letter_that_stays_one_is_told_by_its_code() -> None:
    """Of all but what was refused anew nobody was told why: they were among those that are still dead letters."""
    desk = Desk(UNREAD)
    letters = list(desk.hear(frame("221164321F19"), Publish("hub/s1/smoke-2/availability", b"gone")).dead_letters)
    desk.wall += DAY * SECOND
    letters += desk.hear(frame(ALARM)).dead_letters
    desk.wall -= DAY * SECOND
    desk.revise(MENDED)
    effects = asked(desk, letters, "r1", cut=2)
    assert counts(effects) == (0, 5)
    assert why(effects) == {"payload_cut": 2, "bad_checksum": 1, "outdated": 1, "clock_was_ahead": 1}


def test_a_request_is_done_once_and_one_that_expired_not_at_all() -> None:
    desk, letters = buried(NORMAL)
    late = asked(desk, letters, "r0", expires_in=-1)
    assert (late.replies[0].code, late.points, late.settled) == ("expired", [], [])
    first = asked(desk, letters, "r1")
    second = asked(desk, letters, "r1")
    assert second.replies == first.replies
    assert (second.points, second.settled, second.dead_letters) == ([], [], [])


def test_denials_of_a_whole_night_are_not_within_a_minute_because_they_are_taken_at_once() -> None:
    for apart, told in ((600, []), (5, ["access.repeated_denials"])):
        desk = Desk(documents(*COMMUNITY))
        letters: list[DeadLetter] = []
        for number in range(6):
            said = {"part": "door-1", "signals": [{"name": "access.denied", "card": str(number)}]}
            letters += desk.hear(Publish("hub/s1/door-2/signal", orjson.dumps(said))).dead_letters
            desk.tick(apart)
        desk.tick(2 * HOUR)
        desk.revise(documents(*COMMUNITY, device("door-2", "access_controller")))
        effects = asked(desk, letters, "r1")
        assert counts(effects) == (6, 0)
        found = {event.name for event in effects.events if event.name == "access.repeated_denials"}
        assert sorted(found) == told
        assert all(event.late for event in effects.events)


def test_what_waited_for_its_device_is_no_dead_letter_once_it_is_taken() -> None:
    desk = Desk(documents(*COMMUNITY))
    desk.hear(frame(NORMAL), frame("221164321F19"))
    effects = desk.restart().revise(MENDED)
    assert [each.number for each in effects.settled] == [1]  # the other one is broken


MOVED = source("lora", "chirpstack", application="another")
HOT = {"temperature": 95.0}


@pytest.mark.parametrize("claimed_by", [{}, source("other", "chirpstack", application=APPLICATION)])
def test_what_waited_on_a_topic_that_is_its_networks_no_more_stays_a_dead_letter(claimed_by: dict[str, bytes]) -> None:
    """The envelope itself went to the device, which speaks our own words: what the network had written was stored."""
    desk = Desk(documents(LORA))
    desk.hear(uplink(orjson.dumps({"values": HOT}).hex(), values=HOT))
    effects = desk.revise(documents(MOVED, claimed_by, foreign("smoke-1", "smoke_sensor", "", "lora", EUI)))
    assert (effects.points, effects.settled, desk.engine.state.ledger.replayed) == ([], [], 0)


def test_what_waited_on_a_foreign_topic_is_not_said_by_a_device_of_our_own_of_that_name() -> None:
    desk = Desk(documents(RAW))
    (letter,) = desk.hear(Publish("vendor/s1/cam-1/up", orjson.dumps({"values": HOT}))).dead_letters
    assert (letter.site, letter.device, letter.code) == ("s1", "cam-1", "unknown_device")
    effects = desk.revise(documents(device("cam-1", "smoke_sensor")))
    assert (effects.points, effects.settled, desk.engine.state.ledger.replayed) == ([], [], 0)


def test_what_waits_in_the_checkpoint_of_a_former_version_has_no_number() -> None:
    desk = Desk(documents(*COMMUNITY))
    desk.hear(frame(NORMAL))
    desk.write_down()
    key = "waiting/s1/smoke-2"
    entry = msgspec.msgpack.decode(desk.checkpoint[key], type=Waiting)
    former = {"messages": entry.messages, "payload_bytes": entry.payload_bytes}
    later = desk.revive(desk.checkpoint | {key: msgspec.msgpack.encode(former)})
    later.hear(frame(NORMAL))
    effects = later.revise(MENDED)
    assert [each.number for each in effects.settled] == [2]
    assert later.engine.state.ledger.replayed == 2


def test_doing_it_again_comes_to_the_same_also_from_a_checkpoint_between() -> None:
    straight, letters = buried()
    broken, _ = buried()
    broken = broken.restart()
    for desk in (straight, broken):
        desk.effects.clear()
        asked(desk, letters, "r1")
        desk.hear(frame(ALARM))
        desk.tick(3)
    assert encoded(broken.effects) == encoded(straight.effects)
    assert [each.settled for each in broken.effects] == [each.settled for each in straight.effects]
    assert broken.engine.state.ledger == straight.engine.state.ledger


def test_what_a_network_said_of_a_device_that_was_added_much_later_is_taken_once() -> None:
    desk = Desk(documents(LORA))
    letters = desk.hear(uplink(NORMAL)).dead_letters
    desk.tick(3 * HOUR)
    assert counts(asked(desk, letters, "r1")) == (0, 1)
    desk.revise(documents(LORA, SMOKE_1))
    effects = asked(desk, letters, "r2")
    ((series, time, _),) = effects.points
    assert (counts(effects), series.device) == ((1, 0), "smoke-1")
    assert time // 10**6 == letters[0].received_at // 10**6
    ((_, again, _),) = desk.hear(uplink(NORMAL)).points  # the network's own id of it: the same point once more
    assert again == time


def test_a_letter_of_a_network_is_its_devices_also_when_its_envelope_cannot_be_read() -> None:
    """Asked for again it had no site, and a device that nobody had registered was not even unknown any more."""
    desk = Desk(documents(LORA, SMOKE_1))
    known, unknown = (uplink(NORMAL, eui=eui).topic for eui in (EUI, "24e124ffffffff01"))
    letters = desk.hear(Publish(known, b'{"data": '), Publish(unknown, b'{"data": ')).dead_letters
    told = [(each.code, each.whose) for each in letters]
    assert told == [("bad_json", "s1/smoke-1"), ("unknown_device", "@lora/24e124ffffffff01")]
    assert [(each.code, each.whose) for each in asked(desk, letters, "r1").dead_letters] == told
