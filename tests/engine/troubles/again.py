"""Said twice: words that the broker sends again are judged once."""

from __future__ import annotations

from tests.engine.stage import Stage
from tests.engine.troubles.law import lines


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
