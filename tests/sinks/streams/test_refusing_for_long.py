"""A key that refuses for very long: what waits behind it has an end on the disk, and no end is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiomqtt

from hub.app import Hub
from hub.clock import SystemClock
from hub.config.settings import CheckpointSettings
from hub.journal.room import RESERVED_BYTES
from hub.metrics import Metrics
from hub.sinks.streams import DEAD_LETTERS
from hub.ui.pages.observing import Watch, observe
from tests.machine import needs_mosquitto
from tests.running import running, settings_of
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

ROOM = 6 * 2**20
MESSAGES, PAYLOAD = 80, b"x" * (100 * 1024)
"""A third more than fits, whole in the outbox: a dead letter each, for nobody knows the device."""


@needs_mosquitto
async def test_when_the_room_is_full_the_broker_queues_and_when_it_is_mended_everything_comes_once(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer
) -> None:
    plain = settings_of(tmp_path, mosquitto, valkey)
    settings = plain.model_copy(update={"checkpoint": CheckpointSettings(every=timedelta(milliseconds=100))})
    async with valkey.link() as link, Hub(settings, SystemClock()) as hub:
        hub.limits = replace(hub.limits, retention_bytes=RESERVED_BYTES + ROOM)
        metrics = Metrics()
        observe(hub, metrics)

        def codes() -> set[str]:
            return {reason.code for reason in Watch(hub).missing()}

        def on_disk() -> float:
            return metrics.values()["hub_outbox_disk_bytes"]

        await link.ask("SET", DEAD_LETTERS, "somebody else's")
        async with running(hub), aiomqtt.Client("127.0.0.1", mosquitto.port) as device:
            await wait_until(lambda: not codes())
            for _ in range(MESSAGES):
                await device.publish("hub/s1/nobody/telemetry", PAYLOAD, qos=1)
            # What was heard last becomes what is owed with the next checkpoint.
            await wait_until(lambda: "journal_held_up" in codes() and on_disk() > ROOM // 2)
            assert on_disk() < ROOM * 11 // 10
            await link.ask("DEL", DEAD_LETTERS)
            await wait_until(lambda: hub.engine.state.ledger.dead_lettered == MESSAGES)
            await wait_until(lambda: hub.streams_box.is_empty)
            await wait_until(lambda: not codes())
            assert await link.ask("XLEN", DEAD_LETTERS) == MESSAGES
            assert on_disk() == 0
