"""Doing it again: the same tape gives the same, other rules what they would have told, and evidence is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from hub.bridge.frames import decode_packets
from hub.errors import ConfigError, UnavailableError
from hub.journal.archive import Archive, archived
from hub.journal.gaps import begin_anew
from hub.journal.journal import Journal
from hub.journal.state_file import StateFile
from hub.model.effects import Effects, Event, Series
from hub.model.records import Control, Outcome, OutcomeKind, Record, Started, Tick
from hub.model.values import Scalar
from hub.replay.beginning import Beginning, Fidelity, beginning, checkpoints, documents_of, engine_at
from hub.replay.difference import Change, Comparison, Difference
from hub.replay.evidence import Evidence, gather
from hub.replay.explanation import Explainer
from hub.replay.lockstep import Lockstep, Pair
from hub.replay.points import MOST_EXAMPLES, Points
from hub.replay.present import Present, present
from hub.replay.reasons import Reason
from hub.replay.tape import JournalTape
from tests.engine.desk import SECOND, START, device, documents
from tests.replay.tapes import CALM, DEVICES, LOUD, PARTITION, SMOKE, Script, checkpoint_at, trim, written

SHUT = "close_valve"
LATER = """
rule: smoke-alarm
label: {en: Smoke alarm, zh: 烟雾报警}
for_each: smoke_sensor
when: status == 'alarm'
for: 5s
raise: {event: fire.smoke_alarm, severity: critical}
clear: {when: "status == 'normal'", for: 10s}
"""
MILDER = LATER.replace("critical", "high").replace("for: 5s\n", "")
WARM = """
rule: warm
label: {en: Warm, zh: 温热}
for_each: smoke_sensor
when: temperature > 20
raise: {event: fire.warm, severity: low}
"""


def burning() -> Script:
    """Return a script: calm, smoke for 4 s, calm, smoke for 20 s."""
    script = Script().hear(1, (LOUD, CALM)).hear(10, (LOUD, SMOKE)).hear(14, (LOUD, CALM)).tick(25)
    return script.hear(30, (LOUD, CALM), (LOUD, SMOKE)).tick(36).hear(50, (LOUD, CALM)).tick(61)


def overlay(directory: Path, text: str) -> dict[str, bytes]:
    """Return the shipped documents with rules of one's own over them."""
    directory.mkdir()
    (directory / "mine.yaml").write_text(text, encoding="utf-8")
    return documents(rules=[directory])


def compare(tape: JournalTape, wanted: Mapping[str, bytes], after: int = 0) -> tuple[int, list[Difference]]:
    """Return how many events are the same, and the others."""
    comparison = Comparison()
    for pair in Lockstep(tape, beginning(tape, None, after + 1), wanted, after, tape.last):
        comparison.take(pair)
    found = comparison.differences()
    return comparison.same, found


@pytest.fixture
async def tape(tmp_path: Path) -> JournalTape:
    return JournalTape(await written(tmp_path, burning().records))


def events(tape: JournalTape) -> list[Event]:
    """Return what the hub told."""
    engine = engine_at(tape, Beginning(position=0, entries={}, fidelity=Fidelity.EXACT))
    return [event for record in tape.read(0) for event in engine.apply(record).events]


# ------------------------------------------------------------------------------------------------------------- compare


@pytest.mark.parametrize("after", [0, 6, 8])
def test_the_same_rules_tell_the_same_wherever_the_two_part(tape: JournalTape, after: int) -> None:
    told = [event for event in events(tape) if event.causes[-1][0] > after]
    assert compare(tape, documents(), after) == (len(told), [])
    assert told


