"""The hub's own JSON payload, typed against a kind: for devices that need no profile."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType, to_builtins

from hub.catalogue import Kind, Property, Type
from hub.errors import PoisonError
from hub.model.heard import Reading, Signal
from hub.model.values import Scalar, Values
from hub.normalize.limits import (
    CLOCK_HIGH_NS,
    CLOCK_LOW_NS,
    INT64_HIGH,
    INT64_LOW,
    MAX_ELEMENTS,
    MAX_KEYS,
    check_depth,
    clean_part,
    is_clean,
    json_error,
    loosely,
)
from hub.normalize.rescue import without_bad
from hub.normalize.settle import Settle, settle

_Rule = tuple[type | None, Settle, float | None, float | None]
"""(class that needs no settling, how to settle others, lowest, highest)."""

_Known = tuple[str, Mapping[str, Settle], bool]
"""(full name of a signal, its data, whether it is critical)."""

_CLOCK_LOW_MS: Final = CLOCK_LOW_NS // 1_000_000
_CLOCK_HIGH_MS: Final = CLOCK_HIGH_NS // 1_000_000

SHORT_BYTES: Final = 256
"""In which nothing can nest deep enough to trouble a decoder; counting brackets would cost 0.3 us."""
SHAPES_MAX: Final = 200
"""Of one kind: a decoder takes some KB, and a device may invent sets of names."""

_Values = dict[str, bool | int | float | str | None]


class _Head(msgspec.Struct, kw_only=True, gc=False):
    t: int | None = None
    seq: Annotated[int, msgspec.Meta(ge=0, le=INT64_HIGH)] | None = None
    boot: Annotated[str, msgspec.Meta(pattern=r"^[ -~]{0,64}\Z")] | None = None
    part: str | None = None


class _Message(_Head, kw_only=True, gc=False):
    values: _Values | None = None
    signals: list[_Values] | None = None


class _Usual(_Head, kw_only=True, gc=False):
    values: msgspec.Struct
    signals: msgspec.Raw | None = None


class Said(_Head, kw_only=True, gc=False):
    """A message of a :class:`Shape`: of no part, ``t`` of a set clock, ``values`` settled and none of them missing."""

    t: Annotated[int, msgspec.Meta(ge=_CLOCK_LOW_MS, lt=_CLOCK_HIGH_MS)]
    part: None = None
    values: msgspec.Struct
    signals: None = None


Shape = Callable[[bytes], Said]
"""Reads messages that say exactly the names it was made for, and nothing odd; any other raises what msgspec raises."""


def compile_native(kind: Kind) -> NativeHandler:
    """Return the handler of ``{"t": ms, "seq", "boot", "part", "values", "signals"}``, an object or an array.

    Of a name that the kind does not know nothing is made: it is counted in ``unknown_names`` and left out, so that a
    firmware that says more does not lose what we know. A message of which nothing is left is PoisonError
    ``unmatched``; so is one with neither ``values`` nor ``signals`` (a heartbeat says ``"values": {}``). null is no
    value. Fields beside these six are skipped. A signal may be called by its last word when that is unique
    (``denied`` for ``access.denied``).
    """
    return NativeHandler(kind)


def compile_state(kind: Kind) -> Callable[[_Values], tuple[Values, Sequence[str]]]:
    """Return the typing of property values outside a telemetry message; unknown names and nulls are left out.

    With the values come the names of those that are out of range.
    """
    rules = {name: settle(name, prop) for name, prop in kind.properties.items()}
    ranges = {name: prop.range for name, prop in kind.properties.items() if prop.range is not None}

    def read(state: _Values) -> tuple[Values, Sequence[str]]:
        _drop_strays(state, rules)
        values = {name: rules[name](value) for name, value in state.items()}
        return values, tuple(name for name in values if name in ranges and not _lies(values[name], *ranges[name]))

    return read


@lru_cache(256)
def _usual(kind: Kind) -> type[msgspec.Struct]:
    """Return the message whose values are all of the kind, of their types and in their ranges.

    The decoder itself sees to that, in a quarter of the time that a look at each value costs. Made once.
    """
    fields = [(name, _usual_type(prop) | UnsetType, UNSET) for name, prop in kind.properties.items()]
    values = msgspec.defstruct("_Values", fields, forbid_unknown_fields=True, gc=False)
    return msgspec.defstruct("_UsualOfKind", [("values", values)], bases=(_Usual,), kw_only=True, gc=False)


def _shape(kind: Kind, names: Sequence[str]) -> Shape:
    fields = [(name, _usual_type(kind.properties[name])) for name in names]
    values = msgspec.defstruct("_Values", fields, forbid_unknown_fields=True, gc=False)
    said = msgspec.defstruct("_SaidOfShape", [("values", values)], bases=(Said,), kw_only=True, gc=False)
    return msgspec.json.Decoder(said).decode  # type: ignore[return-value] # a class made at run time


def _usual_type(prop: Property) -> object:
    match prop.type:
        case Type.BOOL:
            return bool
        case Type.INT:
            low, high = prop.range or (INT64_LOW, INT64_HIGH)
            return Annotated[int, msgspec.Meta(ge=low, le=high)]
        case Type.FLOAT | Type.DURATION:
            low, high = prop.range or (-sys.float_info.max, sys.float_info.max)
            return Annotated[float, msgspec.Meta(ge=low, le=high)]
        case Type.STRING:
            return str
        case Type.ENUM:
            return Literal[tuple(prop.values)]


def _rule(name: str, prop: Property) -> _Rule:
    exact = {Type.BOOL: bool, Type.INT: int, Type.FLOAT: float}.get(prop.type)
    widest = (INT64_LOW, INT64_HIGH) if prop.type is Type.INT else (None, None)
    return (exact, settle(name, prop), *(prop.range or widest))


def _signals(kind: Kind) -> Mapping[object, _Known]:
    last_words = Counter(name.rsplit(".", 1)[-1] for name in kind.signals)
    known: dict[object, _Known] = {}
    for name, signal in kind.signals.items():
        each = (name, {key: settle(key, field) for key, field in signal.data.items()}, signal.critical)
        known[name] = each
        word = name.rsplit(".", 1)[-1]
        if last_words[word] == 1:
            known[word] = each
    return known


def _lies(value: Scalar, lowest: float, highest: float) -> bool:
    return lowest <= value <= highest  # type: ignore[operator] # only numbers have a range


def _drop_strays(values: _Values, known: Mapping[str, object]) -> int:
    """Take out nulls and unknown names; return how many names were unknown."""
    if len(values) > MAX_KEYS:
        raise PoisonError("too_many_keys", f"more than {MAX_KEYS} keys")
    unknown = values.keys() - known.keys()
    for name in [name for name, value in values.items() if value is None or name in unknown]:
        del values[name]
    return len(unknown)


class NativeHandler:
    """Native payloads of one kind: 0.9 us for three values when all is as it should be, 1.9 us more when not.

    ``unknown_names`` counts names that the kind does not know, ``clocks_unset`` messages whose ``t`` no set clock says,
    ``partials`` those of which an alarm alone could be read.
    """

    __slots__ = (
        "_critical", "_decode", "_decode_usual", "_kind", "_rules", "_shapes", "_signals", "_texts", "clocks_unset",
        "partials", "unknown_names",
    )  # fmt: skip

    def __init__(self, kind: Kind) -> None:
        self.clocks_unset = self.partials = self.unknown_names = 0
        self._kind = kind
        self._shapes: dict[tuple[str, ...], Shape | None] = {}
        self._decode_usual: Callable[[bytes], _Usual]
        self._decode_usual = msgspec.json.Decoder(_usual(kind)).decode  # type: ignore[assignment] # a class made at run time
        self._decode: Callable[[bytes], _Message | list[_Message]]
        self._decode = msgspec.json.Decoder(_Message | list[_Message]).decode
        self._rules = {name: _rule(name, prop) for name, prop in kind.properties.items()}
        self._texts = tuple(name for name, prop in kind.properties.items() if prop.type is Type.STRING)
        self._signals = _signals(kind)
        self._critical = tuple(
            (name, frozenset(prop.critical)) for name, prop in kind.properties.items() if prop.critical
        )

    def __call__(self, payload: bytes, /) -> Sequence[Reading]:
        """Return a reading per element; PoisonError ``bad_json``, ``bad_value``, ``bad_part``, ``unmatched`` …."""
        if len(payload) > SHORT_BYTES:
            check_depth(payload)
        try:
            message = self._decode_usual(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._read_any(payload)  # the other decoder says what is wrong, if anything is
        values: Values = to_builtins(message.values)
        if message.signals is not None or (self._texts and not self._is_clean(values)):
            return self._read_any(payload)
        part, t = message.part, message.t
        if part is not None or self._critical or t is None or not _CLOCK_LOW_MS <= t < _CLOCK_HIGH_MS:
            return (self._reading(message, values, (), (), False),)  # noqa: FBT003 -- positional is 0.1 us faster
        return (Reading(values, (), None, t * 1_000_000, None, False, False, message.seq, message.boot),)  # noqa: FBT003 -- as above

    def shape(self, names: tuple[str, ...]) -> Shape | None:
        """Return what reads messages that say exactly ``names`` in a third of the time; None: only a call can."""
        if names not in self._shapes and len(self._shapes) < SHAPES_MAX:
            in_order = tuple(name for name in self._kind.properties if name in names)  # as a call returns them
            is_plain = bool(names) and names == in_order and not set(names).intersection(self._texts)
            self._shapes[names] = _shape(self._kind, names) if is_plain else None
        return self._shapes.get(names)

    def _is_clean(self, values: Values) -> bool:
        return all(is_clean(str(values[name])) for name in self._texts if name in values)

    def _read_any(self, payload: bytes) -> Sequence[Reading]:
        """Read what may be an array, hold signals, or be out of range or wrong."""
        try:
            heard = self._decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self._rescued(payload, json_error(error))
        try:
            if not isinstance(heard, list):
                return (self._read(heard),)
            if not 0 < len(heard) <= MAX_ELEMENTS:
                raise PoisonError("too_many_elements", f"an array holds 1 to {MAX_ELEMENTS} messages")  # noqa: TRY301 -- none is rescued of it
            return [self._read(message) for message in heard]
        except PoisonError as error:
            return self._rescued(payload, error)

    def _rescued(self, payload: bytes, refusal: PoisonError) -> Sequence[Reading]:
        """Return what declares an alarm in a message that is poison, and what is whole beside it, counted as partial.

        Raises ``refusal`` when nothing does. The part must be good: an alarm of another door is no help.
        """
        heard, readings = loosely(payload, refusal), list[Reading]()
        messages = heard if isinstance(heard, list) else [heard]
        rules = {name: rule[1] for name, rule in self._rules.items()}
        signals = {name: known[1] for name, known in self._signals.items()}
        for message in messages if len(messages) <= MAX_ELEMENTS else ():
            good = without_bad(message, rules, signals)
            with suppress(msgspec.ValidationError, UnicodeError, PoisonError):
                reading = self._read(msgspec.convert(good, _Message))
                readings += [reading] if reading.critical or good == message else []
        if not any(reading.critical for reading in readings):
            raise refusal
        self.partials += 1
        return readings

    def _reading(
        self,
        head: _Head,
        values: Values,
        signals: Sequence[Signal],
        bad: Sequence[str],
        critical: bool,  # noqa: FBT001 -- hot path
    ) -> Reading:
        if self._critical and values and not critical:
            critical = any(values.get(name) in members for name, members in self._critical)
        part, t = head.part, head.t
        if part is not None:
            clean_part(part)
        if t is not None:
            if _CLOCK_LOW_MS <= t < _CLOCK_HIGH_MS:
                t *= 1_000_000
            else:
                self.clocks_unset += 1
                t = None
        return Reading(values, signals, part, t, None, False, critical, head.seq, head.boot, bad)  # noqa: FBT003 -- positional is 0.1 us faster

    def _read(self, message: _Message) -> Reading:
        values, reported = message.values, message.signals
        if values is None and reported is None:
            raise PoisonError("unmatched", "neither values nor signals")
        unknown_before = self.unknown_names
        bad = self._settle(values) if values else ()
        signals, critical = self._settle_signals(reported) if reported else ((), False)
        if not values and not signals and self.unknown_names != unknown_before:
            raise PoisonError("unmatched", "none of its names is known to the kind")
        return self._reading(message, values or {}, signals, bad, critical)  # type: ignore[arg-type] # nulls are out

    def _settle(self, values: _Values) -> Sequence[str]:
        """Type the values in place and return the names of those out of range."""
        rule_of = self._rules.get
        bad: Sequence[str] = ()
        strays = False
        for name, value in values.items():
            rule = rule_of(name)
            if rule is None or value is None:
                strays = True
                continue
            exact, settle_value, lowest, highest = rule
            if value.__class__ is not exact:
                value = values[name] = settle_value(value)  # noqa: PLW2901 -- what is stored is what is compared
            if lowest is not None and not lowest <= value <= highest:  # type: ignore[operator]
                settle_value(value)  # an int beyond 64 bits is refused, one out of range is stored
                bad = (*bad, name)
        if strays or len(values) > MAX_KEYS:
            self.unknown_names += _drop_strays(values, self._rules)
        return bad

    def _settle_signals(self, reported: Sequence[_Values]) -> tuple[Sequence[Signal], bool]:
        signals = []
        critical = False
        for each in reported:
            known = self._signals.get(each.pop("name", None))
            if known is None:
                self.unknown_names += 1
                continue
            name, rules, is_critical = known
            self.unknown_names += _drop_strays(each, rules)
            data = {key: rules[key](value) for key, value in each.items()}
            signals.append(Signal(name, data))
            critical = critical or is_critical
        return signals, critical
