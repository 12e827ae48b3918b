"""Rules as sentences."""

from __future__ import annotations

import pytest

from hub.rules.sentence import sentence, subject
from tests.rules.words import rule

SENTENCES: dict[str, dict[str, object]] = {
    "for each sensor, when tamper, raise fire.test (high); clear when that is over": {"when": "tamper"},
    "for each sensor, when battery < 5 unless tamper for 1m, raise fire.test (high); clear when battery > 9 for 10s; "
    "what is unknown counts as over": {
        "when": "battery < 5",
        "unless": "tamper",
        "for": "60s",
        "clear": {"when": "battery > 9", "for": "10s"},
        "on_missing": "clear",
    },
    "for each sensor, when tamper, raise fire.test (high); clear by operator; what is unknown counts as true": {
        "when": "tamper",
        "clear": {"by": "operator"},
        "on_missing": "raise",
    },
    "for each sensor, when tamper, raise fire.test (high); clear by operator in the role security, not while "
    "battery < 5": {
        "when": "tamper",
        "clear": {"by": "operator", "role": "security", "refuse_while": "battery < 5"},
    },
    "for each sensor, when tamper, raise fire.test (high); not while other in the building, waiting 30s for it; "
    "clear when that is over": {"when": "tamper", "inhibit": {"by": "other", "wait": "30s"}},
    "for each by of sensor in a site, when a device reports button.pressed at least 3 times within 1m by as many "
    "devices, raise fire.test (high); clear when there was none for 10m": {
        "for_each": {"value": "by", "of": "sensor", "forget_after": "1h"},
        "on_signal": "button.pressed",
        "count": {"at_least": 3, "within": "1m", "distinct": "device"},
        "clear": {"absent_for": "10m"},
    },
    "for each sensor that says nothing for 2d2h, raise fire.test (high); clear when it speaks": {"absent_for": "50h"},
    "for each door that reports door.forced, raise fire.test (high)": {
        "for_each": {"part": "door"},
        "on_signal": "door.forced",
    },
    "for each sensor that reports button.pressed where by == 'Li' at least 2 times within 5s, raise fire.test (high)": {
        "on_signal": "button.pressed",
        "where": "by == 'Li'",
        "count": {"at_least": 2, "within": "5s"},
    },
    "for each sensor that says serial, raise fire.test (high)": {"on_value": "serial"},
    "for each sensor, when tamper, raise fire.test (high); send silence; send unlock to every gate in the building "
    "until it is cleared, at most 5m; clear when that is over for 3s": {
        "when": "tamper",
        "clear": {"for": "3s"},
        "do": [
            {"command": "silence"},
            {"command": "unlock", "to": {"kind": "gate"}, "until": "cleared", "at_most": "5m"},
        ],
    },
}


@pytest.mark.parametrize("text", SENTENCES)
def test_a_rule_is_a_sentence(text: str) -> None:
    assert sentence(rule(**SENTENCES[text])) == text


def test_the_subject_is_the_kind_the_part_or_both() -> None:
    words = {"on_signal": "door.forced"}
    assert subject(rule(**words, for_each={"kind": "gate", "part": "door"}).for_each) == "gate#door"
    assert subject(rule(**words, for_each={"part": "door"}).for_each) == "door"
    assert subject(rule(when="tamper").for_each) == "sensor"
