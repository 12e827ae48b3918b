"""Devices in foreign networks: their documents, what their networks publish of them, and asking them for something."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import orjson

from hub.model.effects import Effects, Reply
from hub.model.heard import Publish
from hub.model.records import Control
from hub.normalize.networks.directory import carried_over
from hub.revisions.comparing import understood
from tests.engine.desk import SECOND, Desk, device, documents
from tests.normalize.networks.bridge import SMOKE

APPLICATION = "17c82e96-be03-4f38-aef3-f83d48582d97"
EUI = "24e124535b316056"


def source(name: str, network: str, **params: object) -> dict[str, bytes]:
    """Return a source document."""
    return {f"source/{name}": orjson.dumps({"source": name, "network": network, "params": params})}


def foreign(name: str, kind: str, profile: str, source: str, network_id: str, **params: object) -> dict[str, bytes]:
    """Return the document of a device in a foreign network."""
    ((key, body),) = device(name, kind, profile).items()
    row = {**orjson.loads(body), "source": source, "network_id": network_id, "params": params}
    return {key: orjson.dumps(row)}


LORA = source("lora", "chirpstack")
ZIGBEE = source("z2m", "zigbee2mqtt")
DOORS = source("doors", "uhppoted")
RAW = source("raw", "raw")
SMOKE_1 = foreign("smoke-1", "smoke_sensor", "milesight/gs524n", "lora", EUI)
GAS_1 = foreign("gas-1", "gas_detector", "milesight/gs101", "lora", "24e124ffffffff01")
KITCHEN = foreign("kitchen", "smoke_sensor", "aqara/jy-gz-01aq", "z2m", "kitchen")
GATE = foreign("gate", "access_controller", "uhppoted/ut0311-l04", "doors", "405419896", card=8165538)
CAMERA = foreign("cam-1", "smoke_sensor", "milesight/gs524n", "raw", "cam-1")
WANTED = documents(
    LORA, ZIGBEE, DOORS, RAW, SMOKE_1, GAS_1, KITCHEN, GATE, CAMERA, device("door-1", "access_controller")
)


def uplink(payload: str, *, dedupe: str = "m1", eui: str = EUI, stream: str = "up", **words: object) -> Publish:
    """Return what ChirpStack publishes of a frame (hex)."""
    data = base64.b64encode(bytes.fromhex(payload)).decode()
    body = {"deduplicationId": dedupe, "fPort": 85, "data": data, **words}
    return Publish(f"application/{APPLICATION}/device/{eui}/event/{stream}", orjson.dumps(body))


def said(topic: str, body: object, *, retain: bool = False) -> Publish:
    return Publish(topic, orjson.dumps(body), retain=retain)


def letters(effects: Effects) -> list[tuple[str, str, str]]:
    return [(letter.code, letter.site, letter.device) for letter in effects.dead_letters]


def alarming(effects: Effects) -> list[tuple[str, object]]:
    """Return (device, whether it says alarm) of every point."""
    return [(series.device, values.get("alarm")) for series, _, values in effects.points]


def listing(*, name: str = "hall", address: str = "0x00158d0001b7d2a3", exposes: list[object] | None = None) -> bytes:
    """Return a bridge/devices of one smoke alarm."""
    definition = {"vendor": "Xiaomi", "model": "JTYJ", "exposes": SMOKE if exposes is None else exposes}
    return orjson.dumps(
        [{"friendly_name": name, "ieee_address": address, "type": "EndDevice", "definition": definition}]
    )


def directed(wanted: Mapping[str, bytes], payload: bytes) -> dict[str, bytes]:
    """Return ``wanted`` with what the rim makes of a directory."""
    rows = [body for key, body in wanted.items() if key.startswith(("device/", "source/"))]
    return {**wanted, **carried_over(understood({"z2m": payload}, wanted), rows)}


HALL = foreign("hall", "smoke_sensor", "", "z2m", "0x00158d0001b7d2a3")


def ask(desk: Desk, name: str, command: str, identity: str = "c1", **args: object) -> tuple[Reply, Effects]:
    """Ask for a command as an operator does; return the answer and the effects."""
    words = {"site": "s1", "device": name, "command": command, **args}
    control = Control(f"{len(desk.records)}-1", identity, "li", "command", desk.wall + 10 * SECOND, words)  # type: ignore[arg-type] # test words
    effects = desk.say(control)
    return effects.replies[0], effects


def state_of(desk: Desk, identity: str = "c1") -> str:
    return desk.engine._hands.commands[identity].state.value  # noqa: SLF001 -- an open command shows nowhere else
