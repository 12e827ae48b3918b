"""The clauses of a rule that wait, count and vote: small frozen nouns, each checked by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hub.durations import Duration
from hub.model.values import PlaceType, Severity

MOST = 1_000
"""How many votes or signals a rule may wait for: each is remembered."""


ANY_PART = "any"
"""What ``for_each`` calls every part of a device, the device itself among them."""


class Clause(BaseModel):
    """Frozen, and a word that we do not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class ForEach(Clause):
    """What a rule holds a state for: devices of ``kind``, parts whose name begins with ``part``-, or places of a type.

    ``kind`` may be several, which the rule then speaks of alike: what one of them never says is unknown of it.
    ``part: any`` is every part, and the device itself where it speaks without one.
    A word alone is a type of place if there is one of that name, else a kind.

    Or each ``value`` that is said within a ``place`` (a site unless another type is named) by devices ``of`` some
    kinds: a card, a plate. Outside it goes by a pseudonym, unless it is to be ``reveal``-ed. What is known of a value
    that nobody has said for so long is forgotten: ``forget_after``.
    """

    kind: str | Annotated[list[str], Field(min_length=1)] | None = None
    place: PlaceType | None = None
    part: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")] | None = None
    value: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    of: Annotated[list[str], BeforeValidator(_listed)] = []
    forget_after: Annotated[Duration, Field(gt=timedelta(0))] | None = None
    reveal: bool = False

    @model_validator(mode="before")
    @classmethod
    def _a_value_is_of_a_site(cls, words: object) -> object:
        is_short = isinstance(words, dict) and "value" in words and "place" not in words
        return {**words, "place": PlaceType.SITE} if is_short and isinstance(words, dict) else words

    @model_validator(mode="after")
    def _a_value_is_forgotten(self) -> Self:
        if (self.value is None) is not (self.forget_after is None):
            message = "value and forget_after belong together: {value: card, of: access_controller, forget_after: 30d}"
            raise ValueError(message)
        if self.value is None and (self.of or self.reveal):
            message = "of and reveal are about a value: name it"
            raise ValueError(message)
        return self

    @property
    def kinds(self) -> list[str]:
        """Return the kinds that are named."""
        if self.of:
            return self.of
        return self.kind if isinstance(self.kind, list) else [] if self.kind is None else [self.kind]


Span = Annotated[Duration, Field(gt=timedelta(0))]
"""A duration that is longer than nothing."""


class Confirm(Clause):
    """How often the condition must be true: ``times`` of the last ``of`` words about it, all ``within`` a span."""

    times: Annotated[int, Field(ge=2, le=MOST)]
    of: Annotated[int, Field(ge=2, le=MOST)]
    within: Span

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.times > self.of:
            message = "confirm can never be reached: times is at most of"
            raise ValueError(message)
        return self


class Count(Clause):
    """How many signals it takes: ``at_least`` so many ``within`` a span, by the clock of the device.

    With ``distinct`` so many devices, parts or places: what one says again counts once.
    """

    at_least: Annotated[int, Field(ge=2, le=MOST)]
    within: Span
    distinct: Annotated[str, Field(pattern="^(device|part|place)$")] | None = None


class Clear(Clause):
    """How an active alarm ends: when an expression holds (else: when the rule's own no longer does), or by a person.

    That person acts in the ``role``, and is refused as long as ``refuse_while`` is true or unknown. An alarm of moments
    ends too when none has come for so long: ``absent_for``.
    """

    when: str | None = None
    for_: Annotated[Duration, Field(alias="for")] = timedelta(0)
    by: Annotated[str, Field(pattern="^operator$")] | None = None
    role: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=32)] | None = None
    refuse_while: str | None = None
    absent_for: Span | None = None

    @model_validator(mode="after")
    def _by_person_or_by_itself(self) -> Self:
        wrong = ""
        if self.by is not None and (self.when is not None or self.for_ or self.absent_for):
            wrong = "an alarm that an operator clears does not clear by itself: leave out when and for, or by"
        elif self.by is None and (self.role is not None or self.refuse_while is not None):
            wrong = "role and refuse_while are about the person who clears: add by: operator"
        elif self.absent_for is not None and (self.when is not None or self.for_):
            wrong = "it clears when none came for so long, or when something holds: give absent_for or when"
        if wrong:
            raise ValueError(wrong)
        return self

    @property
    def roll(self) -> str:
        """Return the list of the site on which those stand who have the role; empty without one."""
        return "" if self.role is None else f"role-{self.role}"


