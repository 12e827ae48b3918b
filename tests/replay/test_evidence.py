"""Evidence: each event of a tape is proven by the very messages that brought it about."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from hub.model.records import Control, Outcome, OutcomeKind
from hub.replay.tape import JournalTape
from tests.engine.desk import SECOND, START, device, documents
from tests.replay.tapes import (
    CALM,
    DEVICES,
    LOUD,
    SMOKE,
    Script,
    checkpoint_at,
    events,
    overlay,
    prove,
    written,
)

SHUT = "close_valve"
TWO = """
rule: two-smokes
for_each: building
inputs: {alarming: {of: smoke_sensor, where: status == 'alarm', take: distinct(device)}}
when: alarming >= 2 and temperature > 20
raise: {event: fire.two_smokes, severity: critical}
"""
BUILDING = {
    "place/s1/b1": b'{"site": "s1", "place": "b1", "type": "building", "zone": "Asia/Shanghai"}',
}


async def test_the_terms_of_a_rule_for_a_place_are_those_of_its_witnesses(tmp_path: Path) -> None:
    wanted = overlay(tmp_path / "rules", TWO) | DEVICES | BUILDING
    other = "hub/s1/smoke-2/telemetry"
    script = Script(wanted).hear(10, (LOUD, SMOKE)).hear(12, (other, CALM)).hear(15, (other, SMOKE))
    tape = JournalTape(await written(tmp_path, script.records))
    event = next(event for event in events(tape) if event.rule == "two-smokes")
    found = prove(tape, event)
    assert found.is_proven
    assert [(term.name, term.value, term.key, term.place) for term in found.terms] == [
        ("temperature", 31.0, "s1/smoke-2", (7, 0)),
        ("alarming", 2, "", None),
        ("status", "alarm", "s1/smoke-1", (5, 0)),
        ("status", "alarm", "s1/smoke-2", (7, 0)),
    ]
    assert [cause.place for cause in found.causes] == [(5, 0), (7, 0)]


def test_every_event_of_a_tape_is_proven(tape: JournalTape) -> None:
    told = events(tape)
    assert [prove(tape, event).is_proven for event in told] == [True] * 4


def test_an_event_is_proven_from_the_nearest_checkpoint(tape: JournalTape) -> None:
    found = prove(tape, events(tape)[2], checkpoint_at(tape, 7))
    assert (found.is_proven, found.records) == (True, 2)


def test_the_message_of_a_batch_that_raised_is_the_cause_and_not_the_one_before_it(tape: JournalTape) -> None:
    found = prove(tape, events(tape)[2])
    assert [(cause.place, cause.message and cause.message.payload) for cause in found.causes] == [((9, 1), SMOKE)]


def test_a_clear_that_time_brought_names_the_message_that_made_it_true(tape: JournalTape) -> None:
    found = prove(tape, events(tape)[1])
    assert [(cause.place, cause.message is None) for cause in found.causes] == [
        ((6, 0), False),
        ((7, 0), False),
        ((8, 0), True),
    ]
    (status,) = [term for term in found.terms if term.name == "status"]
    assert (status.value, status.age // SECOND, status.place) == ("normal", 11, (7, 0))


def test_an_event_that_was_stored_otherwise_is_told_apart(tape: JournalTape) -> None:
    found = prove(tape, replace(events(tape)[0], data={"status": "normal"}))
    assert (found.is_proven, found.differences) == (False, ["data"])


async def test_a_moment_is_proven_though_something_came_due_in_the_very_record_of_it(tmp_path: Path) -> None:
    gate = documents(DEVICES, device("gate-1", "access_controller"))
    swipe = b'{"part": "door-1", "signals": [{"name": "access.granted", "card": "1"}]}'
    script = Script(gate).hear(1, (LOUD, SMOKE)).hear(4, (LOUD, CALM)).hear(30, ("hub/s1/gate-1/signal", swipe))
    mine = JournalTape(await written(tmp_path, script.records))
    *due, moment = [event for event in events(mine) if event.causes[-1][0] == script.records[-1].position]
    assert [(event.name, event.transition) for event in due] == [("fire.smoke_alarm", "cleared")]
    assert [prove(mine, event).is_proven for event in (*due, moment)] == [True, True]


async def test_what_another_message_than_the_first_brought_about_at_the_end_of_its_record_is_proven(
    tmp_path: Path,
) -> None:
    asked = Control("1-0", "c1", "li", "command", START + 60 * SECOND, {"site": "s1", "device": "m-1", "command": SHUT})
    closed = b'{"values": {"valve": "closed"}}'
    script = Script(documents(DEVICES, device("m-1", "water_meter"))).say(1, asked)
    script.say(2, Outcome("c1", OutcomeKind.SENT)).hear(3, (LOUD, CALM), ("hub/s1/m-1/telemetry", closed))
    mine = JournalTape(await written(tmp_path, script.records))
    seen = events(mine)[-1]
    assert (seen.name, seen.causes) == ("command.verified", ((script.records[-1].position, 0),))
    found = prove(mine, seen)
    assert (found.is_proven, [cause.message for cause in found.causes]) == (True, [None])
