"""How devices of a profile can be told things: what they cannot be told and why, and how often they speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.catalogue import Label
from hub.commands.patience import Habit
from hub.durations import nanoseconds
from hub.normalize.profile import Profile

GONE_AFTER_NS = 86_400_000_000_000
"""When a device whose profile does not say how often it is heard is taken to be gone: a day."""


_NOBODY_KNOWS = Habit(0, GONE_AFTER_NS)


@dataclass(frozen=True, slots=True)
class Reach:
    """Of one profile. ``cannot``: why a command cannot be told."""

    cannot: Mapping[str, Label] = field(default_factory=dict)
    habit: Habit = _NOBODY_KNOWS


ANY_REACH = Reach()
"""Of a device without a profile: it takes what its kind takes."""


def reach_of(profile: Profile) -> Reach:
    """Return how devices of ``profile`` can be told things."""
    lives = profile.liveness
    if lives is None:
        return Reach(profile.cannot)
    return Reach(profile.cannot, Habit(nanoseconds(lives.report_every), nanoseconds(lives.offline_after)))
