"""The ledger of a rule: what it was asked and answered, what came of it, and which word held back what was true."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from hub.replay.beginning import Beginning, Fidelity, beginning, engine_at
from hub.replay.ledgers import Ledger, ledgers_of
from hub.replay.tape import JournalTape
from tests.engine.desk import device, documents
from tests.replay.tapes import CALM, DEVICES, LOUD, SMOKE, Script, written

RULES = """
rule: loud
label: {en: Loud, zh: 响}
for_each: smoke_sensor
when: status == 'alarm'
raise: {event: fire.loud, severity: high}
---
rule: patient
label: {en: Patient, zh: 等}
for_each: smoke_sensor
when: status == 'alarm'
for: 5s
raise: {event: fire.patient, severity: high}
---
rule: excepted
label: {en: Excepted, zh: 例外}
for_each: smoke_sensor
when: status == 'alarm'
unless: battery > 0
raise: {event: fire.excepted, severity: high}
---
rule: nightly
label: {en: Nightly, zh: 夜间}
for_each: smoke_sensor
when: status == 'alarm'
schedule: {from: "02:00", until: "02:01"}
raise: {event: fire.nightly, severity: high}
---
rule: muffled
label: {en: Explained, zh: 已解释}
for_each: smoke_sensor
when: status == 'alarm'
inhibit: {by: loud, in: place}
raise: {event: fire.muffled, severity: high}
---
rule: restless
label: {en: Restless, zh: 反复}
for_each: smoke_sensor
inputs: {moves: {take: changes(status), within: 1h}}
when: moves >= 9
unless: battery > 99
raise: {event: fire.restless, severity: high}
---
rule: unheard
label: {en: Unheard, zh: 未知}
for_each: smoke_sensor
when: rssi < -100 and battery > 0
raise: {event: fire.unheard, severity: high}
---
rule: apart
label: {en: Apart, zh: 另一处}
for_each: elevator
when: door == 'open' and ebike_confidence > 0.8
raise: {event: elevator.apart, severity: high}
"""


@pytest.fixture
async def tape(tmp_path: Path) -> JournalTape:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "mine.yaml").write_text(RULES, encoding="utf-8")
    lift = device("lift-1", "elevator", building="car-1")
    car = b'{"site":"s1","place":"car-1","type":"elevator","zone":"Asia/Shanghai"}'
    script = Script(documents(DEVICES, lift, {"place/s1/car-1": car}, rules=[rules]))
    script.hear(0.5, ("hub/s1/lift-1/telemetry", b'{"values":{"door":"open"}}'))
    script.hear(1, (LOUD, CALM)).hear(10, (LOUD, SMOKE)).hear(14, (LOUD, CALM)).tick(25)
    script.hear(30, (LOUD, SMOKE)).tick(36).hear(50, (LOUD, CALM)).tick(61)
    return JournalTape(await written(tmp_path, script.records))


def ledgers(tape: JournalTape, after: int = 0) -> dict[str, Ledger]:
    return dict(ledgers_of(tape, beginning(tape, None, after + 1), after, tape.last, lambda _: None))


def test_what_was_asked_and_what_came_of_it_is_counted_once(tape: JournalTape) -> None:
    loud = ledgers(tape)["loud"]
    assert (loud.evaluated, loud.true, loud.unknown) == (5, 2, 0)
    assert (loud.fired, loud.cleared) == (2, 2)
    assert loud.last == next(record.received_at for record in tape.read(0) if record.position == tape.last - 3)


def test_the_word_that_held_back_what_was_true_is_counted(tape: JournalTape) -> None:
    found = ledgers(tape)
    assert {name: dict(found[name].suppressed) for name in ("loud", "patient", "excepted", "nightly", "muffled")} == {
        "loud": {},
        "patient": {"for": 1},
        "excepted": {"unless": 2},
        "nightly": {"schedule": 2},
        "muffled": {"inhibit": 2},
    }
    assert (found["patient"].fired, found["excepted"].fired, found["muffled"].fired) == (1, 0, 0)


def test_what_nobody_ever_said_is_unknown(tape: JournalTape) -> None:
    unheard = ledgers(tape)["unheard"]
    assert (unheard.evaluated, unheard.true, unheard.unknown) == (5, 0, 5)


def test_a_rule_of_places_is_asked_also_where_nobody_says_what_it_needs(tape: JournalTape) -> None:
    apart = ledgers(tape)["apart"]
    assert (apart.evaluated, apart.unknown) == (1, 1)


def test_a_rule_that_looks_back_in_time_is_counted_whenever_it_is_asked(tape: JournalTape) -> None:
    restless = ledgers(tape)["restless"]
    assert (restless.evaluated, restless.true) == (5, 0)


def test_what_an_answer_costs_is_told_and_a_rule_without_a_condition_has_none(
    tape: JournalTape, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = count(step=700)  # which goes on by as much whenever somebody looks
    monkeypatch.setattr("hub.replay.ledgers.perf_counter_ns", lambda: next(watch))
    found = ledgers(tape)
    assert found["loud"].each == 700
    assert found["detector-silent"].each is None


def test_only_what_happened_in_the_span_is_counted(tape: JournalTape) -> None:
    late = next(record.position for record in tape.read(0) if record.received_at > tape.begins_at + 25 * 10**9)
    loud = ledgers(tape, after=late - 1)["loud"]
    assert (loud.evaluated, loud.true, loud.fired, loud.cleared) == (2, 1, 1, 1)


def test_a_watched_engine_tells_the_same_events(tape: JournalTape) -> None:
    engine = engine_at(tape, Beginning(position=0, entries={}, fidelity=Fidelity.EXACT))
    events = [event for record in tape.read(0) for event in engine.apply(record).events]
    fired = {name: ledger.fired for name, ledger in ledgers(tape).items() if ledger.fired}
    assert fired == dict(engine.state.ledger.fired)
    assert sum(fired.values()) == sum(event.transition.value == "raised" for event in events)
