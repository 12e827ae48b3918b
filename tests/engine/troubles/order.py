"""Out of order: a word comes after the next one of its device."""

from __future__ import annotations

from collections.abc import Sequence

from hub.rules.testing import Happening
from tests.engine.stage import MILLISECOND, Script, Stage, Word
from tests.engine.troubles.law import a_few, counts_words, lines, told, without_moments


def overtaken(calm: Stage) -> int:
    """A word comes after the next one of its device, in every pair: what was said last is what is so.

    An overtaken value is as if it had not been said; a signal, or a value that is one, happened all the same.
    """
    script = calm.script
    pairs = overtakings(script)
    is_momentary = not script.rule.is_alarm
    for first, second in pairs:
        swapped = in_turn(script, [second, first])
        if not is_momentary or script.rule.on_signal is not None:
            assert lines(swapped.happenings) == lines(in_turn(script, [second, what_is_left(first, second)]).happenings)
        ordered = in_turn(script, [first, second])
        if is_momentary or script.rule.on_signal is not None or script.rule.absent_for is not None:
            assert without_moments(told(swapped.happenings)) == without_moments(told(ordered.happenings))
            assert swapped.open_alarms == ordered.open_alarms
        elif not counts_words(script.rule):
            assert not without_moments(risen(swapped)) - without_moments(risen(ordered)), "an invented alarm"
            assert set(swapped.open_alarms) <= set(ordered.open_alarms), "an alarm that stuck"
    return len(pairs)


def overtakings(script: Script) -> list[tuple[Word, Word]]:
    """Return each word with the next one of its device, where that is said at a later moment."""
    found = []
    for index, first in enumerate(script.words):
        later = (word for word in script.words[index + 1 :] if word.speaker[0] == first.speaker[0] and not first.ask)
        second = next(later, None)
        if second is not None and second.at - first.at >= MILLISECOND:
            found.append((first, second))
    return a_few(found)


def in_turn(script: Script, pair: Sequence[Word]) -> Stage:
    """Return a performance by devices with clocks, in which two words come together, in the order of ``pair``."""
    moment, held_back = max(word.at for word in pair), {word.packet_id for word in pair}
    stage = Stage(script)
    stage.teach(0)
    for word in script.words:
        stage.until(word.at)
        if word.packet_id not in held_back:
            stage.hear(word, clock=0)
        elif word.at == moment:
            stage.show_clock(word, 0)
            for each in pair:
                stage.hear(each, clock=0, late=moment - each.at)
    stage.until(script.end)
    return stage


def what_is_left(first: Word, second: Word) -> Word:
    """Return what the first of two words still says when the second came before it."""
    if first.speaker != second.speaker:
        return first
    kept = {name: value for name, value in first.values.items() if name not in second.values}
    return first.says(values=kept if kept or "signals" not in first.said else None)


def risen(stage: Stage) -> list[Happening]:
    """Return how alarms rose."""
    return [each for each in stage.happenings if each.what == "raised"]
