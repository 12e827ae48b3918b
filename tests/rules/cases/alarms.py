"""Alarms: how one ends, what it does, how it grows worse, and who is told of it again."""

from __future__ import annotations

from tests.rules.cases.case import OPEN, UNLOCK, Case, asks, at, door

CASES: dict[str, Case] = {
    # ------------------------------------------------------------------------------------------------- how it ends
    "a clear condition holds an alarm on": Case(
        {"when": "battery < 5", "clear": {"when": "battery > 9"}},
        [at("1s", battery=1.0), at("2s", battery=7.0), at("3s", battery=10.0)],
        ["1s raised fire.test", "3s cleared fire.test"],
    ),
    "a clear span waits": Case(
        {"when": "tamper", "clear": {"for": "5s"}},
        [at("1s", tamper=True), at("2s", tamper=False), at("10s")],
        ["1s raised fire.test", "7s cleared fire.test"],
    ),
    "an alarm that a person ends does not end by itself": Case(
        {"when": "tamper", "clear": {"by": "operator"}},
        [at("1s", tamper=True), at("2s", tamper=False), at("1h")],
        ["1s raised fire.test"],
    ),
    "a person in the role that it takes ends an alarm": Case(
        {"when": "tamper", "clear": {"by": "operator", "role": "security"}},
        [
            at("1s", tamper=True),
            at("2s", tamper=False),
            asks("3s"),
            asks("4s", role="cleaning"),
            asks("5s", role="security"),
        ],
        ["1s raised fire.test", "3s refused role_needed", "4s refused role_needed", "5s cleared fire.test"],
    ),
    "where the site keeps a list of a role nobody else has it": Case(
        {"when": "tamper", "clear": {"by": "operator", "role": "security"}},
        [at("1s", tamper=True), at("2s", tamper=False), asks("3s", role="security")],
        ["1s raised fire.test", "3s refused role_not_held"],
        {"list/site/role-security": {"site": "site", "list": "role-security", "entries": {"li": True}}},
    ),
    "who stands on the list of a role has it from the day on that it says": Case(
        {"when": "tamper", "clear": {"by": "operator", "role": "security"}},
        [at("1s", tamper=True), at("2s", tamper=False), asks("3s", role="security"), asks("17h", role="security")],
        ["1s raised fire.test", "3s refused role_not_held", "17h cleared fire.test"],
        {"list/site/role-security": {"site": "site", "list": "role-security", "entries": {"tester": "2026-03-02/"}}},
    ),
    "nobody ends an alarm while what the rule says is true or not known": Case(
        {"when": "tamper", "clear": {"by": "operator", "refuse_while": "battery < 20 or status == 'alarm'"}},
        [
            at("1s", tamper=True, status="normal"),
            at("2s", tamper=False),
            asks("3s"),
            at("4s", battery=10.0),
            asks("5s"),
            at("6s", battery=30.0),
            asks("7s"),
        ],
        ["1s raised fire.test", "3s refused refused_while", "5s refused refused_while", "7s cleared fire.test"],
    ),
    "what is missing counts as over": Case(
        {"when": "status == 'alarm'", "on_missing": "clear"},
        [at("0s", status="alarm"), at("51h", tamper=True)],
        ["0s raised fire.test", "50h cleared fire.test"],
    ),
    # ------------------------------------------------------------------------------------------------- what it does
    "a command is sent when it is raised": Case(
        {"when": "tamper", "do": [{"command": "silence"}]},
        [at("1s", tamper=True)],
        ["1s raised fire.test", "1s sent silence"],
    ),
    "a hold is released when it is cleared": Case(
        {**OPEN, "do": [{**UNLOCK, "until": "cleared"}]},
        [door("1s", "open"), door("3s", "closed")],
        [
            "1s raised fire.test door-1",
            "1s sent unlock door-1",
            "3s cleared fire.test door-1",
            "3s sent lock door-1",
        ],
    ),
    # ------------------------------------------------------------------------------------------------ alarms that stand
    "a ladder makes an alarm worse and better again": Case(
        {"when": "battery < 10", "ladder": [{"when": "battery < 5", "severity": "critical"}]},
        [at("1s", battery=9.0), at("2s", battery=4.0), at("3s", battery=3.0), at("4s", battery=6.0)],
        ["1s raised fire.test", "2s severity_changed fire.test", "4s severity_changed fire.test"],
    ),
    "an alarm that is raised after a while is at once as bad as it is": Case(
        {"when": "battery < 10", "for": "5s", "ladder": [{"when": "battery < 5", "severity": "critical"}]},
        [at("1s", battery=4.0), at("1m")],
        ["6s raised fire.test", "6s severity_changed fire.test"],
    ),
    "an alarm that lasts becomes worse": Case(
        {"when": "tamper", "ladder": [{"after": "5m", "severity": "critical"}]},
        [at("1s", tamper=True), at("10m"), at("11m", tamper=False)],
        ["1s raised fire.test", "5m1s severity_changed fire.test", "11m cleared fire.test"],
    ),
    "an alarm that nobody acknowledges is told again so often": Case(
        {"when": "tamper", "remind": {"every": "5m", "at_most": 2}},
        [at("1s", tamper=True), at("1h")],
        ["1s raised fire.test", "5m1s reminded fire.test", "10m1s reminded fire.test"],
    ),
    "an alarm is told again at the moments that are named": Case(
        {"when": "tamper", "remind": {"at": ["1m", "5m"]}},
        [at("1s", tamper=True), at("1h")],
        ["1s raised fire.test", "1m1s reminded fire.test", "5m1s reminded fire.test"],
    ),
    "others are told of an alarm that nobody acknowledges, each at their moment": Case(
        {"when": "tamper", "escalate": [{"after": "1m", "to": "lead"}, {"after": "3m", "to": "city"}]},
        [at("1s", tamper=True), at("1h")],
        ["1s raised fire.test", "1m1s escalated fire.test to lead", "3m1s escalated fire.test to city"],
    ),
    "an acknowledgement ends the steps that wait for it, and only those": Case(
        {
            "when": "tamper",
            "escalate": [
                {"after": "1m", "to": "lead"},
                {"after": "3m", "to": "street"},
                {"after": "5m", "to": "city", "until": "cleared"},
                {"after": "9m", "to": "nation", "until": "cleared"},
            ],
        },
        [at("1s", tamper=True), asks("2m", "ack"), at("6m", tamper=False), at("1h")],
        [
            "1s raised fire.test",
            "1m1s escalated fire.test to lead",
            "2m acknowledged fire.test",
            "5m1s escalated fire.test to city",
            "6m cleared fire.test",
        ],
    ),
    "each part climbs by itself, and one that is raised again begins anew": Case(
        {**OPEN, "escalate": [{"after": "1m", "to": "lead"}]},
        [door("1s", "open"), door("30s", "closed"), door("40s", "open"), at("5m")],
        [
            "1s raised fire.test door-1",
            "30s cleared fire.test door-1",
            "40s raised fire.test door-1",
            "1m40s escalated fire.test door-1 to lead",
        ],
    ),
}
