"""A ledger for each rule: how often it was asked, what it answered, what held it back, and what that costs.

What was heard is done again by an engine whose rules are watched, so that the hub itself pays nothing for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter_ns

from hub.engine.apply import Engine
from hub.engine.moment import is_fired
from hub.model.effects import Effects, Event, Transition
from hub.replay.beginning import Beginning, engine_at
from hub.replay.lockstep import Progress
from hub.replay.tape import Tape
from hub.rules.expression import Lists, compile_expression
from hub.rules.held import Held
from hub.rules.names import Scope
from hub.rules.rule import Rule
from hub.rules.states import CompiledRule, Phase, RuleState
from hub.rules.verdicts import Verdict

_WAITS = ("confirm", "count", "without", "for_")


@dataclass(slots=True)
class Ledger:
    """What one rule did. ``suppressed`` counts by the word that held back what was true; ``last`` is wall ns.

    ``evaluated`` counts its condition, which a rule of moments or of silence has none of; ``spent`` is the time of it.
    """

    evaluated: int = 0
    true: int = 0
    unknown: int = 0
    spent: int = 0
    fired: int = 0
    cleared: int = 0
    last: int | None = None
    suppressed: Counter[str] = field(default_factory=Counter)

    @property
    def each(self) -> float | None:
        """Return what an answer costs, in ns."""
        return self.spent / self.evaluated if self.evaluated else None


class Ledgers:
    """The ledgers of all rules; ``is_open`` while what happens is counted."""

    def __init__(self) -> None:
        self.by_rule: dict[str, Ledger] = {}
        self.is_open = False
        self._pending: dict[tuple[str, str], tuple[str, bool]] = {}

    def of(self, rule: str) -> Ledger:
        """Return the ledger of a rule."""
        return self.by_rule.setdefault(rule, Ledger())

    def note(self, engine: Engine, effects: Effects) -> None:
        """Count what a record came to: what was raised, and what was pending and came to nothing."""
        pending = [state for state in engine.rule_states.values() if state.phase is Phase.PENDING]
        now = {(state.rule, state.key): (_waits_for(engine, state), state.inhibited) for state in pending}
        if self.is_open:
            raised = {(event.rule, event.key) for event in effects.events if is_fired(event)}
            for event in effects.events:
                self._told(event)
            for about, (word, was_inhibited) in self._pending.items():
                if about not in now and about not in raised and word and not was_inhibited:
                    self.of(about[0]).suppressed[word] += 1
            for about, (_, is_inhibited) in now.items():
                if is_inhibited and not self._pending.get(about, ("", False))[1]:
                    self.of(about[0]).suppressed["inhibit"] += 1
        self._pending = now

    def _told(self, event: Event) -> None:
        if is_fired(event):
            ledger = self.of(event.rule)
            ledger.fired += 1
            ledger.last = event.time
            if event.late:
                ledger.suppressed["late"] += 1
        elif event.transition is Transition.CLEARED:
            self.of(event.rule).cleared += 1


def _waits_for(engine: Engine, state: RuleState) -> str:
    """Return the word on which a pending state waits."""
    rule = engine.content.rules.get(state.rule)
    found = (word for word in _WAITS if rule is not None and getattr(rule.rule, word))
    return next(found, "").rstrip("_")


def ledgers_of(tape: Tape, begin: Beginning, after: int, last: int, progress: Progress) -> Mapping[str, Ledger]:
    """Return the ledgers of what the records behind ``after`` up to ``last`` came to, by rule."""
    found = Ledgers()
    engine = engine_at(tape, begin, partial(Watched, found))
    for record in tape.read(begin.position):
        if record.position > last:
            break
        progress(record)
        found.is_open = record.position > after
        found.note(engine, engine.apply(record))
    for name in engine.content.rules:
        found.of(name)
    return dict(sorted(found.by_rule.items()))


class Watched(CompiledRule):
    """A rule whose condition is counted and timed; asked again about the same it is not counted again."""

    def __init__(
        self, ledgers: Ledgers, rule: Rule, scope: Scope, lists: Lists | None = None, *, is_open: bool = True
    ) -> None:
        super().__init__(rule, scope, lists, is_open=is_open)
        if self.when is None or rule.when is None:
            return
        self.needs = ()  # else nobody would ask where a kind that it speaks of does not stand
        self.is_plain = self.may_rest = False  # else it would not be asked again of the same values
        self.bare = None  # else what is idle and not true without its exceptions would not be asked as a whole
        bare = compile_expression(rule.when, scope.names, lists).verdict
        word = "unless" if is_open else "schedule"
        held_back = (bare, word) if rule.unless is not None or not is_open else None
        watched = _watched(ledgers, rule.rule, self.when.verdict, held_back)
        self.when = self.when._replace(verdict=watched, plain=None, tree=None, but=None)  # nothing spares the question


def _watched(
    ledgers: Ledgers,
    name: str,
    verdict: Verdict,
    held_back: tuple[Verdict, str] | None,
) -> Verdict:
    seen: tuple[Held | None, int] = (None, -1)

    def watched(held: Held, now: int) -> bool | None:
        nonlocal seen
        began = perf_counter_ns()
        answer: bool | None = verdict(held, now)
        spent = perf_counter_ns() - began
        if not ledgers.is_open or (seen[0] is held and seen[1] == now):
            return answer
        seen = (held, now)
        ledger = ledgers.of(name)
        ledger.evaluated += 1
        ledger.spent += spent
        ledger.true += answer is True
        ledger.unknown += answer is None
        if held_back is not None and answer is False and held_back[0](held, now):
            ledger.suppressed[held_back[1]] += 1
        return answer

    return watched
