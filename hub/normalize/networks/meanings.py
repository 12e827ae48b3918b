"""What the values that Zigbee devices expose mean to us, name by name: properties, signals, commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hub.catalogue import Kind, Property, Type
from hub.errors import ConfigError
from hub.normalize.networks.exposes import Expose
from hub.normalize.units import conversion

TWICE = "twice"
Source = dict[str, object]
"""Words for one raw value, as in a profile."""


class Unmapped(msgspec.Struct, frozen=True):
    """What was left out of a profile: a value of a device, or (``path`` empty) the device itself."""

    device: str
    path: str
    code: str
    reason: str


# Names and values: the presets of zigbee-herdsman-converters (src/lib/exposes.ts), and for tuya_* its lib/tuya.ts.
_BINARY = {
    "smoke": "alarm",
    "gas": "alarm",
    "carbon_monoxide": "alarm",
    "water_leak": "leak",
    "test": "testing",
    "trouble": "fault",
    "fault": "fault",
    "fault_alarm": "fault",
    "silence": "silenced",
    "buzzer_manual_mute": "silenced",
    "battery_low": "battery_low",
    "tamper": "tamper",
    "presence": "presence",
}
_NUMERIC = {
    "battery": "battery",
    "voltage": "battery_voltage",
    "temperature": "temperature",
    "humidity": "humidity",
    "co2": "co2",
    "co": "co",
    "smoke_density": "smoke_density",
    "smoke_density_dbm": "smoke_density",
    "smoke_concentration": "concentration",
    "gas_value": "gas_lel",
    "gas_concentration": "gas_lel",
    "gas_density": "gas_lel",
}
_ENUM: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "fall_status": ("fall", {"normal": "none", "fall_warning": "suspected", "fall_alarm": "confirmed"}),
    "fall_down_status": ("fall", {"none": "none", "maybe_fall": "suspected", "fall": "confirmed"}),
    "lock_state": ("lock", {"locked": "locked", "unlocked": "unlocked"}),
}
_UNITS = {
    "%": "%",
    "°C": "Cel",
    "°F": "[degF]",
    "mV": "mV",
    "V": "V",
    "ppm": "[ppm]",
    "ppb": "[ppb]",
    "dB/m": "dB/m",
    "LEL": "%{LEL}",
    "%LEL": "%{LEL}",
}
_SOS = frozenset({"emergency", "panic", "sos", "fire_panic", "police_panic", "emergency_panic"})
"""Actions that call for help; what else a remote control can do is nobody's emergency."""


def properties_of(device: str, exposes: Sequence[Expose], kind: Kind) -> tuple[dict[str, object], list[Unmapped]]:
    """Return the properties that values become, and what became nothing."""
    found: dict[str, list[Source]] = {}
    unmapped: list[Unmapped] = []
    for expose in sorted(exposes, key=lambda each: each.type != "enum"):  # what a lock is comes before what it was told
        name = _property(expose)
        target = None if name is None else kind.properties.get(name)
        if name is None or target is None:
            unmapped.append(Unmapped(device, expose.path, "no_property", f"a {kind.kind} has nothing for it"))
            continue
        if name in found and target.type is not Type.BOOL:
            unmapped.append(Unmapped(device, expose.path, TWICE, f"{name} is read elsewhere already"))
            continue
        try:
            source = _source(expose, target)
        except ConfigError as error:
            unmapped.append(Unmapped(device, expose.path, error.code, error.message))
        else:
            found.setdefault(name, []).append(source)
    return {name: _together(sources) for name, sources in found.items()}, unmapped


def _property(expose: Expose) -> str | None:
    if expose.within == "lock":
        return "lock" if expose.name in {"state", "lock_state"} else None
    match expose.type:
        case "binary":
            return "contact" if expose.name == "contact" else _BINARY.get(expose.name)
        case "numeric":
            return _NUMERIC.get(expose.name)
        case "enum" if expose.name in _ENUM:
            return _ENUM[expose.name][0]
        case _:
            return None


def _source(expose: Expose, target: Property) -> Source:
    if expose.type == "numeric":
        return _number(expose, target)
    if expose.type == "enum":
        return _member(expose, target)
    on, off = _key(expose.on), _key(expose.off)
    if on is None or off is None or on == off:
        raise ConfigError("no_values", "it does not say what on and off look like")
    meant = _BOTH.get(expose.name if expose.name == "contact" else expose.within, (True, False))
    if target.type is Type.BOOL and expose.on is True and expose.off is False:
        return {"path": expose.path}
    return {"path": expose.path, "values": {on: meant[0], off: meant[1]}}


