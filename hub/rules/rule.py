"""The words of a rule: one YAML document as a checked, frozen noun."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hub.durations import Duration
from hub.errors import ConfigError
from hub.model import Scalar, Severity

DOMAINS = ("fire", "security", "access", "vehicle", "elevator", "care", "utility", "device", "command")
_EVENT = rf"^({'|'.join(DOMAINS)})(\.[a-z][a-z0-9_]*)+$"


class OnMissing(StrEnum):
    """What a rule thinks of an unknown condition."""

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
    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)


class ForEach(_Words):
    """What a rule holds a state for: every device of ``kind``, or every part whose name begins with ``part``-."""

    kind: str | None = None
    part: str | None = None


class Raise(_Words):
    """The event a rule raises."""

    event: Annotated[str, Field(pattern=_EVENT)]
    severity: Severity


class Clear(_Words):
    """How an active alarm ends."""

    when: str | None = None
    for_: Annotated[Duration, Field(alias="for")] = timedelta(0)
    by: Annotated[str | None, Field(pattern="^operator$")] = None


class Target(_Words):
    """Where a command goes when not to the device itself: every device of ``kind`` in the same place."""

    kind: str
    within: Annotated[str, Field(alias="in", pattern="^(building|site)$")] = "building"


class Do(_Words):
    """A command that a raised alarm sends; ``until: cleared`` makes it a lease that is renewed and then released."""

    command: str
    args: dict[str, Scalar] = {}
    to: Target | None = None
    priority: Priority = Priority.AUTOMATIC
    until: Annotated[str | None, Field(pattern="^cleared$")] = None
    at_most: Duration | None = None
    reflex: bool = False


class RuleTest(_Words):
    """A case inside the rule's file: what is given, what must come of it."""

    name: str
    given: list[dict[str, object]]
    expect: list[str]


class Rule(_Words):
    """One rule. Exactly one of ``when``, ``on_signal`` and ``absent_for`` says what it watches."""

    rule: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,63}$")]
    version: str = "1"
    label: dict[str, str] = {}
    for_each: ForEach
    when: str | None = None
    unless: str | None = None
    for_: Annotated[Duration, Field(alias="for")] = timedelta(0)
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
    def _one_trigger(self) -> Self:
        triggers = [word for word in ("when", "on_signal", "absent_for") if getattr(self, word) is not None]
        if len(triggers) != 1:
            message = f"exactly one of when, on_signal, absent_for is needed, found: {', '.join(triggers) or 'none'}"
            raise ValueError(message)
        if self.for_each.kind is None and self.for_each.part is None:
            message = "for_each needs a kind or a part"
            raise ValueError(message)
        if self.absent_for is not None and self.for_each.part is not None:
            message = "absent_for watches devices, not parts"
            raise ValueError(message)
        return self

    @property
    def is_alarm(self) -> bool:
        """True when it holds a state until cleared; False for the momentary events of a signal without ``clear``."""
        return self.on_signal is None or self.clear is not None


def read_rule(body: bytes) -> Rule:
    """Read a rule from the canonical JSON of a revision; ConfigError ``bad_rule`` when it is none."""
    try:
        return Rule.model_validate_json(body)
    except ValueError as error:
        code = "bad_rule"
        raise ConfigError(code, str(error)) from error


def write_rule(rule: Rule) -> bytes:
    """Return the canonical JSON that a revision carries; tests stay at home."""
    return rule.model_dump_json(by_alias=True, exclude={"tests"}, exclude_defaults=True).encode()
