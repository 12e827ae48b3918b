"""Cases of the rule language: each word in a rule of its own, and what must come of it.

``test_words`` runs them; ``test_every_word`` takes the words away, one at a time, and wants a case to fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import orjson

from hub.rules.testing import RuleTest
from hub.ui.rules_bench import run_case
from tests.rules.words import CATALOGUE, rule

Step = dict[str, object]
DOOR: dict[str, object] = {"for_each": {"kind": "gate", "part": "door"}}
UNLOCK = {"command": "unlock", "args": {"ttl": "10s"}}


class Case(NamedTuple):
    """A rule, what is said, and everything that must come of it."""

    words: dict[str, object]
    given: list[Step]
    expect: list[str]
    documents: Mapping[str, Mapping[str, object]] = MappingProxyType({})


def at(moment: str, **values: object) -> Step:
    return {"at": moment, "values": values} if values else {"at": moment}


def door(moment: str, said: str) -> Step:
    return {"at": moment, "part": "door-1", "values": {"door": said}}


def pressed(moment: str) -> Step:
    return {"at": moment, "signal": "button.pressed"}


def asks(moment: str, ask: str = "clear", role: str = "") -> Step:
    return {"at": moment, "ask": ask, "role": role}


def differences(case: Case) -> list[str]:
    """Return what differs from what the case wants."""
    test = RuleTest.model_validate({"name": "x", "given": case.given, "expect": case.expect})
    documents = {key: orjson.dumps(body) for key, body in case.documents.items()}
    return run_case(rule(**case.words), test, CATALOGUE, documents)


FORCED = {"signal": "button.pressed", "within": "5s", "settle": "2s"}


def pushed(moment: str) -> Step:
    return {**pressed(moment), "part": "door-1"}


CONFIRM = {"times": 2, "of": 3, "within": "3s"}
OPEN = {**DOOR, "when": "door == 'open'"}

CASES: dict[str, Case] = {
    # ------------------------------------------------------------------------------------------------ when and how long
    "a condition raises and its end clears": Case(
        {"when": "tamper"},
        [at("1s", tamper=True), at("2s", tamper=False)],
        ["1s raised fire.test", "2s cleared fire.test"],
    ),
    "unless keeps a true condition from raising": Case(
        {"when": "tamper", "unless": "battery > 50"}, [at("1s", tamper=True, battery=60.0)], []
    ),
    "for waits until the condition has lasted": Case(
        {"when": "tamper", "for": "5s"},
        [at("1s", tamper=True), at("3s", tamper=False), at("10s", tamper=True), at("20s")],
        ["15s raised fire.test"],
    ),
    "silence raises and a word clears": Case(
        {"absent_for": "1m"},
        [at("0s", tamper=False), at("2m", tamper=False)],
        ["1m raised fire.test", "2m cleared fire.test"],
    ),
    "a signal is an event": Case(
        {"on_signal": "button.pressed"},
        [pressed("1s"), pressed("2s")],
        ["1s occurred fire.test", "2s occurred fire.test"],
    ),
    "of a signal only those count that where says": Case(
        {"on_signal": "button.pressed", "where": "by == 'Li'"},
        [pressed("1s"), {**pressed("2s"), "data": {"by": "Li"}}, {**pressed("3s"), "data": {"by": "Wu"}}],
        ["2s occurred fire.test"],
    ),
    "a moment counts unless it is known to be another": Case(
        {"on_signal": "button.pressed", "unless": "by == 'Wu'"},
        [pressed("1s"), {**pressed("2s"), "data": {"by": "Li"}}, {**pressed("3s"), "data": {"by": "Wu"}}],
        ["1s occurred fire.test", "2s occurred fire.test"],
    ),
    "a value is a moment each time that it is said": Case(
        {"on_value": "serial"},
        [at("1s", serial="a"), at("2s", tamper=True), at("3s", serial="a")],
        ["1s occurred fire.test", "3s occurred fire.test"],
    ),
    "of a value only what was said with it counts": Case(
        {"on_value": "serial", "where": "battery < 5"},
        [at("1s", battery=1.0), at("2s", serial="a"), at("3s", serial="a", battery=1.0)],
        ["3s occurred fire.test"],
    ),
    "a value of any part is one": Case(
        {"on_value": "serial"},
        [{**at("1s", serial="a"), "part": "lane-1"}, at("2s", serial="a")],
        ["1s occurred fire.test lane-1", "2s occurred fire.test"],
    ),
    "so many values are one event": Case(
        {"on_value": "serial", "count": {"at_least": 2, "within": "10s"}},
        [at("1s", serial="a"), at("2s", serial="b")],
        ["2s occurred fire.test"],
    ),
    "any part is each of them and the device itself": Case(
        {"for_each": {"kind": "sensor", "part": "any"}, "when": "tamper", "clear": {"by": "operator"}},
        [{**at("1s", tamper=True), "part": "lane-1"}, at("2s", tamper=True)],
        ["1s raised fire.test lane-1", "2s raised fire.test"],
    ),
    # ------------------------------------------------------------------------------------------------ confirm and count
    "one frame is not enough to be confirmed": Case(
        {"when": "tamper", "confirm": CONFIRM}, [at("1s", tamper=True)], []
    ),
    "two frames of three confirm": Case(
        {"when": "tamper", "confirm": CONFIRM},
        [at("1s", tamper=True), at("2s", tamper=False), at("3s", tamper=True)],
        ["3s raised fire.test"],
    ),
    "two frames that lie too far apart do not confirm": Case(
        {"when": "tamper", "confirm": CONFIRM}, [at("1s", tamper=True), at("4s", tamper=True)], []
    ),
    "two frames with too many others between do not confirm": Case(
        {"when": "tamper", "confirm": {**CONFIRM, "of": 2}},
        [at("1s", tamper=True), at("1500ms", tamper=False), at("2s", tamper=True), at("2500ms", tamper=False)],
        [],
    ),
    "what is not known is no vote": Case(
        {"when": "battery < 5 or not tamper", "confirm": CONFIRM},
        [at("1s", tamper=True), at("2s", tamper=True, battery=1.0), at("3s", battery=1.0)],
        ["3s raised fire.test"],
    ),
    "a hold begins with the first frame and is released when nothing confirms it": Case(
        {**OPEN, "confirm": CONFIRM, "while_pending": [UNLOCK]},
        [door("1s", "open"), at("20s")],
        ["1s sent unlock door-1", "4s sent lock door-1"],
    ),
    "a hold is not let go between the first frame and the alarm that holds on": Case(
        {**OPEN, "confirm": CONFIRM, "while_pending": [UNLOCK], "do": [{**UNLOCK, "until": "cleared"}]},
        [door("1s", "open"), door("2s", "open"), door("3s", "closed")],
        [
            "1s sent unlock door-1",
            "2s raised fire.test door-1",
            "2s sent unlock door-1",
            "3s cleared fire.test door-1",
            "3s sent lock door-1",
        ],
    ),
    "a hold that the alarm does not go on with is released when it is raised": Case(
        {**OPEN, "for": "2s", "while_pending": [UNLOCK]},
        [door("1s", "open"), at("3s")],
        ["1s sent unlock door-1", "3s raised fire.test door-1", "3s sent lock door-1"],
    ),
    "a hold before it is sure ends by itself": Case(
        {**OPEN, "for": "1m", "while_pending": [UNLOCK]},
        [door("1s", "open"), at("30s")],
        ["1s sent unlock door-1", "6s sent unlock door-1", "11s sent lock door-1"],
    ),
    "so many signals are one event and are counted anew": Case(
        {"on_signal": "button.pressed", "count": {"at_least": 3, "within": "10s"}},
        [pressed(f"{second}s") for second in range(1, 7)],
        ["3s occurred fire.test", "6s occurred fire.test"],
    ),
    "signals that lie too far apart are not counted together": Case(
        {"on_signal": "button.pressed", "count": {"at_least": 3, "within": "10s"}},
        [pressed(f"{second}s") for second in (1, 6, 11, 17, 22)],
        [],
    ),
    "so many signals are an alarm until it is cleared": Case(
        {"on_signal": "button.pressed", "count": {"at_least": 2, "within": "10s"}, "clear": {"when": "not tamper"}},
        [pressed("1s"), pressed("2s"), pressed("3s"), at("5s", tamper=False), pressed("6s")],
        ["2s raised fire.test", "5s cleared fire.test"],
    ),
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
}

# ------------------------------------------------------------------------------------------------- places and inputs
ZONE: dict[str, object] = {"for_each": "fire_zone"}
TWO = {"alarming": {"of": "sensor", "where": "status == 'alarm'", "take": "distinct(device)", "within": "180s"}}


def says(moment: str, device: str, part: str | None = None, **values: object) -> Step:
    said: Step = {"at": moment, "device": device, "values": values}
    return said if part is None else {**said, "part": part}


def taking(take: str, when: str, *, where: str | None = None, within: str | None = None) -> dict[str, object]:
    """Return a rule on what the sensors of a fire zone come to."""
    words = {"of": "sensor", "take": take, "where": where, "within": within}
    return {**ZONE, "inputs": {"found": {word: said for word, said in words.items() if said is not None}}, "when": when}


CASES |= {
    "a place sees all devices that stand there": Case(
        {**ZONE, "when": "gate__door == 'open' and tamper"},
        [
            says("1s", "sensor", tamper=True),
            says("2s", "gate", part="door-1", door="open"),
            says("3s", "sensor", tamper=False),
        ],
        ["2s raised fire.test", "3s cleared fire.test"],
    ),
    "a signal of any device of a place is one of the place": Case(
        {**ZONE, "on_signal": "button.pressed", "count": {"at_least": 2, "within": "10s"}},
        [
            {"at": "1s", "device": "sensor", "signal": "button.pressed"},
            {"at": "2s", "device": "gate", "signal": "button.pressed"},
        ],
        ["2s occurred fire.test"],
    ),
    "two detectors confirm and one alone does not": Case(
        {**ZONE, "inputs": TWO, "when": "alarming >= 2"},
        [
            says("1s", "sensor", status="alarm"),
            says("2s", "sensor", status="alarm"),
            says("3s", "sensor-2", status="normal"),
            says("4s", "sensor-2", status="alarm"),
        ],
        ["4s raised fire.test"],
    ),
    "two channels of one device are one witness": Case(
        {**ZONE, "inputs": TWO, "when": "alarming >= 2"},
        [says("1s", "sensor", part="a-1", status="alarm"), says("2s", "sensor", part="a-2", status="alarm")],
        [],
    ),
    "a detector counts for a while after it is normal again": Case(
        {**ZONE, "inputs": TWO, "when": "alarming >= 2"},
        [
            says("1s", "sensor", status="alarm"),
            says("10s", "sensor", status="normal"),
            says("60s", "sensor-2", status="alarm"),
            at("5m"),
        ],
        ["1m raised fire.test", "3m10s cleared fire.test"],
    ),
    "a detector does not count for longer than that": Case(
        {**ZONE, "inputs": TWO, "when": "alarming >= 2"},
        [
            says("1s", "sensor", status="alarm"),
            says("10s", "sensor", status="normal"),
            says("200s", "sensor-2", status="alarm"),
        ],
        [],
    ),
    "a detector that is known to be tested does not count, one that never says so does": Case(
        {**ZONE, "inputs": {"alarming": {**TWO["alarming"], "unless": "tamper"}}, "when": "alarming >= 2"},
        [
            says("1s", "sensor", status="alarm", tamper=True),
            says("2s", "sensor-2", status="alarm"),
            says("3s", "sensor-3", status="alarm"),
        ],
        ["3s raised fire.test"],
    ),
    "what was heard too long ago is not known": Case(
        {
            **ZONE,
            "inputs": {"gain": {"of": "sensor", "take": "increase(pulses)", "within": "1m", "fresh": "30s"}},
            "when": "gain < 5 and gate__door == 'open'",
        },
        [
            says("1s", "sensor", pulses=7),
            says("70s", "sensor", pulses=7),
            says("2m", "gate", part="door-1", door="open"),
            says("121s", "sensor", pulses=7),
        ],
        ["2m1s raised fire.test"],
    ),
    "what is computed of numbers that are not decided is decided as soon as it can be": Case(
        {
            **ZONE,
            "inputs": {
                "here": {"of": "sensor", "where": "tamper", "take": "count"},
                "there": {"of": "gate", "where": "door == 'open'", "take": "count"},
            },
            "when": "here + 2 * there >= 3",
        },
        [says("1s", "sensor", tamper=True), says("2s", "sensor-2", battery=5.0), says("3s", "gate", door="open")],
        ["3s raised fire.test"],
    ),
    "a rule for several kinds is for each of them": Case(
        {"for_each": {"kind": ["gate", "sensor"]}, "when": "tamper or door == 'open'"},
        [says("1s", "sensor", tamper=True), at("2s", door="open")],
        ["1s raised fire.test", "2s raised fire.test"],
    ),
    "any is true when one is": Case(
        taking("any", "found", where="tamper"), [says("1s", "sensor", tamper=True)], ["1s raised fire.test"]
    ),
    "all is true only when every one is": Case(
        taking("all", "found", where="tamper"),
        [says("1s", "sensor", tamper=True), says("2s", "sensor-2", tamper=False), says("3s", "sensor-2", tamper=True)],
        ["3s raised fire.test"],
    ),
    "count is not decided while one has said nothing": Case(
        taking("count", "found < 2", where="tamper"),
        [says("1s", "sensor", tamper=True), says("2s", "sensor-2", tamper=False)],
        ["2s raised fire.test"],
    ),
    "sum adds up": Case(
        taking("sum(battery)", "found > 10"),
        [says("1s", "sensor", battery=6.0), says("2s", "sensor-2", battery=6.0)],
        ["2s raised fire.test"],
    ),
    "avg is the mean": Case(
        taking("avg(battery)", "found > 4 and found < 6"),
        [says("1s", "sensor", battery=3.0), says("2s", "sensor-2", battery=7.0)],
        ["2s raised fire.test"],
    ),
    "min is the least": Case(
        taking("min(battery)", "found < 5"),
        [says("1s", "sensor", battery=9.0), says("2s", "sensor-2", battery=3.0)],
        ["2s raised fire.test"],
    ),
    "max is the largest": Case(
        taking("max(battery)", "found > 5"),
        [says("1s", "sensor", battery=3.0), says("2s", "sensor-2", battery=9.0)],
        ["2s raised fire.test"],
    ),
    "increase is what a counter gained within the span": Case(
        taking("increase(pulses)", "found >= 10", within="60s"),
        [
            says("1s", "sensor", pulses=100),
            says("30s", "sensor", pulses=106),
            says("100s", "sensor", pulses=112),
            says("110s", "sensor", pulses=116),
            at("200s"),
        ],
        ["1m50s raised fire.test", "2m40s cleared fire.test"],
    ),
    "little increase is known only after the whole span": Case(
        taking("increase(pulses)", "found < 1", within="60s"),
        [says("1s", "sensor", pulses=100), says("30s", "sensor", pulses=100), at("100s")],
        ["1m1s raised fire.test"],
    ),
    "a counter that began anew has not fallen": Case(
        taking("increase(pulses)", "found > 5", within="60s"),
        [says("1s", "sensor", pulses=100), says("2s", "sensor", pulses=3), says("3s", "sensor", pulses=6)],
        ["3s raised fire.test"],
    ),
    "changes counts how often it changed": Case(
        taking("changes(status)", "found >= 3", within="60s"),
        [
            says(f"{s}s", "sensor", status=word)
            for s, word in enumerate(("normal", "alarm", "alarm", "normal", "alarm"), 1)
        ],
        ["5s raised fire.test"],
    ),
    "rate is per second": Case(
        taking("rate(pulses)", "found >= 2", within="10s"),
        [says("1s", "sensor", pulses=0), says("2s", "sensor", pulses=19), says("3s", "sensor", pulses=20)],
        ["3s raised fire.test"],
    ),
    "an alarm that is very bad when it has lasted long enough is told so at once": Case(
        {"when": "battery < 20", "for": "5s", "ladder": [{"severity": "critical", "when": "battery < 5"}]},
        [at("1s", battery=1.0), at("10s")],
        ["6s raised fire.test", "6s severity_changed fire.test"],
    ),
    "a device has inputs over its own past": Case(
        {"inputs": {"gain": {"take": "increase(pulses)", "within": "60s"}}, "when": "gain > 5"},
        [at("1s", pulses=1), at("2s", pulses=5), at("3s", pulses=9)],
        ["3s raised fire.test"],
    ),
    "a command of a place goes to the devices there that take it": Case(
        {**ZONE, "when": "tamper", "do": [{"command": "unlock"}]},
        [says("0s", "gate", door="open"), says("1s", "sensor", tamper=True)],
        ["1s raised fire.test", "1s sent unlock gate"],
    ),
}

# ------------------------------------------------------------------------------------------------- params and facts
LOW: dict[str, object] = {"params": {"limit": 5, "hold": "0s"}, "when": "battery < $limit", "for": "$hold"}
UNLESS_AWAY: dict[str, object] = {"facts": {"away": False}, "when": "tamper", "unless": "$away"}
LISTED: dict[str, object] = {"when": "serial in list('block')"}
FOUR = [at("1s", battery=4.0)]


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


CASES |= {
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
}

OTHER: dict[str, object] = {
    "rule": "other",
    "for_each": {"kind": "gate"},
    "when": "status == 'stuck'",
    "raise": {"event": "device.other", "severity": "low"},
}

# -------------------------------------------------------------------------------------- windows; a test begins 08:00
NIGHT = {"from": "22:00", "until": "06:00"}
AWAKE = {"from": "06:00", "until": "22:00"}

CASES |= {
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
    # ------------------------------------------------------------------------------------------ the absence of a signal
    "open without a word that it may is forced": Case(
        {**OPEN, "without": FORCED}, [door("10s", "open"), at("20s")], ["12s raised fire.test door-1"]
    ),
    "open after such a word is not": Case(
        {**OPEN, "without": FORCED}, [pushed("6s"), door("10s", "open"), at("20s")], []
    ),
    "open long after such a word is": Case(
        {**OPEN, "without": FORCED}, [pushed("4s"), door("10s", "open"), at("20s")], ["12s raised fire.test door-1"]
    ),
    "a word that comes a little later counts too": Case(
        {**OPEN, "without": FORCED}, [door("10s", "open"), pushed("11s"), at("20s")], []
    ),
    "a word about another door does not": Case(
        {**OPEN, "without": FORCED},
        [{**pushed("9s"), "part": "door-2"}, door("10s", "open"), at("20s")],
        ["12s raised fire.test door-1"],
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
    "nothing is held for what another alarm in the building explains": Case(
        {
            "when": "tamper",
            "inhibit": {"by": "other"},
            "for": "5s",
            "while_pending": [{**UNLOCK, "to": {"kind": "gate"}}],
        },
        [says("1s", "gate", status="stuck"), at("2s", tamper=True), at("1m")],
        [],
        {"rule/other": OTHER},
    ),
    "what another alarm comes to explain is taken back, and raised again when that is over and it is still true": Case(
        {"when": "tamper", "inhibit": {"by": "other", "settle": "10s"}},
        [
            says("1s", "sensor", tamper=True),
            says("2s", "sensor-2", tamper=True),
            says("3s", "gate", status="stuck"),
            says("4s", "sensor-2", tamper=False),
            says("20s", "gate", status="normal"),
            at("1m"),
        ],
        [
            "1s raised fire.test",
            "2s raised fire.test",
            "3s cleared fire.test",
            "3s cleared fire.test",
            "30s raised fire.test",
        ],
        {"rule/other": OTHER},
    ),
    "what waits for another alarm to explain it is told only when none does": Case(
        {"when": "tamper", "inhibit": {"by": "other", "wait": "10s"}},
        [says("1s", "sensor", tamper=True), says("3s", "sensor-2", tamper=True), says("12s", "gate", status="stuck")],
        ["11s raised fire.test", "12s cleared fire.test"],
        {"rule/other": OTHER},
    ),
    "what happens at another place explains nothing here": Case(
        {"when": "tamper", "inhibit": {"by": "other", "in": "place"}},
        [says("1s", "gate", status="stuck"), at("2s", tamper=True), at("1m")],
        ["2s raised fire.test"],
        {
            "rule/other": OTHER,
            "device/site/gate": {"site": "site", "device": "gate", "kind": "gate", "place": "building"},
        },
    ),
    "what is over before the wait is over was nothing": Case(
        {"when": "tamper", "inhibit": {"by": "other", "wait": "10s"}},
        [at("1s", tamper=True), at("9s", tamper=False), at("1m")],
        [],
        {"rule/other": OTHER},
    ),
    "what somebody has acknowledged is not taken back": Case(
        {"when": "tamper", "inhibit": {"by": "other"}},
        [at("1s", tamper=True), asks("2s", "ack"), says("3s", "gate", status="stuck"), at("1m")],
        ["1s raised fire.test", "2s acknowledged fire.test"],
        {"rule/other": OTHER},
    ),
    "what only a person ends is not taken back": Case(
        {"when": "tamper", "inhibit": {"by": "other"}, "clear": {"by": "operator"}},
        [at("1s", tamper=True), says("3s", "gate", status="stuck"), at("1m")],
        ["1s raised fire.test"],
        {"rule/other": OTHER},
    ),
    "a signal that another alarm explains is one again when that is over, if nothing ended it": Case(
        {
            **DOOR,
            "on_signal": "door.forced",
            "clear": {"when": "door == 'closed'"},
            "inhibit": {"by": "other", "settle": "5s"},
        },
        [
            says("1s", "gate", status="stuck"),
            {"at": "2s", "device": "gate", "part": "door-1", "signal": "door.forced"},
            {"at": "3s", "device": "gate", "part": "door-1", "signal": "door.forced"},
            {"at": "4s", "device": "gate", "part": "door-2", "signal": "door.forced"},
            says("5s", "gate", part="door-2", door="closed"),
            says("10s", "gate", status="normal"),
            at("1m"),
        ],
        ["15s raised fire.test door-1"],
        {"rule/other": OTHER},
    ),
    "two frames that another alarm explains are told when that is over": Case(
        {"when": "tamper", "confirm": CONFIRM, "inhibit": {"by": "other", "settle": "5s"}},
        [
            says("1s", "gate", status="stuck"),
            *(at(f"{second}s", tamper=True) for second in (2, 3, 4, 5)),
            says("10s", "gate", status="normal"),
            at("1m"),
        ],
        ["15s raised fire.test"],
        {"rule/other": OTHER},
    ),
    "what another alarm in the building explains is raised only when that is over and it is still true": Case(
        {"when": "tamper", "inhibit": {"by": "other", "settle": "10s"}},
        [
            says("1s", "gate", status="stuck"),
            at("2s", tamper=True),
            says("9s", "sensor-2", tamper=True),
            says("20s", "gate", status="normal"),
            says("25s", "sensor-2", tamper=False),
            at("1m"),
        ],
        ["30s raised fire.test"],
        {"rule/other": OTHER},
    ),
}

# ----------------------------------------------------------------------------------------------------- for each value
PRESSED_BY: dict[str, object] = {
    "for_each": {"value": "by", "of": ["sensor"], "forget_after": "1h"},
    "on_signal": "button.pressed",
}
SERIAL: dict[str, object] = {
    "for_each": {"value": "serial", "of": "sensor", "forget_after": "1h"},
    "on_value": "serial",
}


def by(moment: str, who: str, device: str = "sensor", part: str | None = None) -> Step:
    said: Step = {"at": moment, "device": device, "signal": "button.pressed", "data": {"by": who}}
    return said if part is None else {**said, "part": part}


def reads(moment: str, device: str, serial: str) -> Step:
    return says(moment, device, serial=serial)


CASES |= {
    "each value is counted over all devices of the site": Case(
        {**PRESSED_BY, "count": {"at_least": 3, "within": "60s"}},
        [by("1s", "li"), by("2s", "wang"), by("3s", "li", "sensor-2"), by("4s", "li", "sensor-3")],
        ["4s occurred fire.test li"],
    ),
    "what nobody is named with is about nobody": Case(
        PRESSED_BY,
        [{"at": "1s", "device": "sensor", "signal": "button.pressed"}, by("2s", "li")],
        ["2s occurred fire.test li"],
    ),
    "what other kinds say of a value does not count": Case(PRESSED_BY, [by("1s", "li", "gate")], []),
    "an input becomes unknown the moment that one of its devices has been silent for too long": Case(
        {**taking("all", "found", where="status == 'alarm'"), "on_missing": "clear"},
        [
            says("1s", "sensor", status="alarm"),
            says("2s", "sensor-2", status="alarm"),
            says("49h", "sensor", status="alarm"),
            at("60h"),
        ],
        ["2s raised fire.test", "2d2h2s cleared fire.test"],
    ),
    "a quorum of which one has been silent for too long is none": Case(
        {**ZONE, "inputs": TWO, "when": "alarming >= 2", "on_missing": "clear"},
        [
            says("1s", "sensor", status="alarm"),
            says("2s", "sensor-2", status="alarm"),
            says("49h", "sensor", status="alarm"),
            at("60h"),
        ],
        ["2s raised fire.test", "2d2h3m2s cleared fire.test"],
    ),
    "a mean of which a part is too old is not known": Case(
        {
            **ZONE,
            "inputs": {"mean": {"of": "sensor", "take": "avg(battery)", "fresh": "1h"}},
            "when": "mean < 10",
            "on_missing": "raise",
        },
        [says("1s", "sensor", battery=50.0), says("59m", "sensor", battery=50.0), at("3h")],
        ["1h59m raised fire.test"],
    ),
    "a parameter holds in an input too": Case(
        {
            **ZONE,
            "params": {"limit": 5, "span": "10s"},
            "inputs": {"low": {"of": "sensor", "where": "battery < $limit", "take": "any", "within": "$span"}},
            "when": "low",
        },
        [
            says("1s", "sensor", battery=4.0),
            says("2s", "sensor", battery=2.0),
            says("3s", "sensor", battery=9.0),
            at("5m"),
        ],
        ["2s raised fire.test", "1m3s cleared fire.test"],
        params({"limit": 3, "span": "1m"}, site="site"),
    ),
    "what stands on a list is found in an input too": Case(
        {
            **ZONE,
            "inputs": {"known": {"of": "sensor", "where": "serial in list('block')", "take": "count"}},
            "when": "known >= 1",
        },
        [says("1s", "sensor", serial="a"), says("2s", "sensor-2", serial="b")],
        ["2s raised fire.test"],
        listed("block", b=True),
    ),
    "how bad an alarm is can depend on a list": Case(
        {"when": "tamper", "ladder": [{"when": "serial in list('vip')", "severity": "critical"}]},
        [at("1s", tamper=True, serial="b")],
        ["1s raised fire.test", "1s severity_changed fire.test"],
        listed("vip", b=True),
    ),
    "a value that is read at two places is told": Case(
        {**SERIAL, "count": {"at_least": 2, "within": "60s", "distinct": "device"}},
        [
            reads("1s", "sensor", "a"),
            reads("2s", "sensor", "a"),
            reads("3s", "sensor-2", "b"),
            reads("4s", "sensor", "a"),
            reads("62s", "sensor-2", "a"),
        ],
        ["1m2s occurred fire.test a"],
    ),
    "what one device says again counts once": Case(
        {**ZONE, "on_signal": "button.pressed", "count": {"at_least": 2, "within": "60s", "distinct": "device"}},
        [by("1s", "li"), by("2s", "li"), by("3s", "li", "sensor-2")],
        ["3s occurred fire.test"],
    ),
    "an alarm of moments ends when none has come for a while": Case(
        {**PRESSED_BY, "clear": {"absent_for": "10s"}},
        [by("1s", "li"), by("9s", "li"), at("1m")],
        ["1s raised fire.test li", "19s cleared fire.test li"],
    ),
    "an alarm of moments that another one explained ends too": Case(
        {**PRESSED_BY, "clear": {"absent_for": "10s"}, "inhibit": {"by": "other", "in": "site", "settle": "5s"}},
        [says("1s", "gate", status="stuck"), by("2s", "li"), says("3s", "gate", status="normal"), at("1m")],
        ["8s raised fire.test li", "18s cleared fire.test li"],
        {"rule/other": OTHER},
    ),
    "a value that nobody says any more is forgotten with its alarm": Case(
        {**PRESSED_BY, "clear": {"absent_for": "2h"}},
        [by("1s", "li"), by("30m", "li"), at("3h")],
        ["1s raised fire.test li", "1h30m cleared fire.test li"],
    ),
    "what only a person ends is not forgotten": Case(
        {**PRESSED_BY, "clear": {"by": "operator"}},
        [by("1s", "li"), at("3h"), asks("4h")],
        ["1s raised fire.test li", "4h cleared fire.test li"],
    ),
    "which values count is asked of the value itself": Case(
        {**PRESSED_BY, "where": "by in list('block')"},
        [by("1s", "wang"), by("2s", "li")],
        ["2s occurred fire.test li"],
        listed("block", li=True),
    ),
}