# A contact is "on" when it is open (false = the magnet is away): value_on is the open door.
_BOTH: Mapping[str, tuple[str, str]] = {"contact": ("open", "closed"), "lock": ("locked", "unlocked")}


def _member(expose: Expose, target: Property) -> Source:
    table = {key: value for key, value in _ENUM[expose.name][1].items() if key in expose.values}
    strange = [value for value in expose.values if isinstance(value, str) and value not in table]
    if target.type is not Type.ENUM or not table:
        raise ConfigError("no_values", "none of its values is one that we know")
    return {"path": expose.path, "values": table, **({"absent": strange} if strange else {})}


def _number(expose: Expose, target: Property) -> Source:
    if not expose.unit:
        raise ConfigError("no_unit", "a number without a unit")
    unit = _UNITS.get(expose.unit)
    if unit is None or target.unit is None:
        raise ConfigError("unknown_unit", f"the unit {expose.unit!r} is unknown here")
    if target.unit == "V" and expose.unit == "V":
        raise ConfigError("mains", "volts of the mains are not those of a battery")
    change = conversion(unit, target.unit) or (1.0, 0.0)
    source: Source = {"path": expose.path, "unit": unit}
    bounds = _bounds(expose, target, change)
    return source if bounds is None else {**source, "range": bounds}


def _bounds(expose: Expose, target: Property, change: tuple[float, float]) -> list[float] | None:
    """Return the narrower of what the device and the kind say; None when only the kind says something."""
    if expose.low is None or expose.high is None or not expose.low < expose.high:
        return None
    low, high = (each * change[0] + change[1] for each in (expose.low, expose.high))
    lowest, highest = target.range or (low, high)
    bounds = [max(low, float(lowest)), min(high, float(highest))]
    return bounds if bounds[0] < bounds[1] and bounds != [lowest, highest] else None


def _together(sources: Sequence[Source]) -> object:
    """Return one source, or several of which any that is on decides: gas and carbon monoxide are one alarm."""
    if len(sources) == 1:
        return sources[0]
    return [*({**source, "only": {source["path"]: [_on(source)]}} for source in sources), *sources]


def _on(source: Source) -> object:
    values = source.get("values")
    return next((key for key, value in values.items() if value is True), True) if isinstance(values, dict) else True


def _key(value: object) -> str | None:
    """Return a value as a key of a table; None for what cannot be one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None


def actions(exposes: Sequence[Expose], kind: Kind | None) -> dict[str, object]:
    """Return the signals that momentary values become; ``kind`` None asks whether there would be any."""
    if kind is not None and "sos.pressed" not in kind.signals:
        return {}
    for expose in exposes:
        if expose.type == "enum" and expose.name == "action":
            calls = [value for value in expose.values if value in _SOS]
            if calls:
                return {"sos.pressed": {"only": {expose.path: calls}}}
        if expose.type == "binary" and expose.name == "sos" and (on := _key(expose.on)) is not None:
            return {"sos.pressed": {"only": {expose.path: [on]}}}
    return {}


def commands(exposes: Sequence[Expose], kind: Kind) -> dict[str, object]:
    """Return the commands of the kind that the device can do, as what is set."""
    found: dict[str, object] = {}
    for expose in exposes:
        for name, value in _orders(expose).items():
            if name in kind.commands and "{" not in str(value):
                found.setdefault(name, {"json": _nested(expose.path, value)})
    return found


def _orders(expose: Expose) -> dict[str, object]:
    values = set(map(str, expose.values))
    match expose.type, expose.name:
        case "enum", "selftest" | "self_test" if expose.values:
            return {"self_test": expose.values[0]}
        case "binary", "self_test" | "selftest" | "silence":
            return {"silence" if expose.name == "silence" else "self_test": expose.on}
        case "enum", "buzzer":
            known = {"silence": "mute", "sound": "alarm"}
            return {name: value for name, value in known.items() if value in values}
        case "binary", "state" if expose.within == "lock":
            return {"lock": expose.on, "unlock": expose.off}
        case _:
            return {}


def _nested(path: str, value: object) -> object:
    for step in reversed(path.split(".")):
        value = {step: value}
    return value
