"""How devices of a profile can be told things: what they cannot be told and why, and how often they are heard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.normalize.profile import Profile


@dataclass(frozen=True, slots=True)
class Reach:
    """Of one profile. ``cannot``: why a command cannot be told, in both languages."""

    cannot: Mapping[str, str] = field(default_factory=dict)


ANY_REACH = Reach()
"""Of a device without a profile: it takes what its kind takes."""


def reach_of(profile: Profile) -> Reach:
    """Return how devices of ``profile`` can be told things."""
    return Reach({name: f"{because['en']} / {because['zh']}" for name, because in profile.cannot.items()})
