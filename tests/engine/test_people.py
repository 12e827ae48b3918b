"""What people do through the control stream: comments on alarms, and files that are read again."""

from __future__ import annotations

import pytest

from hub.model import Control, Effects, Scalar
from tests.engine.desk import ALARM, COMMUNITY, SECOND, Desk, documents, smoke


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
