"""Who may end a latched alarm, and when: the role that it takes, and what must be over; pure."""

from __future__ import annotations

from typing import NamedTuple

from hub.catalogue import Label
from hub.engine.places import Place, Subject
from hub.engine.standing import Case
from hub.model.values import Scalar
from hub.rules.expression import Expression
from hub.rules.held import Held
from hub.rules.states import CompiledRule, Known, Phase, wants_clear


class Person(NamedTuple):
    """Who asks, the role in which they act, and why; whoever wrote the request vouches for all of it."""

    actor: str
    role: str = ""
    reason: str = ""

    @property
    def data(self) -> dict[str, Scalar]:
        """Return what an event tells of them."""
        said = {"actor": self.actor, "role": self.role, "reason": self.reason}
        return {word: value for word, value in said.items() if value}


class Refusal(NamedTuple):
    """Why something that a person asked is not done: a stable code, and what to do about it."""

    code: str
    why: str = ""


def in_both(because: Label) -> str:
    """Return a reason as people who are refused read it, whichever of the two languages is theirs."""
    return f"{because['en']} / {because['zh']}"


def refusal(case: Case, person: Person, held: Held, awake: int) -> Refusal | None:
    """Return why ``person`` may not end the alarm of ``case`` now; None when they may.

    ``not_latched``, or ``reason_needed`` where nobody says any more what would end it by itself (the device was
    replaced by one that has no word for it, or fell silent); of one that only people end ``role_needed``,
    ``role_not_held`` (the site keeps a list of who has the role, and they are not on it), ``still_true``, or
    ``refused_while`` what the rule says is true or not known, if anybody there could say it.
    """
    rule = case.rule
    clear = rule.rule.clear
    if clear is None or not rule.latched:
        return _orphan_refusal(case, person, held, awake)
    return _role_refusal(rule, person, clear.role) or _cause_refusal(rule, case.device, held, awake)


def _orphan_refusal(case: Case, person: Person, held: Held, awake: int) -> Refusal | None:
    rule = case.rule
    is_true = None if rule.when is None else rule.when.verdict(held, awake)
    is_over = None if rule.clear is None else rule.clear.verdict(held, awake)
    is_told = rule.absent_ns is not None or wants_clear(rule, Known(is_true, is_over)) is not None
    if is_told or case.state.phase is not Phase.ACTIVE:  # of what runs out by itself nobody says anything either
        return Refusal("not_latched", "it clears by itself")
    return None if person.reason.strip() else Refusal("reason_needed", "nobody says whether it is over: say why it is")


def _role_refusal(rule: CompiledRule, person: Person, role: str | None) -> Refusal | None:
    if role is None:
        return None
    if person.role != role:
        return Refusal("role_needed", f"only somebody in the role {role} ends it")
    if rule.roll is not None and person.actor not in rule.roll:
        return Refusal("role_not_held", f"{person.actor} is not on the list role-{role} of the site")
    return None


def _cause_refusal(rule: CompiledRule, subject: Subject, held: Held, awake: int) -> Refusal | None:
    when, refuse = rule.when, rule.refuse_while
    if when is not None and when.verdict(held, awake):
        return Refusal("still_true", f"{when.text}, with {_said(when.names, held)}")
    if refuse is None or (verdict := refuse.verdict(held, awake)) is False:
        return None
    if verdict is None and isinstance(subject, Place) and _saying(rule, refuse).isdisjoint(subject.by_kind):
        return None  # whoever could say it was taken away
    what = "is not known" if verdict is None else "is true"
    return Refusal("refused_while", f"{refuse.text} {what}, with {_said(refuse.names, held)}")


def _saying(rule: CompiledRule, refuse: Expression) -> frozenset[str]:
    """Return the kinds of devices that say, at a place, what is asked in ``refuse``."""
    inputs, sources = rule.inputs, rule.scope.sources
    counted = (inputs[name].kinds for name in refuse.names if name in inputs)
    return frozenset(kind for name in refuse.names for kind, _ in sources.get(name, ())).union(*counted)


def _said(names: frozenset[str], held: Held) -> str:
    known = [(name, held.value(name)) for name in sorted(names)]
    return ", ".join(f"{name} {'unknown' if value is None else value}" for name, value in known)
