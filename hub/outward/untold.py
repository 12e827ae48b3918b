"""Which steps of escalations no route tells anybody of: a judgement over rules and routes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from hub.model.effects import Transition
from hub.model.values import SEVERITY_RANKS, Severity
from hub.outward.wishes import Route, Wishes
from hub.rules.clauses import EscalateStep
from hub.rules.roles import ROLES
from hub.rules.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """A step (from 1) of a rule's ``escalate``; with ``places`` somebody is told there and nobody elsewhere."""

    rule: str
    event: str
    severity: Severity
    step: int
    after: timedelta
    role: str
    places: tuple[str, ...] = ()

    @property
    def names(self) -> Mapping[str, str]:
        """Return what the role is called in each language."""
        return ROLES.get(self.role, {"en": self.role, "zh": self.role})

    @property
    def hint(self) -> str:
        """Return what to do."""
        return f"a route with to: [{self.role}] and min_severity: {self.severity.value}, to a channel with an address"


def untold(rules: Iterable[Rule], wishes: Wishes) -> Iterator[Untold]:
    """Yield the steps that are told to nobody, or only in some places."""
    reaching = [route for route in wishes.routes if not wishes.urls.keys().isdisjoint(route.channels)]
    for rule in rules:
        for number, step in enumerate(rule.escalate, 1):
            event, severity = rule.raise_.event, _severity(rule, step)
            ways = [route for route in reaching if _leads(route, event, severity, step.to)]
            if any(not route.places for route in ways):
                continue
            places = tuple(sorted({place for route in ways for place in route.places}))
            yield Untold(
                rule=rule.rule,
                event=event,
                severity=severity,
                step=number,
                after=step.after,
                role=step.to,
                places=places,
            )


def _leads(route: Route, event: str, severity: Severity, role: str) -> bool:
    return (
        Transition.ESCALATED in route.moves
        and SEVERITY_RANKS[severity] <= SEVERITY_RANKS[route.min_severity]
        and (not route.domains or event.partition(".")[0] in route.domains)
        and (not route.to or role in route.to)
    )


def _severity(rule: Rule, step: EscalateStep) -> Severity:
    """Return how bad the alarm is at least when the step comes due: by itself, or as time alone has made it."""
    reached = [each.severity for each in rule.ladder if each.when is None and each.after <= step.after]
    return min([rule.raise_.severity, *reached], key=SEVERITY_RANKS.__getitem__)
