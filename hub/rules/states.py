"""The life of a rule for one key: idle, pending, active, clearing; one step at a time, pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import msgspec

from hub.durations import nanoseconds
from hub.model.values import Scalar, Severity
from hub.rules.expression import Expression, Lists, compile_expression, unless
from hub.rules.held import Held
from hub.rules.names import Scope
from hub.rules.rule import Do, OnMissing, Rule
from hub.rules.shortcuts import dues_grow, may_rest, merely_waits, needs
from hub.rules.verdicts import constant


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


class Mode(msgspec.Struct, frozen=True):
    """Whether an alarm is real, or of a test or drill; its commands leave; it is ``played``: of doubles, never real."""

    test: bool = False
    drill: bool = False
    acts: bool = True
    played: bool = False


REAL = Mode()


class RuleState(msgspec.Struct):
    """A rule's state for one key; an entry of the engine's state, so it survives a restart.

    ``due`` is engine time at which a pending raise or a clear is judged. ``owes_commands``: it was raised late, its
    holds, and what keeps people alive, wait until it is known to be still true, or for the raise, of a pending one.
    ``votes`` for and against, while it is not decided: (engine time at which it happened, for), newest last, and whose.
    ``since`` when it became true, or came last; ``measured`` is what its device's clock said when a signal raised it.
    ``shelved_t`` is when a shelf ends, ``shelved_until`` the same as wall time; ``shelved_as`` is how bad the alarm was
    when ``shelved_by`` put it away. A shelf outlives its alarm: until it ends the state stays, idle. ``inhibited``: it
    would be raised. ``escalated`` is the number of the last step at which others were told, ``escalated_to`` whom.
    Since ``held_t`` (0: not yet) its holds count what they may last at most. If some ``lapsed``, only those are owed.
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
    votes: list[tuple[int, bool]] = []
    since: int = 0
    measured: int = 0
    reminded: int = 0
    escalated: int = 0
    escalated_to: str = ""
    shelved_t: int | None = None
    shelved_until: int = 0
    shelved_by: str = ""
    shelved_as: Severity = Severity.INFO
    inhibited: bool = False
    mode: Mode = REAL
    voters: list[str] = []
    held_t: int = 0
    lapsed: list[tuple[str, str, str]] = []  # device, part, command


class Quorum(NamedTuple):
    """How many votes for make a raise: ``times`` of the last ``of`` within ``within_ns``; once of each ``distinct``."""

    times: int
    of: int
    within_ns: int
    distinct: str | None = None


