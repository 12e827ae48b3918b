"""Conversations with an engine that is upset now and then: what comes of them, and the state that is left."""

from __future__ import annotations

from collections.abc import Iterable

from tests.engine.desk import Desk, encoded

RULES = """\
rule: too-hot
version: 1.0.0
label: {en: Too hot, zh: 过热}
for_each: environment_sensor
when: temperature > 40 and humidity < 60
raise: {event: utility.too_hot, severity: high}
clear: {when: temperature < 35, for: 5s}
tests:
  - name: it rises
    given: [{at: 0s, values: {temperature: 41, humidity: 50}}]
    expect: ["0s raised utility.too_hot"]
"""


def upset(desk: Desk, what: object) -> Desk:
    """Let something happen before the next message; returns the desk at work then."""
    match what:
        case "lose":
            desk.lose()
            desk.catch_up(len(desk.records))
        case "restart":
            return desk.restart()
        case "tick":
            desk.tick()
        case "blind":
            desk.lose()
        case "save":
            desk.engine.state.begin_checkpoint()  # which must hold nothing of what is said next
        case _:
            pass
    return desk


def settle(desk: Desk, what: object) -> None:
    """Let what happened before a message be over."""
    if what == "blind":
        desk.catch_up(len(desk.records))
    if what == "save":
        saved = desk.engine.state.take_checkpoint()
        desk.checkpoint |= {key: body for key, body in saved.items() if body is not None}


Outcome = tuple[bytes, dict[str, bytes], dict[str, bytes | None]]
"""The effects of a conversation, what was saved on the way, and the state that it leaves."""


def outcome_of(desk: Desk, desks: Iterable[Desk]) -> Outcome:
    """Return what came of a conversation that begins with ``desk`` and may go on with others."""
    effects = []
    for here in desks:
        if here is not desk:
            effects += desk.effects
            desk = here
    state = desk.engine.state
    state.begin_checkpoint()
    return encoded([*effects, *desk.effects]), desk.checkpoint, dict(sorted(state.take_checkpoint().items()))
