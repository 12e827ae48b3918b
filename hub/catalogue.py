"""Kinds: the canonical properties, signals and commands that every model of a sort shares."""

from __future__ import annotations

import difflib
import keyword
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import override

from hub.durations import Duration
from hub.errors import ConfigError
from hub.model.values import Scalar

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
DottedName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$", max_length=64)]
RuleName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Label = Annotated[dict[Name, str], Field(min_length=1)]
Bounds = tuple[int | float, int | float]

# Tags of every point, the time column, and the measurement of what rules raise: never a property or a kind.
_TAKEN = {"site", "building", "device", "part", "profile", "kind", "time"}
_EVENTS = "event"


class Type(StrEnum):
    """What a value is; ``duration`` only as an argument of a command."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    STRING = "string"
    ENUM = "enum"
    DURATION = "duration"


NUMBERS = (Type.INT, Type.FLOAT)


class Words(BaseModel):
    """Frozen, and a word that we do not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)


class Typed(Words):
    """A named scalar: its type, the members of an enum, the UCUM unit of a number ("1" when it is a bare count).

    ``personal`` leads to a person (a plate, a card): people are shown it masked, unless they say why.
    """

    type: Type
    values: tuple[str, ...] = ()
    unit: str | None = None
    label: Label | None = None
    personal: bool = False

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if (self.type is Type.ENUM) != bool(self.values):
            _refuse("an enum lists its values, and nothing else does")
        if self.unit is not None and self.type not in NUMBERS:
            _refuse("only a number has a unit")
        return self


class Said(Typed):
    """A scalar that a device says; ``range`` is what its number can be."""

    range: Bounds | None = None

    @model_validator(mode="after")
    def _has_its_bounds(self) -> Self:
        if self.range is not None and (self.type not in NUMBERS or self.range[0] > self.range[1]):
            _refuse("a range is [lowest, highest] of a number")
        return self


class Property(Said):
    """A scalar that a device reports again and again.

    ``range`` sets quality and never drops. Older than ``stale_after`` is unknown to rules. ``critical`` lists the
    values by which a device itself declares an alarm.
    """

    stale_after: Duration | None = None
    critical: tuple[bool | int | str, ...] = ()

    @model_validator(mode="after")
    def _is_storable(self) -> Self:
        if self.type is Type.DURATION:
            _refuse("a property is a number with a unit, not a duration")
        if (self.type in NUMBERS) != (self.unit is not None):
            _refuse('a numeric property needs a unit ("1" for a bare count), and no other has one')
        if self.type is Type.ENUM and not set(self.critical) <= set(self.values):
            _refuse("critical lists members of the enum")
        return self


class SignalKind(Words):
    """A momentary fact that devices of the kind report; ``critical`` when the device thereby declares an alarm."""

    label: Label
    data: dict[Name, Said] = {}
    critical: bool = False


class Interlock(Words):
    """When a command may not be sent, and not stand: while what is ``never`` to be is known to be true of the device.

    Or one like it at the same elevator, gate or lane. One that may ``only`` be sent while something is true waits until
    that is known: said within ``fresh``, if given, and heard as it was said. Both are expressions over the properties
    of the kind.
    """

    never: str | None = None
    only: str | None = None
    fresh: Duration | None = None
    because: Label

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if (self.never is None) is (self.only is None):
            _refuse("an interlock says never or only")
        if self.fresh is not None and self.only is None:
            _refuse("fresh is for only: what is never to be is so however long ago it was said")
        if missing := {"en", "zh"} - self.because.keys():
            _refuse(f"because is said in {' and '.join(sorted(missing))} too: people who are refused read it")
        return self


class CommandKind(Words):
    """What devices of the kind can be asked to do; ``release`` names the command that undoes it.

    ``sets`` names what of the device, or of its part, it sets: of commands that set the same, one at a time has its
    way. A hold and its release always set something; what sets nothing (a prompt, a picture) is in nobody's way.
    ``confirm`` is what the device says when it is done, an expression over its properties. ``makes`` names the property
    that it sets for good, and to what: such a value can be desired of a device. Never what devices change by themselves
    (a lock that a card opens), for that would be undone at once.
    """

    label: Label
    args: dict[Name, Typed] = {}
    release: Name | None = None
    sets: Name | None = None
    confirm: str | None = None
    makes: Annotated[dict[Name, bool | int | float | str], Field(max_length=1)] = {}
    interlocks: tuple[Interlock, ...] = ()

    @property
    def is_hold(self) -> bool:
        """True when it lasts for a time, and something undoes it."""
        return self.release is not None and "ttl" in self.args


