"""What a kind says of its commands, asked of values: when one may not be sent, and when it is seen to be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from hub.catalogue import CommandKind, Kind
from hub.engine.device import Device
from hub.engine.state import Clock
from hub.errors import ConfigError
from hub.normalize.downlinks import Downlink
from hub.rules.expression import Expression, compile_expression
from hub.rules.held import Held, of
from hub.rules.names import names_of

OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Guard:
    """The conditions of one command: (what may never be, or must be, true; why in English), and what shows it done."""

    never: tuple[tuple[Expression, str], ...]
    only: tuple[tuple[Expression, str], ...]
    confirm: Expression | None


def compile_guards(kind: Kind) -> Mapping[str, Guard]:
    """Return the guards of a kind's commands; ConfigError names the command whose expression is wrong."""
    names = names_of([kind])

    def compiled(command: str, text: str) -> Expression:
        try:
            return compile_expression(text, names)
        except ConfigError as error:
            error.fields.setdefault("path", ("commands", command))
            raise

    def guard(name: str, command: CommandKind) -> Guard:
        locks = command.interlocks
        return Guard(
            never=tuple((compiled(name, each.never), each.because["en"]) for each in locks if each.never is not None),
            only=tuple((compiled(name, each.only), each.because["en"]) for each in locks if each.only is not None),
            confirm=None if command.confirm is None else compiled(name, command.confirm),
        )

    return {name: guard(name, command) for name, command in kind.commands.items()}


def with_confirms(guards: Mapping[str, Guard], kind: Kind, downlinks: Mapping[str, Downlink]) -> Mapping[str, Guard]:
    """Return the guards of devices of a profile: what shows a command done may be another thing with its model.

    Raises ConfigError that names the command whose expression is wrong.
    """
    names = names_of([kind])
    own: dict[str, Guard] = {}
    for command, words in downlinks.items():
        if words.confirm is None:
            continue
        try:
            seen = compile_expression(words.confirm, names) if words.confirm else None
        except ConfigError as error:
            error.fields.setdefault("path", ("commands", command, "confirm"))
            raise
        own[command] = replace(guards[command], confirm=seen)
    return {**guards, **own} if own else guards


class Guards:
    """Asks what is held now of a device, and of those like it at the same elevator, gate or lane (``beside``)."""

    def __init__(self, clock: Callable[[], Clock], beside: Callable[[Device], list[Device]]) -> None:
        self._clock = clock
        self._beside = beside

    def bar(self, device: Device, part: str, command: str) -> str:
        """Return why ``command`` may not be sent now; nothing when it may.

        What is ``never`` to be is so when any of them says so. What ``only`` may be must be known of all that it sets:
        unknown is a no, and so is a device that is offline or silent; nobody beside it may say otherwise.
        """
        guard = device.guards.get(command)
        if guard is None or not (guard.never or guard.only):
            return ""
        clock = self._clock()
        awake = clock.awake(clock.t)
        for condition, why in guard.never:
            if any(condition.verdict(held, awake) for held in self._around(device, part)):
                return why
        for condition, why in guard.only:
            mine = [self._said(condition, device, each, awake) for each in _set_by(device, part)]
            others = (condition.verdict(held, awake) for held in self._neighbours(device))
            if _is_gone(device) or not all(mine) or any(verdict is False for verdict in others):
                return why
        return ""

    def is_watched(self, device: Device, command: str) -> bool:
        """Return whether something may come to bar ``command`` after it was sent."""
        guard = device.guards.get(command)
        return guard is not None and bool(guard.never)

    def is_seen(self, device: Device, part: str, command: str, since: int) -> bool | None:
        """Return whether what was said after engine time awake ``since`` shows ``command`` done; None: nothing said."""
        guard = device.guards.get(command)
        if guard is None or guard.confirm is None:
            return None
        clock = self._clock()
        found = [
            guard.confirm.verdict(held, clock.awake(clock.t))
            for held in (of(device.state.parts, each) for each in _set_by(device, part))
            if all((stamped := held.get(name)) is not None and stamped[2] > since for name in guard.confirm.names)
        ]
        return all(found) if found else None

    def _said(self, condition: Expression, device: Device, part: str, awake: int) -> bool | None:
        verdict: bool | None = condition.verdict(of(device.state.parts, part), awake)
        return condition.verdict(of(device.state.parts, ""), awake) if verdict is None and part else verdict

    def _around(self, device: Device, part: str) -> Iterator[Held]:
        parts = device.state.parts
        yield from (held for name, held in parts.items() if not part or name in {"", part})
        yield from self._neighbours(device)

    def _neighbours(self, device: Device) -> Iterator[Held]:
        for other in self._beside(device):
            yield from other.state.parts.values()


def _set_by(device: Device, part: str) -> list[str]:
    """Return the parts that a command for ``part`` sets."""
    return [part] if part else [name for name in device.state.parts if name] or [""]


def _is_gone(device: Device) -> bool:
    return device.is_silent or device.state.availability == OFFLINE
