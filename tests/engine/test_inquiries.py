"""What people ask of commands: the list, one with its steps, and to take one back; and who caused each."""

from __future__ import annotations

from typing import Never

import msgspec
import pytest
from typing_extensions import override

from hub.commands.life import Lease
from hub.commands.shown import Listing, Shown
from hub.model.effects import Reply
from hub.model.heard import Publish
from hub.model.records import Control, Outcome, OutcomeKind
from hub.model.values import Scalar
from tests.engine.contested import PROPPED, ask, rings, sent
from tests.engine.desk import (
    ALARM,
    COMMUNITY,
    NORMAL,
    SECOND,
    SITE,
    START,
    UNLOCKS,
    Desk,
    documents,
    encoded,
    native,
    place,
    smoke,
    stands,
)
from tests.engine.interlocks.interlocked import content

OWN = f"{UNLOCKS}---{PROPPED}"
PERSONS = ("operator ", "desired by operator ")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    directory = tmp_path_factory.mktemp("rules")
    (directory / "rules.yaml").write_text(OWN, encoding="utf-8")
    found, mine = (
        documents(*COMMUNITY, place("b1", "building", "s1", "b1"), rules=[directory]),
        {"rule/smoke-unlocks", "rule/door-propped"},
    )
    kinds = {"kind/smoke_sensor", "kind/access_controller", "profile/milesight/gs524n", "profile/hikvision/access"}
    return {key: body for key, body in found.items() if key in mine | kinds or key.startswith(("device/", "place/"))}


@pytest.fixture
def desk(written: dict[str, bytes]) -> Desk:
    return Desk(written)


def said(desk: Desk, verb: str, identity: str, actor: str, args: dict[str, Scalar]) -> Reply:
    return desk.say(Control("2-0", identity, actor, verb, desk.wall + 30 * SECOND, args)).replies[0]


def says(desk: Desk, verb: str, identity: str = "", actor: str = "wang", **args: Scalar) -> Reply:
    return said(desk, verb, identity or f"{verb}-{len(desk.records)}", actor, args)


def listed(desk: Desk, **args: Scalar) -> list[Shown]:
    answer = said(desk, "commands", f"commands-{len(desk.records)}", "wang", args)
    return msgspec.json.decode(answer.detail, type=Listing).commands


def told(desk: Desk, name: str) -> list[tuple[str, Scalar]]:
    return [(event.rule, event.data["command"]) for event in desk.events if event.name == f"command.{name}"]


def answer(desk: Desk, identity: str, *, ok: bool = True) -> None:
    result = {"ok": True} if ok else {"ok": False, "code": "jammed"}
    desk.hear(Publish("hub/s1/door-1/response", msgspec.json.encode({"id": identity, **result})))


# ------------------------------------------------------------------------------------------------------------- the list


def test_a_command_is_listed_with_who_wants_it_and_each_step_at_its_moment(desk: Desk) -> None:
    ask(desk, "cancel_alarm", part="door-1")
    desk.wait(1)
    desk.say(Outcome("id-1", OutcomeKind.SENT))
    desk.wait(1)
    answer(desk, "id-1", ok=False)
    (one,) = listed(desk)
    assert (one.command, one.device, one.part, one.cause) == ("cancel_alarm", "door-1", "door-1", "operator li")
    assert (one.state, one.detail) == ("rejected", "jammed")
    assert [(step.what, step.at - START // 10**6) for step in one.steps] == [
        ("accepted", 0), ("sent", 1000), ("rejected", 2000),
    ]  # fmt: skip
    assert listed(desk.restart()) == [one]


def test_the_event_at_its_end_tells_the_same_steps_to_whoever_asks_later(desk: Desk) -> None:
    ask(desk, "cancel_alarm", part="door-1")
    desk.wait(1)
    desk.say(Outcome("id-1", OutcomeKind.SENT))
    answer(desk, "id-1")
    event = desk.events[-1]
    assert (event.name, event.rule, event.data["priority"]) == ("command.executed", "operator li", "operator")
    assert (event.data["accepted_at"], event.data["steps"]) == (START // 10**6, "sent 1000, executed 1000")


def test_an_answer_after_the_end_is_seen_and_moves_nothing(desk: Desk) -> None:
    ask(desk, "cancel_alarm", part="door-1")
    desk.say(Outcome("id-1", OutcomeKind.DELIVERED))
    desk.tick(11)
    for _ in range(50):
        answer(desk, "id-1", ok=False)
    (one,) = listed(desk)
    assert (one.state, [step.what for step in one.steps][:4]) == (
        "timeout", ["accepted", "delivered", "timeout", "refused_late"],
    )  # fmt: skip
    assert len(one.steps) == 21
    assert [event.name for event in desk.events] == ["command.timeout"]


def test_a_hold_is_one_line_however_often_it_was_renewed_and_its_commands_are_seen_by_its_id(desk: Desk) -> None:
    rings(desk)
    desk.tick(31)
    desk.tick(31)
    (one,) = listed(desk)
    assert (one.command, one.cause, one.state, one.priority) == ("hold_door", "door-propped", "holds", "automatic")
    assert one.hold is not None
    assert (one.hold.release, one.hold.lapses_at) == ("release_door", (desk.wall + 60 * SECOND) // 10**6)
    assert [each.id for each in listed(desk, id=one.id)] == [f"{one.id}.3", f"{one.id}.2", f"{one.id}.1", one.id]


def test_what_waits_beneath_another_is_listed(desk: Desk) -> None:
    desk.hear(smoke(ALARM))
    rings(desk)
    waits, holds = listed(desk, device="door-1")
    assert (waits.cause, waits.state, holds.cause, holds.state) == ("door-propped", "waits", "smoke-unlocks", "holds")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"state": "open"}, ["hold_door"]), ({"state": "rejected,failed"}, ["cancel_alarm"]),
        ({"device": "gate-1"}, []),
        ({"site": "s1"}, ["hold_door", "cancel_alarm"]), ({"site": "s2"}, []), ({"id": "id-"}, ["cancel_alarm"]),
    ],
)  # fmt: skip
def test_the_list_is_narrowed_down(desk: Desk, wanted: dict[str, Scalar], found: list[str]) -> None:
    ask(desk, "cancel_alarm", part="door-1")
    answer(desk, "id-1", ok=False)
    rings(desk)
    assert [each.command for each in listed(desk, **wanted)] == found


