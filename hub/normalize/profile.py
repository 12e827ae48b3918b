"""The words of a device profile: one YAML document as a checked, frozen noun."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Self

from pydantic import Field, model_validator

from hub.catalogue import Label, Name, Words
from hub.durations import Duration
from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.normalize.command_examples import CommandExample
from hub.normalize.downlinks import Downlink, Reply
from hub.normalize.examples import Example
from hub.normalize.fields import parameter
from hub.normalize.payload import Channels, Format, Payload
from hub.normalize.sources import (
    Backfill,
    Condition,
    Flags,
    OneOrMore,
    Parameter,
    PartSource,
    Paths,
    SignalSources,
    Sources,
    Time,
)

MAX_REPEATS = 64


class Liveness(Words):
    """How often a device must be heard."""

    report_every: Duration
    offline_after: Duration


class Allowance(Words):
    """What a device of this model may say in the long run and at once, where that is not what any other may.

    ``per_second`` 0: as many readings as it likes.
    """

    per_second: Annotated[float, Field(ge=0)]
    burst: Annotated[int, Field(ge=1)]


class Store(Words):
    """What need not become a point: a value that did not change, or by less than its ``deadband``.

    Rules and twins see every value. With ``at_least_every`` a value is stored again though it has not changed.
    """

    on_change: bool = False
    at_least_every: Duration | None = None
    deadband: dict[Name, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.on_change:
            message = "store: {on_change: true, …}; without it every value is stored"
            raise ValueError(message)
        return self


class Repeat(Words):
    """One shape said of several parts of the same message: ``times`` of them, called by ``name`` from ``first`` on."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]*\{\}[a-z0-9_-]*$")]
    times: Annotated[int, Field(ge=1, le=MAX_REPEATS)] | Parameter
    first: Annotated[int, Field(ge=0, lt=1_000)] = 1

    def parts(self, params: Mapping[str, Scalar]) -> tuple[str, ...]:
        """Return the names of the parts; ConfigError ``value_misfit`` when a parameter is no number of them."""
        times = parameter(self.times, params)
        if not isinstance(times, int) or isinstance(times, bool) or not 1 <= times <= MAX_REPEATS:
            raise ConfigError("value_misfit", f"times is 1 to {MAX_REPEATS}, not {times!r}")
        return tuple(self.name.format(self.first + index) for index in range(times))


class Meanings(Words):
    """What a message means.

    ``identity`` names one path, or several that only together are unique: such a message is judged once, and a second
    one of the same identity only adds. ``critical``: the message itself is an alarm that the device declares.
    """

    identity: Paths | None = None
    part: PartSource | None = None
    repeat: Repeat | None = None
    properties: dict[Name, Sources] = Field(default_factory=dict)
    channels: Channels = Field(default_factory=dict)
    flags: tuple[Flags, ...] = ()
    signals: SignalSources = Field(default_factory=dict)
    critical: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every property that a message may set."""
        channels = [name for fields in self.channels.values() for name in fields]
        flags = [name for words in self.flags for name in words.properties]
        return tuple(dict.fromkeys([*self.properties, *channels, *flags]))

    @property
    def has_meaning(self) -> bool:
        """Whether there is a property or a signal at all."""
        return bool(self.properties or self.channels or self.flags or self.signals)

    @model_validator(mode="after")
    def _has_one_part(self) -> Self:
        if self.part is not None and self.repeat is not None:
            message = "a message is about one part, or repeats for several"
            raise ValueError(message)
        return self


class Shape(Meanings):
    """What one shape of message means; without ``match`` it fits every message.

    The first shape that fits *and* has something to say wins, so that the last one can name the rest. ``port`` is what
    the network says beside the payload; where it says nothing, it is not asked for.
    """

    match: Condition | None = None
    port: OneOrMore | None = None
    ends: Annotated[str | None, Field(pattern="^heartbeat$")] = None
    time: Time | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if (self.ends == "heartbeat") == self.has_meaning:
            message = "a shape has properties, channels, flags or signals, or ends: heartbeat"
            raise ValueError(message)
        return self


class Profile(Meanings):
    """One model of device. The words of a single shape may stand at the top level instead of in ``messages``.

    ``use`` names documents whose words are taken over where the profile does not say otherwise; they are merged when
    the files are read. ``reply`` and ``commands`` are what goes the other way, ``sends`` their examples; ``cannot``
    lists the commands of the kind that the model cannot be told, and why. ``whole`` are the parts of which a device
    consists that is told each by itself: a command to all of it that names ``{part}`` is one to each.
    """

    profile: Annotated[str, Field(pattern=r"^[a-z0-9_-]+/[a-z0-9_-]+$", max_length=96)]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    kind: Name
    label: Label
    payload: Payload
    liveness: Liveness | None = None
    time: Time | None = None
    late_after: Duration | None = None
    params: dict[Name, Scalar] = Field(default_factory=dict)
    backfill: Backfill | None = None
    store: Store | None = None
    quota: Allowance | None = None
    port: OneOrMore | None = None
    messages: tuple[Shape, ...] = ()
    reply: Reply | None = None
    commands: dict[Name, Downlink] = Field(default_factory=dict)
    whole: Repeat | None = None
    cannot: dict[Name, Label] = Field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    sends: tuple[CommandExample, ...] = ()

    @model_validator(mode="after")
    def _has_shapes(self) -> Self:
        short = self.has_meaning or bool(self.identity or self.part or self.repeat or self.critical or self.port)
        if self.payload.format is Format.NATIVE and (short or self.messages or self.time or self.backfill):
            _refuse("a native payload means what its kind says; leave messages, properties and time out")
        if self.payload.format is not Format.NATIVE and short == bool(self.messages):
            _refuse(
                "write either messages, or properties and signals at the top level"
                if short
                else "it says nothing yet: write properties or signals, or messages of which each has some"
            )
        every = [time for time in (self.time, *(shape.time for shape in self.messages)) if time and time.every]
        if every and not self.payload.has_records:
            _refuse("time: every is the distance of records, and this payload has none: records, or each")
        is_timed = bool(self.messages) and all(shape.time or shape.ends for shape in self.messages)
        if self.payload.format is not Format.NATIVE and self.time is None and not is_timed:
            _refuse("say at the top where the time comes from; `time: {from: none}` for a device without a clock")
        return self

    @model_validator(mode="after")
    def _says_why_not(self) -> Self:
        for name, because in self.cannot.items():
            if name in self.commands:
                _refuse(f"{name!r} is in commands and in cannot: it can be told, or it cannot")
            if not {"en", "zh"} <= because.keys():
                _refuse(f"cannot: why {name!r} cannot be told is said in en and zh: people who are refused read it")
        return self

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of message, first match wins; none for a native payload."""
        if self.messages or self.payload.format is Format.NATIVE:
            return self.messages
        words = {name: getattr(self, name) for name in (*Meanings.model_fields, "port")}
        return (Shape(**words),)


@lru_cache(1_024)
def profile_of(body: bytes) -> Profile:
    """Return the profile of a revision's canonical JSON; ValueError. The same words are the same profile, read once."""
    return Profile.model_validate_json(body)


def _refuse(message: str) -> None:
    raise ValueError(message)
