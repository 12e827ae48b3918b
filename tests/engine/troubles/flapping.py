"""Flapping: the same a hundred times, and fast; one alarm at a time, and nothing is left behind."""

from __future__ import annotations

from tests.engine.stage import MINUTE, Stage
from tests.engine.troubles.law import HOUR, counts_words, events_of, rises

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
