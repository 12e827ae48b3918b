"""Circumstances: parameters, facts, lists, and windows of time; a case begins at 08:00."""

from __future__ import annotations

from tests.rules.cases.case import NIGHT, UNLESS_AWAY, Case, at, listed, params, place, pressed

LOW: dict[str, object] = {"params": {"limit": 5, "hold": "0s"}, "when": "battery < $limit", "for": "$hold"}
LISTED: dict[str, object] = {"when": "serial in list('block')"}
FOUR = [at("1s", battery=4.0)]
AWAKE = {"from": "06:00", "until": "22:00"}

CASES: dict[str, Case] = {
    "a parameter is what the rule says unless somebody says otherwise": Case(LOW, FOUR, ["1s raised fire.test"]),
    "a parameter of the site holds in the whole site": Case(LOW, FOUR, [], params({"limit": 3}, site="site")),
    "a parameter of another site does not hold here": Case(
        LOW, FOUR, ["1s raised fire.test"], params({"limit": 3}, site="other")
    ),
    "the nearest place wins and a device wins over places": Case(
        LOW,
        FOUR,
        ["1s raised fire.test"],
        params({"limit": 1}, site="site")
        | params({"limit": 2}, site="site", place="building")
        | params({"limit": 9}, site="site", device="device"),
    ),
    "a place wins over its site": Case(
        LOW,
        FOUR,
        [],
        params({"limit": 9}, site="site")
        | {"params/x": {"rule": "test", "site": "site", "place": "place", "values": {"limit": 2}}},
    ),
    "a parameter can be a time": Case(
        LOW, [*FOUR, at("1m")], ["31s raised fire.test"], params({"hold": "30s"}, site="site")
    ),
    "a fact of the place counts": Case(UNLESS_AWAY, [at("1s", tamper=True)], [], place(away=True)),
    "a fact that nobody states is what the rule says": Case(
        UNLESS_AWAY, [at("1s", tamper=True)], ["1s raised fire.test"]
    ),
    "a fact begins and ends with its days": Case(
        UNLESS_AWAY,
        [at("1h", tamper=True), at("17h"), at("39h"), at("41h")],
        ["1h raised fire.test", "16h cleared fire.test", "1d16h raised fire.test"],
        place(away="2026-03-02/2026-03-02"),
    ),
    "what stands on a list is found": Case(
        LISTED, [at("1s", serial="b")], ["1s raised fire.test"], listed("block", a=True, b=True)
    ),
    "what no longer stands on a list is not found": Case(
        LISTED, [at("1s", serial="b")], [], listed("block", b="2026-01-01/2026-02-28") | listed("allow", b=True)
    ),
    "outside its window nothing is raised and within it what is still true is": Case(
        {"when": "tamper", "schedule": NIGHT},
        [at("1h", tamper=True), at("2d")],
        ["14h raised fire.test", "22h cleared fire.test", "1d14h raised fire.test", "1d22h cleared fire.test"],
    ),
    "a window belongs to the day it starts on": Case(
        {"when": "tamper", "schedule": {**NIGHT, "days": "sun"}},
        [at("1h", tamper=True), at("3d")],
        ["14h raised fire.test", "22h cleared fire.test"],
    ),
    "a holiday is none of the days that are worked": Case(
        {"when": "tamper", "schedule": {"days": ["workday"], "from": "09:00", "until": "10:00"}},
        [at("0s", tamper=True), at("2d")],
        ["1d1h raised fire.test", "1d2h cleared fire.test"],
    ),
    "a signal outside its window is none": Case(
        {"on_signal": "button.pressed", "schedule": NIGHT}, [pressed("1h"), pressed("15h")], ["15h occurred fire.test"]
    ),
    "time counts only within its window": Case(
        {"when": "tamper", "for": "15h", "counting": AWAKE},
        [at("1h", tamper=True), at("1d3h")],
        ["1d raised fire.test"],
    ),
    "silence counts only within its window": Case(
        {"absent_for": "15h", "counting": AWAKE}, [at("1h", tamper=True), at("1d3h")], ["1d raised fire.test"]
    ),
    "how bad an alarm is can depend on a list": Case(
        {"when": "tamper", "ladder": [{"when": "serial in list('vip')", "severity": "critical"}]},
        [at("1s", tamper=True, serial="b")],
        ["1s raised fire.test", "1s severity_changed fire.test"],
        listed("vip", b=True),
    ),
}
