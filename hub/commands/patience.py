"""How long a command may wait for a device that listens only after it spoke, and when that would be too late; pure."""

from __future__ import annotations

from typing import NamedTuple

from hub.commands.arbitration import HIGHEST

URGENT = frozenset({HIGHEST, "entrapment"})
"""Priorities of commands that are of use now, or of none."""


class Habit(NamedTuple):
    """How often a device speaks, and when it is taken to be gone (ns); ``every_ns`` 0: nobody knows how often."""

    every_ns: int
    gone_after_ns: int


class Errand(NamedTuple):
    """What a device is to be told: how long that is worth telling (ns; of a hold its ttl), and what sort it is."""

    priority: str
    worth_ns: int
    is_hold: bool = False
    is_release: bool = False


def wait_for(errand: Errand, habit: Habit) -> int:
    """Return how long (ns) ``errand`` may wait for the device to speak; 0: it would surely, or may, come too late.

    A release always goes out. What is urgent, and a hold, is worth no more than it says: a door that is to be open for
    thirty seconds must not open an hour later. Anything else waits as long as the device is not taken to be gone.
    """
    longest = max(habit.every_ns, habit.gone_after_ns)
    if errand.is_release:
        return longest
    if not (errand.is_hold or errand.priority in URGENT):
        return max(errand.worth_ns, longest)
    return errand.worth_ns if 0 < habit.every_ns <= errand.worth_ns else 0
