"""Clocks: those of the devices are wrong, or our own steps."""

from __future__ import annotations

from tests.engine.stage import MINUTE, Stage
from tests.engine.troubles.law import DAY, HOUR, is_about_a_date, lines, rests


def clocks_wrong(calm: Stage) -> int:
    """The clocks of the devices are wrong, each by as much as always: nobody would know, and nothing is late."""
    script = calm.script
    for offset in (-3 * HOUR, -MINUTE, MINUTE, 3 * HOUR):
        stage = Stage(script)
        stage.teach(offset)
        for word in script.words:
            stage.until(word.at)
            stage.hear(word, clock=offset)
        stage.until(script.end)
        assert lines(stage.happenings) == lines(calm.happenings), f"a clock that is {offset // MINUTE} min ahead"
        assert stage.engine.state.ledger.late == stage.engine.state.ledger.backfill == 0
    return len(script.words)


def wall_clock_steps(calm: Stage) -> int:
    """Our own clock steps a day forth or back in the middle of each wait, and back again: no timer moves.

    Except windows, which are times of day.
    """
    script = calm.script
    if script.rule.schedule is not None or script.rule.counting is not None or is_about_a_date(script):
        return 0
    steps = 0
    for step in (DAY, -DAY):
        stage, steps = Stage(script), 0
        for moment, words in rests(calm):
            stage.until(moment)
            if not words:
                stage.wall_step = step - stage.wall_step
                steps += 1
            for word in words:
                stage.hear(word)
        stage.until(script.end)
        assert lines(stage.happenings) == lines(calm.happenings), f"steps of {step // HOUR} h"
    return steps
