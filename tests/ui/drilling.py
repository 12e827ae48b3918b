"""An event of a drill, as tests of its course and its report need them."""

from __future__ import annotations

from hub.model.effects import Event, Transition
from hub.model.values import Severity
from tests.ui.installation import SITE


def event(name: str, *, is_fire: bool = False, **data: str) -> Event:
    transition = Transition.RAISED if is_fire else Transition.OCCURRED
    return Event(
        id="a", name=name, severity=Severity.INFO, transition=transition, time=0, key=f"{SITE}/@z1", rule="",
        rule_version="", site=SITE, drill=is_fire, data={**data},
    )  # fmt: skip
