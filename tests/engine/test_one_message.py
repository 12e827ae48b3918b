"""What one message says may begin an alarm twice: both have ids of their own, and so has all that comes of them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.engine.desk import Desk, encoded, native
from tests.engine.one_rule import desk_with, told, warm

HOLD = "{command: unlock, args: {ttl: 30s}, to: {kind: access_controller, in: building}"
ALARM = f"do: [{HOLD}, until: cleared}}]"
PENDING = f"for: 10s\nwhile_pending: [{HOLD}}}]"


def says(desk: Desk, *temperatures: float) -> None:
    """Let the room say all that in one message, as a device does that was away for a while."""
    desk.hear(native("room", [{"values": {"temperature": each}} for each in temperatures], "telemetry"))


def sent(desk: Desk) -> list[tuple[str, str]]:
    """Return id and command of whatever left."""
    found = (each for effects in desk.effects for each in effects.transmissions)
    return [(each.command, orjson.loads(each.payload)["command"]) for each in found]


@pytest.mark.parametrize("words", [ALARM, PENDING], ids=["alarm", "pending"])
def test_a_door_is_held_again_by_a_command_of_its_own_id(tmp_path: Path, words: str) -> None:
    desk = desk_with(tmp_path, words)
    says(desk, 60, 20, 60)
    assert [name for _, name in sent(desk)] == ["unlock", "lock", "unlock"]
    assert len({identity for identity, _ in sent(desk)}) == 3
    assert desk.engine.has_leases


def test_no_two_of_its_events_have_one_id_whenever_they_are_told(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, ALARM)
    says(desk, 60, 20, 60, 20, 60)
    later = desk.restart()
    start = len(desk.effects)
    for each in (desk, later):
        warm(each, 20)
    assert encoded(later.effects) == encoded(desk.effects[start:])
    assert told(desk) == ["raised", "cleared"] * 3
    assert len({event.id for event in desk.events}) == len(desk.events)
