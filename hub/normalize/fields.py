"""One raw value to its canonical one: sentinels, tables, scales, units and the type that the kind gives it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from hub.catalogue import NUMBERS, Type, Typed
from hub.errors import ConfigError, PoisonError
from hub.model.values import Scalar
from hub.normalize.limits import is_clean
from hub.normalize.lists import compile_take
from hub.normalize.places import FRACTIONS, Coding, Number
from hub.normalize.plates import plate_cn
from hub.normalize.settle import bad_value, settle
from hub.normalize.sources import ByteSource, Meaning, PathSource, PathType
from hub.normalize.units import conversion

Raw = object
Convert = Callable[[Raw], Scalar | None]
"""A raw value (never None) to the canonical one; None = a sentinel for no value. Raises PoisonError ``bad_value``."""

SCALARS = frozenset({bool, int, float, str})
"""The classes that can stand in a table; a payload may also hold objects and lists."""

_ROUNDING = 1e-9
_SURELY_AN_INT = 20
_NO_INTEGERS = (*FRACTIONS, Coding.ASCII, Coding.UTF8, Coding.GB18030, Coding.HEX, Coding.RAW)
_INT = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{0,40})?(?:[eE][+-]?[0-9]{1,3})?")


_TEXTS = (Coding.ASCII, Coding.UTF8, Coding.GB18030)
_WHOLE = {*Number, Coding.BCD, Coding.BCD_LE} - {*FRACTIONS}
_OF_TEXT: Mapping[Type, PathType] = {Type.BOOL: "bool", Type.INT: "int", Type.FLOAT: "float"}
"""How a text is read when a format has nothing else."""


def compile_field(
    name: str, source: ByteSource | PathSource, target: Typed, params: Mapping[str, Scalar], *, is_text: bool = False
) -> Convert:
    """Return the conversion of one property or signal field; ``is_text``: the format writes numbers as texts.

    Raises ConfigError when it cannot fit ``target``.
    """
    reading = _reading(source, target, is_text=is_text)
    sentinels = both_forms(source.absent or ())
    if reading == "string" and source.take is None and source.values is None and target.type is Type.STRING:
        return _text(name, sentinels)
    convert = _by_type(name, source, target, params) if source.values is None else _table(name, source, target, params)
    read = None if reading is None else _reading_as(name, reading)
    if source.take is not None:
        return _of_list(compile_take(name, source.take, source.split, read or _scalar_of(name), sentinels), convert)
    if read is not None:
        convert = _after(read, convert)
    return convert if source.absent is None else _unless(sentinels, convert)


def _reading(source: ByteSource | PathSource, target: Typed, *, is_text: bool) -> PathType | None:
    if isinstance(source, PathSource):
        if source.as_ is not None:
            return source.as_
    elif source.as_ in _TEXTS:
        is_text = True
    elif target.type is Type.STRING and source.as_ in _WHOLE:
        return "string"
    return _OF_TEXT.get(target.type) if is_text and source.values is None else None


def both_forms(values: tuple[Scalar, ...]) -> frozenset[Scalar]:
    """Return the values as JSON has them and as text: vendors write ``"fault_type":7`` and ``"fault_type":"7"``."""
    return frozenset(form for value in values for form in (value, *_other_forms(value)))


def _other_forms(value: Scalar) -> tuple[Scalar, ...]:
    match value:
        case bool():
            return (str(value).lower(),)
        case int():
            return (str(value),)
        case "true" | "false":
            return (value == "true",)
        case str() if _INT.fullmatch(value):
            return (int(value),)
        case _:
            return ()


def _table(name: str, source: Meaning, target: Typed, params: Mapping[str, Scalar]) -> Convert:
    exact = settle(name, target)
    in_unit = _in_unit(source, target)
    table: dict[Raw, Scalar] = {}
    for key, value in (source.values or {}).items():
        meaning = _fitting(name, in_unit(parameter(value, params)), exact)
        table |= dict.fromkeys(both_forms((key,)), meaning)
    otherwise = None
    if source.otherwise is not None:
        otherwise = _fitting(name, in_unit(parameter(source.otherwise, params)), exact)

    def convert(raw: Raw) -> Scalar:
        try:
            return table[raw]
        except KeyError:
            if otherwise is not None:
                return otherwise
        except TypeError:  # an object or a list, which cannot be a key
            pass
        raise bad_value(name, "a value that the table does not know")

    return convert


def _in_unit(source: Meaning, target: Typed) -> Callable[[Scalar], Scalar]:
    """Return what turns a number of a table into the unit of the kind."""
    if source.unit is None:
        return lambda value: value
    factor, offset = _scaled(source, target, {})

    def convert(value: Scalar) -> Scalar:
        return value if (factor, offset) == (1.0, 0.0) or isinstance(value, str) else value * factor + offset

    return convert


def parameter(value: Scalar, params: Mapping[str, Scalar]) -> Scalar:
    """Return what a device's installation says for ``$name``, and any other value as it is. Raises ConfigError."""
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    if value[1:] not in params:
        raise ConfigError("unknown_param", f"there is no parameter {value!r}", hint=f"params: {', '.join(params)}")
    return params[value[1:]]


def _fitting(name: str, value: Scalar, exact: Callable[[Raw], Scalar]) -> Scalar:
    try:
        return exact(value)
    except PoisonError as error:
        raise ConfigError("value_misfit", f"{value!r} does not fit {name}: {error.message}") from error


