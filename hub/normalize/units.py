"""Units of measurement: UCUM codes, and how a number in one becomes a number in another."""

from __future__ import annotations

from hub.errors import ConfigError

# UCUM code: (dimension, factor to the first unit of the dimension, offset after it). Only linear ones: bel is a
# special unit of UCUM, dB/m cannot be converted algebraically.
UNITS: dict[str, tuple[str, float, float]] = {
    "1": ("count", 1.0, 0.0),
    "%": ("share", 1.0, 0.0),
    "[ppm]": ("concentration", 1.0, 0.0),
    "[ppb]": ("concentration", 0.001, 0.0),
    "Cel": ("temperature", 1.0, 0.0),
    "K": ("temperature", 1.0, -273.15),
    "[degF]": ("temperature", 1 / 1.8, -32 / 1.8),
    "V": ("voltage", 1.0, 0.0),
    "mV": ("voltage", 0.001, 0.0),
    "s": ("time", 1.0, 0.0),
    "ms": ("time", 0.001, 0.0),
    "min": ("time", 60.0, 0.0),
    "h": ("time", 3600.0, 0.0),
    "mm": ("length", 1.0, 0.0),
    "cm": ("length", 10.0, 0.0),
    "m": ("length", 1000.0, 0.0),
    "km": ("length", 1_000_000.0, 0.0),
    "dB/m": ("attenuation", 1.0, 0.0),
    "dB[mW]": ("signal level", 1.0, 0.0),
    "lx": ("illuminance", 1.0, 0.0),
    "kPa": ("pressure", 1.0, 0.0),
    "Pa": ("pressure", 0.001, 0.0),
    "MPa": ("pressure", 1000.0, 0.0),
    "bar": ("pressure", 100.0, 0.0),
    "%{LEL}": ("explosive limit", 1.0, 0.0),
    "m/s": ("speed", 1.0, 0.0),
    "km/h": ("speed", 1 / 3.6, 0.0),
    "W": ("power", 1.0, 0.0),
    "kW": ("power", 1000.0, 0.0),
    "W.h": ("energy", 0.001, 0.0),
    "kW.h": ("energy", 1.0, 0.0),
    "A": ("current", 1.0, 0.0),
    "mA": ("current", 0.001, 0.0),
    "m3": ("volume", 1.0, 0.0),
    "L": ("volume", 0.001, 0.0),
    "m3/h": ("flow", 1.0, 0.0),
    "L/s": ("flow", 3.6, 0.0),
    "L/h": ("flow", 0.001, 0.0),
    "L/min": ("flow", 0.06, 0.0),
    "deg": ("angle", 1.0, 0.0),
    "/min": ("rate", 1.0, 0.0),
}


def conversion(source: str, target: str) -> tuple[float, float] | None:
    """Return (factor, offset) so that target = source x factor + offset; None when they are the same unit.

    Raises ConfigError for a unit that is not in the table, or of another dimension.
    """
    if source == target:
        return None
    missing = [unit for unit in (source, target) if unit not in UNITS]
    if missing:
        dimension = UNITS.get(target, ("",))[0]
        alike = [unit for unit, (of, _, _) in UNITS.items() if of == dimension] or [*UNITS]
        hint = f"one of {', '.join(alike)} (UCUM); another is a row in hub/normalize/units.py"
        raise ConfigError("unknown_unit", f"unit {missing[0]!r} is unknown", hint=hint)
    (from_dimension, from_factor, from_offset), (to_dimension, to_factor, to_offset) = UNITS[source], UNITS[target]
    if from_dimension != to_dimension:
        raise ConfigError("unit_mismatch", f"{source} is {from_dimension}, {target} is {to_dimension}")
    return from_factor / to_factor, (from_offset - to_offset) / to_factor
