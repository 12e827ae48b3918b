"""Whom a command of an alarm is for: its own device, those of its place, or those near it; a double is never told."""

from __future__ import annotations

from collections.abc import Callable

from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.places import Place, Subject
from hub.rules.rule import Do
from hub.rules.whom import is_meant


def targets_of(content: Content, subject: Subject) -> Callable[[Do], list[Device]]:
    """Return what finds the devices of an action of an alarm of ``subject``; in the place of a double its original."""

    def targets(action: Do) -> list[Device]:
        to = action.to
        if to is None:
            found = subject.taking(action.command) if isinstance(subject, Place) else [content.real(subject)]
        elif to.within == "building":
            there = content.near(subject, to.kind, "site")
            found = [one for one in there if is_meant(action, subject.building, one.building)]
        else:
            found = content.near(subject, to.kind, to.within)
        return [one for one in found if not one.is_double]

    return targets
