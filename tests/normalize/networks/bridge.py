"""A bridge/devices of Zigbee2MQTT for tests: real models with what zigbee-herdsman-converters says they expose."""

from __future__ import annotations

from typing import Any

import msgspec


def number(name: str, unit: str | None = None, **more: object) -> dict[str, Any]:
    """Return a numeric value."""
    return {"name": name, "property": name, "type": "numeric", "access": 1, **({"unit": unit} if unit else {}), **more}


def choice(name: str, *values: str, access: int = 1, **more: object) -> dict[str, Any]:
    """Return an enum."""
    return {"name": name, "property": name, "type": "enum", "access": access, "values": list(values), **more}


def yes_or_no(name: str, *, access: int = 1) -> dict[str, Any]:
    """Return a binary value that is true or false."""
    return {"name": name, "property": name, "type": "binary", "access": access, "value_on": True, "value_off": False}


# The presets of zigbee-herdsman-converters (src/lib/exposes.ts): names, units, ranges, access, categories.
BATTERY = number("battery", "%", value_min=0, value_max=100, category="diagnostic")
VOLTAGE = number("voltage", "mV", category="diagnostic")
LINK = number("linkquality", "lqi", value_min=0, value_max=255)
TEMPERATURE = number("temperature", "°C")
HUMIDITY = number("humidity", "%")
PRESSURE = number("pressure", "hPa")
CONTACT = {
    "name": "contact",
    "property": "contact",
    "type": "binary",
    "access": 1,
    "value_on": False,
    "value_off": True,
}
DENSITY = number("smoke_density")
DENSITY_DBM = number("smoke_density_dbm", "dB/m", value_min=0, value_max=0.125)
SENSITIVITY = choice("sensitivity", "low", "medium", "high", access=3, category="config")
SELFTEST = choice("selftest", "", access=2)
BUZZER = choice("buzzer", "mute", "alarm", access=2)
ACTION = choice("action", "emergency")
REMOTE = choice("action", "on", "off")
TOLD = {"name": "state", "property": "state", "type": "binary", "access": 7, "value_on": "LOCK", "value_off": "UNLOCK"}
IS = choice("lock_state", "not_fully_locked", "locked", "unlocked")
LOCK = {"type": "lock", "features": [TOLD, IS]}
GASES = [yes_or_no("gas"), yes_or_no("carbon_monoxide"), yes_or_no("silence", access=3)]
SMOKE = [yes_or_no("smoke"), yes_or_no("battery_low"), yes_or_no("tamper"), yes_or_no("test"), BATTERY, VOLTAGE, LINK]
MODELS: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "smoke": ("Xiaomi", "JTYJ-GD-01LM/BW", [*SMOKE, DENSITY, SENSITIVITY, SELFTEST]),
    "aqara": ("Aqara", "JY-GZ-01AQ", [yes_or_no("smoke"), DENSITY, DENSITY_DBM, SELFTEST, BUZZER, yes_or_no("test")]),
    "contact": ("Aqara", "MCCGQ11LM", [BATTERY, CONTACT, VOLTAGE, LINK]),
    "leak": ("Aqara", "SJCGQ11LM", [BATTERY, VOLTAGE, yes_or_no("water_leak"), yes_or_no("battery_low")]),
    "climate": ("Aqara", "WSDCGQ11LM", [BATTERY, TEMPERATURE, HUMIDITY, PRESSURE, VOLTAGE]),
    "gas": ("Tuya", "TS0601_gas_sensor_2", GASES),
    "sos": ("Tuya", "TS0215A_sos", [BATTERY, VOLTAGE, ACTION]),
    "remote": ("IKEA", "E1743", [BATTERY, REMOTE]),
    "lock": ("Yale", "YRD226HA2619", [LOCK, BATTERY]),
    "motion": ("Aqara", "RTCGQ11LM", [BATTERY, yes_or_no("occupancy"), LINK]),
}  # fmt: skip


def entry(name: str, model: str, **more: object) -> dict[str, object]:
    """Return what the directory says of a device called ``name``; ``more`` replaces or adds."""
    vendor, title, exposes = MODELS[model]
    definition = {"vendor": vendor, "model": title, "description": title, "exposes": exposes, "options": []}
    return {
        "ieee_address": "0x00158d0001b7d2a3", "type": "EndDevice", "network_address": 29159, "supported": True,
        "friendly_name": name, "definition": definition, "power_source": "Battery", "model_id": "x",
        "interviewing": False, "interview_completed": True, "disabled": False, "endpoints": {}, **more,
    }  # fmt: skip


COORDINATOR = {
    "ieee_address": "0x00124b00120144ae", "type": "Coordinator", "network_address": 0, "supported": False,
    "friendly_name": "Coordinator", "definition": None, "interview_completed": True,
}  # fmt: skip


def directory(*entries: object) -> bytes:
    """Return the retained message of ``<base>/bridge/devices``."""
    return msgspec.json.encode([COORDINATOR, *entries])
