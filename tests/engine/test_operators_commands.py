"""Commands of operators: answered, timed out, sent again after a restart, remembered, refused."""

from __future__ import annotations

import pytest

from hub.model.records import Control, Outcome, OutcomeKind, Started
from tests.engine.desk import SECOND, SESSIONS, Desk, native


def send(desk: Desk, identity: str = "id-1", **args: object) -> list[str]:
    words = {"site": "s1", "device": "gate-1", "command": "unlock", "part": "door-1", "ttl": "5s", **args}
    expires = desk.wall + 30 * SECOND
    effects = desk.say(Control("1-0", identity, "li", "command", expires, words))  # type: ignore[arg-type] # scalars
    return [reply.code for reply in effects.replies]


def test_an_operators_command_is_executed_when_the_device_says_so(desk: Desk) -> None:
    assert send(desk) == ["accepted"]
    desk.say(Outcome("id-1", OutcomeKind.SENT))
    desk.say(Outcome("id-1", OutcomeKind.DELIVERED))
    assert desk.told() == []
    desk.hear(native("gate-1", {"id": "id-1", "ok": True}, "response"))
    assert desk.told() == ["occurred command.executed"]
    assert desk.events[0].rule == "operator li"


def test_a_command_that_nobody_answers_is_a_timeout_and_one_that_never_left_expired(desk: Desk) -> None:
    send(desk, "id-1")
    send(desk, "id-2", part="door-2")
    desk.say(Outcome("id-1", OutcomeKind.SENT))
    desk.tick(11)
    assert sorted(event.name for event in desk.events) == ["command.expired", "command.timeout"]


def test_an_answer_from_another_device_is_a_dead_letter(desk: Desk) -> None:
    send(desk)
    effects = desk.hear(native("door-1", {"id": "id-1", "ok": True}, "response"))
    assert [letter.code for letter in effects.dead_letters] == ["unknown_command"]
    assert desk.told() == []


def test_a_command_that_was_not_sent_before_a_restart_goes_out_under_the_same_id(desk: Desk) -> None:
    send(desk, "id-1")
    send(desk, "id-2")
    desk.say(Outcome("id-1", OutcomeKind.SENT))
    later = desk.restart()
    later.wait(2)
    effects = later.say(Started("test", SESSIONS))
    assert [one.command for one in effects.transmissions] == ["id-2"]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_an_ended_command_is_remembered_for_ten_minutes_from_its_end_restarted_or_not(
    desk: Desk, *, is_restarted: bool
) -> None:
    send(desk)
    desk.tick(300)
    assert desk.told() == ["occurred command.expired"]
    later = desk.restart() if is_restarted else desk
    answer = native("gate-1", {"id": "id-1", "ok": True}, "response")
    later.tick(599)
    assert later.hear(answer).dead_letters == []
    later.tick(1)
    assert [letter.code for letter in later.hear(answer).dead_letters] == ["unknown_command"]


def test_an_unknown_command_is_refused_with_what_the_kind_takes(desk: Desk) -> None:
    assert send(desk, command="self_destruct") == ["unknown_command"]
    assert send(desk, "id-3", device="nobody") == ["unknown_device"]
