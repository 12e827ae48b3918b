"""The moment at which something is judged, and where its effects go."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from hub.engine.ages import age_of_reading
from hub.engine.state import State, count
from hub.engine.woken import About
from hub.model.effects import Effects, Event, Point, Series, Transition, Writing
from hub.model.values import Scalar, Severity, Values

if TYPE_CHECKING:
    from hub.engine.device import Part
    from hub.rules.states import CompiledRule

# An attribute of an enum class costs 40 ns each time, looking for one in a set 0.4 us.
RAISED, OCCURRED = Transition.RAISED, Transition.OCCURRED

T = TypeVar("T")
Drawn = Values | bytes
"""What is stored of values, as whoever ends a point or a line wants it: the same values need be drawn once."""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """When and how sure: engine time, wall time, lateness, and the journal place that caused it.

    ``age`` ns before it came it happened, by the device's clock less its error; ``measured`` is what that clock said
    when a signal was given, 0 without one. ``about`` says to which rules it is a word about what they wait for; None:
    nobody has said anything. A struct: a named tuple takes four times as long to make, 0.5 us of each.
    """

    t: int
    at: int
    late: bool
    cause: tuple[int, int]
    age: int = 0
    measured: int = 0
    about: About | None = None

    def aged(self, part: Part) -> Moment:
        """Return the moment with the age of what ``part`` says."""
        age = age_of_reading(part.device.state, self.at, part.at)
        return Moment(self.t, self.at, self.late, self.cause, age, self.measured, self.about)

    def judged(self, *, late: bool) -> Moment:
        """Return the same moment, ``late`` or not."""
        return Moment(self.t, self.at, late, self.cause, self.age, self.measured, self.about)

    def is_beside(self, rule: CompiledRule) -> bool:
        """Return whether it is a word that cannot end what another moment began: the end may have been said before."""
        return self.about is not None and rule.name in self.about.asides

    @property
    def happened(self) -> int:
        """Return the engine time at which it happened."""
        return self.t - self.age


class Output:
    """The effects of the record in hand. What is stored becomes lines by ``writing``, and stays points without it.

    A line made at once costs 0.9 us, one that is made when a whole batch has gone through the cache 1.8.
    """

    def __init__(self, state: State, writing: Writing | None) -> None:
        self._state = state
        self._writes = writing is not None
        begin, write, draw, end = (_same, _point, _same, _end) if writing is None else writing
        self.begin_series: Callable[[Series], Series | bytes] = begin
        self.write: Callable[[Any, int, Values, bool], Point | bytes] = write
        self.draw: Callable[[Values], Drawn] = draw
        self.end: Callable[[Any, int, Any], Point | bytes] = end
        self._numbers: dict[tuple[str, str, int], int] = {}
        self.begin(0)

    def begin(self, position: int) -> Effects:
        """Start collecting for another record."""
        effects = self.effects = Effects(
            position=position, points=[], events=[], alarms=[], replies=[], dead_letters=[], transmissions=[], lines=[]
        )
        self.stored: list[Any] = effects.lines if self._writes else effects.points
        self._numbers.clear()
        return effects

    def event(self, event: Event) -> None:
        """Add an event."""
        ledger = self._state.ledger
        ledger.events += 1
        count(ledger.severities, event.severity.value)
        if is_fired(event):
            count(ledger.fired, event.rule)
        msgspec.structs.force_setattr(event, "number", ledger.events)  # it is new, and nobody else's: no copy
        self.effects.events.append(event)

    def report(self, name: str, severity: Severity, data: dict[str, Scalar], moment: Moment) -> None:
        """Tell what happened to the hub itself."""
        self.event(
            Event(
                id=self.event_id(name, "_hub", moment.t, 1), name=name, severity=severity,
                transition=Transition.OCCURRED, time=moment.at, key="_hub", rule="", rule_version="", site="_hub",
                data=data, causes=(moment.cause,),
            )
        )  # fmt: skip

    def marks(self) -> tuple[int, int, int, int]:
        """Return how far the effects are, for :meth:`roll_back`."""
        effects = self.effects
        return len(effects.events), len(effects.alarms), len(effects.transmissions), self._state.ledger.events

    def roll_back(self, marks: tuple[int, int, int, int]) -> None:
        """Discard the effects since ``marks``."""
        effects = self.effects
        for event in effects.events[marks[0] :]:
            count(self._state.ledger.severities, event.severity.value, -1)
            if is_fired(event):
                count(self._state.ledger.fired, event.rule, -1)
        del effects.events[marks[0] :], effects.alarms[marks[1] :], effects.transmissions[marks[2] :]
        self._state.ledger.events = marks[3]

    def number(self, rule: str, key: str, t: int, least: int) -> int:
        """Return what numbers the next that is told of a state which began at ``t``: ``least``, or more.

        What one message says may begin it, end it and begin it again, all at one ``t``: a day's readings of a meter do.
        """
        name = rule, key, t
        found = self._numbers[name] = max(self._numbers.get(name, 0) + 1, least)
        return found

    def event_id(self, rule: str, key: str, raised_t: int, transition: int) -> str:
        """Return BLAKE2b-128 of journal, rule, key, t of the raise and transition (engine.md, Delivery).

        Behind a gap also of its mark: what is restored counts on from where it stood, as what was lost since has done.
        """
        clock = self._state.clock
        journal = clock.journal if clock.began == 1 else f"{clock.journal}/{clock.began}"
        text = "\0".join((journal, rule, key, str(raised_t), str(transition)))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _same(said: T) -> T:
    return said


def _point(series: Series, time: int, values: Values, _are_floats: bool) -> Point:  # noqa: FBT001 -- hot path
    return series, time, values


def _end(series: Series, time: int, values: Values) -> Point:
    return series, time, values


def is_fired(event: Event) -> bool:
    """Return whether a rule brought this into the world: an alarm, or a moment that is told."""
    if event.transition is not OCCURRED and event.transition is not RAISED:
        return False
    return bool(event.rule) and not event.name.startswith(("command.", "device.rule_failed"))