class CompiledRule:
    """A rule with its expressions compiled against what it may speak of; ConfigError ``bad_expression``."""

    beside: CompiledRule | None = None
    """The same when its windows open or close, kept so that it is not compiled again each time."""

    def __init__(self, rule: Rule, scope: Scope, lists: Lists | None = None, *, is_open: bool = True) -> None:
        self.rule, self.name = rule, rule.rule
        self.scope, self.lists = scope, lists
        names = scope.names
        self.when = None if rule.when is None else compile_expression(rule.when, names, lists)
        self.bare, self.asks = self.when, frozenset[str]() if self.when is None else self.when.names
        if self.when is not None and rule.unless is not None:
            self.when = unless(self.when, compile_expression(rule.unless, names, lists, may_be_constant=True))
        if self.when is not None and not is_open:  # outside its windows nothing is true
            self.when = self.when._replace(verdict=constant(value=False), plain=None)
        self.is_open = is_open
        self.where = _which(rule, scope, lists)
        self.settle_ns = None if rule.without is None else nanoseconds(rule.without.settle)
        clear = rule.clear
        self.clear = None if clear is None or clear.when is None else compile_expression(clear.when, names, lists)
        refuse = None if clear is None else clear.refuse_while
        self.refuse_while = None if refuse is None else compile_expression(refuse, names, lists)
        self.roll = None if clear is None or lists is None else lists.get(clear.roll)
        self.ladder = [
            (each, None if each.when is None else compile_expression(each.when, names, lists)) for each in rule.ladder
        ]
        self.for_ns, self.clear_ns = nanoseconds(rule.for_), 0 if clear is None else nanoseconds(clear.for_)
        self.absent_ns = None if rule.absent_for is None else nanoseconds(rule.absent_for)
        self.quorum = _quorum(rule)
        self.quiet_ns = None if clear is None or clear.absent_for is None else nanoseconds(clear.absent_for)
        forget = rule.for_each.forget_after
        self.forget_ns = None if forget is None else nanoseconds(forget)
        self.while_pending = [_briefly(action) for action in rule.while_pending]
        self.latched = clear is not None and clear.by is not None
        self.raises_on_missing = rule.on_missing is OnMissing.RAISE
        self.minds_missing = rule.on_missing is not OnMissing.KEEP and rule.when is not None
        conditions = [self.when, self.clear, self.refuse_while, *(condition for _, condition in self.ladder)]
        self.names = frozenset(name for each in conditions if each is not None for name in each.names)
        limits = {name: names[name].stale_after for name in self.names}
        self.stale_ns = {name: limit for name, limit in limits.items() if limit is not None}
        self.inputs = {name: each for name, each in scope.inputs.items() if name in self.names}
        of_inputs = (name for each in self.inputs.values() for name in each.names)
        self.reads = self.names.difference(self.inputs).union(of_inputs)
        hinders = any(name in (rule.unless or "") for name in scope.inputs)  # what becomes unknown does no longer
        self.minds_staleness = self.minds_missing or hinders or any(each.unless for each in rule.inputs.values())
        self.needs = needs(self)  # of a rule of places that is idle: without them it is not true
        self.is_of_places = rule.for_each.place is not None
        self.is_plain = not self.inputs and not self.is_of_places
        self.merely_waits = merely_waits(self)
        self.may_rest = may_rest(self)
        self.dues_grow = dues_grow(self)
        of_place = {pair for name in self.names for pair in scope.sources.get(name, ())}
        of_kinds = {(kind, name) for each in self.inputs.values() for kind in each.kinds for name in each.names}
        self.wakes = frozenset(of_place | of_kinds)
        """The (kind, property) pairs that a rule of places reads."""
        self.kinds = frozenset(kind.kind for kind in scope.kinds)


def _which(rule: Rule, scope: Scope, lists: Lists | None) -> Expression | None:
    """Return which moments count; None: all of them."""
    where = None if rule.where is None else compile_expression(rule.where, scope.said, lists)
    if rule.unless is None or not rule.is_momentary:
        return where
    every = Expression("always", frozenset(), constant(value=True))
    return unless(where or every, compile_expression(rule.unless, scope.said, lists, may_be_constant=True))


def _briefly(action: Do) -> Do:
    """Return the hold of a pending raise: it is renewed only to last its ``at_most``, or its ttl."""
    return action.model_copy(update={"until": "cleared", "at_most": action.at_most or action.ttl})


