"""What people do through the control stream: comments on alarms, and files that are read again."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from hub.model.effects import Effects
from hub.model.heard import Publish
from hub.model.records import Control
from hub.model.values import Scalar
from tests.engine.desk import ALARM, COMMUNITY, HOUSE, NORMAL, SECOND, Desk, device, documents, smoke


@pytest.fixture
def desk() -> Desk:
    return Desk(documents(*COMMUNITY))


def ask(desk: Desk, verb: str, args: dict[str, Scalar], identity: str = "id-1") -> Effects:
    """Ask as li, within 30 s."""
    return desk.say(Control("1-0", identity, "li", verb, desk.wall + 30 * SECOND, args))


def test_a_comment_is_an_event_of_the_alarm_and_changes_nothing_else(desk: Desk) -> None:
    desk.hear(smoke(ALARM))
    before = list(desk.engine.alarms())
    effects = ask(desk, "comment", {"rule": "smoke-alarm", "key": "s1/smoke-1", "text": "有人在煎鱼"})
    assert [(reply.ok, reply.code) for reply in effects.replies] == [(True, "ok")]
    (event,) = effects.events
    assert (event.transition, event.data["actor"], event.data["comment"]) == ("commented", "li", "有人在煎鱼")
    assert event.key == "s1/smoke-1"
    assert list(desk.engine.alarms()) == before


@pytest.mark.parametrize(
    ("key", "text", "code"), [("s1/x", "hello", "no_such_alarm"), ("s1/smoke-1", " ", "bad_comment")]
)
def test_a_comment_on_nothing_or_of_nothing_is_refused(desk: Desk, key: str, text: str, code: str) -> None:
    desk.hear(smoke(ALARM))
    effects = ask(desk, "comment", {"rule": "smoke-alarm", "key": key, "text": text})
    assert [(reply.ok, reply.code) for reply in effects.replies] == [(False, code)]
    assert effects.events == []


def test_reloaded_files_are_told_with_who_asked(desk: Desk) -> None:
    effects = ask(desk, "reload", {"changed": 3})
    assert [(reply.code, reply.detail) for reply in effects.replies] == [("reloaded", "3 documents changed")]
    assert [(event.name, event.data) for event in effects.events] == [
        ("device.content_reloaded", {"actor": "li", "changed": 3})
    ]


@pytest.mark.parametrize(
    ("args", "code", "ok"), [({"changed": 0}, "unchanged", True), ({"refused": "no"}, "revision_refused", False)]
)
def test_a_reload_that_changed_nothing_is_no_event(desk: Desk, args: dict[str, Scalar], code: str, *, ok: bool) -> None:
    effects = ask(desk, "reload", args)
    assert [(reply.ok, reply.code) for reply in effects.replies] == [(ok, code)]
    assert effects.events == []


def test_a_verb_that_nobody_knows_is_answered_with_those_that_are(desk: Desk) -> None:
    effects = ask(desk, "explode", {})
    assert [reply.code for reply in effects.replies] == ["unknown_verb"]
    assert "comment" in effects.replies[0].detail


# ---------------------------------------------------------------------------------------------------- who may clear

CONFIRMED = """
rule: confirmed
label: {en: Confirmed fire, zh: 火警确认}
for_each: building
inputs: {alarming: {of: smoke_sensor, where: status == 'alarm', take: distinct(device), within: 180s}}
when: alarming >= 2
raise: {event: fire.confirmed, severity: critical}
clear: {by: operator, role: security, refuse_while: alarming > 0}
"""
WHICH: dict[str, Scalar] = {"rule": "confirmed", "key": "s1/@b1"}
DETECTORS = tuple(device(f"smoke-{number}", "smoke_sensor", "milesight/gs524n") for number in (1, 2))


def two(said: str) -> tuple[Publish, ...]:
    return tuple(Publish(f"hub/s1/smoke-{number}/telemetry", bytes.fromhex(said)) for number in (1, 2))


@pytest.fixture
def fire(tmp_path: Path) -> Desk:
    (tmp_path / "rule.yaml").write_text(CONFIRMED, encoding="utf-8")
    desk = Desk({**documents(*DETECTORS, rules=[tmp_path]), **HOUSE})
    desk.hear(*two(ALARM))
    desk.tick(60)
    desk.hear(*two(NORMAL))
    return desk


def test_a_fire_is_not_ended_before_what_its_rule_says_is_over(fire: Desk) -> None:
    reply = ask(fire, "clear", {**WHICH, "role": "security"}, "id-1").replies[0]
    assert (reply.code, reply.detail) == ("still_true", "confirmed s1/@b1: alarming >= 2, with alarming 2")
    fire.hear(*two(ALARM)[:1])
    fire.tick(181)
    reply = ask(fire, "clear", {**WHICH, "role": "security"}, "id-2").replies[0]
    assert reply.code == "refused_while"
    assert reply.detail == "confirmed s1/@b1: alarming > 0 is true, with alarming 1"


def test_a_fire_is_ended_by_somebody_in_the_role_that_it_takes_and_their_role_is_told(fire: Desk) -> None:
    fire.tick(181)
    assert [ask(fire, "clear", WHICH, "id-1").replies[0].code] == ["role_needed"]
    later = fire.start_again()
    effects = ask(later, "clear", {**WHICH, "role": "security"}, "id-2")
    assert [(event.transition, event.data["actor"], event.data["role"]) for event in effects.events] == [
        ("cleared", "li", "security")
    ]
    assert list(later.engine.alarms()) == []


def test_a_role_that_a_revision_takes_from_somebody_is_gone_in_the_middle_of_the_alarm(fire: Desk) -> None:
    fire.tick(181)
    roll = {"site": "s1", "list": "role-security", "entries": {"wang": True}}
    known = fire.engine.content.bodies()
    fire.revise({**known, "list/s1/role-security": orjson.dumps(roll)})
    reply = ask(fire, "clear", {**WHICH, "role": "security"}, "id-1").replies[0]
    assert reply.code == "role_not_held"
    assert reply.detail == "confirmed s1/@b1: li is not on the list role-security of the site"
    fire.revise({**known, "list/s1/role-security": orjson.dumps({**roll, "entries": {"li": True}})})
    assert ask(fire, "clear", {**WHICH, "role": "security"}, "id-2").replies[0].code == "ok"
