"""Devices of one installation that hear what they are told; some do it."""

from __future__ import annotations

import json
from typing import Any, Self

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from typing_extensions import override

from tests.ui.installation import SITE


class Listener:
    """A device that hears its commands, and says nothing."""

    def __init__(self, port: int, device: str) -> None:
        self.told: list[dict[str, Any]] = []
        self.is_listening = False
        self.topics = f"hub/{SITE}/{device}/"
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_connect = self._listen
        self.client.on_subscribe = self.greet
        self.client.on_message = self.hear
        self.client.connect("127.0.0.1", port)

    def __enter__(self) -> Self:
        self.client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _listen(self, *_: object) -> None:
        self.client.subscribe(self.topics + "command", 1)

    def greet(self, *_: object) -> None:
        """Do what a device does first when it is there."""
        self.is_listening = True

    def hear(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        """Take a command."""
        self.told.append(json.loads(message.payload))


class Meter(Listener):
    """A water meter that does what it is told, and reports it."""

    @override
    def greet(self, *_: object) -> None:
        self._report("open")

    @override
    def hear(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        super().hear(_client, _userdata, message)
        self.client.publish(self.topics + "response", json.dumps({"id": self.told[-1]["id"], "ok": True}), 1)
        self._report("closed")

    def _report(self, valve: str) -> None:
        self.client.publish(self.topics + "telemetry", json.dumps({"values": {"valve": valve}}), 1)
