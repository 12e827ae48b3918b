"""The words of a rule: one YAML document as a checked, frozen noun."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hub.durations import Duration, read_duration
from hub.errors import ConfigError
from hub.model import Scalar, Severity
from hub.rules.testing import RuleTest

DOMAINS = ("fire", "security", "access", "vehicle", "elevator", "care", "utility", "device", "command")
_EVENT = rf"^({'|'.join(DOMAINS)})(\.[a-z][a-z0-9_]*)+$"
_TRIGGERS = ("when", "on_signal", "absent_for")
_NOTHING = timedelta(0)
_SHORTEST_TTL = timedelta(seconds=1)

DEFAULT_TTL = "30s"
"""How long a hold lasts without a renewal, when its action does not say ``args: {ttl: …}``."""


class OnMissing(StrEnum):
    """What a rule takes an unknown condition for: the last known one still stands, it is over, or it is true."""

    KEEP = "keep"
    CLEAR = "clear"
    RAISE = "raise"


class Priority(StrEnum):
    """Whose command wins an actuator, highest first."""

    LIFE_SAFETY = "life_safety"
    ENTRAPMENT = "entrapment"
    INSPECTION = "inspection"
    OPERATOR = "operator"
    AUTOMATIC = "automatic"
    CONVENIENCE = "convenience"


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ForEach(_Words):
    """What a rule holds a state for: every device of ``kind``, or every part whose name begins with ``part``-."""

    kind: str | None = None
    part: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")] | None = None


class Raise(_Words):
    """The event a rule raises."""

    event: Annotated[str, Field(pattern=_EVENT)]
    severity: Severity


class Clear(_Words):
    """How an active alarm ends: when an expression holds (else: when the rule's own no longer does), or by a person."""

    when: str | None = None
    for_: Annotated[Duration, Field(alias="for")] = _NOTHING
    by: Annotated[str, Field(pattern="^operator$")] | None = None

    @model_validator(mode="after")
    def _by_person_or_by_itself(self) -> Self:
        if self.by is not None and (self.when is not None or self.for_):
            _refuse("an alarm that an operator clears does not clear by itself: leave out when and for, or by")
        return self


class Target(_Words):
    """Where a command goes when not to the device itself: every device of ``kind`` in the same place."""

    kind: str
    within: Annotated[str, Field(alias="in", pattern="^(building|site)$")] = "building"


class Do(_Words):
    """A command that a raised alarm sends; ``until: cleared`` makes it a lease that is renewed and then released.

    A lease lasts ``args.ttl`` (a duration, 30 s unless given) without a renewal, and ``at_most`` with them.
    """

    command: str
    args: dict[str, Scalar] = {}
    to: Target | None = None
    priority: Priority = Priority.AUTOMATIC
    until: Annotated[str, Field(pattern="^cleared$")] | None = None
    at_most: Duration | None = None
    reflex: bool = False

    @model_validator(mode="after")
    def _a_hold_has_an_end(self) -> Self:
        if self.until is None and self.at_most is not None:
            _refuse("at_most bounds a hold: it needs until: cleared")
        if self.until is not None and self.ttl < _SHORTEST_TTL:
            _refuse("a hold is renewed at half its ttl: write args: {ttl: 30s}, at least 1s")
        return self

    @property
    def ttl(self) -> timedelta:
        """Return how long a hold lasts without a renewal; ValueError when ``args.ttl`` is no duration."""
        return read_duration(self.args.get("ttl", DEFAULT_TTL))


class Rule(_Words):
    """One rule. Exactly one of ``when``, ``on_signal`` and ``absent_for`` says what it watches."""

    rule: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,63}$")]
    version: str = "1"
    label: dict[str, str] = {}
    for_each: ForEach
    when: str | None = None
    unless: str | None = None
    for_: Annotated[Duration, Field(alias="for")] = _NOTHING
    on_signal: str | None = None
    absent_for: Duration | None = None
    raise_: Annotated[Raise, Field(alias="raise")]
    clear: Clear | None = None
    do: list[Do] = []
    on_missing: OnMissing = OnMissing.KEEP
    tests: list[RuleTest] = []

    @model_validator(mode="before")
    @classmethod
    def _short_for_each(cls, words: object) -> object:
        if isinstance(words, dict) and isinstance(words.get("for_each"), str):
            return {**words, "for_each": {"kind": words["for_each"]}}
        return words

    @model_validator(mode="after")
    def _watches_one_thing(self) -> Self:
        triggers = [word for word in _TRIGGERS if getattr(self, word) is not None]
        if len(triggers) != 1:
            _refuse(f"exactly one of when, on_signal, absent_for is needed, found: {', '.join(triggers) or 'none'}")
        if self.for_each.kind is None and (self.for_each.part is None or self.on_signal is None):
            _refuse("for_each needs a kind; only a part with on_signal goes without")
        if self.when is None and (self.unless is not None or self.for_):
            _refuse("unless and for belong to when")
        return self

    @model_validator(mode="after")
    def _silence_ends_by_itself(self) -> Self:
        if self.absent_for is None:
            return self
        if self.for_each.part is not None:
            _refuse("absent_for watches devices, not parts")
        if not self.absent_for:
            _refuse("absent_for is longer than nothing")
        if self.clear is not None:
            _refuse("silence ends when the device speaks: leave out clear")
        return self

    @model_validator(mode="after")
    def _signals_have_an_end(self) -> Self:
        if self.on_signal is None:
            return self
        if self.clear is None and any(action.until is not None for action in self.do):
            _refuse("until: cleared needs an alarm: say how it clears")
        if self.clear is not None and self.clear.when is None and self.clear.by is None:
            _refuse("a signal has no end of its own: clear needs when, or by: operator")
        return self

    @property
    def is_alarm(self) -> bool:
        """True when it holds a state until cleared; False for the momentary events of a signal without ``clear``."""
        return self.on_signal is None or self.clear is not None


def _refuse(message: str) -> None:
    raise ValueError(message)


def read_rule(body: bytes) -> Rule:
    """Read a rule from the canonical JSON of a revision; ConfigError ``bad_rule`` when it is none."""
    try:
        return Rule.model_validate_json(body)
    except ValueError as error:
        raise ConfigError("bad_rule", str(error)) from error


def write_rule(rule: Rule) -> bytes:
    """Return the canonical JSON that a revision carries; tests stay at home."""
    return rule.model_dump_json(by_alias=True, exclude={"tests"}, exclude_defaults=True).encode()