def _scaled(source: Meaning, target: Typed, params: Mapping[str, Scalar]) -> tuple[float, float]:
    """Return (factor, offset) of scale, offset and unit together; the unit of a source is the kind's unless named."""
    scale = 1.0 if source.scale is None else parameter(source.scale, params)
    if isinstance(scale, bool | str) or not scale > 0:
        raise ConfigError("value_misfit", f"a scale is a number above 0, not {scale!r}")
    factor, offset = float(scale), source.offset or 0.0
    if target.type not in NUMBERS:
        if (factor, offset) != (1.0, 0.0) or source.unit is not None or source.range is not None:
            raise ConfigError("not_a_number", f"scale, offset, unit and range do not fit a {target.type.value}")
        return factor, offset
    change = None if source.unit is None or target.unit is None else conversion(source.unit, target.unit)
    return (factor, offset) if change is None else (factor * change[0], offset * change[0] + change[1])


def _by_type(name: str, source: ByteSource | PathSource, target: Typed, params: Mapping[str, Scalar]) -> Convert:
    exact = settle(name, target)
    factor, offset = _scaled(source, target, params)
    # Dividing by 10 gives 30.8 where multiplying by 0.1 gives 30.800000000000001.
    divisor = round(1 / factor) if factor < 1 and abs(1 / factor - round(1 / factor)) < _ROUNDING else 0
    is_plain = (factor, offset) == (1.0, 0.0)
    if isinstance(source, ByteSource) and source.as_ not in _NO_INTEGERS and target.type is Type.FLOAT:
        return _from_integer(divisor, factor, offset, is_plain=is_plain)
    if is_plain:
        return exact

    def convert(raw: Raw) -> Scalar:
        if raw.__class__ is not int and raw.__class__ is not float:
            raise bad_value(name, "not a number")
        try:
            return exact((raw / divisor if divisor else raw * factor) + offset)
        except OverflowError:
            raise bad_value(name, "too large") from None

    return convert


def _from_integer(divisor: int, factor: float, offset: float, *, is_plain: bool) -> Convert:
    """Bytes of an integer are finite and small: nothing to check, 0.2 us saved per property."""
    if is_plain:
        return float  # type: ignore[return-value]
    if divisor:
        return lambda raw: raw / divisor + offset  # type: ignore[operator]
    return lambda raw: raw * factor + offset  # type: ignore[operator]


def _text(name: str, sentinels: frozenset[Scalar]) -> Convert:
    """Return ``as: string`` for a text in one step; three cost 0.15 us more, and every swipe has three of them."""

    def convert(raw: Raw) -> Scalar | None:
        if raw.__class__ is int:
            raw = str(raw)
        elif raw.__class__ is not str:
            raise bad_value(name, "neither a text nor a whole number")
        if raw in sentinels:
            return None
        if is_clean(raw):
            return raw
        raise bad_value(name, "not a text without control characters")

    return convert


def _after(first: Convert, then: Convert) -> Convert:
    def convert(raw: Raw) -> Scalar | None:
        return then(first(raw))

    return convert


def _of_list(take: Callable[[Raw], Scalar | None], then: Convert) -> Convert:
    def convert(raw: Raw) -> Scalar | None:
        taken = take(raw)
        return None if taken is None else then(taken)

    return convert


def _unless(sentinels: frozenset[Scalar], convert: Convert) -> Convert:
    def convert_unless(raw: Raw) -> Scalar | None:
        if raw.__class__ in SCALARS and raw in sentinels:
            return None
        return convert(raw)

    return convert_unless


def _scalar_of(name: str) -> Callable[[Raw], Scalar]:
    return lambda raw: _kept(name, raw)


def _reading_as(name: str, target: PathType) -> Callable[[Raw], Scalar]:
    """Return what ``as`` does: read numbers from text, text from numbers; anything else is left to the type."""
    return _READINGS[target](name)


def _as_int(name: str) -> Callable[[Raw], Scalar]:
    def read(raw: Raw) -> Scalar:
        if raw.__class__ is str and len(raw) < _SURELY_AN_INT and raw.isascii() and raw.isdigit():
            return int(raw)
        return int(raw) if raw.__class__ is str and _INT.fullmatch(raw) else _kept(name, raw)

    return read


def _as_float(name: str) -> Callable[[Raw], Scalar]:
    return lambda raw: float(raw) if raw.__class__ is str and _FLOAT.fullmatch(raw) else _kept(name, raw)


def _as_string(name: str) -> Callable[[Raw], Scalar]:
    return lambda raw: str(raw) if raw.__class__ is int else _kept(name, raw)


def _as_bool(name: str) -> Callable[[Raw], Scalar]:
    def read(raw: Raw) -> Scalar:
        if raw.__class__ in SCALARS and raw in {0, 1, "0", "1", "true", "false"}:
            return raw in {1, "1", "true"}
        raise bad_value(name, "neither true nor false")

    return read


def _as_plate_cn(name: str) -> Callable[[Raw], Scalar]:
    def read(raw: Raw) -> Scalar:
        if raw.__class__ is str:
            return plate_cn(raw)
        raise bad_value(name, "a plate is a text")

    return read


_READINGS: Mapping[PathType, Callable[[str], Callable[[Raw], Scalar]]] = {
    "bool": _as_bool,
    "int": _as_int,
    "float": _as_float,
    "string": _as_string,
    "plate_cn": _as_plate_cn,
}


def _kept(name: str, raw: Raw) -> Scalar:
    if raw.__class__ in SCALARS:
        return raw  # type: ignore[return-value]
    raise bad_value(name, "not a scalar")
