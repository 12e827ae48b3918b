"""A key that refuses for very long: what waits behind it has an end on the disk, and no end is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from hub.app import Hub
from hub.clock import SystemClock
from hub.config.settings import CheckpointSettings
from hub.journal.room import RESERVED_BYTES
from hub.metrics import Metrics
from hub.sinks.streams import DEAD_LETTERS
from hub.ui.pages.observing import Watch, observe
from tests.bridge.device import publish
from tests.machine import needs_mosquitto
from tests.running import running, settings_of
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

ROOM = 2**20
TOPIC = f"hub/s1/{'nobody' * 10}/telemetry"
BURST, BURST_BYTES = 50, 50 * 1024
"""A dead letter each, for nobody knows the device: less than 1 KiB on the disk."""


@needs_mosquitto
async def test_when_the_room_is_full_the_broker_queues_and_when_it_is_mended_everything_comes_once(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.engine.state.SETTLING_NS", 0)  # a checkpoint covers at once what was heard
    plain = settings_of(tmp_path, mosquitto, valkey)
    settings = plain.model_copy(update={"checkpoint": CheckpointSettings(every=timedelta(milliseconds=100))})
    async with valkey.link() as link, Hub(settings, SystemClock()) as hub:
        hub.limits = replace(hub.limits, retention_bytes=RESERVED_BYTES + ROOM)
        hub.streams_box.spill = partial(hub.streams_box.spill, 0)  # type: ignore[method-assign] # owed, so on the disk
        metrics = Metrics()
        observe(hub, metrics)

        def codes() -> set[str]:
            return {reason.code for reason in Watch(hub).missing()}

        def on_disk() -> float:
            return metrics.values()["hub_outbox_disk_bytes"]

        def heard() -> int:
            return hub.engine.state.ledger.dead_lettered

        async def is_too_much(said: int) -> bool:
            """Let a device say a little more, and return whether there was no room for it."""
            await publish(mosquitto.port, [b"x"] * BURST, topic=TOPIC)
            await wait_until(lambda: heard() == said + BURST or "journal_held_up" in codes())
            return heard() < said + BURST and on_disk() > ROOM // 2

        await link.ask("SET", DEAD_LETTERS, "somebody else's")
        async with running(hub):
            await wait_until(lambda: not codes())
            said = 0
            while not await is_too_much(said):
                said += BURST
            said += BURST
            assert on_disk() < ROOM + BURST_BYTES
            await link.ask("DEL", DEAD_LETTERS)
            await wait_until(lambda: heard() == said)
            await wait_until(lambda: hub.streams_box.is_empty)
            await wait_until(lambda: not codes())
            assert await link.ask("XLEN", DEAD_LETTERS) == said
            assert on_disk() == 0