def test_a_rule_that_waits_loses_the_short_fire_and_raises_the_long_one_later(
    tape: JournalTape, tmp_path: Path
) -> None:
    _, found = compare(tape, overlay(tmp_path / "rules", LATER))
    told = [(each.change, each.told.transition, (each.told.time - START) // SECOND) for each in found]
    assert told == [
        (Change.VANISHED, "raised", 10),
        (Change.VANISHED, "cleared", 25),
        (Change.MOVED, "raised", 36),
    ]


def test_another_severity_is_a_difference_of_the_same_event(tape: JournalTape, tmp_path: Path) -> None:
    _, found = compare(tape, overlay(tmp_path / "rules", MILDER))
    raised = [each for each in found if each.told.transition == "raised"]
    assert {each.change for each in raised} == {Change.SEVERITY}
    assert [(each.was and each.was.severity, each.told.severity) for each in raised] == [("critical", "high")] * 2


def test_a_new_rule_tells_what_it_would_have_told(tape: JournalTape, tmp_path: Path) -> None:
    same, found = compare(tape, overlay(tmp_path / "rules", WARM))
    assert same == len(events(tape))
    assert {(each.change, each.told.name) for each in found} == {(Change.APPEARED, "fire.warm")}


async def test_without_its_scene_a_rule_is_on_again_where_that_was_switched_off(tmp_path: Path) -> None:
    """As a hub would have it; the scene of the tape stayed instead, and nothing was said to differ."""
    off = {"off/s1/fire": b'{"scene":"fire","site":"s1"}'}
    script = Script(documents(DEVICES) | off).hear(1, (LOUD, CALM)).hear(10, (LOUD, SMOKE)).tick(20)
    quiet = JournalTape(await written(tmp_path, script.records))
    assert compare(quiet, documents()) == (0, [])
    _, found = compare(quiet, {key: body for key, body in documents().items() if key != "scene/fire"})
    assert [each.told.name for each in found if each.change is Change.APPEARED] == ["fire.smoke_alarm"]


async def test_a_revision_on_the_tape_does_not_bring_the_old_rules_back(tmp_path: Path) -> None:
    before = documents(DEVICES)
    without = {key: body for key, body in before.items() if key != "device/s1/smoke-2"}
    script = Script(before).revise(2, before, without).hear(10, (LOUD, SMOKE)).tick(20)

    tape = JournalTape(await written(tmp_path, script.records))
    _, found = compare(tape, overlay(tmp_path / "rules", LATER))
    assert [(each.change, (each.told.time - START) // SECOND) for each in found] == [(Change.MOVED, 20)]


def test_a_profile_that_reads_another_byte_changes_what_it_reads_and_nothing_else(
    tape: JournalTape,
) -> None:
    wanted = documents()
    key = "profile/milesight/gs524n"
    wanted[key] = (
        wanted[key]
        .replace(b'"battery":[{"at":2', b'"battery":[{"at":3')
        .replace(b'"battery":{"at":2', b'"battery":{"at":3')
    )
    assert wanted[key] != documents()[key]
    points = Points()
    for pair in Lockstep(tape, beginning(tape, None, 1), wanted, 0, tape.last):
        points.take(pair)
    changed = {name: tally for (_, name), tally in points.tallies.items() if tally.differs}
    assert list(changed) == ["battery"]
    assert (changed["battery"].changed, changed["battery"].same) == (6, 0)
    first = changed["battery"].examples[0]
    assert (first.device, first.was, first.would_be) == ("s1/smoke-1", 100.0, 30.0)


@pytest.mark.parametrize(("part", "value", "appeared", "changed"), [("2", 1.0, 1, 0), ("1", True, 0, 1)])
def test_a_value_of_another_part_or_sort_is_another(part: str, value: Scalar, appeared: int, changed: int) -> None:
    """Of a meter whose parts a profile names otherwise every value was said to be the same."""

    def said(part: str, value: Scalar) -> Effects:
        series = Series(kind="meter", site="s1", building="b1", device="m1", part=part, profile="p")
        return Effects(1, [(series, START, {"power": value})], [], [], [], [], [])

    points = Points()
    points.take(Pair(Record(1, START, START, Tick()), said("1", 1.0), said(part, value)))
    tally = points.tallies["meter", "power"]
    assert (tally.same, tally.appeared, tally.vanished, tally.changed) == (0, appeared, appeared, changed)


async def test_of_letters_that_would_be_dead_a_few_are_held_and_all_are_counted(tmp_path: Path) -> None:
    """Each has its bytes, 256 KiB of a picture: a month of them took all the memory that there is."""
    script = Script()
    for second in range(1, 6):
        script.hear(second, (LOUD, CALM))
    tape = JournalTape(await written(tmp_path, script.records))
    key, points = "profile/milesight/gs524n", Points()
    wanted = documents()
    wanted[key] = wanted[key].replace(b'"length":[6]', b'"length":[7]')
    for pair in Lockstep(tape, beginning(tape, None, 1), wanted, 0, tape.last):
        points.take(pair)
    assert (points.letters, points.understood, points.refused, len(points.refusals)) == (0, 0, 5, MOST_EXAMPLES)


# ---------------------------------------------------------------------------------------------------------------- tape


async def test_a_tape_is_read_while_the_journal_grows(tmp_path: Path) -> None:
    records = burning().records
    async with Journal(tmp_path / "journal.sqlite", PARTITION, decode_packets) as journal:
        await journal.append(records)
        tape = JournalTape(tmp_path / "journal.sqlite")
        reading = tape.read(0)
        first = next(reading)
        last = records[-1]
        await journal.append([Record(last.position + 1, last.t + SECOND, last.received_at + SECOND, Tick())])
        assert [first.position, *(record.position for record in reading)] == list(range(1, len(records) + 1))


@pytest.mark.parametrize(("second", "position"), [(-1, 0), (0.5, 4), (12, 6), (1_000, 12)])
def test_a_moment_is_found_on_a_tape(tape: JournalTape, second: float, position: int) -> None:
    assert tape.before(START + round(second * SECOND)) == position


def test_what_the_hub_trims_meanwhile_is_not_passed_over(tape: JournalTape, tmp_path: Path) -> None:
    trim(tmp_path, 5)
    with pytest.raises(UnavailableError, match="journal_trimmed"):
        list(tape.read(0))


# ------------------------------------------------------------------------------------------------------------ evidence


def prove(tape: JournalTape, event: Event, checkpoint: Beginning | None = None) -> Evidence:
    return gather(tape, lambda _at: checkpoint, event, lambda _record: None)


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


def test_an_event_whose_record_is_gone_says_so(tape: JournalTape, tmp_path: Path) -> None:
    event = events(tape)[0]
    checkpoint = checkpoint_at(tape, 9)
    trim(tmp_path, 7)
    found = prove(JournalTape(tmp_path / "journal.sqlite"), event, checkpoint)
    assert (found.is_proven, found.why) == (False, "record 6 is not in the journal, which holds 8 to 12")


def test_behind_a_trimmed_front_it_is_done_again_from_what_the_checkpoint_knows(
    tape: JournalTape, tmp_path: Path
) -> None:
    event = events(tape)[2]
    checkpoint = checkpoint_at(tape, 11)
    trim(tmp_path, 8)
    found = prove(JournalTape(tmp_path / "journal.sqlite"), event, checkpoint)
    assert (found.is_proven, found.fidelity) == (True, Fidelity.APPROXIMATE)


@pytest.mark.parametrize("above", [0, 20])
async def test_behind_a_gap_no_event_has_the_id_of_what_was_lost_there_and_each_is_proven_by_its_own(
    tmp_path: Path, above: int
) -> None:
    records = burning().records
    lost = events(JournalTape(await written(tmp_path, records)))
    if not above:
        begin_anew(tmp_path / "journal.sqlite", records[-1].received_at)
    async with Journal(tmp_path / "journal.sqlite", PARTITION, decode_packets) as journal:
        await journal.start_above(above)
        began, following = journal.began, journal.last + 1
        shift = records[-1].t + SECOND - records[0].t
        again = [replace(records[0], body=Started("test", ["telemetry"], began)), *records[2:]]
        await journal.append(
            [
                Record(following + n, each.t + shift, each.received_at + shift, each.body, each.messages)
                for n, each in enumerate(again)
            ]
        )
    tape = JournalTape(tmp_path / "journal.sqlite")
    every = events(tape)
    assert every[: len(lost)] == lost
    assert all(prove(tape, event).is_proven for event in every)
    state, late = checkpoint_at(tape, tape.last), every[-1]
    trim(tmp_path, following + 3)
    found = prove(JournalTape(tmp_path / "journal.sqlite"), late, state)
    assert (found.is_proven, found.fidelity) == (True, Fidelity.APPROXIMATE)


def test_a_trimmed_journal_without_a_checkpoint_is_a_mistake(tape: JournalTape, tmp_path: Path) -> None:
    trim(tmp_path, 8)
    assert tape.is_whole
    with pytest.raises(ConfigError, match="beginning_missing"):
        beginning(JournalTape(tmp_path / "journal.sqlite"), None, 10)


def explained(then: Present) -> Sequence[Reason]:
    """Return why the rule about smoke stood as it did."""
    return Explainer(then.engine, then.state(), then.fidelity).explain("smoke-alarm", "s1/smoke-1").reasons


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


async def put_aside(directory: Path, tape: JournalTape, *places: int) -> None:
    """Write the checkpoints that a hub would have written at ``places``, each put aside."""
    async with StateFile(directory / "state.sqlite", tape.journal) as file:
        for number, position in enumerate(places):
            await file.checkpoint(position, checkpoint_at(tape, position).entries, [], [])
            Archive(directory, every=timedelta(hours=1), limit_bytes=2**30).keep(START + number * 7_200 * SECOND, 1)


async def test_an_event_is_proven_from_the_nearest_checkpoint_that_was_put_aside(
    tape: JournalTape, tmp_path: Path
) -> None:
    await put_aside(tmp_path, tape, 4, 7, 12)
    found = gather(tape, checkpoints(tmp_path, tape), events(tape)[2], lambda _record: None)
    assert (found.is_proven, found.records, found.fidelity) == (True, 2, Fidelity.EXACT)


async def test_behind_a_trimmed_front_a_checkpoint_that_was_put_aside_is_as_good_as_the_whole(
    tape: JournalTape, tmp_path: Path
) -> None:
    event = events(tape)[2]
    await put_aside(tmp_path, tape, 4, 7, 12)
    trim(tmp_path, 6)
    tape = JournalTape(tmp_path / "journal.sqlite")
    found = gather(tape, checkpoints(tmp_path, tape), event, lambda _record: None)
    assert (found.is_proven, found.fidelity) == (True, Fidelity.EXACT)


async def test_a_damaged_copy_is_passed_over_for_the_one_before_it(tape: JournalTape, tmp_path: Path) -> None:
    await put_aside(tmp_path, tape, 4, 7, 12)
    archived(tmp_path)[1].path.write_bytes(b"no database")
    found = gather(tape, checkpoints(tmp_path, tape), events(tape)[2], lambda _record: None)
    assert (found.is_proven, found.records) == (True, 5)


async def test_where_nothing_lies_before_an_event_the_first_checkpoint_behind_it_says_what_was_known(
    tape: JournalTape, tmp_path: Path
) -> None:
    await put_aside(tmp_path, tape, 10, 12)
    find = checkpoints(tmp_path, tape)
    assert [found.position for at in (3, 11, 13) if (found := find(at)) is not None] == [10, 10, 12]


async def test_what_was_is_explained_from_the_nearest_checkpoint_before_it_as_it_was(
    tape: JournalTape, tmp_path: Path
) -> None:
    """Behind a trimmed front it was explained as if nobody had ever said a word: a fire stood nowhere, and no doubt."""
    await put_aside(tmp_path, tape, 7, 12)
    trim(tmp_path, 7)
    then = present(tmp_path, START + 33 * SECOND)
    assert (then.engine.state.clock.position, then.fidelity) == (9, Fidelity.EXACT)
    assert [alarm.rule for alarm in then.engine.alarms()] == ["smoke-alarm"]
    assert [each.code for each in explained(then)][:2] == ["active", "still_true"]


async def test_a_moment_before_all_that_is_known_is_explained_with_the_doubt_that_it_deserves(
    tape: JournalTape, tmp_path: Path
) -> None:
    await put_aside(tmp_path, tape, 12)
    trim(tmp_path, 7)
    then = present(tmp_path, START + 33 * SECOND)
    assert then.fidelity is Fidelity.APPROXIMATE
    assert explained(then)[0].code == "approximate"


async def test_a_checkpoint_that_is_written_between_two_looks_makes_no_doubt(
    tape: JournalTape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lay behind the end that was seen of the journal: whose front was gone, that was done again without a past."""
    async with StateFile(tmp_path / "state.sqlite", tape.journal) as file:
        await file.checkpoint(11, checkpoint_at(tape, 11).entries, [], [])
    trim(tmp_path, 4)
    before = JournalTape(tmp_path / "journal.sqlite")
    before.last = 9
    looks = [before, JournalTape(tmp_path / "journal.sqlite")]
    monkeypatch.setattr("hub.replay.present.tape_of", lambda _directory: looks.pop(0))
    now = present(tmp_path)
    assert (now.engine.state.clock.position, now.fidelity) == (12, Fidelity.EXACT)


def test_the_documents_of_a_state_are_those_of_its_revision(tape: JournalTape) -> None:
    assert documents_of(checkpoint_at(tape, 4).entries) == documents(DEVICES)
