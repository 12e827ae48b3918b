"""Late and backfill: what comes long after it was said."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import orjson

from hub.durations import read_duration, write_duration
from hub.rules.rule import Rule, write_rule
from hub.rules.settling import asked_of
from hub.ui.rules.bench import SITE
from tests.engine.stage import Script, Stage, Word, play, script_of
from tests.engine.troubles.law import HOUR, LAG, counts_silence, holds_of, is_about_a_date, lines, rises, told


def said_late(calm: Stage) -> int:
    """Every word comes a minute and a second after it was said: the same alarms, marked late, and no command.

    What holds until cleared, and what is done once to keep people alive, is sent when it is known to be still true.
    Windows look back from now, so that late words leave them so much sooner. Silence is not late: nobody said it.
    """
    script = calm.script
    if is_about_a_date(script):
        return 0
    stage = heard_later(script, LAG)
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
        once = [each.command for each in script.rule.do if each.until is None and each.after(None) is not None]
        assert sent == holds_of(calm) + Counter(once * len(stage.open_alarms))
    return stage.engine.state.ledger.late


def said_a_day_later(calm: Stage) -> int:
    """Every word comes a day and an hour after it was said: it raises nothing, and only shows that its device lives.

    Except what a device declares critical: that is late at the worst. Silence is not: nobody said it.
    """
    script = calm.script
    if is_about_a_date(script):
        return 0
    stage = heard_later(script, 25 * HOUR)
    expected = calm.happenings if script.rule.absent_for is not None or counts_silence(script.rule) else []
    if not any(is_critical(stage, word) for word in script.words):
        assert lines(stage.happenings) == lines(expected)
    else:
        assert [line for line in lines(stage.happenings) if " sent " in line] == []
        assert script.rule.absent_for is not None or [each.name for each in rises(stage) if not each.late] == []
    return stage.engine.state.ledger.backfill + stage.engine.state.ledger.late


def heard_later(script: Script, by: int) -> Stage:
    """Return the stage on which every word came ``by`` after it was said."""
    stage = Stage(script)
    stage.teach(0)
    for word in script.words:
        stage.until(word.at)
        stage.show_clock(word, 0)
        stage.hear(word, clock=0, late=by)
    stage.until(script.end)
    return stage


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


def is_critical(stage: Stage, word: Word) -> bool:
    """Return whether a device declares critical what it says."""
    if word.ask is not None:
        return False
    device = stage.engine.content.find(SITE, word.speaker[0])
    return device is not None and any(each.critical for each in device.outfit.handle(orjson.dumps(dict(word.said))))
