"""The words of a rule: what may be said together, and the way to the journal and back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from hub.errors import ConfigError
from hub.rules.rule import Do, read_rule, write_rule
from tests.rules.words import rule

HOLD = {"command": "unlock", "until": "cleared"}
REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "nothing to watch": ({}, "found: none"),
    "two things to watch": ({"when": "tamper", "absent_for": "5m"}, "found: when, absent_for"),
    "a part without a kind": ({"for_each": {"part": "door"}, "when": "tamper"}, "for_each needs a kind"),
    "nobody": ({"for_each": {}, "on_signal": "button.pressed"}, "for_each needs a kind"),
    "a part with a dot": ({"for_each": {"kind": "gate", "part": "d.1"}, "when": "tamper"}, "should match pattern"),
    "an empty part": ({"for_each": {"kind": "gate", "part": ""}, "when": "tamper"}, "should match pattern"),
    "for with a signal": ({"on_signal": "button.pressed", "for": "5s"}, "for belongs to when"),
    "for with silence": ({"absent_for": "5m", "for": "5s"}, "for belongs to when"),
    "unless with silence": ({"absent_for": "5m", "unless": "tamper"}, "unless to when or to a moment"),
    "silence of a part": ({"absent_for": "5m", "for_each": {"kind": "gate", "part": "door"}}, "not parts"),
    "silence of no time": ({"absent_for": "0s"}, "longer than nothing"),
    "silence with a clear": ({"absent_for": "5m", "clear": {"for": "5s"}}, "leave out clear"),
    "a hold on a momentary event": ({"on_signal": "button.pressed", "do": [HOLD]}, "needs an alarm"),
    "a signal that cannot end": ({"on_signal": "button.pressed", "clear": {"for": "5s"}}, "no end of its own"),
    "a person and a condition": ({"when": "tamper", "clear": {"by": "operator", "when": "tamper"}}, "leave out when"),
    "a person and a span": ({"when": "tamper", "clear": {"by": "operator", "for": "5s"}}, "leave out when"),
    "a person of another name": ({"when": "tamper", "clear": {"by": "li"}}, "should match pattern"),
    "a bound without a hold": ({"when": "tamper", "do": [{"command": "unlock", "at_most": "5m"}]}, "needs until"),
    "a hold of no time": ({"when": "tamper", "do": [{**HOLD, "args": {"ttl": "0s"}}]}, "at least 1s"),
    "a hold of half a second": ({"when": "tamper", "do": [{**HOLD, "args": {"ttl": "500ms"}}]}, "at least 1s"),
    "a hold of bananas": ({"when": "tamper", "do": [{**HOLD, "args": {"ttl": "banana"}}]}, "is no duration"),
    "a hold of a bare number": ({"when": "tamper", "do": [{**HOLD, "args": {"ttl": 30}}]}, "is no duration"),
    "an unknown word": ({"when": "tamper", "if": "tamper"}, "Extra inputs are not permitted"),
    "a domain that no stream has": ({"when": "tamper", "raise": {"event": "x.y", "severity": "low"}}, "pattern"),
    "a severity that we do not have": ({"when": "tamper", "raise": {"event": "fire.y", "severity": "p1"}}, "severity"),
    "a name with capitals": ({"when": "tamper", "rule": "Smoke"}, "should match pattern"),
    "a name of two lines": ({"when": "tamper", "rule": "smoke\n"}, "should match pattern"),
    "a vote that cannot be won": (
        {"when": "tamper", "confirm": {"times": 3, "of": 2, "within": "5s"}},
        "never be reached",
    ),
    "two ways to wait": (
        {"when": "tamper", "for": "5s", "confirm": {"times": 2, "of": 2, "within": "5s"}},
        "one of them",
    ),
    "a choice of nothing": ({"when": "tamper", "where": "tamper"}, "needs on_signal or on_value"),
    "a value of a place": ({"for_each": "fire_zone", "on_value": "tamper"}, "for_each is a kind"),
    "a value of nobody": ({"for_each": {"part": "door"}, "on_value": "tamper"}, "for_each needs a kind"),
    "a count of nothing": ({"when": "tamper", "count": {"at_least": 2, "within": "5s"}}, "needs on_signal"),
    "a name that nobody gave": ({"when": "battery < $limit"}, "$limit is neither"),
    "a parameter that nothing asks for": ({"when": "tamper", "params": {"limit": 5}}, "nothing asks for $limit"),
    "an input of nothing": (
        {"for_each": "gate", "when": "x", "inputs": {"x": {"take": "any", "where": "tamper"}}},
        "of which kinds",
    ),
    "an input without where": (
        {"for_each": "gate", "when": "x", "inputs": {"x": {"of": "gate", "take": "count"}}},
        "needs where",
    ),
    "a take that is none": (
        {"for_each": "gate", "when": "x", "inputs": {"x": {"of": "gate", "take": "most(battery)"}}},
        "take is one of",
    ),
    "a rate of no time": (
        {"for_each": "gate", "when": "x", "inputs": {"x": {"of": "gate", "take": "rate(pulses)"}}},
        "needs within",
    ),
    "a step that says nothing": ({"when": "tamper", "ladder": [{"severity": "high"}]}, "says when, or after"),
    "a reminder of a moment": ({"on_signal": "button.pressed", "remind": {"every": "5m"}}, "need an alarm"),
    "reminders in no order": ({"when": "tamper", "remind": {"at": ["5m", "1m"]}}, "in their order"),
    "steps of a moment": (
        {"on_signal": "button.pressed", "escalate": [{"after": "1m", "to": "lead"}]},
        "need an alarm",
    ),
    "steps in no order": (
        {"when": "tamper", "escalate": [{"after": "5m", "to": "lead"}, {"after": "1m", "to": "city"}]},
        "in the order",
    ),
    "a step at once": (
        {"when": "tamper", "escalate": [{"after": "0s", "to": "lead"}]},
        "greater than datetime.timedelta(0)",
    ),
    "a step to nobody": ({"when": "tamper", "escalate": [{"after": "1m"}]}, "Field required"),
    "a step to a sentence": ({"when": "tamper", "escalate": [{"after": "1m", "to": "the lead"}]}, "match pattern"),
    "reminders of two sorts": ({"when": "tamper", "remind": {"at": "5m", "every": "1m"}}, "every so long, or at"),
    "an exception from nothing": (
        {"for_each": "gate", "when": "x > 1", "inputs": {"x": {"of": "gate", "take": "max(x)", "unless": "tamper"}}},
        "unless takes from",
    ),
    "a role of nobody": ({"when": "tamper", "clear": {"role": "security"}}, "add by: operator"),
    "a value that is never forgotten": (
        {"for_each": {"value": "by", "of": "sensor"}, "on_signal": "button.pressed"},
        "value and forget_after belong together",
    ),
    "a state of a value": (
        {"for_each": {"value": "serial", "of": "sensor", "forget_after": "1d"}, "when": "tamper"},
        "a value has no properties",
    ),
    "a value of any kind": (
        {"for_each": {"value": "serial", "forget_after": "1d"}, "on_value": "serial"},
        "which kinds say it",
    ),
    "a command to a value": (
        {
            "for_each": {"value": "by", "of": "sensor", "forget_after": "1d"},
            "on_signal": "button.pressed",
            "do": [{"command": "silence"}],
        },
        "a value is no device",
    ),
    "the end of moments that are none": ({"when": "tamper", "clear": {"absent_for": "1m"}}, "moments that no longer"),
    "a window on no day": ({"when": "tamper", "schedule": {"days": []}}, "on some day"),
    "a clock of 25 hours": ({"when": "tamper", "schedule": {"from": "25:00"}}, "should match pattern"),
    "time that counts for nothing": ({"when": "tamper", "counting": {"from": "08:00"}}, "needs for or absent_for"),
    "tests without steps": ({"when": "tamper", "tests": [{"name": "x", "given": [], "expect": []}]}, "at least 1 item"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_means_nothing_is_refused(what: str) -> None:
    words, why = REFUSED[what]
    with pytest.raises(ValidationError) as caught:
        rule(**words)
    assert why in str(caught.value)


def test_python_names_of_words_are_not_words() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Do.model_validate({"command": "unlock", "to": {"kind": "gate", "within": "site"}})


def test_a_kind_alone_is_the_short_form_of_for_each() -> None:
    assert rule(when="tamper", for_each="sensor") == rule(when="tamper", for_each={"kind": "sensor"})


def test_a_place_wins_over_a_kind_of_the_same_name() -> None:
    assert rule(when="tamper", for_each="gate") == rule(when="tamper", for_each={"place": "gate"})


@pytest.mark.parametrize(
    ("words", "is_alarm"),
    [
        ({"when": "tamper"}, True),
        ({"absent_for": "5m"}, True),
        ({"on_signal": "button.pressed", "clear": {"by": "operator"}}, True),
        ({"on_signal": "button.pressed"}, False),
    ],
)
def test_only_a_signal_without_clear_is_a_momentary_event(words: dict[str, object], is_alarm: bool) -> None:  # noqa: FBT001 -- a table
    assert rule(**words).is_alarm is is_alarm


def test_a_hold_lasts_thirty_seconds_unless_it_says_otherwise() -> None:
    assert Do(command="unlock", until="cleared").ttl == timedelta(seconds=30)
    assert Do(command="unlock", until="cleared", args={"ttl": "5s"}).ttl == timedelta(seconds=5)


def test_a_rule_reads_back_from_the_journal_without_its_tests() -> None:
    case = {"name": "x", "given": [{"at": "1m", "values": {"tamper": True}}], "expect": ["1m raised fire.test"]}
    words: dict[str, object] = {
        "when": "battery < 20",
        "unless": "tamper",
        "for": "90s",
        "clear": {"when": "battery > 30", "for": "1500ms"},
        "do": [{**HOLD, "to": {"kind": "gate", "in": "site"}, "at_most": "5m", "priority": "life_safety"}],
        "on_missing": "clear",
    }
    assert read_rule(write_rule(rule(**words, tests=[case]))) == rule(**words)


def test_what_a_command_is_given_is_filled_in_whatever_it_is_called() -> None:
    args = {"version": "$which", "label": "$which", "when": "$which", "ttl": "30s"}
    do = [{"command": "install", "args": args}]
    made = rule(when="battery < $low", params={"which": "2.0", "low": 20}, do=do)
    for each, said in ((made, "2.0"), (made.settled({"which": "2.1"}), "2.1")):
        assert each.do[0].args == {"version": said, "label": said, "when": said, "ttl": "30s"}
        assert each.when == "battery < 20"


def test_equal_rules_are_equal_bytes_however_they_were_written() -> None:
    assert write_rule(rule(when="tamper", for_="60s")) == write_rule(rule(for_="1m", when="tamper", on_missing="keep"))


@pytest.mark.parametrize("body", [b"", b"[]", b'{"rule": "x"}', b"\xff"])
def test_a_body_that_is_no_rule_is_an_error_of_ours(body: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        read_rule(body)
    assert caught.value.code == "bad_rule"
