"""A journal that has lost its front to retention: what is done again without it is told with that doubt."""

from __future__ import annotations

import asyncio

import pytest

from hub.journal.state_file import StateFile
from hub.replay.tape import JournalTape
from tests.replay.tapes import LOUD, SMOKE, Script, checkpoint_at, trim, written
from tests.ui.office import Office

BEFORE, BETWEEN = "2026-03-01T08:00:25+00:00", "2026-03-01T08:00:40+00:00"


@pytest.fixture
def frontless(office: Office) -> Office:
    """The office with a journal that begins while a smoke alarm is active, and one checkpoint at its end."""

    async def write() -> None:
        data = office.directory / "data"
        script = Script().hear(10, (LOUD, SMOKE)).tick(20).hear(30, (LOUD, SMOKE)).tick(36).tick(50)
        tape = JournalTape(await written(data, script.records))
        async with StateFile(data / "state.sqlite", tape.journal) as file:
            await file.checkpoint(9, checkpoint_at(tape, 9).entries, [], [])
        trim(data, 5)

    asyncio.run(write())
    return office


def test_an_explanation_of_what_was_before_the_checkpoint_says_what_it_does_not_know(frontless: Office) -> None:
    (told,) = frontless.json("rules", "explain", "smoke-alarm", "--device", "s1/smoke-1", "--at", BETWEEN)
    assert told["reasons"][0]["code"] == "approximate"
    said = frontless("rules", "explain", "smoke-alarm", "--at", BEFORE)
    assert "the journal has lost its front" in said.out


def test_what_rules_did_is_told_with_the_doubt_that_it_may_be_counted_anew(frontless: Office) -> None:
    said = frontless("rules", "stats", "smoke-alarm", "--from", "2026-03-01")
    assert "the journal has lost its front" in said.err
    assert "the journal has lost its front" not in frontless("rules", "stats", "smoke-alarm", "--from", "1s").err
