"""Whom a command of an alarm is for: its own device, those of its place, or those near it; a double is never told."""

from __future__ import annotations

from collections.abc import Callable

from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.places import Place, Subject
from hub.rules.rule import Do


def targets_of(content: Content, subject: Subject) -> Callable[[Do], list[Device]]:
    """Return what finds the devices of an action of an alarm of ``subject``; in the place of a double its original."""

    def targets(action: Do) -> list[Device]:
        if action.to is not None:
            found = content.near(subject, action.to.kind, action.to.within)
        else:
            found = subject.taking(action.command) if isinstance(subject, Place) else [content.real(subject)]
        return [one for one in found if not one.is_double]

    return targets
