"""Conditions and moments: when, how long, how often, and the absence of a word."""

from __future__ import annotations

from tests.rules.cases.case import CONFIRM, FORCED, OPEN, UNLOCK, Case, Step, at, door, pressed


def pushed(moment: str) -> Step:
    return {**pressed(moment), "part": "door-1"}


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
}
