"""Blind time: the hub cannot hear, in the middle of a wait, when it ends, and while everything is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from datetime import timedelta
from itertools import pairwise

from hub.model.records import Tick
from hub.rules.names import scope_of
from hub.rules.states import CompiledRule
from hub.rules.testing import Happening
from hub.rules.timers import TimerClass
from hub.ui.rules.bench import START
from tests.engine.stage import CATALOGUE, MILLISECOND, MINUTE, Beat, Script, Stage
from tests.engine.troubles.law import LAG, By, a_few, counts_silence, holds_of, lines, rises, since

WAITING = {TimerClass.JUDGED.name, TimerClass.WINDOW.name}
"""Timers that wait while blind; ``AWAKE`` ones move with it, all others fire (engine.md, Blind time)."""
FIRING = {TimerClass.RUNNING.name, TimerClass.ALARM.name}


def blind_in_a_wait(calm: Stage, by: By) -> int:
    """Blind in the middle of each wait in which nothing was to happen: what is not silence comes when it had to.

    Silence, and what becomes stale, comes so much later: where only that is waited for, everything after moves.
    """
    script = calm.script
    found = 0
    for before, after in waits(calm):
        start = before + (after - before) // 4 // MILLISECOND * MILLISECOND
        span = min((after - before) // 4, LAG) // MILLISECOND * MILLISECOND
        stage = Stage(script)
        perform(stage, start)
        is_awaited = awaits_silence(stage) or becomes_stale(script)
        is_held = holds_anything(stage)
        by(stage, start + span)
        assert [each for each in stage.happenings if since(each) > start] == []
        found += 1
        if is_awaited and is_held:  # one moves and the other does not
            continue
        shift = span if is_awaited else 0
        perform(stage, script.end, after=start, shift=shift)
        assert lines(stage.happenings) == lines(moved(calm.happenings, start, shift)), f"blind at {start / 10**9} s"
    return found


def blind_when_due(calm: Stage, by: By) -> int:
    """Blind when a wait ends, until before anything fires that does not wait: it is judged when all has been read."""
    script = calm.script
    found = 0
    for before, beat, after in dues(calm, WAITING):
        start = max(before + (beat.at - before) // 2, beat.at - LAG)
        stage = Stage(script)
        perform(stage, start)
        firing = [due - START for due in map(stage.pending, (TimerClass.RUNNING, TimerClass.ALARM)) if due is not None]
        if any(due <= beat.at for due in firing):
            continue
        until = beat.at + min(LAG, (min([after, *firing]) - beat.at) // 2) // MILLISECOND * MILLISECOND
        calmly = [each for each in calm.happenings if since(each) <= beat.at]
        by(stage, until)
        assert lines(stage.happenings) == lines(moved(calmly, start, until - beat.at)), f"due at {beat.at / 10**9} s"
        found += 1
    return found


def blind_while_it_lasts(calm: Stage) -> int:
    """Blind while an alarm grows worse, is told again, or a hold is renewed: all that goes on."""
    script = calm.script
    found = 0
    spoken = {word.at // MILLISECOND for word in script.words}
    for before, beat, after in dues(calm, FIRING):
        if beat.at // MILLISECOND in spoken:
            continue
        start = max(before + (beat.at - before) // 2, beat.at - LAG)
        stage = Stage(script)
        perform(stage, start)
        is_awaited = stage.pending(TimerClass.AWAKE) is not None
        stage.say(Tick())
        stage.lose()
        stage.endure(beat.at)
        stage.say(Tick())
        assert lines(stage.happenings) == lines([each for each in calm.happenings if since(each) <= beat.at])
        found += 1
        if is_awaited:  # what becomes stale comes later
            continue
        stage.endure(beat.at + min((after - beat.at) // 2, LAG))
        stage.connect()
        stage.catch_up()
        perform(stage, script.end, after=beat.at, shift=0)
        assert lines(stage.happenings) == lines(calm.happenings), f"blind at {start / 10**9} s"
    return found


def said_while_blind(calm: Stage) -> int:
    """Everything is said while the hub is away, and read at once: what is open in the end is as if it had been there.

    Raised late, and nothing is sent before all has been read; then what holds until cleared.
    """
    script = calm.script
    away, there = Stage(script), Stage(script)
    away.until(0)
    away.lose()
    for stage in (away, there):
        stage.now = script.end
        if stage is away:
            stage.connect()
        for word in script.words:
            stage.hear(word)
    assert [each for each in away.happenings if each.what == "sent"] == []
    assert [event.name for event in rises(away) if not event.late and script.rule.absent_for is None] == []
    away.catch_up()
    if counts_silence(script.rule):  # what nobody could hear is no silence
        assert not away.open_alarms
        return away.engine.state.ledger.late
    assert away.open_alarms == there.open_alarms
    assert holds_of(away) == (holds_of(there) if there.open_alarms else Counter())
    return away.engine.state.ledger.late


def perform(stage: Stage, moment: int, *, after: int = -1, shift: int = 0) -> None:
    """Play on until a moment, with what is said after another one; ``shift`` ns later than in the script."""
    for word in stage.script.words:
        if after < word.at <= moment:
            stage.until(word.at + shift)
            stage.hear(word)
    stage.until(moment + shift)


def waits(calm: Stage) -> list[tuple[int, int]]:
    """Return spans in which nothing happens at all."""
    moments = sorted({beat.at for beat in calm.beats} | {calm.script.end})
    return a_few([(before, after) for before, after in pairwise(moments) if after - before >= 8 * MILLISECOND])


def dues(calm: Stage, causes: Container[str]) -> list[tuple[int, Beat, int]]:
    """Return beats of ``causes``, with the moments before and after; those that brought something about, if any."""
    end = calm.script.end
    moments = sorted({beat.at for beat in calm.beats} | {end, end + MINUTE})
    places = [(moments.index(beat.at), beat) for beat in calm.beats if beat.cause in causes]
    found = [(moments[place - 1], beat, moments[place + 1]) for place, beat in places]
    found = [due for due in found if due[1].at - due[0] >= 8 * MILLISECOND]
    return a_few([due for due in found if due[1].happenings] or found)


def becomes_stale(script: Script) -> bool:
    """Return whether the case is long enough for something that the rule reads to become stale."""
    scope = scope_of(script.rule, CATALOGUE)
    spans = [scope.names[name].stale_after for name in CompiledRule(script.rule, scope).names]
    return any(span is not None and span <= script.end for span in spans)


def awaits_silence(stage: Stage) -> bool:
    """Return whether it is waited for something not to be said."""
    return any(stage.pending(kind) is not None for kind in silences(stage))


def silences(stage: Stage) -> set[TimerClass]:
    """Return the timers that move with blind time: an input whose words must be ``fresh`` waits for nothing else."""
    is_fresh = any(each.fresh is not None for each in stage.script.rule.inputs.values())
    return {TimerClass.AWAKE, TimerClass.WINDOW} if is_fresh else {TimerClass.AWAKE}


def holds_anything(stage: Stage) -> bool:
    """Return whether anything but silence is waited for."""
    kinds = {TimerClass.JUDGED, TimerClass.ALARM}
    if TimerClass.WINDOW not in silences(stage) or any(each.within for each in stage.script.rule.inputs.values()):
        kinds.add(TimerClass.WINDOW)
    is_waiting = any(stage.pending(kind) is not None for kind in kinds)
    return is_waiting or stage.engine.has_leases or stage.engine.content.changes_at is not None


def moved(happenings: Sequence[Happening], after: int, shift: int) -> list[Happening]:
    """Return happenings, those after a moment so much later."""
    by = timedelta(microseconds=shift // 1_000)
    return [each._replace(at=each.at + by) if since(each) > after else each for each in happenings]
