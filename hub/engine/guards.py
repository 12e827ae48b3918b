"""What a kind says of its commands, asked of values: when one may not be sent, and when it is seen to be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from hub.catalogue import CommandKind, Interlock, Kind, Label
from hub.durations import nanoseconds
from hub.engine.ages import age_of_reading
from hub.engine.device import Device
from hub.engine.moment import Moment
from hub.engine.state import Clock
from hub.errors import ConfigError
from hub.model.values import PlaceType, Quality
from hub.normalize.downlinks import Downlink
from hub.rules.expression import Expression, compile_expression
from hub.rules.held import Held
from hub.rules.names import names_of

OFFLINE = "offline"
ONE_LANE = frozenset({PlaceType.LANE.value})
"""Where what stands there sees the same vehicle; a gate has lanes in and out, and a car may have two doors."""
Beside = Callable[..., list[Device]]
"""Of a device the others like it at the same elevator, gate or lane; of some of these types of place if they follow."""


@dataclass(frozen=True, slots=True)
class Lock:
    """What may never be, or must be, true; within ``fresh_ns`` if that is given. ``because`` is for people."""

    condition: Expression
    because: Label
    fresh_ns: int | None


@dataclass(frozen=True, slots=True)
class Guard:
    """The conditions of one command, and what shows it done."""

    never: tuple[Lock, ...]
    only: tuple[Lock, ...]
    confirm: Expression | None


@lru_cache(256)
def compile_guards(kind: Kind) -> Mapping[str, Guard]:
    """Return the guards of a kind's commands, made once; ConfigError names the command whose expression is wrong."""
    names = names_of([kind])

    def compiled(command: str, text: str) -> Expression:
        try:
            return compile_expression(text, names)
        except ConfigError as error:
            error.fields.setdefault("path", ("commands", command))
            raise

    def lock(name: str, text: str, each: Interlock) -> Lock:
        return Lock(compiled(name, text), each.because, None if each.fresh is None else nanoseconds(each.fresh))

    def guard(name: str, command: CommandKind) -> Guard:
        locks = command.interlocks
        return Guard(
            never=tuple(lock(name, each.never, each) for each in locks if each.never is not None),
            only=tuple(lock(name, each.only, each) for each in locks if each.only is not None),
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

    def __init__(self, clock: Callable[[], Clock], beside: Beside) -> None:
        self._clock = clock
        self._beside = beside

    def bar(self, device: Device, part: str, command: str, moment: Moment, *, is_seen: bool = False) -> Label | None:
        """Return why ``command`` may not be sent now; None when it may.

        What is ``never`` to be is so when any of them says so. What ``only`` may be must be known of all that it sets:
        unknown is a no, and so is a device that is offline or silent; nobody beside it may say otherwise. A device that
        never says such a thing is vouched for by one at the same lane, elsewhere by one that names the same part, and
        by a person who says that it ``is_seen``: that is worth more than silence and than what was said long ago, and
        less than the no that a device has just said.
        """
        guard = device.outfit.guards.get(command)
        if guard is None or not (guard.never or guard.only):
            return None
        awake = self._clock().awake(moment.t)
        for lock in guard.never:
            if any(lock.condition.verdict(held, awake) for held in self._around(device, part)):
                return lock.because
        for lock in guard.only:
            if self._is_free(lock, device, part, moment):
                continue
            if not is_seen or is_gone(device):
                return lock.because
            no = next(self._who_says_no(lock, device, part, awake), None)
            if no is not None:
                return _said_by(no, lock.because)
        return None

    def is_watched(self, device: Device, command: str) -> bool:
        """Return whether something may come to bar ``command`` after it was sent."""
        guard = device.outfit.guards.get(command)
        return guard is not None and bool(guard.never)

    def is_seen(self, device: Device, part: str, command: str, since: int) -> bool | None:
        """Return whether what was said after engine time awake ``since`` shows ``command`` done; None: nothing said."""
        guard = device.outfit.guards.get(command)
        if guard is None or guard.confirm is None:
            return None
        clock = self._clock()
        found = [
            guard.confirm.verdict(held, clock.awake(clock.t))
            for held in (device.state.held(each) for each in _set_by(device, part))
            if all((stamped := held.get(name)) is not None and stamped[2] > since for name in guard.confirm.names)
        ]
        return all(found) if found else None

    def _is_free(self, lock: Lock, device: Device, part: str, moment: Moment) -> bool:
        """Return whether what ``lock`` asks for is known of all that is set, and nobody beside says otherwise."""
        if is_gone(device) or not all(self._is_known(lock, device, each, moment) for each in _set_by(device, part)):
            return False
        awake = self._clock().awake(moment.t)
        return all(lock.condition.verdict(held, awake) is not False for held in self._neighbours(device))

    def _who_says_no(self, lock: Lock, device: Device, part: str, awake: int) -> Iterator[Device]:
        """Yield who said within the lock's ``fresh_ns``, blind or not, that it is not so; without one, who is there."""
        mine = [device.state.held(name) for name in dict.fromkeys((*_set_by(device, part), ""))]
        others = ((other, held) for other in self._beside(device) for held in other.state.by_part().values())
        for who, held in (*((device, each) for each in mine), *others):
            if lock.condition.verdict(held, awake) is False and _is_of_now(lock, who, held, awake):
                yield who

    def _is_known(self, lock: Lock, device: Device, part: str, moment: Moment) -> bool:
        if _knows(device.state.held(part), lock) or _knows(device.state.held(""), lock):
            return bool(self._said(lock, device, (part, ""), moment))
        return self._is_vouched_for(lock, device, part, moment)

    def _is_vouched_for(self, lock: Lock, device: Device, part: str, moment: Moment) -> bool:
        """Return whether one beside it knows: who sees a whole says nothing of one lane of several, or of a gate's."""
        is_one = len({*(device.state.seldom.parts or ()), part} - {""}) < 2  # noqa: PLR2004 -- one lane, or a whole
        here = self._beside(device, ONE_LANE) if is_one else []
        whose = [part, ""] if here else [part]
        if not here and part:
            here = self._beside(device)
        return any(self._said(lock, other, whose, moment) for other in here if not is_gone(other))

    def _said(self, lock: Lock, device: Device, parts: Sequence[str], moment: Moment) -> bool | None:
        """Return what the first of ``parts`` that knows says; None also for a yes that is not fresh enough."""
        clock = self._clock()
        for held in map(device.state.held, parts):
            verdict: bool | None = lock.condition.verdict(held, clock.awake(moment.t))
            if verdict is not None:
                return None if verdict and not _is_fresh(lock, device, held, clock, moment) else verdict
        return None

    def _around(self, device: Device, part: str) -> Iterator[Held]:
        parts = device.state.by_part()
        yield from (held for name, held in parts.items() if not part or name in {"", part})
        yield from self._neighbours(device)

    def _neighbours(self, device: Device) -> Iterator[Held]:
        for other in self._beside(device):
            yield from other.state.by_part().values()


def _knows(held: Held, lock: Lock) -> bool:
    """Return whether anything was ever said of what ``lock`` reads."""
    return any(held.get(name) is not None for name in lock.condition.names)


def _set_by(device: Device, part: str) -> list[str]:
    """Return the parts that a command for ``part`` sets."""
    return [part] if part else [name for name in device.state.seldom.parts or () if name] or [""]


def _is_fresh(lock: Lock, device: Device, held: Held, clock: Clock, moment: Moment) -> bool:
    """Return whether everything that ``lock`` reads was measured and heard within its ``fresh_ns``, if it has one.

    What was heard while the hub was blind for long may have waited as long, and what came before it may be over since.
    """
    span = lock.fresh_ns
    if span is None or clock.blind_since is not None:
        return span is None
    since = max(clock.unsure_until + 1, clock.awake(moment.t) - span)

    def is_fresh(name: str) -> bool:
        stamp = held.get(name)
        if stamp is None or stamp[2] < since or age_of_reading(device.state, moment.at, stamp[1]) > span:
            return False
        is_memory = stamp[3] is Quality.UNCERTAIN and name in held.older  # of the broker, it may be
        return stamp[3] is not Quality.BAD and not is_memory

    return all(map(is_fresh, lock.condition.names))


def _is_of_now(lock: Lock, device: Device, held: Held, awake: int) -> bool:
    """Return whether any of what ``lock`` reads was heard within its ``fresh_ns``: less than that makes a no old."""
    if lock.fresh_ns is None:
        return not is_gone(device)
    stamps = (held.get(name) for name in lock.condition.names)
    return any(stamp is not None and stamp[2] >= awake - lock.fresh_ns for stamp in stamps)


def _said_by(device: Device, because: Label) -> Label:
    """Return a reason with the name of the device that a person would overrule."""
    return {"en": f"{because['en']}: {device.device} says so", "zh": f"{because['zh']}：{device.device} 上报"}


def is_gone(device: Device) -> bool:
    """Return whether nobody hears of it: it is silent, or said to be offline."""
    return device.is_silent or device.state.availability == OFFLINE