def _quorum(rule: Rule) -> Quorum | None:
    if rule.confirm is not None:
        return Quorum(rule.confirm.times, rule.confirm.of, nanoseconds(rule.confirm.within))
    if (count := rule.count) is not None:
        return Quorum(count.at_least, count.at_least, nanoseconds(count.within), count.distinct)
    return None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known at one step: the rule's condition and its clear condition; None is unknown, or none given.

    ``happened`` is the engine time at which it became so by the clock of its device; None: now. ``voter`` says it.
    """

    verdict: bool | None
    cleared: bool | None
    happened: int | None = None
    voter: str = ""


def step(rule: CompiledRule, state: RuleState, known: Known, now: int) -> Move:
    """Advance ``state`` by what is now known, the unknown taken as ``on_missing`` says.

    A raise or clear that needs time becomes a ``due``; :func:`ripen` judges it. Changes ``state``.
    """
    known = _assume(rule, known)
    match state.phase:
        case Phase.IDLE:
            return _begin(rule, state, known, now) if known.verdict else Move.STAY
        case Phase.PENDING if state.inhibited:
            is_over = known.verdict is False or (rule.when is None and known.cleared is True)
            return _go(state, Phase.IDLE, None) if is_over else Move.STAY
        case Phase.PENDING if rule.quorum is not None:
            return vote(rule.quorum, state, known, now)
        case Phase.PENDING:
            is_said = rule.clear is not None and known.cleared is True
            is_over = is_said if known.verdict is None else not known.verdict
            return _go(state, Phase.IDLE, None) if is_over else Move.STAY
        case Phase.ACTIVE:
            return _go(state, Phase.CLEARING, now + rule.clear_ns) if wants_clear(rule, known) else Move.STAY
        case Phase.CLEARING:
            return _go(state, Phase.ACTIVE, None) if wants_clear(rule, known) is False else Move.STAY


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
            return Known(verdict, cleared, known.happened)


def _go(state: RuleState, phase: Phase, due: int | None) -> Move:
    state.phase, state.due = phase, due
    return Move.CHANGED


def _begin(rule: CompiledRule, state: RuleState, known: Known, now: int) -> Move:
    if rule.quorum is not None:
        return vote(rule.quorum, state, known, now)
    if rule.settle_ns is not None:
        state.since = now if known.happened is None else known.happened
        return _go(state, Phase.PENDING, now + rule.settle_ns)
    if rule.for_ns:
        return _go(state, Phase.PENDING, now + rule.for_ns)
    state.phase = Phase.ACTIVE
    return Move.RAISE


def vote(quorum: Quorum, state: RuleState, known: Known, now: int) -> Move:
    """Count what is known as a vote: enough of them raise, and when none for is left it was nothing. Changes ``state``.

    Votes lie within the span by the clock of the device; it is waited for a further one as long after the last came.
    """
    if known.verdict is None:
        return Move.STAY
    voters = state.voters if known.voter else [""] * len(state.votes)
    cast = [each for each in zip(state.votes, voters, strict=False) if not known.voter or each[1] != known.voter]
    cast.append(((now if known.happened is None else known.happened, known.verdict), known.voter))
    newest = max(at for (at, _), _ in cast)
    cast = [each for each in cast if each[0][0] > newest - quorum.within_ns][-quorum.of :]
    state.votes, state.voters = [each for each, _ in cast], [voter for _, voter in cast if voter]
    found = sum(is_for for _, is_for in state.votes)
    if found >= quorum.times:
        state.phase, state.due, state.votes = Phase.ACTIVE, None, []
        return Move.RAISE
    if not found:
        state.votes = []
        return _go(state, Phase.IDLE, None)
    return _go(state, Phase.PENDING, now + quorum.within_ns if known.verdict else state.due)


def may_move(rule: CompiledRule, state: RuleState | None, verdict: bool | None, is_late: bool) -> bool:  # noqa: FBT001 -- hot path
    """Return whether a step could change anything: most find an alarm that lasts, or none and nothing wrong.

    A pending one that is still true waits for its time, unless each moment of it counts.
    """
    if state is None:
        return bool(verdict) or (verdict is None and rule.when is not None and rule.raises_on_missing)
    if state.phase is Phase.PENDING:
        return not (verdict and rule.quorum is None and state.late is is_late)
    return bool(rule.ladder) or not (verdict and state.phase is Phase.ACTIVE and not state.owes_commands)


def is_over(rule: CompiledRule, state: RuleState, held: Held, awake: int) -> bool | None:
    """Return whether the clear condition holds: for an alarm of a signal, by what was said after that was given.

    By the clock of the device, where it has one; else what came before it counts as said before.
    """
    verdict: bool | None = None if rule.clear is None else rule.clear.verdict(held, awake)
    if rule.clear is None or not verdict or not state.measured:
        return verdict
    said = [held.get(name) for name in sorted(rule.clear.names)]
    return max((stamped[1] for stamped in said if stamped is not None), default=0) > state.measured


def wants_clear(rule: CompiledRule, known: Known) -> bool | None:
    """Return True to clear, False to stay active, None when nothing is known."""
    if known.verdict or rule.latched:
        return False
    if rule.clear is not None:
        return known.cleared
    return None if known.verdict is None else not known.verdict


def ripen(state: RuleState) -> Move:
    """Judge a state whose ``due`` has come: a pending one is raised, a clearing one cleared. Changes ``state``.

    Votes that came to nothing are forgotten.
    """
    state.due = None
    match state.phase:
        case Phase.PENDING if state.votes:
            state.votes = []
            return _go(state, Phase.IDLE, None)
        case Phase.PENDING:
            state.phase = Phase.ACTIVE
            return Move.RAISE
        case Phase.CLEARING:
            state.phase = Phase.IDLE
            return Move.CLEAR
        case Phase.IDLE | Phase.ACTIVE:
            return Move.STAY
