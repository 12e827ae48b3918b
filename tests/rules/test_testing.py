"""The tests inside rules: lines that are read and written, and what differs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.rules.testing import Happening, RuleTest, Step, differences, read_happening, write_happening


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


LINES = {
    "60s raised fire.smoke_alarm": Happening(seconds(60), "raised", "fire.smoke_alarm"),
    "1m30s cleared security.door_forced door-1": Happening(seconds(90), "cleared", "security.door_forced", "door-1"),
    "250ms occurred access.duress lane-2": Happening(seconds(0.25), "occurred", "access.duress", "lane-2"),
    "1m escalated fire.smoke_alarm to lead": Happening(seconds(60), "escalated", "fire.smoke_alarm", to="lead"),
    "1m escalated fire.smoke_alarm to to to": Happening(seconds(60), "escalated", "fire.smoke_alarm", "to", "to"),
    "0s sent unlock access_controller": Happening(seconds(0), "sent", "unlock", "access_controller"),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_a_moment_what_came_and_of_what(line: str) -> None:
    assert read_happening(line) == LINES[line]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "raised fire.smoke_alarm",
        "60s rose fire.smoke_alarm",
        "60 raised fire.smoke_alarm",
        "60s raised",
        "60s raised fire.smoke_alarm door-1 twice",
        "60s escalated fire.smoke_alarm",
        "60s escalated fire.smoke_alarm lead",
        "60s raised fire.smoke_alarm door-1 to lead",
        "60s  raised fire.smoke_alarm",
        " 60s raised fire.smoke_alarm",
        "60s raised fire.smoke_alarm\n",
    ],
)
def test_a_line_that_says_something_else_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"is not: MOMENT|is no duration"):
        read_happening(line)


@given(
    st.timedeltas(timedelta(0), timedelta(days=99)).map(lambda span: span - span % timedelta(milliseconds=1)),
    st.sampled_from(["raised", "cleared", "occurred", "sent"]),
    st.from_regex(r"[a-z][a-z_]*(\.[a-z_]+)*", fullmatch=True),
    st.sampled_from(["", "door-1", "access_controller"]),
)
def test_what_is_written_reads_back(at: timedelta, what: str, name: str, where: str) -> None:
    happening = Happening(at, what, name, where)
    assert read_happening(write_happening(happening)) == happening


def case(**words: object) -> RuleTest:
    return RuleTest.model_validate({"name": "x", "given": [{"at": "0s"}], "expect": [], **words})


def test_a_step_that_says_nothing_lets_time_pass() -> None:
    assert not Step.model_validate({"at": "5s"}).speaks
    assert Step.model_validate({"at": "5s", "signal": "door.forced"}).speaks
    assert Step.model_validate({"at": "5s", "values": {"door": "open"}}).speaks


def test_a_heartbeat_is_said() -> None:
    assert Step.model_validate({"at": "5s", "values": {}}).speaks


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"given": [{"at": "5s"}, {"at": "4s"}]}, "in the order of their moments"),
        ({"given": [{"at": "5s", "data": {"card": "1"}}]}, "data belongs to a signal"),
        ({"given": [{"at": "5s", "value": {"door": "open"}}]}, "Extra inputs"),
        ({"given": [{"values": {"door": "open"}}]}, "Field required"),
        ({"expect": ["soon raised fire.x"]}, "is no duration"),
        ({"expect": ["fire.x"]}, "is not: MOMENT"),
        ({"name": ""}, "at least 1 character"),
    ],
)
def test_a_case_that_cannot_be_meant_is_refused(words: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        case(**words)
    assert why in str(caught.value)


RAISED, CLEARED = read_happening("5s raised fire.x"), read_happening("9s cleared fire.x")


def test_what_is_equal_does_not_differ() -> None:
    assert differences([RAISED, CLEARED], [RAISED, CLEARED]) == []
    assert differences([], []) == []


def test_what_is_missing_and_what_came_unexpectedly_is_told() -> None:
    assert differences([RAISED], [CLEARED]) == ["missing: 5s raised fire.x", "unexpected: 9s cleared fire.x"]
    assert differences([RAISED], []) == ["missing: 5s raised fire.x"]
    assert differences([], [RAISED]) == ["unexpected: 5s raised fire.x"]


def test_the_same_thing_twice_is_one_too_many() -> None:
    assert differences([RAISED], [RAISED, RAISED]) == ["unexpected: 5s raised fire.x"]


def test_another_order_is_a_difference() -> None:
    assert differences([CLEARED, RAISED], [RAISED, CLEARED]) == ["another order: 5s raised fire.x, 9s cleared fire.x"]
