"""The words of a rule: one YAML document as a checked, frozen noun."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from hub.durations import Duration, read_duration
from hub.errors import ConfigError
from hub.model.values import PlaceType, Scalar, Severity
from hub.rules.calendars import Windows
from hub.rules.clauses import Clear, Confirm, Count, EscalateStep, ForEach, Inhibit, Input, LadderStep, Remind, Without
from hub.rules.settling import KEPT, filled, names_in
from hub.rules.testing import RuleTest

DOMAINS = ("fire", "security", "access", "vehicle", "elevator", "care", "utility", "device", "command")
_EVENT = rf"^({'|'.join(DOMAINS)})(\.[a-z][a-z0-9_]*)+$"
_TRIGGERS = ("when", "on_signal", "on_value", "absent_for")
_NOTHING, _SHORTEST_TTL = timedelta(0), timedelta(seconds=1)

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


class Raise(_Words):
    """The event a rule raises."""

    event: Annotated[str, Field(pattern=_EVENT)]
    severity: Severity


class Target(_Words):
    """Where a command goes when not to the device itself: every device of ``kind`` in the same place."""

    kind: str
    within: Annotated[str, Field(alias="in", pattern="^(place|building|site)$")] = "building"


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
        if self.until is not None and self.ttl < _SHORTEST_TTL:
            _refuse("a hold is renewed at half its ttl: write args: {ttl: 30s}, at least 1s")
        return self

    def after(self, spent: int | None) -> Do | None:
        """Return what is left of a hold that began ``spent`` ns ago; None: owed, as what is done once for life is."""
        if spent is None or self.until is None or self.at_most is None:
            return self if self.until or (spent is None and self.priority in {"life_safety", "entrapment"}) else None
        left = self.at_most - timedelta(microseconds=spent // 1_000)
        return self.model_copy(update={"at_most": left}) if left > _NOTHING else None

    @property
    def ttl(self) -> timedelta:
        """Return how long a hold lasts without a renewal; ValueError when ``args.ttl`` is no duration."""
        return read_duration(self.args.get("ttl", DEFAULT_TTL))


ParamName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]


class Rule(_Words):
    """One rule. Exactly one of ``when``, ``on_signal``, ``on_value`` and ``absent_for`` says what it watches.

    ``params`` and ``facts`` hold what ``$name`` stands for where nobody says otherwise.
    """

    rule: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,63}$")]
    version: str = "1"
    label: dict[str, str] = {}
    params: dict[ParamName, Scalar] = {}
    facts: dict[ParamName, bool] = {}
    for_each: ForEach
    inputs: dict[ParamName, Input] = {}
    when: str | None = None
    unless: str | None = None
    for_: Annotated[Duration, Field(alias="for")] = _NOTHING
    confirm: Confirm | None = None
    without: Without | None = None
    schedule: Windows | None = None
    counting: Windows | None = None
    while_pending: list[Do] = []
    on_signal: str | None = None
    on_value: str | None = None
    where: str | None = None
    count: Count | None = None
    absent_for: Duration | None = None
    raise_: Annotated[Raise, Field(alias="raise")]
    ladder: list[LadderStep] = []
    remind: Remind | None = None
    escalate: list[EscalateStep] = []
    inhibit: Inhibit | None = None
    clear: Clear | None = None
    do: list[Do] = []
    on_missing: OnMissing = OnMissing.KEEP
    tests: list[RuleTest] = []

    _template: dict[str, object] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _fill_in(cls, words: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Take the short form of for_each, and each ``$name`` for what it is unless somebody says otherwise."""
        if not isinstance(words, dict):
            return handler(words)
        named = words.get("for_each")
        if isinstance(named, str):
            words = {**words, "for_each": {"place" if named in set(PlaceType) else "kind": named}}
        values = {**_mapping(words.get("params")), **_mapping(words.get("facts"))}
        asked = names_in({key: value for key, value in words.items() if key not in KEPT})
        if asked - values.keys():
            _refuse(f"${min(asked - values.keys())} is neither among params nor among facts")
        if values.keys() - asked:
            _refuse(f"nothing asks for ${min(values.keys() - asked)}")
        if not asked:
            return handler(words)
        rule = handler(filled(words, values))
        rule._template = {key: value for key, value in words.items() if key != "tests"}  # noqa: SLF001 -- its own
        return rule

    @property
    def uses_lists(self) -> bool:
        """True when an expression looks something up in a list of the site, or who may clear stands on one."""
        clear = [] if self.clear is None else [self.clear.when, self.clear.refuse_while]
        inputs = [text for each in self.inputs.values() for text in (each.where, each.unless)]
        texts = [self.when, self.unless, self.where, *clear, *inputs, *(step.when for step in self.ladder)]
        is_for_a_role = self.clear is not None and self.clear.role is not None
        return is_for_a_role or any(text is not None and "list(" in text for text in texts)

    @property
    def is_circumstantial(self) -> bool:
        """True when it can differ from one device or place to another."""
        return bool(self._template) or self.uses_lists or self.schedule is not None

    def settled(self, values: Mapping[str, Scalar]) -> Rule:
        """Return the rule with other values of its params and facts; ValueError when it makes no sense with them."""
        if not self._template:
            return self
        mine = {**self.params, **self.facts}
        wrong = sorted(name for name, value in values.items() if not _is_alike(value, mine.get(name)))
        if wrong:
            _refuse(f"{wrong[0]} of {self.rule} is such as {mine.get(wrong[0])!r}, not {values[wrong[0]]!r}")
        known = {**mine, **values}
        words = {key: value for key, value in self._template.items() if key not in {"params", "facts"}}
        return Rule.model_validate(filled(words, known))

    @model_validator(mode="after")
    def _watches_one_thing(self) -> Self:
        triggers = [word for word in _TRIGGERS if getattr(self, word) is not None]
        if len(triggers) != 1:
            _refuse(f"exactly one of {', '.join(_TRIGGERS)} is needed, found: {', '.join(triggers) or 'none'}")
        where = self.for_each
        if where.place is not None and (where.kind is not None or where.part is not None):
            _refuse("for_each is a place, or a kind or part")
        if where.value is not None:
            self._is_of_moments()
        if where.place is None and where.kind is None and (where.part is None or self.on_signal is None):
            _refuse("for_each needs a kind or a place; only a part with on_signal goes without")
        if self.when is None and (self.for_ or (self.unless is not None and not self.is_momentary)):
            _refuse("for belongs to when, and unless to when or to a moment")
        if self.where is not None and not self.is_momentary:
            _refuse("where says which of them count: it needs on_signal or on_value")
        if self.on_value is not None and where.place is not None and where.value is None:
            _refuse("on_value is about what one device says: for_each is a kind")
        return self

    def _is_of_moments(self) -> None:
        """Refuse what a value cannot have: it is only ever said."""
        clear = Clear() if self.clear is None else self.clear
        texts = [clear.when, clear.refuse_while, *(step.when for step in self.ladder)]
        if not self.is_momentary or self.inputs or any(texts):
            _refuse(
                "a value has no properties: its rule needs on_signal or on_value, and no inputs, when, refuse_while"
            )
        if self.on_value is not None and not self.for_each.of:
            _refuse("which kinds say it? for_each: {value: plate, of: plate_reader, forget_after: 1d}")
        if any(action.to is None for action in self.do):
            _refuse("a value is no device: say which devices a command is for, to: {kind: …, in: site}")

    @model_validator(mode="after")
    def _inputs_are_of_something(self) -> Self:
        is_place = self.for_each.place is not None
        for name, each in self.inputs.items():
            if bool(each.of) is not is_place:
                _refuse(f"{name}: " + ("of which kinds?" if is_place else "of belongs to a rule for a place"))
        return self

    @model_validator(mode="after")
    def _waits_in_one_way(self) -> Self:
        if self.confirm is not None and (self.when is None or self.for_):
            _refuse("confirm counts how often when is true, for how long it stays true: give when and one of them")
        if self.without is not None and (self.when is None or self.for_ or self.confirm or self.for_each.place):
            _refuse("without says that a signal did not come: it needs when, of a kind or part, and no for or confirm")
        if self.counting is not None and not (self.for_ or self.absent_for):
            _refuse("counting says when time counts: it needs for or absent_for")
        if self.count is not None and not self.is_momentary:
            _refuse("count counts signals or values: it needs on_signal or on_value")
        return self

    @model_validator(mode="after")
    def _holds_end(self) -> Self:
        if self.while_pending and not (self.for_ or self.confirm):
            _refuse("nothing is ever pending without for or confirm: leave out while_pending")
        if any(action.until is not None for action in self.while_pending):
            _refuse("while_pending says how long by itself: leave out until")
        if any(action.until is None and action.at_most is not None for action in self.do):
            _refuse("at_most bounds a hold: it needs until: cleared")
        if any(action.ttl < _SHORTEST_TTL for action in self.while_pending):
            _refuse("a hold is renewed at half its ttl: write args: {ttl: 30s}, at least 1s")
        return self

    @model_validator(mode="after")
    def _silence_ends_by_itself(self) -> Self:
        if self.absent_for is None:
            return self
        if self.for_each.part is not None or self.for_each.place is not None:
            _refuse("absent_for watches devices, not parts or places")
        if not self.absent_for:
            _refuse("absent_for is longer than nothing")
        if self.clear is not None:
            _refuse("silence ends when the device speaks: leave out clear")
        return self

    @model_validator(mode="after")
    def _moments_have_an_end(self) -> Self:
        if not self.is_momentary:
            return self
        if self.clear is None and any(action.until is not None for action in self.do):
            _refuse("until: cleared needs an alarm: say how it clears")
        if self.clear is None and (self.ladder or self.remind or self.escalate or self.inhibit):
            _refuse("ladder, remind, escalate and inhibit need an alarm: say how it clears")
        clear = self.clear
        if clear is not None and clear.when is None and clear.by is None and clear.absent_for is None:
            _refuse("a moment has no end of its own: clear needs when, absent_for, or by: operator")
        return self

    @model_validator(mode="after")
    def _steps_come_in_their_order(self) -> Self:
        moments = [step.after for step in self.escalate]
        if moments != sorted(moments):
            _refuse("the steps of escalate are in the order of their moments after the raise")
        return self

    @model_validator(mode="after")
    def _only_moments_stay_away(self) -> Self:
        if self.clear is not None and self.clear.absent_for is not None and not self.is_momentary:
            _refuse("clear.absent_for is about moments that no longer come: it needs on_signal or on_value")
        return self

    @property
    def is_momentary(self) -> bool:
        """True when it watches for what lasts no time: a signal, or a value that is said."""
        return self.on_signal is not None or self.on_value is not None

    @property
    def is_alarm(self) -> bool:
        """True when it holds a state until cleared; False for the events of moments without ``clear``."""
        return not self.is_momentary or self.clear is not None


def _mapping(words: object) -> dict[str, Scalar]:
    return dict(words) if isinstance(words, dict) else {}


def _is_alike(one: Scalar, other: Scalar | None) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return isinstance(one, bool) and isinstance(other, bool)
    return isinstance(one, int | float) is isinstance(other, int | float) and other is not None


def _refuse(message: str) -> None:
    raise ValueError(message)


@lru_cache(1_024)
def read_rule(body: bytes) -> Rule:
    """Read a rule from the canonical JSON of a revision, the same words once; ConfigError ``bad_rule`` for none."""
    try:
        return Rule.model_validate_json(body)
    except ValueError as error:
        raise ConfigError("bad_rule", str(error)) from error


def write_rule(rule: Rule) -> bytes:
    """Return the canonical JSON that a revision carries; tests stay at home."""
    if rule._template:  # noqa: SLF001 -- of this module
        return orjson.dumps(rule._template, option=orjson.OPT_SORT_KEYS)  # noqa: SLF001 -- of this module
    return rule.model_dump_json(by_alias=True, exclude={"tests"}, exclude_defaults=True).encode()
