"""What an engine comes to, to be compared and read: effects in words, changed twins, entries of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from hub.model.effects import Effects
from tests.engine.desk import Desk

LOOSE = {"seen": "number", "memory": "due"}
"""What of an entry may differ: a place that was found idle is looked at once more after a restart."""


def changed_twins(desk: Desk) -> frozenset[str]:
    """Return the twins that are others or gone since the last call."""
    changed, gone = desk.engine.take_changed_twins()
    return frozenset([*map(str, changed), *map(str, gone)])


def told(effects: Effects) -> Iterable[str]:
    """Return what effects come to, in words."""
    yield from (f"{event.transition} {event.name} {event.key} {event.data}" for event in effects.events)
    yield from (f"sent {sent.command} {sent.topic} {sent.payload!r}" for sent in effects.transmissions)
    yield from (f"answered {reply.code} {reply.detail}" for reply in effects.replies)
    yield from (f"shown {change}" for change in effects.alarms)
    yield from (f"dead letter {letter.code}" for letter in effects.dead_letters)
    yield f"{len(effects.points)} points"


def entries_of(desk: Desk) -> dict[str, Any]:
    """Return what a checkpoint of ``desk`` would hold."""
    desk.write_down()
    found = {key: msgspec.msgpack.decode(body) for key, body in desk.checkpoint.items()}
    for key, entry in found.items():
        entry.pop(LOOSE.get(key.partition("/")[0], ""), None)
    return found
