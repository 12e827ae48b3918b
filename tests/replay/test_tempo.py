"""The same words at another tempo: what that changes, and that a journal tells again exactly what was told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

from hub.bridge import topics
from hub.bridge.frames import decode_packets
from hub.engine.apply import Engine
from hub.model.effects import Event
from hub.registry.documents import documents as registered
from hub.registry.nouns import Site
from hub.replay.beginning import Beginning, Fidelity, engine_at
from hub.replay.tape import JournalTape
from simulators.mixture import Mixture
from tests.engine.desk import SECOND, START, documents
from tests.replay.tapes import Script, written

SITE, WORDS, A_BATCH, A_SECOND = "s1", 3_000, 50, 500
IS_OPENED = b'"subEventType":25'
PATIENCE = 30
"""Seconds after which a door that stands open is told (rules/access.yaml)."""


def cut() -> int:
    """Return how many words end with a door that was opened and not closed yet: a flood may end within a passage."""
    mixture = Mixture(SITE, 60)
    said = (mixture.say(number, START)[2] for number in range(WORDS))
    return next(number + 1 for number, word in enumerate(said) if number > WORDS // 2 and IS_OPENED in word)


def batches(until: int) -> Iterator[range]:
    """Yield the words of each batch; one ends at ``until``."""
    start = 0
    while start < WORDS:
        end = min(start + A_BATCH, WORDS, until if start < until else WORDS)
        yield range(start, end)
        start = end


@cache
def flooded(pause: int) -> Script:
    """Return what a mixture says in two floods, ``pause`` seconds apart, and half a minute of calm."""
    mixture, until = Mixture(SITE, 60), cut()
    site = Site(id=SITE, zone="Asia/Shanghai")
    script = Script(documents() | registered([site], mixture.places(), mixture.devices()))
    for words in batches(until):
        second = 1 + words.start / A_SECOND + (pause if words.start >= until else 0)
        heard = [mixture.say(number, START + round(second * SECOND))[1:] for number in words]
        script.hear(second, *heard)
        for tick in range(1, pause if words.stop == until else 0):
            script.tick(second + tick)
    return script.tick(1 + WORDS / A_SECOND + pause + PATIENCE // 2)


async def told_again(directory: Path, script: Script) -> list[Event]:
    """Return what the journal of ``script`` tells, from its first record on."""
    directory.mkdir()
    tape = JournalTape(await written(directory, script.records))
    engine = engine_at(tape, Beginning(position=0, entries={}, fidelity=Fidelity.EXACT))
    return [event for record in tape.read(0) for event in engine.apply(record).events]


def what(events: list[Event]) -> Counter[tuple[str, str]]:
    """Return what was told, whenever."""
    return Counter((event.rule, event.transition.value) for event in events)


@pytest.mark.parametrize(
    ("pause", "more"),
    [(PATIENCE - 5, {}), (PATIENCE + 5, {("door-held-open", "raised"): 1, ("door-held-open", "cleared"): 1})],
)
async def test_a_longer_pause_between_two_floods_is_told_of_the_door_that_it_left_open_and_of_nothing_else(
    tmp_path: Path, pause: int, more: dict[tuple[str, str], int]
) -> None:
    at_once = await told_again(tmp_path / "at-once", flooded(0))
    later = await told_again(tmp_path / "later", flooded(pause))
    assert what(later) - what(at_once) == Counter(more)
    assert what(at_once) - what(later) == Counter()
    assert what(at_once)["access-passage", "occurred"] > WORDS // 10


async def test_a_journal_tells_again_what_was_told_while_it_was_heard_byte_for_byte(tmp_path: Path) -> None:
    script = flooded(PATIENCE + 5)
    again = await told_again(tmp_path / "journal", script)
    hub = Engine(JournalTape(tmp_path / "journal" / "journal.sqlite").journal, topics, decode_packets)
    told = [event for record in script.records for event in hub.apply(record).events]
    assert msgspec.json.encode(again) == msgspec.json.encode(told)
