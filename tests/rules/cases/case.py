"""A case: a rule, what is said, and everything that must come of it; and the words that cases are written in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import orjson

from hub.rules.testing import RuleTest
from hub.ui.rules.bench import run_case
from tests.rules.words import CATALOGUE, rule

Step = dict[str, object]

DOOR: dict[str, object] = {"for_each": {"kind": "gate", "part": "door"}}
UNLOCK = {"command": "unlock", "args": {"ttl": "10s"}}
CONFIRM = {"times": 2, "of": 3, "within": "3s"}
OPEN = {**DOOR, "when": "door == 'open'"}
FORCED = {"signal": "button.pressed", "within": "5s", "settle": "2s"}
ZONE: dict[str, object] = {"for_each": "fire_zone"}
TWO = {"alarming": {"of": "sensor", "where": "status == 'alarm'", "take": "distinct(device)", "within": "180s"}}
NIGHT = {"from": "22:00", "until": "06:00"}
UNLESS_AWAY: dict[str, object] = {"facts": {"away": False}, "when": "tamper", "unless": "$away"}
OTHER: dict[str, object] = {
    "rule": "other",
    "for_each": {"kind": "gate"},
    "when": "status == 'stuck'",
    "raise": {"event": "device.other", "severity": "low"},
}


class Case(NamedTuple):
    """A rule, what is said, and everything that must come of it."""

    words: dict[str, object]
    given: list[Step]
    expect: list[str]
    documents: Mapping[str, Mapping[str, object]] = MappingProxyType({})


def differences(case: Case) -> list[str]:
    """Return what differs from what the case wants."""
    test = RuleTest.model_validate({"name": "x", "given": case.given, "expect": case.expect})
    documents = {key: orjson.dumps(body) for key, body in case.documents.items()}
    return run_case(rule(**case.words), test, CATALOGUE, documents)


# ------------------------------------------------------------------------------------------------------ what is said


def at(moment: str, **values: object) -> Step:
    return {"at": moment, "values": values} if values else {"at": moment}


def door(moment: str, said: str) -> Step:
    return {"at": moment, "part": "door-1", "values": {"door": said}}


def pressed(moment: str) -> Step:
    return {"at": moment, "signal": "button.pressed"}


def asks(moment: str, ask: str = "clear", role: str = "") -> Step:
    return {"at": moment, "ask": ask, "role": role}


def says(moment: str, device: str, part: str | None = None, **values: object) -> Step:
    said: Step = {"at": moment, "device": device, "values": values}
    return said if part is None else {**said, "part": part}


# ------------------------------------------------------------------------------------------- places and circumstances


def taking(take: str, when: str, *, where: str | None = None, within: str | None = None) -> dict[str, object]:
    """Return a rule on what the sensors of a fire zone come to."""
    words = {"of": "sensor", "take": take, "where": where, "within": within}
    return {**ZONE, "inputs": {"found": {word: said for word, said in words.items() if said is not None}}, "when": when}


def params(values: dict[str, object], **where: object) -> dict[str, Mapping[str, object]]:
    return {f"params/{'-'.join(map(str, where))}": {"rule": "test", "values": values, **where}}


def place(**facts: object) -> dict[str, Mapping[str, object]]:
    row: dict[str, object] = {
        "site": "site",
        "place": "place",
        "type": "dwelling",
        "parent": "building",
        "building": "building",
    }
    return {"place/site/place": {**row, "facts": facts}}


def listed(name: str, **entries: object) -> dict[str, Mapping[str, object]]:
    return {f"list/site/{name}": {"site": "site", "list": name, "entries": entries}}