def test_whoever_asks_again_gets_what_is_then_and_no_answer_is_kept(desk: Desk) -> None:
    assert says(desk, "commands", "same").detail == '{"commands":[],"left_off":0}'
    rings(desk)
    assert "hold_door" in says(desk, "commands", "same").detail
    assert "same" not in desk.engine.state.answers.by_id


# ----------------------------------------------------------------------------------------------------------- taken back


def test_a_hold_of_a_rule_is_taken_back_by_a_person_who_has_then_caused_its_release(desk: Desk) -> None:
    rings(desk)
    (one,) = listed(desk)
    assert says(desk, "cancel", id=one.id, reason="visitors left").code == "cancelled"
    assert sent(desk) == ["hold_door", "release_door"]
    cancelled = desk.events[-1]
    assert (cancelled.name, cancelled.rule) == ("command.cancelled", "door-propped")
    assert (cancelled.data["by"], cancelled.data["detail"]) == ("operator wang", "visitors left")
    release = desk.effects[-1].transmissions[0].command
    desk.say(Outcome(release, OutcomeKind.FAILED, "broker_gone"))
    assert told(desk, "failed") == [("operator wang", "release_door")]
    desk.say(Outcome(listed(desk, state="open")[0].id, OutcomeKind.DELIVERED))
    desk.tick(120)
    assert sent(desk) == ["hold_door", "release_door", "release_door"]  # again as it did not leave; never held again


def test_what_was_taken_back_is_not_let_go_again_when_its_alarm_ends(desk: Desk) -> None:
    rings(desk)
    assert says(desk, "cancel", id=listed(desk)[0].id).code == "cancelled"
    release = desk.effects[-1].transmissions[0].command
    desk.say(Outcome(release, OutcomeKind.DELIVERED))
    desk.hear(native("door-1", {"id": release, "ok": True}, "response"))
    desk.hear(native("door-1", {"part": "door-1", "values": {"door": "closed"}}))
    assert [event.transition for event in desk.events if event.rule == "door-propped"][-1] == "cleared"
    assert sent(desk) == ["hold_door", "release_door"]
    assert not desk.engine._hands._holds._wanted  # noqa: SLF001 -- nothing is left of it, under whomever
    assert not desk.engine._hands._holds.on((SITE, "door-1"))  # noqa: SLF001 -- nor on the device


class Unscanned(dict[str, Lease]):
    """Leases that nobody may go through one by one."""

    @override
    def values(self) -> Never:
        raise AssertionError


def test_a_device_that_is_taken_away_lets_go_without_a_look_at_what_others_hold(
    desk: Desk, written: dict[str, bytes]
) -> None:
    rings(desk)
    holds = desk.engine._hands._holds  # noqa: SLF001 -- what is looked at is what counts here
    holds.leases = desk.engine._hands.leases = Unscanned(holds.leases)  # noqa: SLF001 -- as above
    effects = desk.revise({key: body for key, body in written.items() if key != "device/s1/door-1"})
    assert [sent.topic for sent in effects.transmissions] == ["hub/s1/door-1/command"]
    assert sent(desk) == ["hold_door", "release_door"]


