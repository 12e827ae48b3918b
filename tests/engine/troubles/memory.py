"""Another memory: the state is written down and read back, and nothing moves."""

from __future__ import annotations

from tests.engine.desk import encoded
from tests.engine.stage import Stage
from tests.engine.troubles.law import a_few, down, lines, rests

MANY = 8


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
