"""Poison: messages that never will work, and the end that each comes to."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.town import SITE

BIG = 300 * 1024


@dataclass(frozen=True, slots=True)
class Poison:
    """A message that never will work, and the end it comes to; ``code`` of a refusal is not that of a dead letter."""

    topic: str
    payload: bytes
    code: str
    is_refused: bool = False


ENV, DOOR = f"hub/{SITE}/env-1", f"hub/{SITE}/door"
POISONS = (
    Poison(f"{ENV}/telemetry", b'{"values": {"co2": 1', "bad_json"),
    Poison(f"{ENV}/telemetry", b"", "bad_json"),
    Poison(f"{ENV}/telemetry", b'{"values": {"co2": "\xff\xfe"}}', "bad_json"),
    Poison(f"{ENV}/telemetry", b'{"values": {"co2": []}}', "bad_value"),
    Poison(f"{ENV}/telemetry", b"[" * 100_000, "too_deep"),
    Poison(f"{ENV}/telemetry", b'{"values": {"co2": 1}, "part": "a b"}', "bad_part"),
    Poison(f"{ENV}/telemetry", b"x" * BIG, "too_large", is_refused=True),
    Poison(f"hub/{SITE}/nobody/telemetry", b'{"values": {"co2": 1}}', "unknown_device"),
    Poison("hub/elsewhere/env-1/telemetry", b'{"values": {"co2": 1}}', "unknown_device"),
    Poison(f"hub/{SITE}/env 1/telemetry", b'{"values": {"co2": 1}}', "bad_topic", is_refused=True),
    Poison(f"hub/{SITE}/烟感/telemetry", b'{"values": {"co2": 1}}', "bad_topic", is_refused=True),
    Poison("hub/_hub/env-1/telemetry", b'{"values": {"co2": 1}}', "bad_topic", is_refused=True),
    Poison(f"{DOOR}/signal", b'{"signals": [{"name": "access.granted", "card": 1e999}]}', "bad_value"),
    Poison(f"{DOOR}/response", b'{"id": "nobody asked", "ok": true}', "unknown_command"),
    Poison(f"{DOOR}/availability", b"perhaps", "bad_availability"),
    Poison(f"hub/{SITE}/smoke/telemetry", bytes.fromhex("221164321F19"), "bad_checksum"),
)
