"""For each value: a card, a plate or a person is counted over all devices of the site."""

from __future__ import annotations

from tests.rules.cases.case import OTHER, ZONE, Case, Step, asks, at, listed, says

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


CASES: dict[str, Case] = {
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