def test_a_release_that_is_tried_again_while_a_checkpoint_is_written_is_tried_again_from_that_too(desk: Desk) -> None:
    rings(desk)
    says(desk, "cancel", id=listed(desk)[0].id)
    desk.say(Outcome(desk.effects[-1].transmissions[0].command, OutcomeKind.FAILED, "broker_gone"))
    state, position = desk.engine.state, len(desk.records)
    state.begin_checkpoint()
    again = desk.tick(6)
    assert sent(desk) == ["hold_door", "release_door", "release_door"]
    later = desk.revive({key: body for key, body in state.take_checkpoint().items() if body is not None})
    assert encoded([later.engine.apply(desk.records[position])]) == encoded([again])


def test_what_waits_beneath_what_is_taken_back_has_its_turn(desk: Desk) -> None:
    rings(desk)
    assert ask(desk, "unlock", part="door-1", ttl="30s").ok
    assert says(desk, "cancel", id="id-1").code == "cancelled"
    assert sent(desk)[-2:] == ["lock", "hold_door"]


def test_nobody_takes_back_what_keeps_people_alive(desk: Desk) -> None:
    desk.hear(smoke(ALARM))
    (one,) = listed(desk, device="door-1")
    assert says(desk, "cancel", id=one.id).code == "outranked"
    assert sent(desk) == ["unlock"]


def test_a_request_for_a_second_person_is_listed_and_taken_back() -> None:
    desk = Desk({**content(), **stands("gate-2", "access_controller", "b1")})
    assert says(desk, "command", "both", "li", site=SITE, place="b1", command="unlock").code == "needs_second_person"
    desk.wait(60)
    (one,) = listed(desk)
    assert (one.id, one.device, one.state, one.cause) == ("both", "@b1", "needs_second_person", "operator li")
    assert (one.began_at, one.expires_at) == (START // 10**6, START // 10**6 + 300_000)
    assert says(desk, "cancel", id="both").code == "cancelled"
    assert (desk.events[-1].name, desk.events[-1].data["by"]) == ("command.cancelled", "operator wang")
    assert says(desk, "confirm", request="both").code == "no_such_request"


def test_what_is_out_or_over_or_never_was_is_not_taken_back_and_the_answer_says_which(desk: Desk) -> None:
    ask(desk, "cancel_alarm", part="door-1")
    assert says(desk, "cancel", id="id-1").code == "already_out"
    answer(desk, "id-1")
    assert says(desk, "cancel", id="id-1").code == "already_over"
    assert says(desk, "cancel", id="id-2").code == "no_such_command"
    assert says(desk, "cancel").code == "no_such_command"


# ---------------------------------------------------------------------------------------------------- who caused them


def test_every_event_of_a_command_names_the_rule_or_the_person_that_caused_it(desk: Desk) -> None:
    """All origins: a rule's hold, its loss, turn and release; a person's command and hold; two persons; a take-back."""
    rings(desk)
    desk.hear(smoke(ALARM))
    ask(desk, "lock", "refused", part="door-1")
    desk.hear(smoke(NORMAL))
    ask(desk, "cancel_alarm", "never-sent", part="door-1")
    ask(desk, "unlock", "hold", part="door-1", ttl="2s")
    desk.tick(1)
    says(desk, "cancel", id="hold")
    says(desk, "command", "place", "li", site="s1", place="b1", command="cancel_alarm")
    says(desk, "confirm", request="place")
    drill = {"site": "s1", "what": "smoke-1", "for": "10m", "reason": "a drill", "rules": "smoke-unlocks"}
    said(desk, "drill", "drill", "wang", {**drill})
    desk.hear(smoke(ALARM))
    desk.hear(native("door-1", {"part": "door-1", "values": {"door": "closed"}}, "telemetry"))
    desk.tick(60)
    desk.revise({key: body for key, body in desk.engine.content.bodies().items() if key != "device/s1/door-1"})
    desk.tick(60)
    events = [event for event in desk.events if event.name.startswith("command.")]
    assert {event.name.removeprefix("command.") for event in events} >= {
        "superseded", "resumed", "expired", "cancelled", "rehearsed", "requested", "confirmed",
    }  # fmt: skip
    rules = {"smoke-unlocks", "door-propped"}
    nameless = [event for event in events if event.rule not in rules and not event.rule.startswith(PERSONS)]
    assert nameless == []
    by_id = {str(event.data["id"]): event.rule for event in events}
    assert (by_id["never-sent"], by_id["place-1"]) == ("operator li", "operator li with wang")
