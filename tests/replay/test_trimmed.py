"""Behind a gap of the journal, its trimmed front or a checkpoint put aside: what is proven, and what is not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from hub.bridge.frames import decode_packets
from hub.errors import ConfigError
from hub.journal.archive import Archive, archived
from hub.journal.gaps import begin_anew
from hub.journal.journal import Journal
from hub.journal.state_file import StateFile
from hub.model.records import Record, Started
from hub.replay.beginning import Fidelity, beginning, checkpoints, documents_of
from hub.replay.evidence import gather
from hub.replay.explanation import Explainer
from hub.replay.present import Present, present
from hub.replay.reasons import Reason
from hub.replay.tape import JournalTape
from tests.engine.desk import SECOND, START, documents
from tests.replay.tapes import (
    DEVICES,
    PARTITION,
    burning,
    checkpoint_at,
    events,
    prove,
    trim,
    written,
)


def explained(then: Present) -> Sequence[Reason]:
    """Return why the rule about smoke stood as it did."""
    return Explainer(then.engine, then.state(), then.fidelity).explain("smoke-alarm", "s1/smoke-1").reasons


async def put_aside(directory: Path, tape: JournalTape, *places: int) -> None:
    """Write the checkpoints that a hub would have written at ``places``, each put aside."""
    async with StateFile(directory / "state.sqlite", tape.journal) as file:
        for number, position in enumerate(places):
            await file.checkpoint(position, checkpoint_at(tape, position).entries, [], [])
            Archive(directory, every=timedelta(hours=1), limit_bytes=2**30).keep(START + number * 7_200 * SECOND, 1)


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
