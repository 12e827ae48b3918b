"""The life of a rule for one key: idle, pending, active, clearing; one step at a time, pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from hub.durations import nanoseconds
from hub.model import Scalar, Severity
from hub.rules.expression import Name, but_not, compile_expression
from hub.rules.rule import OnMissing, Rule


class Phase(StrEnum):
    """Where a rule stands for one key."""

    IDLE = "idle"
    PENDING = "pending"
    ACTIVE = "active"
    CLEARING = "clearing"


class Move(StrEnum):
    """What a step came to."""

    STAY = "stay"
    CHANGED = "changed"
    RAISE = "raise"
    CLEAR = "clear"


class RuleState(msgspec.Struct):
    """A rule's state for one key; an entry of the engine's state, so it survives a restart.

    ``due`` is engine time at which a pending raise or a clear is judged. ``owes_commands``: it was raised late, its
    ``until: cleared`` commands wait until it is known to be still true.
    """

    rule: str
    key: str
    site: str
    device: str
    part: str
    phase: Phase = Phase.IDLE
    due: int | None = None
    raised_t: int = 0
    raised_at: int = 0
    alarm: str = ""
    severity: Severity = Severity.INFO
    transitions: int = 0
    late: bool = False
    owes_commands: bool = False
    steps: int = 0
    acknowledged_by: str | None = None
    data: dict[str, Scalar] = {}
    causes: list[tuple[int, int]] = []


class CompiledRule:
    """A rule with its expressions compiled against the names of its kind; ConfigError ``bad_expression``."""

    def __init__(self, rule: Rule, names: Mapping[str, Name]) -> None:
        self.rule = rule
        self.name = rule.rule
        self.when = None if rule.when is None else compile_expression(rule.when, names)
        if self.when is not None and rule.unless is not None:
            self.when = but_not(self.when, compile_expression(rule.unless, names))
        clear = rule.clear
        self.clear = None if clear is None or clear.when is None else compile_expression(clear.when, names)
        self.for_ns = nanoseconds(rule.for_)
        self.clear_ns = 0 if clear is None else nanoseconds(clear.for_)
        self.absent_ns = None if rule.absent_for is None else nanoseconds(rule.absent_for)
        self.latched = clear is not None and clear.by is not None
        self.raises_on_missing = rule.on_missing is OnMissing.RAISE
        self.minds_missing = rule.on_missing is not OnMissing.KEEP and rule.when is not None
        self.names = frozenset(name for each in (self.when, self.clear) if each is not None for name in each.names)
        limits = {name: names[name].stale_after for name in self.names}
        self.stale_ns = {name: limit for name, limit in limits.items() if limit is not None}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at one step: the rule's condition and its clear condition; None is unknown, or none given."""

    verdict: bool | None
    cleared: bool | None


def step(rule: CompiledRule, state: RuleState, known: Known, now: int) -> Move:
    """Advance ``state`` by what is now known, the unknown taken as ``on_missing`` says.

    A raise or clear that needs time becomes a ``due``; :func:`ripen` judges it. Changes ``state``.
    """
    known = _assume(rule, known)
    match state.phase:
        case Phase.IDLE:
            return _begin(rule, state, now) if known.verdict else Move.STAY
        case Phase.PENDING:
            return _go(state, Phase.IDLE, None) if known.verdict is False else Move.STAY
        case Phase.ACTIVE:
            return _go(state, Phase.CLEARING, now + rule.clear_ns) if _wants_clear(rule, known) else Move.STAY
        case Phase.CLEARING:
            return _go(state, Phase.ACTIVE, None) if _wants_clear(rule, known) is False else Move.STAY


def _assume(rule: CompiledRule, known: Known) -> Known:
    """Take the unknown for what ``on_missing`` says; a rule without ``when`` or ``clear.when`` has none to assume."""
    match rule.rule.on_missing:
        case OnMissing.KEEP:
            return known
        case OnMissing.CLEAR | OnMissing.RAISE:
            verdict, cleared = known.verdict, known.cleared
            if verdict is None and rule.when is not None:
                verdict = rule.raises_on_missing
            if cleared is None and rule.clear is not None:
                cleared = not rule.raises_on_missing
            return Known(verdict, cleared)


def _go(state: RuleState, phase: Phase, due: int | None) -> Move:
    state.phase, state.due = phase, due
    return Move.CHANGED


def _begin(rule: CompiledRule, state: RuleState, now: int) -> Move:
    if rule.for_ns:
        return _go(state, Phase.PENDING, now + rule.for_ns)
    state.phase = Phase.ACTIVE
    return Move.RAISE


def _wants_clear(rule: CompiledRule, known: Known) -> bool | None:
    """Return True to clear, False to stay active, None when nothing is known."""
    if known.verdict or rule.latched:
        return False
    if rule.clear is not None:
        return known.cleared
    return None if known.verdict is None else not known.verdict


def ripen(state: RuleState) -> Move:
    """Judge a state whose ``due`` has come: a pending one is raised, a clearing one cleared. Changes ``state``."""
    state.due = None
    match state.phase:
        case Phase.PENDING:
            state.phase = Phase.ACTIVE
            return Move.RAISE
        case Phase.CLEARING:
            state.phase = Phase.IDLE
            return Move.CLEAR
        case Phase.IDLE | Phase.ACTIVE:
            return Move.STAY
