"""The bench that runs a rule's tests: exact moments, commands, parts, and tests that cannot pass by silence."""

from __future__ import annotations

import pytest

from hub.rules.testing import RuleTest
from hub.ui.rules.bench import run_case
from tests.rules.words import CATALOGUE, rule

HOLD = {"command": "unlock", "args": {"ttl": "30s"}, "until": "cleared"}
DOOR = {"for_each": {"kind": "gate", "part": "door"}}


def run(given: list[dict[str, object]], expect: list[str], **words: object) -> list[str]:
    """Run a case of a rule on sensors that watches ``tamper``, unless ``words`` say otherwise."""
    case = RuleTest.model_validate({"name": "x", "given": given, "expect": expect})
    watch = {} if words.keys() & {"on_signal", "absent_for"} else {"when": "tamper"}
    return run_case(rule(**{**watch, **words}), case, CATALOGUE)


def at(moment: str, **values: object) -> dict[str, object]:
    return {"at": moment, "values": values} if values else {"at": moment}


def test_what_is_expected_holds_and_anything_else_does_not() -> None:
    given = [at("5s", tamper=True), at("20s", tamper=False)]
    assert run(given, ["5s raised fire.test", "20s cleared fire.test"]) == []
    assert run(given, []) == ["unexpected: 5s raised fire.test", "unexpected: 20s cleared fire.test"]
    assert run(given, ["5s raised fire.test", "21s cleared fire.test"]) == [
        "missing: 21s cleared fire.test",
        "unexpected: 20s cleared fire.test",
    ]


def test_for_and_clear_ripen_at_their_exact_moments() -> None:
    given = [at("1s", tamper=True), at("1s", tamper=True), at("40s500ms", tamper=False), at("2m")]
    expect = ["11s raised fire.test", "43s cleared fire.test"]
    assert run(given, expect, for_="10s", clear={"for": "2500ms"}) == []


def test_time_ends_with_the_last_step() -> None:
    assert run([at("1s", tamper=True), at("10s999ms")], [], for_="10s") == []
    assert run([at("1s", tamper=True), at("11s")], ["11s raised fire.test"], for_="10s") == []


def test_months_of_silence_are_quick_to_judge() -> None:
    given = [at("0s", tamper=False), at("29d", tamper=False), at("90d")]
    assert run(given, ["59d raised fire.test"], absent_for="30d") == []


def test_a_device_that_was_never_heard_is_silent_from_the_start() -> None:
    assert run([at("31d")], ["30d raised fire.test"], absent_for="30d") == []


def test_a_heartbeat_ends_a_silence() -> None:
    given: list[dict[str, object]] = [at("6m"), {"at": "7m", "values": {}}]
    assert run(given, ["5m raised fire.test", "7m cleared fire.test"], absent_for="5m") == []


def test_parts_are_named() -> None:
    given: list[dict[str, object]] = [
        {"at": "1s", "part": "door-1", "values": {"door": "open"}},
        {"at": "2s", "part": "door-2", "values": {"door": "open"}},
        {"at": "3s", "part": "lane-1", "values": {"door": "open"}},
    ]
    expect = ["1s raised fire.test door-1", "2s raised fire.test door-2"]
    assert run(given, expect, when="door == 'open'", **DOOR) == []


def test_momentary_events_occur_each_time() -> None:
    given: list[dict[str, object]] = [{"at": "1s", "signal": "button.pressed", "data": {"by": "li"}}] * 2
    assert run(given, ["1s occurred fire.test"] * 2, on_signal="button.pressed") == []


def test_a_hold_is_sent_renewed_and_released() -> None:
    given: list[dict[str, object]] = [
        {"at": "1s", "part": "door-1", "values": {"door": "open"}},
        {"at": "20s", "part": "door-1", "values": {"door": "closed"}},
        {"at": "5m"},
    ]
    expect = [
        "1s raised fire.test door-1",
        "1s sent unlock door-1",
        "16s sent unlock door-1",
        "20s cleared fire.test door-1",
        "20s sent lock door-1",
    ]
    assert run(given, expect, when="door == 'open'", do=[HOLD], **DOOR) == []


def test_a_command_to_others_names_their_kind() -> None:
    do = [{"command": "silence"}, {**HOLD, "to": {"kind": "gate"}}]
    expect = ["1s raised fire.test", "1s sent silence", "1s sent unlock gate"]
    assert run([at("1s", tamper=True)], expect, do=do) == []


def test_a_hold_whose_device_never_answers_is_no_event_of_the_rule() -> None:
    expect = ["1s raised fire.test", "1s sent silence"]
    assert run([at("1s", tamper=True), at("1h")], expect, do=[{"command": "silence"}]) == []


def test_a_step_that_the_hub_would_bury_fails_its_test() -> None:
    assert run([at("1s", tamper="yes")], []) == ["refused: bad_value: tamper: not a bool"]


@pytest.mark.parametrize("on_missing", ["keep", "clear", "raise"])
def test_a_case_is_the_same_every_time(on_missing: str) -> None:
    given = [at("1s", battery=5.0), at("2s", tamper=True), at("9s", tamper=False)]
    lines = [run(given, [], on_missing=on_missing, for_="3s") for _ in range(2)]
    assert lines[0] == lines[1] != []
