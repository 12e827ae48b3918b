"""The tests inside a rule's file: what is given, moment by moment, and what must come of it; pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hub.durations import Duration, read_duration, write_duration
from hub.model import Scalar

_LINE = re.compile(
    r"(?P<at>\S+) (?P<what>raised|cleared|occurred|severity_changed|reminded|acknowledged|refused|sent) "
    r"(?P<name>[a-z0-9_.]+)(?: (?P<where>\S+))?"
)


class Happening(NamedTuple):
    """What came of a rule at a moment after the start of its test.

    ``what`` is how the event moved, with the name of the event and the part that it is about; or sent, with
    the name of the command and the part it went to, or the kind of device when it went to others; or refused, with the
    code that a person was answered. ``where`` is empty for the device under test itself.
    """

    at: timedelta
    what: str
    name: str
    where: str = ""


def read_happening(line: str) -> Happening:
    """Return what ``line`` says, such as ``25s cleared security.door_forced door-1``; ValueError tells how to write."""
    found = _LINE.fullmatch(line)
    if found is None:
        moves = "raised|cleared|occurred|reminded|severity_changed|acknowledged"
        others = "MOMENT sent COMMAND [PART or KIND], or MOMENT refused CODE"
        message = f"{line!r} is not: MOMENT {moves} EVENT [PART], {others}"
        raise ValueError(message)
    return Happening(read_duration(found["at"]), found["what"], found["name"], found["where"] or "")


def write_happening(happening: Happening) -> str:
    """Return the line that reads back as ``happening``."""
    at, what, name, where = happening
    return " ".join(word for word in (write_duration(at), what, name, where) if word)


def _is_happening(line: str) -> str:
    read_happening(line)
    return line


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
    """A case: the steps in order, and everything that the rule makes of them."""

    name: Annotated[str, Field(min_length=1)]
    given: Annotated[list[Step], Field(min_length=1)]
    expect: list[Annotated[str, AfterValidator(_is_happening)]]

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


def differences(expected: Sequence[Happening], actual: Sequence[Happening]) -> list[str]:
    """Return what is missing, what came unexpectedly, or that the order differs; nothing when they are equal."""
    wanted, came = Counter(expected), Counter(actual)
    missing = [f"missing: {write_happening(each)}" for each in (wanted - came).elements()]
    surplus = [f"unexpected: {write_happening(each)}" for each in (came - wanted).elements()]
    if not missing and not surplus and list(expected) != list(actual):
        return [f"another order: {', '.join(write_happening(each) for each in actual)}"]
    return missing + surplus