class Kind(Words):
    """What every model of a sort has in common; ``rules`` names those that a device of the kind should have."""

    kind: Name
    label: Label
    rules: tuple[RuleName, ...] = ()
    properties: Annotated[dict[Name, Property], Field(min_length=1)]
    signals: dict[DottedName, SignalKind] = {}
    commands: dict[Name, CommandKind] = {}

    @override
    def __hash__(self) -> int:
        """Kinds that are equal are called alike; what is compiled of one is remembered by it."""
        return hash(self.kind)

    def scalars(self) -> Iterator[tuple[str, Typed]]:
        """Yield every property, and the data of each signal and command, by name."""
        yield from self.properties.items()
        for signal in self.signals.values():
            yield from signal.data.items()
        for command in self.commands.values():
            yield from command.args.items()

    @property
    def personal(self) -> frozenset[str]:
        """The names of what leads to a person."""
        return frozenset(name for name, each in self.scalars() if each.personal)

    @model_validator(mode="after")
    def _uses_free_names(self) -> Self:
        if self.kind == _EVENTS:
            _refuse(f"{_EVENTS!r} is the measurement of what rules raise")
        for name in self.properties:
            if name in _TAKEN or keyword.iskeyword(name):
                _refuse(f"property {name!r} is a name that tags or expressions use")
        for name, command in self.commands.items():
            if command.release is not None and command.release not in self.commands:
                _refuse(f"command {name!r} is released by {command.release!r}, which the kind does not have")
            if command.release is not None and self.commands[command.release].sets != command.sets:
                _refuse(f"command {name!r} and its release {command.release!r} set the same")
        self._make_each_once()
        for undone in sorted({each.release for each in self.commands.values() if each.release and each.sets is None}):
            self._set_alike(undone)
        return self

    def _make_each_once(self) -> None:
        """Refuse what no command, or more than one, could be sent for, and what would not last."""
        made: set[tuple[str, str]] = set()
        for name, command in self.commands.items():
            for word, value in command.makes.items():
                if word not in self.properties or not is_member(self.properties[word], value):
                    _refuse(f"command {name!r} makes {word} {value!r}, which is no property and value of the kind")
                if command.is_hold or command.args or command.sets is None:
                    _refuse(f"command {name!r} makes {word} so for good: it sets something, and takes no arguments")
                if (word, repr(value)) in made:
                    _refuse(f"two commands make {word} {value!r}")
                made.add((word, repr(value)))

    def _set_alike(self, undone: str) -> None:
        """Let a hold that names nothing, and what releases it, set the same: what the release is called."""
        for name, command in self.commands.items():
            if undone in {name, command.release}:
                self.commands[name] = command.model_copy(update={"sets": undone})


def _refuse(message: str) -> None:
    raise ValueError(message)


@lru_cache(256)
def read_kind(body: bytes) -> Kind:
    """Read a kind from the canonical JSON of a revision; ValueError. The same words are the same kind, read once."""
    return Kind.model_validate_json(body)


class Catalogue:
    """Every kind by name. ConfigError unless a property that two kinds share has the same type and unit in both."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.kinds: Mapping[str, Kind] = {kind.kind: kind for kind in kinds}
        owners: dict[str, Kind] = {}
        for kind in self.kinds.values():
            for name, mine in kind.properties.items():
                owner = owners.setdefault(name, kind)
                theirs = owner.properties[name]
                if (mine.type, mine.unit) != (theirs.type, theirs.unit):
                    raise ConfigError(
                        "property_disagrees",
                        f"{name!r} is {_shape(mine)} in {kind.kind} but {_shape(theirs)} in {owner.kind}",
                        hint="one name has one meaning; use another name",
                        kind=kind.kind,
                        path=("properties", name),
                    )

    def kind(self, name: str) -> Kind:
        """Return the kind called ``name``. Raises ConfigError with a suggestion."""
        if name not in self.kinds:
            close = difflib.get_close_matches(name, self.kinds, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(self.kinds))}"
            raise ConfigError("unknown_kind", f"there is no kind {name!r}", hint=hint, path=("kind",))
        return self.kinds[name]


@lru_cache(16)
def catalogue_of(*bodies: bytes) -> Catalogue:
    """Return the kinds of a revision, of the same words the same; ConfigError as for any catalogue, ValueError."""
    return Catalogue(map(read_kind, bodies))


def _shape(typed: Typed) -> str:
    return typed.type.value if typed.unit is None else f"{typed.type.value} in {typed.unit}"


def is_member(typed: Typed, value: Scalar) -> bool:
    """Return whether ``value`` already is what ``typed`` says."""
    match typed.type:
        case Type.BOOL:
            return isinstance(value, bool)
        case Type.INT:
            return isinstance(value, int) and not isinstance(value, bool)
        case Type.FLOAT | Type.DURATION:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case Type.STRING:
            return isinstance(value, str)
        case Type.ENUM:
            return value in typed.values