class LadderStep(Clause):
    """How bad an active alarm is while ``when`` holds, and once it has lasted for ``after``; the worst step counts."""

    severity: Severity
    when: str | None = None
    after: Duration = timedelta(0)

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.when is None and not self.after:
            message = "a step of the ladder says when, or after how long"
            raise ValueError(message)
        return self


class Remind(Clause):
    """An active alarm is told again: ``every`` so long and ``at_most`` so often, or ``at`` so long after it was raised.

    It rests once somebody acknowledged the alarm; with ``until: cleared`` it goes on.
    """

    every: Span | None = None
    at_most: Annotated[int, Field(ge=1, le=MOST)] = 10
    at: Annotated[list[Span], BeforeValidator(_listed)] = []
    until: Annotated[str, Field(pattern="^(acknowledged|cleared)$")] = "acknowledged"

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if (self.every is None) is not bool(self.at) or self.at != sorted(set(self.at)):
            message = "remind every so long, or at moments after the raise, in their order: at: [1m, 5m]"
            raise ValueError(message)
        return self

    def after(self, count: int) -> timedelta | None:
        """Return how long after the raise it is told again when it was ``count`` times before; None: no more."""
        if self.every is None:
            return self.at[count] if count < len(self.at) else None
        return self.every * (count + 1) if count < self.at_most else None


class EscalateStep(Clause):
    """Others are told of an active alarm: those in the role ``to``, ``after`` it has lasted so long.

    Not once somebody acknowledged the alarm; with ``until: cleared`` as long as it lasts.
    """

    after: Span
    to: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=32)]
    until: Annotated[str, Field(pattern="^(acknowledged|cleared)$")] = "acknowledged"


class Inhibit(Clause):
    """While one of the rules ``by`` has an alarm at the same place this one is not raised.

    It waits as long as ``wait`` for that alarm to come. One that was raised before it is taken back, unless somebody
    has acknowledged it or only a person ends it. When that alarm is over, what is true ``settle`` later is raised.
    """

    by: Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
    within: Annotated[str, Field(alias="in", pattern="^(place|building|site)$")] = "building"
    wait: Duration = timedelta(0)
    settle: Duration = timedelta(minutes=1)


class Without(Clause):
    """The absence of a signal: none ``within`` a span before, nor until ``settle`` after, by the device's clock."""

    signal: Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
    within: Span
    settle: Duration = timedelta(seconds=2)


NOW, TIME = ("any", "all", "count", "distinct", "sum", "avg", "min", "max"), ("increase", "changes", "rate")
"""What an input can take: of what is so now, or of what became of a property over time."""
_BARE, _TRUTHS = ("any", "all", "count"), ("any", "all")
_REMEMBERED = ("any", "count", "distinct")


class Input(Clause):
    """What many devices, or one over some time, come to: a name for the expressions of the rule.

    ``of`` are kinds at the place that the rule is for; a rule for a kind leaves it out and means itself. ``where`` says
    which count, ``unless`` which of these do not; a value that came longer ago than ``fresh`` is unknown. ``take`` is
    ``any``, ``all``, ``count``, or one of the others with what it takes in brackets.
    """

    of: Annotated[list[str], BeforeValidator(_listed)] = []
    where: str | None = None
    unless: str | None = None
    fresh: Span | None = None
    take: Annotated[str, Field(pattern=r"^[a-z]+(\([a-z][a-z0-9_]*\))?$")]
    within: Span | None = None

    @property
    def taken(self) -> tuple[str, str]:
        """Return what it takes, and of what."""
        head, _, rest = self.take.partition("(")
        return head, rest.removesuffix(")")

    @property
    def is_truth(self) -> bool:
        """True for what is true or false; anything else is a number."""
        return self.taken[0] in _TRUTHS

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        take, of_what = self.taken
        wrong = ""
        if take not in NOW + TIME:
            wrong = f"take is one of {', '.join(NOW + TIME)}, not {take}"
        elif bool(of_what) == (take in _BARE):
            wrong = f"write take: {take}" if take in _BARE else f"{take} needs to know of what: {take}(…)"
        elif take in {*_BARE, "distinct"} and self.where is None:
            wrong = f"{take} needs where: which of them count?"
        elif self.unless is not None and self.where is None:
            wrong = "unless takes from those that where names: give where"
        elif take in TIME and self.within is None:
            wrong = f"{take} needs within: over how long?"
        elif self.within is not None and take not in {*TIME, *_REMEMBERED}:
            wrong = f"{take} is of now: leave out within"
        if wrong:
            raise ValueError(wrong)
        return self
