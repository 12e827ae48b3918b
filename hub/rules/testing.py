"""The tests inside a rule's file: what is given, moment by moment, and what must come of it; pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hub.catalogue import Kind
from hub.durations import Duration, read_duration, write_duration
from hub.model.values import PlaceType, Scalar
from hub.rules.series import moments_of

_LINE = re.compile(
    r"(?P<at>\S+) (?P<what>raised|cleared|occurred|severity_changed|reminded|escalated|acknowledged|refused|sent) "
    r"(?P<name>[a-z0-9_.]+)(?: (?P<where>\S+))?(?: to (?P<to>\S+))?"
)


class Happening(NamedTuple):
    """What came of a rule at a moment after the start of its test.

    ``what`` is how the event moved, with the name of the event and the part that it is about; or sent, with
    the name of the command and the part it went to, or the kind of device when it went to others; or refused, with the
    code that a person was answered. ``where`` is empty for the device under test itself. ``to`` is the role that a
    step of ``escalate`` tells.
    """

    at: timedelta
    what: str
    name: str
    where: str = ""
    to: str = ""


def read_happening(line: str) -> Happening:
    """Return what ``line`` says, such as ``25s cleared security.door_forced door-1``; ValueError tells how to write."""
    found = _LINE.fullmatch(line)
    if found is None or (found["what"] == "escalated") is (found["to"] is None):
        moves = "raised|cleared|occurred|reminded|severity_changed|acknowledged"
        others = "MOMENT escalated EVENT [PART] to ROLE, MOMENT sent COMMAND [PART or KIND], or MOMENT refused CODE"
        message = f"{line!r} is not: MOMENT {moves} EVENT [PART], {others}"
        raise ValueError(message)
    return Happening(read_duration(found["at"]), found["what"], found["name"], found["where"] or "", found["to"] or "")


def write_happening(happening: Happening) -> str:
    """Return the line that reads back as ``happening``."""
    at, what, name, where, to = happening
    return " ".join(word for word in (write_duration(at), what, name, where, to and f"to {to}") if word)


def _is_happening(line: str) -> str:
    read_happening(line)
    return line


def _steps(given: object) -> object:
    """Take series for the steps that they are."""
    return moments_of(given) if isinstance(given, dict) else given


def _lines(expect: object) -> object:
    """Take events and commands told apart for the lines that they are, in the order of time."""
    if not isinstance(expect, dict):
        return expect
    if strange := sorted(expect.keys() - {"events", "commands"}):
        message = f"expect is a list of lines, or {{events: […], commands: […]}}; what is {strange[0]}?"
        raise ValueError(message)
    commands = [_sent(line) for line in _listed(expect.get("commands"))]
    lines = [*_listed(expect.get("events")), *commands]
    return sorted(lines, key=lambda line: read_happening(line).at)


def _sent(line: str) -> str:
    at, _, command = line.partition(" ")
    return f"{at} sent {command}"


def _listed(lines: object) -> list[str]:
    if lines is None:
        return []
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        message = f"{lines!r} is no list of lines"
        raise ValueError(message)
    return lines


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(_Words):
    """What the device under test says at a moment; a step that says nothing lets time pass until then.

    ``device`` is another one at the same place: its kind, or its kind and a number (``smoke_sensor-2``). Or it is a
    person who speaks: ``ask`` is what they want of the alarms of the rule (of ``part``), in which ``role``.
    """

    at: Duration
    device: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(-[0-9]+)?$")] | None = None
    part: str | None = None
    values: dict[str, Scalar] = {}
    signal: str | None = None
    data: dict[str, Scalar] = {}
    ask: Literal["ack", "clear"] | None = None
    role: str = ""

    @model_validator(mode="after")
    def _a_person_is_no_device(self) -> Self:
        if self.ask is not None and (self.speaks or self.device is not None):
            message = "a person asks, or a device speaks: make two steps of it"
            raise ValueError(message)
        if self.role and self.ask is None:
            message = "a role belongs to a person who asks: ask: clear"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _data_has_a_signal(self) -> Self:
        if self.data and self.signal is None:
            message = "data belongs to a signal: signal: access.denied"
            raise ValueError(message)
        return self

    @property
    def speaks(self) -> bool:
        """True when the device says something; a value-less ``values: {}`` is a heartbeat."""
        return self.signal is not None or "values" in self.model_fields_set


class RuleTest(_Words):
    """A case: the steps in order, or series; and everything that the rule makes of them.

    ``params``, ``facts`` and ``lists`` are what holds at the place where it happens.
    """

    name: Annotated[str, Field(min_length=1)]
    params: dict[str, Scalar] = {}
    facts: dict[str, Scalar] = {}
    lists: dict[str, list[str]] = {}
    given: Annotated[
        list[Step], Field(min_length=1), BeforeValidator(_steps, json_schema_input_type=list[Step] | dict[str, Scalar])
    ]
    expect: Annotated[
        list[Annotated[str, AfterValidator(_is_happening)]],
        BeforeValidator(_lines, json_schema_input_type=list[str] | dict[str, list[str]]),
    ]

    @model_validator(mode="after")
    def _time_goes_on(self) -> Self:
        moments = [step.at for step in self.given]
        if moments != sorted(moments):
            message = "the steps of given are in the order of their moments"
            raise ValueError(message)
        return self

    @property
    def expected(self) -> list[Happening]:
        """Return what must come, and nothing else."""
        return [read_happening(line) for line in self.expect]


def speaking_kind(step: Step, place: PlaceType, kinds: Sequence[Kind]) -> Kind:
    """Return the kind of who says a step that names nobody, at a place: the first that has all that is said."""
    ordered = sorted(kinds, key=lambda kind: kind.kind != place)
    said = {*step.values, *([] if step.signal is None else [step.signal])}
    return next((kind for kind in ordered if said <= kind.properties.keys() | kind.signals.keys()), ordered[0])


def differences(expected: Sequence[Happening], actual: Sequence[Happening]) -> list[str]:
    """Return what is missing, what came unexpectedly, or that the order differs; nothing when they are equal."""
    wanted, came = Counter(expected), Counter(actual)
    missing = [f"missing: {write_happening(each)}" for each in (wanted - came).elements()]
    surplus = [f"unexpected: {write_happening(each)}" for each in (came - wanted).elements()]
    if not missing and not surplus and list(expected) != list(actual):
        return [f"another order: {', '.join(write_happening(each) for each in actual)}"]
    return missing + surplus
