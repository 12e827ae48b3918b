"""What goes wrong around a rule, and what must come of it all the same: one law each, for any rule and any case.

A law returns how often its trouble happened in the case; where a sort of rule has a law of its own, it stands here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import TypeVar

import orjson

from hub.commands.life import Lease
from hub.durations import nanoseconds, read_duration, write_duration
from hub.engine.state import decode_entries
from hub.model import Event, Tick, Transition
from hub.rules.clauses import TIME
from hub.rules.held import SILENT
from hub.rules.names import scope_of
from hub.rules.rule import Rule, write_rule
from hub.rules.settling import asked_of
from hub.rules.states import CompiledRule
from hub.rules.testing import Happening, write_happening
from hub.rules.timers import TimerClass
from hub.ui.rules_bench import SITE, START
from tests.engine.desk import encoded
from tests.engine.stage import CATALOGUE, MILLISECOND, MINUTE, Beat, Script, Stage, Word, play, script_of

HOUR = 60 * MINUTE
DAY = 24 * HOUR
FEW, MANY = 3, 8
T = TypeVar("T")
LAG = 61 * MINUTE // 60
"""How long ago late words were said: longer than ``late_after`` (60 s)."""
WAITING = {TimerClass.JUDGED.name, TimerClass.WINDOW.name}
"""Timers that wait while blind; ``AWAKE`` ones move with it, all others fire (engine.md, Blind time)."""
FIRING = {TimerClass.RUNNING.name, TimerClass.ALARM.name}

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


def counts_words(rule: Rule) -> bool:
    """Return whether it counts words or what they changed: the same words in another order come to something else."""
    return bool(rule.confirm or rule.count or any(each.taken[0] in TIME for each in rule.inputs.values()))


# ------------------------------------------------------------------------------------------------------ said twice


def said_again(calm: Stage) -> int:
    """A connection is lost after each word and the broker sends the word again: it is heard twice and judged once."""
    script = calm.script
    stage = Stage(script)
    for word in script.words:
        stage.until(word.at)
        stage.hear(word)
        stage.lose()
        stage.connect()
        stage.hear(word, again=True)
        stage.catch_up()
    stage.until(script.end)
    return _all_are_duplicates(stage, calm)


def all_said_again(calm: Stage) -> int:
    """The hub is killed before the broker took any ack: after its restart every word comes again, in order."""
    script = calm.script
    stage = Stage(script)
    stage.takes_acks = False
    for word in script.words:
        stage.until(word.at)
        stage.hear(word)
    stage.until(script.end)
    stage.move()
    stage.start()
    stage.connect()
    for word in script.words:
        stage.hear(word, again=True)
    stage.catch_up()
    return _all_are_duplicates(stage, calm)


def _all_are_duplicates(stage: Stage, calm: Stage) -> int:
    assert lines(stage.happenings) == lines(calm.happenings)
    said = sum(word.ask is None for word in calm.script.words)
    assert stage.engine.state.ledger.duplicate == said
    return said


# ---------------------------------------------------------------------------------------------------- another memory


def written_down_everywhere(calm: Stage) -> int:
    """The state is written down and read back after every record: not a byte of any effect or of the state differs."""
    script = calm.script
    stage = Stage(script)
    records = calm.records[len(stage.records) :]
    moves = {record.position for record in a_few(records, MANY)}
    for record in records:
        if record.position in moves:
            stage.move()
        stage.records.append(record)
        stage.effects.append(stage.engine.apply(record))
    assert encoded(stage.effects) == encoded(calm.effects)
    stage.write_down()
    calm.write_down()
    assert stage.entries == calm.entries
    return len(moves)


def restarted_everywhere(calm: Stage) -> int:
    """The hub is restarted at once, after every word and in the middle of every wait: nothing moves."""
    script = calm.script
    stage = Stage(script)
    moments = {moment for moment, _ in a_few(list(rests(calm)), MANY)}
    for moment, words in rests(calm):
        stage.until(moment)
        for word in words:
            stage.hear(word)
        if moment in moments:
            down(stage, moment)
    stage.until(script.end)
    assert lines(stage.happenings) == lines(calm.happenings)
    return len(moments)


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


# ------------------------------------------------------------------------------------------------- late and backfill


def said_late(calm: Stage) -> int:
    """Every word comes a minute and a second after it was said: the same alarms, marked late, and no command.

    What holds until cleared is sent when it is known to be still true. Windows look back from now, so that late words
    leave them so much sooner. Silence is not late: nobody said it.
    """
    script = calm.script
    if is_about_a_date(script):
        return 0
    stage = Stage(script)
    stage.teach(0)
    for word in script.words:
        stage.until(word.at)
        stage.show_clock(word, 0)
        stage.hear(word, clock=0, late=LAG)
    stage.until(script.end)
    hurried = with_windows_shorter(script, LAG)
    calm = calm if hurried is script else play(hurried)
    assert lines(stage.happenings) == lines(told(calm.happenings))
    if script.rule.absent_for is None and not script.rule.inputs:  # an input changes by itself, too
        spoken = {effects.position for effects, beat in zip(stage.effects, stage.beats, strict=True) if beat.is_heard}
        assert [event for event in rises(stage) if not event.late and event.causes[-1][0] in spoken] == []
    before = len(stage.happenings)
    stage.lose()
    stage.connect()
    stage.catch_up()
    sent = Counter(each.name for each in stage.happenings[before:] if each.what == "sent")
    if any(action.at_most is not None for action in script.rule.do):  # bounded from when it was sent
        assert bool(sent) is bool(stage.open_alarms)
    else:
        assert sent == holds_of(calm)
    return stage.engine.state.ledger.late


def counts_silence(rule: Rule) -> bool:
    """Return whether a rule of places asks which devices say nothing."""
    return any(SILENT in (each.where or "") for each in rule.inputs.values())


def said_a_day_later(calm: Stage) -> int:
    """Every word comes a day and an hour after it was said: it raises nothing, and only shows that its device lives.

    Except what a device declares critical: that is late at the worst.
    """
    script = calm.script
    if is_about_a_date(script):
        return 0
    stage = Stage(script)
    stage.teach(0)
    for word in script.words:
        stage.until(word.at)
        stage.show_clock(word, 0)
        stage.hear(word, clock=0, late=25 * HOUR)
    stage.until(script.end)
    expected = calm.happenings if script.rule.absent_for is not None or counts_silence(script.rule) else []
    if not any(is_critical(stage, word) for word in script.words):
        assert lines(stage.happenings) == lines(expected)
    else:
        assert [line for line in lines(stage.happenings) if " sent " in line] == []
        assert [event.name for event in rises(stage) if not event.late] == []
    return stage.engine.state.ledger.backfill + stage.engine.state.ledger.late


def with_windows_shorter(script: Script, span: int) -> Script:
    """Return the script of a rule whose inputs look back less far by ``span``; the same one when none of them does."""
    rule, known = script.rule, {**script.rule.params, **script.case.params}
    if not any(each.within for each in rule.inputs.values()):
        return script
    words = orjson.loads(write_rule(rule))
    for each in words["inputs"].values():
        within = each.get("within")
        if within is not None:
            named = known[within[1:]] if within.startswith("$") else within
            shorter = max(read_duration(named) - timedelta(microseconds=span // 1_000), timedelta(milliseconds=1))
            each["within"] = write_duration(shorter)
    return script_of(Rule.model_validate(asked_of(words)), script.case, script.others)


def holds_of(stage: Stage) -> Counter[str]:
    """Return the commands that are held now, and how often."""
    stage.write_down()
    entries = decode_entries(item for item in stage.entries.items() if item[0].startswith("lease/"))
    return Counter(entry.command for _, entry in entries if isinstance(entry, Lease))


def is_critical(stage: Stage, word: Word) -> bool:
    """Return whether a device declares critical what it says."""
    if word.ask is not None:
        return False
    device = stage.engine.content.find(SITE, word.speaker[0])
    return device is not None and any(each.critical for each in device.handler(orjson.dumps(dict(word.said))))


# ------------------------------------------------------------------------------------------------------ out of order


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


def a_few(found: Sequence[T], most: int = FEW) -> list[T]:
    """Return all, or so many of them from the first to the last: cases have long rows of words that are alike."""
    if len(found) <= most:
        return list(found)
    return [found[place * (len(found) - 1) // (most - 1)] for place in range(most)]


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


# ---------------------------------------------------------------------------------------------------------- flapping

TIMES = 100


def flapping(calm: Stage) -> int:
    """The case happens a hundred times, one after the other: one alarm at a time, and nothing is left behind."""
    script = calm.script
    stage = Stage(script)
    sizes = [repeated(stage, times) for times in (3, TIMES - 3)]
    assert_one_alarm_at_a_time(stage)
    assert sizes[1] == sizes[0], "the state has grown"
    return len(rises(stage))


def flapping_fast(calm: Stage) -> int:
    """The words of the case come a hundred times, ten a second: one alarm at a time, and the last word is right."""
    script = calm.script
    stage = Stage(script)
    words = list(script.words) * TIMES
    for word in words:
        stage.until(stage.now + MINUTE // 600)
        stage.hear(word)
    assert_one_alarm_at_a_time(stage)
    rule = script.rule
    if rule.when is not None and rule.clear is None and not counts_words(rule):
        once = Stage(script)
        for word in script.words:
            once.until(once.now + MINUTE // 600)
            once.hear(word)
        for each in (stage, once):
            each.until(each.now + HOUR)
        assert stage.open_alarms == once.open_alarms
    assert len(stage.happenings) <= 4 * len(words) * (1 + len(rule.do) + len(rule.while_pending))
    return len(words)


def repeated(stage: Stage, times: int) -> int:
    """Play the case so often; return how many entries the state has an hour later, the commands of holds aside."""
    script = stage.script
    for _ in range(times):
        start = stage.now
        for word in script.words:
            stage.until(start + word.at)
            stage.hear(word)
        stage.until(start + script.end + MINUTE)
    stage.until(stage.now + HOUR)
    stage.write_down()
    return sum(not key.startswith("command/") for key in stage.entries)


def assert_one_alarm_at_a_time(stage: Stage) -> None:
    """An alarm is raised only when none of its key is open, cleared only when one is, and no event is told twice."""
    events = events_of(stage)
    is_open: dict[str, bool] = {}
    for event in events:
        if event.transition in {"raised", "cleared"}:
            assert is_open.get(event.key, False) is (event.transition == "cleared"), f"{event.transition} {event.key}"
            is_open[event.key] = event.transition == "raised"
    assert len({event.id for event in events}) == len(events)
    assert sorted(key for key, it_is in is_open.items() if it_is) == sorted(stage.open_alarms)


# ------------------------------------------------------------------------------------------------------------ clocks


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


# -------------------------------------------------------------------------------------------------------- blind time

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
    """Blind when a wait ends: it is judged when all has been read."""
    script = calm.script
    found = 0
    for before, beat, after in dues(calm, WAITING):
        start = max(before + (beat.at - before) // 2, beat.at - LAG)
        until = beat.at + min((after - beat.at) // 2, LAG) // MILLISECOND * MILLISECOND
        stage = Stage(script)
        perform(stage, start)
        firing = [stage.pending(kind) for kind in (TimerClass.RUNNING, TimerClass.ALARM)]
        if any(due is not None and due - START <= until for due in firing):
            continue
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


def is_about_a_date(script: Script) -> bool:
    """Return whether a fact begins or ends in the case: that is a time of day, and no device says it."""
    return any(isinstance(value, str) for value in script.case.facts.values())


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


def since(happening: Happening) -> int:
    """Return when it happened, in ns."""
    return nanoseconds(happening.at)


LAWS: Mapping[str, Law] = {
    law.__name__: law
    for law in (
        said_again, all_said_again, written_down_everywhere, restarted_everywhere, said_late, said_a_day_later,
        overtaken, flapping, flapping_fast, clocks_wrong, wall_clock_steps, blind_while_it_lasts, said_while_blind,
    )
} | {
    f"{law.__name__} {by.__name__}": partial(law, by=by)
    for law in (blind_in_a_wait, blind_when_due)
    for by in (lost, down)
}  # fmt: skip


def can_happen(law: str, rule: Rule) -> bool:
    """Return whether the trouble of a law can befall a rule; where it can, a case of the rule must show it."""
    match law.partition(" ")[0]:
        case "blind_when_due":
            waits = (rule.for_, rule.clear is not None and rule.clear.for_, rule.without, rule.schedule)
            return any(waits) or any(each.within for each in rule.inputs.values())
        case "blind_while_it_lasts":
            goes_on = (
                rule.remind,
                rule.escalate,
                rule.while_pending,
                any(action.until is not None for action in rule.do),
            )
            return any(goes_on) or any(step.after for step in rule.ladder)
        case "wall_clock_steps":
            return rule.schedule is None and rule.counting is None
        case _:
            return True
