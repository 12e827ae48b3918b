"""An alarm does not die of another field: what can be read of a message that is poison and declares an alarm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from hub.errors import PoisonError
from hub.model.heard import Reading, Signal
from hub.model.values import Values
from hub.normalize.codecs.codec import Row
from hub.normalize.fields import SCALARS
from hub.normalize.limits import INT64_HIGH
from hub.normalize.settle import Settle
from hub.normalize.shapes import CompiledShape, Field, look, take

T = TypeVar("T")


def rescued(shape: CompiledShape, row: Row) -> Reading | None:
    """Return the reading of a poisonous row without what is bad in it; None unless the rest declares an alarm.

    The part must be good: an alarm of another door is no help. One whose identity is bad has none: sent twice, it is
    judged twice.
    """
    entries = [shape.always, *(found for found in (look(each, row) for each in shape.decisions) if found is not None)]
    values: Values = {}
    bad: list[str] = []
    for fields, _, flags in entries:
        _take_each(row, fields, values, bad)
        for set_flags in flags:
            _unless_poison(lambda set_flags=set_flags: set_flags(row, values))  # type: ignore[misc]
    raised = [signal for _, signals, _ in entries for signal in signals]
    if not (shape.critical or shape.is_critical(values, raised)):
        return None
    identity_of = shape.identity
    signals = []
    for name, wanted, _ in raised:
        data: Values = {}
        _take_each(row, wanted, data, [])
        signals.append(Signal(name, data))
    return Reading(
        values=values,
        signals=signals,
        part=None if shape.part is None else shape.part(row),
        measured_at=_unless_poison(lambda: shape.clock(row)),
        identity=None if identity_of is None else _unless_poison(lambda: identity_of(row)),
        backfill=shape.backfill is not None and shape.backfill(row),
        critical=True,
        bad=bad,
    )


def _take_each(row: Row, fields: Sequence[Field], values: Values, bad: list[str]) -> None:
    for field in fields:
        _unless_poison(lambda field=field: take(row, (field,), values, bad))  # type: ignore[misc]


def _unless_poison(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except PoisonError:
        return None


def without_bad(message: object, rules: Mapping[str, Settle], signals: Mapping[object, Mapping[str, Settle]]) -> object:
    """Return a native message (whatever JSON it is) without values, data, clock and counters that cannot be meant."""
    if not isinstance(message, dict):
        return message
    good = {name: value for name, value in message.items() if value is None or _HEAD.get(name, _anything)(value)}
    if good.get("values") is not None:
        good["values"] = _settling(good["values"], rules)
    if good.get("signals") is not None:
        named = [each for each in good["signals"] if isinstance(each, dict) and isinstance(each.get("name"), str)]
        good["signals"] = [_settling(each, signals.get(each["name"], {})) for each in named]
    return good


def _settling(values: Mapping[str, object], rules: Mapping[str, Settle]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is None or _settles(value, rules.get(name))}


def _settles(value: object, rule: Settle | None) -> bool:
    """Return whether a value can be meant; of a name that nobody knows any that could be one."""
    return value.__class__ in SCALARS if rule is None else _unless_poison(lambda: rule(value)) is not None


def _is_number(value: object) -> bool:
    return value.__class__ is int and 0 <= value <= INT64_HIGH


def _is_boot(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _BOOT_SIZE and value.isascii() and value.isprintable()


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _anything(_value: object) -> bool:
    return True


_BOOT_SIZE = 64
_HEAD = {"t": _is_number, "seq": _is_number, "boot": _is_boot, "values": _is_object, "signals": _is_list}
