"""Commands to a whole place: asked by one person, sent when another has agreed."""

from __future__ import annotations

import pytest

from hub.model.effects import Reply
from hub.model.records import Control
from hub.model.values import Scalar
from tests.engine.desk import SECOND, SITE, Desk, place, stands
from tests.engine.interlocks.interlocked import content, says


@pytest.fixture
def desk() -> Desk:
    return Desk({
        **content(), **place("b2", "building", SITE, "b2"), **stands("gate-2", "access_controller", "b1"),
        **stands("gate-3", "access_controller", "b2", building="b2"),
    })  # fmt: skip


def says_who(desk: Desk, actor: str, verb: str, identity: str, **args: Scalar) -> Reply:
    words: dict[str, Scalar] = {"site": SITE, **args}
    return desk.say(Control("1-0", identity, actor, verb, desk.wall + 30 * SECOND, words)).replies[0]


def asks(desk: Desk, identity: str = "a", where: str = "b1", command: str = "unlock") -> Reply:
    return says_who(desk, "li", "command", identity, place=where, command=command)


def agrees(desk: Desk, actor: str = "wang", request: str = "a") -> Reply:
    return says_who(desk, actor, "confirm", f"{actor}-{len(desk.records)}", request=request)


def sent(desk: Desk) -> list[tuple[str, str]]:
    found = [one for effects in desk.effects for one in effects.transmissions]
    return [(one.topic.split("/")[2], one.command) for one in found]


def told(desk: Desk) -> list[str]:
    return [event.name for event in desk.events if event.name.startswith("command.")]


def test_the_doors_of_a_building_open_when_a_second_person_agrees(desk: Desk) -> None:
    reply = asks(desk)
    assert (reply.ok, reply.code) == (True, "needs_second_person")
    assert sent(desk) == []
    assert told(desk) == ["command.requested"]
    assert agrees(desk).detail == "2 of 2"
    assert sent(desk) == [("gate-1", "a-1"), ("gate-2", "a-2")]
    assert told(desk) == ["command.requested", "command.confirmed"]
    assert desk.events[-1].data["by"] == "wang"
    assert desk.engine._hands.commands["a-1"].cause == "operator li with wang"  # noqa: SLF001 -- shows at its end only


def test_nobody_agrees_with_himself_or_twice(desk: Desk) -> None:
    asks(desk)
    assert agrees(desk, "li").code == "same_person"
    assert sent(desk) == []
    assert agrees(desk).ok
    assert agrees(desk, "zhao").code == "no_such_request"
    assert len(sent(desk)) == 2


def test_what_nobody_agrees_to_ends_after_five_minutes_and_waits_over_a_restart(desk: Desk) -> None:
    asks(desk)
    later = desk.restart()
    later.tick(299)
    assert told(later) == []
    later.tick(2)
    assert told(later) == ["command.unconfirmed"]
    assert agrees(later).code == "no_such_request"
    assert sent(later) == []


def test_who_agrees_after_a_restart_agrees_to_the_same(desk: Desk) -> None:
    asks(desk)
    later = desk.restart()
    assert agrees(later).ok
    assert [name for name, _ in sent(later)] == ["gate-1", "gate-2"]


def test_a_place_with_one_such_device_needs_one_person(desk: Desk) -> None:
    assert asks(desk, where="b2").code == "accepted"
    assert sent(desk) == [("gate-3", "a")]


@pytest.mark.parametrize(
    ("where", "command", "code"),
    [("b9", "unlock", "unknown_place"), ("b1", "fly", "unknown_command"), ("lane-1", "unlock", "unknown_command")],
)
def test_what_nothing_there_takes_is_refused_at_once(desk: Desk, where: str, command: str, code: str) -> None:
    assert asks(desk, where=where, command=command).code == code


def test_bad_arguments_are_refused_before_anybody_is_asked(desk: Desk) -> None:
    reply = says_who(desk, "li", "command", "a", place="b1", command="unlock", ttl="soon")
    assert reply.code == "bad_args"
    assert told(desk) == []


def test_two_persons_are_told_what_was_refused(desk: Desk) -> None:
    says(desk, "gate-1", fire_button=True)
    asks(desk, where=SITE, command="lock")
    reply = agrees(desk)
    assert (reply.code, reply.detail.split(";")[0]) == ("partly_accepted", "1 of 3")
    assert [name for name, identity in sent(desk) if identity.startswith("a-")] == ["gate-3"]
