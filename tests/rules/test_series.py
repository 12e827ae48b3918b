"""Series in the tests of rules: one line for what a device says again and again."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hub.rules.series import moments_of
from hub.rules.testing import RuleTest
from hub.ui.rules.bench import run_case
from tests.rules.words import CATALOGUE, rule


def said(**given: object) -> list[tuple[object, object]]:
    """Return (moment, values) of what one series comes to, without the end."""
    return [(moment["at"], moment["values"]) for moment in moments_of(given) if "values" in moment]


def values(said: str) -> list[object]:
    """Return what a series of ``v`` comes to."""
    return [words["v"] for moment in moments_of({"v": said}) if isinstance(words := moment.get("values"), dict)]


def test_a_value_is_said_at_the_beginning() -> None:
    assert moments_of({"door": "open"}) == [{"at": "0ms", "values": {"door": "open"}}, {"at": "0ms"}]
    assert said(tamper=True) == [("0ms", {"tamper": True})]


def test_a_value_is_repeated_a_step_apart() -> None:
    again = {"battery": 0.2}
    assert said(battery="0.2x3 @10s") == [("0ms", again), ("10s", again), ("20s", again)]


def test_values_follow_one_another() -> None:
    opened, closed = {"door": "open"}, {"door": "closed"}
    assert said(door="open closedx2 @1m") == [("0ms", opened), ("1m", closed), ("2m", closed)]


def test_numbers_count_up_and_down() -> None:
    assert values("0+10x3 @1s") == [0, 10, 20]
    assert values("1-0.5x3 @1s") == [1.0, 0.5, 0.0]


def test_truths_numbers_and_words_are_what_they_look_like() -> None:
    assert values("true 7 -1.5 7a 2026-11-22 @1s") == [True, 7, -1.5, "7a", "2026-11-22"]


def test_an_underscore_is_silence_and_time_goes_on_until_the_last() -> None:
    assert moments_of({"tamper": "_x2 true _x3 @5s"}) == [{"at": "10s", "values": {"tamper": True}}, {"at": "25s"}]


def test_what_one_part_says_at_one_moment_is_one_message() -> None:
    moments = moments_of({"tamper": "true @1s", "battery": 5, "#door-1 door": "open", "gate-2#door-1 door": "open"})
    assert moments == [
        {"at": "0ms", "values": {"tamper": True, "battery": 5}},
        {"at": "0ms", "part": "door-1", "values": {"door": "open"}},
        {"at": "0ms", "device": "gate-2", "part": "door-1", "values": {"door": "open"}},
        {"at": "0ms"},
    ]


def test_a_signal_is_reported_where_the_series_has_a_one() -> None:
    assert moments_of({"button.pressed": "1x2 @5s"}) == [
        {"at": "0ms", "signal": "button.pressed"}, {"at": "5s", "signal": "button.pressed"}, {"at": "5s"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"door": "open closed"}, "does not say how far apart"),
        ({"door": "openx3 @0s"}, "longer than nothing"),
        ({"door": "openx3 @soon"}, "is no duration"),
        ({"door": " @5s"}, "does not say how far apart"),
        ({"door": None}, "is no series"),
        ({"Door!": "open"}, "is not: "),
        ({"door": "openx999999 @1s"}, "are more than"),
    ],
)
def test_a_series_that_cannot_be_read_is_refused_with_what_to_write(given: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RuleTest.model_validate({"name": "x", "given": given, "expect": []})
    assert why in str(caught.value)


def case(given: object, expect: object, **words: object) -> RuleTest:
    return RuleTest.model_validate({"name": "x", "given": given, "expect": expect, **words})


def test_a_case_of_series_is_played_and_events_and_commands_are_expected_apart() -> None:
    ebike = rule(when="battery > 9", for_="2s", do=[{"command": "silence"}])
    given = {"battery": "10x4 1 @1s"}
    told = {"events": ["2s raised fire.test", "4s cleared fire.test"], "commands": ["2s silence"]}
    assert run_case(ebike, case(given, told), CATALOGUE) == []
    assert run_case(ebike, case(given, {"events": told["events"]}), CATALOGUE) == ["unexpected: 2s sent silence"]


def test_what_else_is_expected_is_refused() -> None:
    with pytest.raises(ValidationError, match="what is alarms"):
        case({"tamper": True}, {"alarms": []})
