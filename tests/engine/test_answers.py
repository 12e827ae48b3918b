"""A request is done once, whatever goes back: its Redis, the clock of the hub, or both."""

from __future__ import annotations

from hub.engine.answers import MAX_ANSWERS
from hub.model.effects import Effects, Reply
from hub.model.records import Control, Outcome, OutcomeKind
from tests.engine.desk import SECOND, Desk, native

MINUTE = 60 * SECOND
UNLOCK = {"site": "s1", "device": "gate-1", "command": "unlock", "part": "door-1", "ttl": "5s"}


def unlock(desk: Desk, number: int, *, entry: int = 0) -> Control:
    """Return a request to open the door that is good for 30 s."""
    return Control(f"{entry or number}-0", f"id-{number}", "li", "command", desk.wall + 30 * SECOND, dict(UNLOCK))


def mode(desk: Desk, number: int, verb: str, *, good_for: int) -> Control:
    words = {"site": "s1", "what": "gate-1", "for": "30m", "reason": "yearly"}
    return Control(f"{number}-0", f"id-{number}", "li", verb, desk.wall + good_for, dict(words))


def do(desk: Desk, asked: Control) -> None:
    """Ask, and let the device have done it."""
    assert desk.say(asked).replies[0].ok
    desk.say(Outcome(asked.id, OutcomeKind.SENT))
    desk.say(Outcome(asked.id, OutcomeKind.DELIVERED))
    desk.hear(native("gate-1", {"id": asked.id, "ok": True}, "response"))


def pass_minutes(desk: Desk, minutes: int) -> None:
    for _ in range(minutes):
        desk.tick(60)


def said(effects: Effects) -> tuple[list[str], int]:
    """Return what was answered, and how many commands left."""
    return [reply.code for reply in effects.replies], len(effects.transmissions)


def test_a_request_that_comes_again_is_done_once_where_the_clock_went_back_too(desk: Desk) -> None:
    asked = unlock(desk, 100)
    do(desk, asked)
    pass_minutes(desk, 12)
    desk.wall -= 12 * MINUTE  # the machine came back with an older clock, its Redis with an older copy
    assert said(desk.say(asked)) == (["accepted"], 0)


def test_nor_is_one_whose_answer_was_forgotten_and_after_a_restart(desk: Desk) -> None:
    first = unlock(desk, 100)
    do(desk, first)
    pass_minutes(desk, 12)
    do(desk, unlock(desk, 200))
    assert first.id not in desk.engine.state.answers.by_id
    desk.wall -= 12 * MINUTE
    for each in (desk, desk.restart()):
        assert said(each.say(first)) == (["expired"], 0)


def test_nor_is_one_that_a_redis_gives_again_after_another_that_was_behind_it(desk: Desk) -> None:
    asked = unlock(desk, 100)
    do(desk, asked)
    pass_minutes(desk, 6)
    do(desk, unlock(desk, 200, entry=50))
    pass_minutes(desk, 6)
    do(desk, unlock(desk, 300, entry=60))
    desk.wall -= 12 * MINUTE
    assert said(desk.say(asked)) == (["expired"], 0)


def test_what_is_asked_anew_of_a_redis_that_is_behind_is_done(desk: Desk) -> None:
    for number in (100, 200):
        do(desk, unlock(desk, number))
        pass_minutes(desk, 12)
    assert said(desk.say(unlock(desk, 300, entry=10))) == (["accepted"], 1)


def test_what_is_asked_anew_after_the_clock_went_back_is_done(desk: Desk) -> None:
    for number in (100, 200):
        do(desk, unlock(desk, number))
        pass_minutes(desk, 12)
    desk.wall -= 60 * MINUTE
    assert said(desk.say(unlock(desk, 300))) == (["accepted"], 1)


def test_nor_is_one_whose_answer_there_was_no_room_for(desk: Desk) -> None:
    others = {str(number): (2**62, Reply(str(number), ok=True, code="ok")) for number in range(MAX_ANSWERS)}
    desk.engine.state.answers.by_id.update(others)
    asked = unlock(desk, 100)
    do(desk, asked)
    assert said(desk.say(asked)) == (["expired"], 0)


def test_no_request_is_good_for_longer_than_its_answer_is_known(desk: Desk) -> None:
    begun = mode(desk, 1, "test", good_for=5 * MINUTE)
    assert said(desk.say(begun))[0] == ["ok"]
    assert said(desk.say(mode(desk, 2, "end_test", good_for=5 * MINUTE)))[0] == ["ok"]
    pass_minutes(desk, 6)
    before = len(desk.events)
    assert said(desk.say(begun))[0] == ["expired"]
    assert said(desk.say(mode(desk, 3, "test", good_for=5 * MINUTE + 1)))[0] == ["bad_expiry"]
    assert desk.events[before:] == []


def test_what_was_refused_for_its_expiry_is_not_known_for_ever(desk: Desk) -> None:
    assert said(desk.say(mode(desk, 1, "test", good_for=2**62)))[0] == ["bad_expiry"]
    pass_minutes(desk, 6)
    do(desk, unlock(desk, 100))
    assert list(desk.engine.state.answers.by_id) == ["id-100"]


def test_a_clock_that_was_once_years_ahead_refuses_nothing_that_is_asked_anew(desk: Desk) -> None:
    years = 10 * 365 * 24 * 60 * MINUTE
    desk.wall += years
    for number in (1_000, 2_000):
        do(desk, unlock(desk, number))
        pass_minutes(desk, 12)
    desk.wall -= years  # set right; its Redis was emptied, and counts from below
    assert said(desk.say(unlock(desk, 10))) == (["accepted"], 1)


def test_the_reader_goes_on_where_it_read_last_though_its_redis_is_behind(desk: Desk) -> None:
    do(desk, unlock(desk, 100))
    do(desk, unlock(desk, 200, entry=50))
    assert desk.restart().engine.state.clock.last_entry == "50-0"
