"""Inhibition: what another alarm explains, and what becomes of it when that is over."""

from __future__ import annotations

from tests.rules.cases.case import CONFIRM, DOOR, OTHER, UNLOCK, Case, asks, at, says

CASES: dict[str, Case] = {
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
