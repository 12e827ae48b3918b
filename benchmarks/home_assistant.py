"""Home Assistant, where it is found: MQTT sensors, its InfluxDB integration, automations for the same conditions."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import orjson

from benchmarks.program import Call, Program, Rival
from benchmarks.reflex import CARS, SURE
from benchmarks.stage import Stage
from benchmarks.traffic import BUILDING, DAMP, HOT, KIND, SITE, STUFFY, Traffic
from hub.services.child import free_port

CLIENT = "home-assistant"
BORN = "homeassistant/status"
"""What it says there when it has subscribed to everything."""
TRAFFIC = Traffic(1_000)
CAMERAS = [f"camera-{n}" for n in range(CARS)]
AGAIN = 1_000
"""Writes are tried so often, 20 s apart; nothing that is younger than that is dropped."""
_MOMENT = "2026-01-01T00:00:00+00:00"


def program(executable: str, stage: Stage, *, automated: bool = False, acts: bool = False) -> Program:
    """Put Home Assistant on ``stage``, with its automations or with sensors alone; the recorder is off.

    If it ``acts``, it has the cameras of the cars too, and holds doors.
    """
    directory = stage.directory / CLIENT
    (directory / ".storage").mkdir(parents=True)
    (directory / ".storage" / "core.config_entries").write_bytes(orjson.dumps(_entries(stage)))
    automations = [*(_automations() if automated else []), *([_hold()] if acts else [])]
    sensors = [_sensor(*each) for each in zip(TRAFFIC.names(), TRAFFIC.topics, strict=True)]
    sensors += [_camera(name) for name in CAMERAS] if acts else []
    (directory / "configuration.yaml").write_bytes(orjson.dumps(_configuration(sensors, automations)))
    command = (executable, "--config", str(directory), "--skip-pip")
    environment = {"PATH": os.defpath + os.pathsep + str(Path(executable).parent), "HOME": str(directory)}
    return Program(stage, Call(client=CLIENT, command=command, environment=environment, says=BORN))


def _configuration(sensors: list[dict[str, object]], automations: list[dict[str, object]]) -> dict[str, object]:
    """Return ``configuration.yaml``: JSON is YAML too."""
    return {
        "homeassistant": {"name": "bench", "time_zone": "UTC", "unit_system": "metric"},
        "http": {"server_host": ["127.0.0.1"], "server_port": free_port()},
        "logger": {"default": "warning"},
        "influxdb": {
            "max_retries": AGAIN,
            "override_measurement": KIND,
            "tags": {"site": SITE, "building": BUILDING},
            "ignore_attributes": ["friendly_name"],
            "include": {"entity_globs": ["sensor.env_*"]},
        },
        "mqtt": [{"sensor": sensors}],
        "automation": automations,
    }


def _sensor(name: str, topic: str) -> dict[str, object]:
    """Return one entity for a whole device, the cheapest way: CO2 is its state, all values are its attributes."""
    return {
        "name": name,
        "unique_id": name,
        "default_entity_id": _entity(name),
        "state_topic": topic,
        "value_template": "{{ value_json['values'].co2 }}",
        "json_attributes_topic": topic,
        "json_attributes_template": "{{ value_json['values'] | tojson }}",
        "qos": 1,
        "force_update": True,
    }


def _camera(name: str) -> dict[str, object]:
    return {
        "name": name,
        "unique_id": name,
        "default_entity_id": _entity(name),
        "state_topic": f"hub/{SITE}/{name}/telemetry",
        "value_template": "{{ value_json['values'].ebike_confidence }}",
        "qos": 1,
    }


def _hold() -> dict[str, object]:
    """Hold the door of the car whose camera comes to see an e-bike."""
    topic = f"hub/{SITE}/{{{{ trigger.entity_id | replace('sensor.camera_', 'lift-') }}}}/command"
    told = '{"command": "hold_door", "args": {"ttl": "10s"}}'
    trigger = {"trigger": "numeric_state", "entity_id": [_entity(name) for name in CAMERAS], "above": SURE - 0.001}
    return {
        "id": "hold",
        "alias": "hold",
        "mode": "parallel",
        "max": CARS,
        "triggers": [trigger],
        "actions": [{"action": "mqtt.publish", "data": {"topic": topic, "qos": 1, "payload": told}}],
    }


def _entity(name: str) -> str:
    return f"sensor.{name.replace('-', '_')}"


def _automations() -> list[dict[str, object]]:
    return [
        _automation("hot", "temperature", HOT),
        _automation("damp", "humidity", DAMP),
        _automation("stuffy", "co2", STUFFY, f"{{{{ trigger.to_state.attributes.temperature < {HOT} }}}}"),
    ]


def _automation(name: str, attribute: str, bound: float, *conditions: str) -> dict[str, object]:
    """Publish when a device comes to the bound, and when it goes back."""
    whose = {
        "trigger": "numeric_state",
        "entity_id": [_entity(name) for name in TRAFFIC.names()],
        "attribute": attribute,
    }
    told = "{{ trigger.entity_id }} {{ trigger.id }}"
    return {
        "id": name,
        "alias": name,
        "mode": "parallel",
        "max": len(TRAFFIC.topics),
        "triggers": [
            {**whose, "id": "raised", "above": bound - 0.01},
            {**whose, "id": "cleared", "below": bound},
        ],
        "conditions": [{"condition": "template", "value_template": condition} for condition in conditions],
        "actions": [{"action": "mqtt.publish", "data": {"topic": f"alarms/{name}", "qos": 1, "payload": told}}],
    }


def _entries(stage: Stage) -> dict[str, object]:
    """Return what its pages would have written when somebody had set both integrations up."""
    broker = {"broker": "127.0.0.1", "port": stage.mqtt_port, "protocol": "5", "client_id": CLIENT}
    host, _, port = stage.influx.url.removeprefix("http://").partition(":")
    store = {"api_version": "1", "host": host, "port": int(port), "ssl": False, "verify_ssl": False, "database": "hub"}
    entries = [_entry("mqtt", 2, broker | {"discovery": False}), _entry("influxdb", 1, store)]
    return {"version": 1, "minor_version": 5, "key": "core.config_entries", "data": {"entries": entries}}


def _entry(domain: str, version: int, data: dict[str, object]) -> dict[str, object]:
    return {
        "created_at": _MOMENT,
        "data": data,
        "disabled_by": None,
        "discovery_keys": {},
        "domain": domain,
        "entry_id": domain,
        "minor_version": 1,
        "modified_at": _MOMENT,
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "subentries": [],
        "title": domain,
        "unique_id": None,
        "version": version,
    }


RIVAL = Rival(subject="Home Assistant, MQTT sensors, influxdb", executable="hass", put=program)
AUTOMATED = Rival(
    subject="Home Assistant, the same and three automations", executable="hass", put=partial(program, automated=True)
)
