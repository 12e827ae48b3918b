"""What Zigbee2MQTT says of its devices (``bridge/devices``): each with the values it exposes, one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from hub.errors import PoisonError
from hub.normalize.limits import check_depth, json_error

MAX_DIRECTORY_BYTES = 8 * 1024 * 1024
"""Of one directory: some 10 kB a device, and a Zigbee network ends at a few hundred."""

READ, SET = 1, 2
"""Bits of ``access``: the value is published; it can be set."""

SPECIFIC = frozenset({"light", "switch", "fan", "cover", "lock", "climate"})
_LONGEST, _MOST = 64, 1e300
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class Expose(NamedTuple):
    """One value of a device; ``path`` is where it stands in its messages, ``within`` the specific type around it."""

    type: str
    name: str
    path: str
    access: int
    unit: str
    values: tuple[object, ...]
    on: object
    off: object
    low: float | None
    high: float | None
    category: str
    endpoint: str
    within: str


class Listed(NamedTuple):
    """One device of the directory; ``problem`` says (code, detail) why nothing can be made of it."""

    name: str
    address: str
    vendor: str
    model: str
    exposes: tuple[Expose, ...]
    problem: tuple[str, str] | None


class _Words(msgspec.Struct):
    """One value; what is odd of it (people write converters of their own) costs itself, not the device."""

    type: str = ""
    name: str | None = None
    property: str | None = None
    access: Any = None
    unit: Any = None
    values: Any = None
    value_on: Any = None
    value_off: Any = None
    value_min: Any = None
    value_max: Any = None
    features: list[_Words] | None = None
    category: Any = None
    endpoint: Any = None


class _Definition(msgspec.Struct):
    model: str | None = None
    vendor: str | None = None
    exposes: list[_Words] = []


class _Entry(msgspec.Struct):
    friendly_name: str
    ieee_address: str = ""
    type: str = ""
    disabled: bool = False
    interview_completed: bool = True
    definition: _Definition | None = None


_read_all = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read_one = msgspec.json.Decoder(_Entry).decode


def read_directory(payload: bytes) -> list[Listed]:
    """Return every device but the coordinator, in the order of the directory.

    An entry that cannot be read costs only itself. PoisonErrors: ``too_large``, ``too_deep``, ``bad_json``,
    ``bad_value``.
    """
    if len(payload) > MAX_DIRECTORY_BYTES:
        raise PoisonError("too_large", f"more than {MAX_DIRECTORY_BYTES} bytes")
    check_depth(payload)
    try:
        entries = _read_all(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise json_error(error) from None
    found = (_listed(number, entry) for number, entry in enumerate(entries))
    return [listed for listed in found if listed is not None]


def _listed(number: int, raw: msgspec.Raw) -> Listed | None:
    try:
        entry = _read_one(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Listed(f"entry {number}", "", "", "", (), ("bad_entry", str(error)[:200]))
    if entry.type == "Coordinator":
        return None
    problem, definition = _problem(entry), entry.definition or _Definition()
    exposes = tuple(_flat(definition.exposes)) if problem is None else ()
    vendor, model = definition.vendor or "", definition.model or ""
    return Listed(entry.friendly_name, entry.ieee_address, vendor, model, exposes, problem)


def _problem(entry: _Entry) -> tuple[str, str] | None:
    if not entry.friendly_name.isprintable() or set(entry.friendly_name) & set("/+#"):
        return "unreachable_name", "its name has a slash, a wildcard or a control character: rename it"
    if entry.disabled:
        return "disabled", "it is disabled in Zigbee2MQTT"
    if entry.definition is None:
        why = "unsupported" if entry.interview_completed else "interviewing"
        return why, "Zigbee2MQTT does not know what it can do"
    return None


def _flat(words: Sequence[_Words], within: str = "", path: str = "") -> Iterator[Expose]:
    for each in words:
        name = each.property or each.name or ""
        if each.type in SPECIFIC:
            yield from _flat(each.features or (), each.type, path)
        elif each.type == "composite" and each.features and not path and _NAME.fullmatch(name):
            yield from _flat(each.features, within or "composite", f"{name}.")
        elif _NAME.fullmatch(name):
            yield _expose(each, f"{path}{name}", within)


def _expose(words: _Words, path: str, within: str) -> Expose:
    return Expose(
        words.type,
        words.name or path,
        path,
        words.access if type(words.access) is int else 0,
        _text(words.unit),
        tuple(words.values) if isinstance(words.values, list) else (),
        words.value_on,
        words.value_off,
        _number(words.value_min),
        _number(words.value_max),
        _text(words.category),
        "" if words.endpoint is None else str(words.endpoint)[:_LONGEST],
        within,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST
    return float(value) if is_one else None  # type: ignore[arg-type] # it is
