"""Places and inputs: what several devices come to, and when one has been silent for too long."""

from __future__ import annotations

from tests.rules.cases.case import TWO, ZONE, Case, at, listed, params, says, taking

CASES: dict[str, Case] = {
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
    "who counts and has not said what differs is one all the same, the same as another or not": Case(
        {
            **ZONE,
            "inputs": {"kinds": {"of": "sensor", "where": "status == 'alarm'", "take": "distinct(pulses)"}},
            "when": "kinds < 1 or kinds >= 2",
        },
        [
            says("1s", "sensor-2", status="normal", pulses=3),
            says("2s", "sensor", status="alarm"),
            says("3s", "sensor-2", status="alarm"),
            says("4s", "sensor", pulses=4),
        ],
        ["4s raised fire.test"],
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
}
