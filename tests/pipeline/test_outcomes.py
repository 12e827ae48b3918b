"""What became of a command goes along with messages, and is in the journal of a hub that was stopped meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from hub.app import Hub
from hub.bridge import uplink
from hub.bridge.topics import command_topic
from hub.clock import SystemClock
from hub.config.settings import MqttSettings, RedisSettings, Settings, TimeseriesSettings
from hub.model.effects import Transmission
from hub.model.heard import Delivery, Packets, Publish
from hub.model.records import Outcome, OutcomeKind
from tests.machine import needs_mosquitto
from tests.running import running, settings_of
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

TOO_MANY = 1_001


def _transmission(command: str) -> Transmission:
    return Transmission(
        command=command,
        topic=command_topic("s1", "door"),
        payload=b"{}",
        expires_at=SystemClock().wall_ns() + 10_000_000_000,
        response_topic="",
        correlation=b"",
        reflex=True,
    )


async def test_what_became_of_a_command_waits_for_messages_as_a_tick_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An append and an fsync of its own: of 110 a second beside 20 e-bikes half were that, and causes came behind.

    The broker and Redis are never asked here: the hub is open and does not run.
    """
    settings = Settings(
        data_dir=tmp_path / "data",
        mqtt=MqttSettings(port=1),
        redis=RedisSettings(url=SecretStr("redis://127.0.0.1:1/0")),
        timeseries=TimeseriesSettings(store="local"),
    )
    monkeypatch.setattr(uplink, "NOTE_WAITS_SECONDS", 3_600)
    async with Hub(settings, SystemClock()) as hub:
        for number in range(TOO_MANY):
            hub.downlink.offer(_transmission(f"c{number}"))
        async with asyncio.TaskGroup() as group:
            taking = group.create_task(hub.inbox.take())
            await asyncio.wait([taking], timeout=0)
            assert not taking.done()
            said = Packets(b"a", [Publish("t", b"a")], 0, session_present=True)
            hub.inbox.put(Delivery(hub.sessions[0].name, 1, said))
            taken = await taking
    assert taken.notes == [Outcome("c1000", OutcomeKind.FAILED, "queue_full")]
    assert len(taken.deliveries) == 1


@needs_mosquitto
async def test_what_became_of_a_command_is_in_the_journal_of_a_hub_that_is_stopped_before_a_message_comes(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Hub(settings_of(tmp_path, mosquitto, valkey), SystemClock()) as hub:
        async with running(hub):
            await wait_until(lambda: hub.is_running and hub.downlink.counts.connects)
            monkeypatch.setattr(uplink, "NOTE_WAITS_SECONDS", 1)
            hub.downlink.offer(_transmission("c1"))
            await wait_until(lambda: hub.downlink.counts.failed)
        journaled = [record.body async for record in hub.journal.read(0)]
    kinds = [body.kind for body in journaled if isinstance(body, Outcome)]
    assert kinds == [OutcomeKind.SENT, OutcomeKind.FAILED]
