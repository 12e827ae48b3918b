"""What other rules would have told: events and commands that appeared, vanished, or came at another time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hub.model.effects import Effects
from hub.model.values import Severity
from hub.replay.lockstep import Pair

SAME_NS = 3_600_000_000_000
"""Two raises of one rule for one key that lie further apart are two, not one that moved."""
COMMANDS = "command."
"""Events of commands are left out: a tape holds no answers to commands that were never sent."""


class Change(StrEnum):
    """What became of an event."""

    APPEARED = "appeared"
    VANISHED = "vanished"
    SEVERITY = "severity"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event, or a command on its way, as far as two of them are compared; ``time`` is wall ns."""

    id: str
    name: str
    transition: str
    severity: Severity | None
    rule: str
    key: str
    time: int
    late: bool
    cause: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference; ``was`` is None for what appeared, ``would_be`` for what vanished."""

    change: Change
    was: Told | None
    would_be: Told | None

    @property
    def told(self) -> Told:
        """The newer of the two."""
        found = self.would_be or self.was
        assert found is not None  # noqa: S101 -- there is no difference between nothing and nothing
        return found


@dataclass(slots=True)
class Comparison:
    """Takes pairs; ``differences`` are known when all have come. ``same`` counts what is equal in both."""

    same: int = 0
    _was: dict[str, Told] = field(default_factory=dict)
    _other: dict[str, Told] = field(default_factory=dict)

    def take(self, pair: Pair) -> None:
        """Compare what one record came to; what is equal is only counted."""
        was, would_be = (
            list(told(pair.was, pair.record.received_at)),
            list(told(pair.would_be, pair.record.received_at)),
        )
        if was == would_be:
            self.same += len(was)
            return
        self._was |= {each.id: each for each in was}
        self._other |= {each.id: each for each in would_be}

    def differences(self) -> list[Difference]:
        """Return every difference in the order of time."""
        found: list[Difference] = []
        same = 0
        for name in self._was.keys() & self._other.keys():
            change = _changed(self._was[name], self._other[name])
            same += change is None
            if change is not None:
                found.append(Difference(change=change, was=self._was[name], would_be=self._other[name]))
        gone = [each for name, each in self._was.items() if name not in self._other]
        new = [each for name, each in self._other.items() if name not in self._was]
        for difference in _paired(gone, new):
            if difference is None:
                same += 1
            else:
                found.append(difference)
        self.same += same
        self._was, self._other = {}, {}
        return sorted(found, key=lambda each: (each.told.time, each.told.rule, each.told.key, each.told.transition))


def told(effects: Effects, received_at: int) -> Iterator[Told]:
    """Yield what a record told and sent."""
    for event in effects.events:
        if not event.name.startswith(COMMANDS):
            yield Told(
                id=event.id, name=event.name, transition=event.transition.value, severity=event.severity,
                rule=event.rule, key=event.key, time=event.time, late=event.late, cause=event.causes[-1],
            )  # fmt: skip
    for sent in effects.transmissions:
        yield Told(
            id=f"{sent.command}>{sent.topic}", name=sent.payload.decode("utf-8", "replace"), transition="sent",
            severity=None, rule="", key=sent.topic, time=received_at, late=False, cause=(effects.position, 0),
        )  # fmt: skip


def _changed(was: Told, would_be: Told) -> Change | None:
    if was.severity is not would_be.severity or was.name != would_be.name:
        return Change.SEVERITY
    return Change.MOVED if was.time != would_be.time else None


def _paired(gone: Sequence[Told], new: Sequence[Told]) -> Iterator[Difference | None]:
    """Yield what moved, each with the nearest of its sort, and what vanished or appeared; None for two that are equal.

    The id of an event holds the moment of its raise, so that a raise that moved gives its clear another id.
    """
    groups: dict[tuple[str, ...], tuple[list[Told], list[Told]]] = {}
    for side, each in (*((0, each) for each in gone), *((1, each) for each in new)):
        groups.setdefault((each.rule, each.key, each.transition), ([], []))[side].append(each)
    for lost, won in groups.values():
        yield from _matched(deque(sorted(lost, key=_time)), deque(sorted(won, key=_time)))


def _matched(lost: deque[Told], won: deque[Told]) -> Iterator[Difference | None]:
    while lost and won:
        span = abs(lost[0].time - won[0].time)
        if len(won) > 1 and abs(lost[0].time - won[1].time) < span:
            yield Difference(change=Change.APPEARED, was=None, would_be=won.popleft())
        elif span > SAME_NS or (len(lost) > 1 and abs(lost[1].time - won[0].time) < span):
            yield Difference(change=Change.VANISHED, was=lost.popleft(), would_be=None)
        else:
            was, would_be = lost.popleft(), won.popleft()
            change = _changed(was, would_be)
            yield None if change is None else Difference(change=change, was=was, would_be=would_be)
    for each in lost:
        yield Difference(change=Change.VANISHED, was=each, would_be=None)
    for each in won:
        yield Difference(change=Change.APPEARED, was=None, would_be=each)


def _time(each: Told) -> int:
    return each.time
