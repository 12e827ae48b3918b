"""A law: what must come of a case in spite of one trouble; and what laws look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from hub.commands.life import Lease
from hub.durations import nanoseconds
from hub.engine.state import decode_entries
from hub.model.effects import Event, Transition
from hub.model.records import Tick
from hub.rules.clauses import TIME
from hub.rules.held import SILENT
from hub.rules.rule import Rule
from hub.rules.testing import Happening, write_happening
from tests.engine.stage import MINUTE, Script, Stage, Word

HOUR = 60 * MINUTE
DAY = 24 * HOUR
FEW = 3
T = TypeVar("T")
LAG = 61 * MINUTE // 60
"""How long ago late words were said: longer than ``late_after`` (60 s)."""

Law = Callable[[Stage], int]
"""The undisturbed performance of a case -> how often the trouble happened; AssertionError where the law is broken."""


def lines(happenings: Sequence[Happening]) -> list[str]:
    """Return happenings as a rule's file writes them."""
    return [write_happening(each) for each in happenings]


def without_moments(happenings: Sequence[Happening]) -> Counter[tuple[str, str, str]]:
    """Return what happened how often, whenever."""
    return Counter((each.what, each.name, each.where) for each in happenings)


def told(happenings: Sequence[Happening]) -> list[Happening]:
    """Return the events among happenings."""
    return [each for each in happenings if each.what != "sent"]


def events_of(stage: Stage) -> list[Event]:
    """Return the events of the rule."""
    name = stage.script.rule.raise_.event
    return [event for effects in stage.effects for event in effects.events if event.name == name]


def rises(stage: Stage) -> list[Event]:
    """Return the events with which something rose."""
    return [event for event in events_of(stage) if event.transition in {Transition.RAISED, Transition.OCCURRED}]


def a_few(found: Sequence[T], most: int = FEW) -> list[T]:
    """Return all, or so many of them from the first to the last: cases have long rows of words that are alike."""
    if len(found) <= most:
        return list(found)
    return [found[place * (len(found) - 1) // (most - 1)] for place in range(most)]


def since(happening: Happening) -> int:
    """Return when it happened, in ns."""
    return nanoseconds(happening.at)


# ------------------------------------------------------------------------------------------- what a rule asks for


def counts_words(rule: Rule) -> bool:
    """Return whether it counts words or what they changed: the same words in another order come to something else."""
    return bool(rule.confirm or rule.count or any(each.taken[0] in TIME for each in rule.inputs.values()))


def counts_silence(rule: Rule) -> bool:
    """Return whether a rule of places asks which devices say nothing, and not only leaves them out."""
    asked = (each.where or "" for each in rule.inputs.values())
    return any(SILENT in where and f"not {SILENT}" not in where for where in asked)


def is_about_a_date(script: Script) -> bool:
    """Return whether a fact begins or ends in the case: that is a time of day, and no device says it."""
    return any(isinstance(value, str) for value in script.case.facts.values())


def holds_of(stage: Stage) -> Counter[str]:
    """Return the commands that are held now, and how often."""
    stage.write_down()
    entries = decode_entries(item for item in stage.entries.items() if item[0].startswith("lease/"))
    return Counter(entry.command for _, entry in entries if isinstance(entry, Lease))


# --------------------------------------------------------------------------------------------- how it is performed


def rests(calm: Stage) -> Iterator[tuple[int, list[Word]]]:
    """Yield the words moment by moment, and in between, without words, the middle of each wait."""
    script = calm.script
    moments = sorted({beat.at for beat in calm.beats} | {script.end})
    before = 0
    for moment in moments:
        if moment - before >= 4:
            yield (before + moment) // 2, []
        yield moment, [word for word in script.words if word.at == moment]
        before = moment


By = Callable[[Stage, int], None]
"""How the hub is blind from now until a moment: its sessions are lost, or it is not there."""


def lost(stage: Stage, until: int) -> None:
    """Lose both sessions until a moment; ticks go on."""
    stage.say(Tick())
    stage.lose()
    stage.endure(until)
    stage.connect()
    stage.catch_up()


def down(stage: Stage, until: int) -> None:
    """Stop the hub, and start it again at a moment."""
    stage.say(Tick())
    stage.move()
    stage.now = until
    stage.start()
    stage.connect()
    stage.catch_up()
