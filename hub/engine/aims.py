"""Whom a command of an alarm is for: its own device, those of its place, or those near it; a double is never told."""

from __future__ import annotations

from collections.abc import Callable

from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.places import Place, Subject
from hub.model.values import PlaceType
from hub.rules.rule import Do
from hub.rules.whom import is_meant

_ONE_CAR = frozenset({PlaceType.ELEVATOR.value})


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
        doing = [each for one in found if not one.is_double for each in _doing(content, one, action.command)]
        return [*{each.key: each for each in doing}.values()]

    return targets


def _doing(content: Content, device: Device, command: str) -> list[Device]:
    """Return who does ``command``: where ``device`` cannot those of its car that can, as a board beside a box."""
    if device.can(command):
        return [device]
    return [one for one in content.beside(device, _ONE_CAR) if one.can(command)] or [device]
