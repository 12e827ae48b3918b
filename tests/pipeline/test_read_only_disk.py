"""A disk that becomes read-only under a hub at work, a journal over its size: it stays up, and goes on by itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import aiomqtt
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from hub.app import Hub
from hub.clock import SystemClock
from hub.config.settings import (
    CheckpointSettings,
    MqttSettings,
    RedisSettings,
    RetentionSettings,
    Settings,
    TimeseriesSettings,
)
from hub.ui.pages.observing import Watch
from tests.journal.papers import MIB, heavy, journal, set_read_only
from tests.machine import needs_mosquitto
from tests.running import running
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until


@pytest.fixture
def settings(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> Settings:
    """Return those of a hub at these servers."""
    return Settings(
        data_dir=tmp_path / "data",
        mqtt=MqttSettings(port=mosquitto.port),
        redis=RedisSettings(url=SecretStr(valkey.url)),
        timeseries=TimeseriesSettings(store="local"),
    )


@needs_mosquitto
async def test_a_hub_whose_disk_is_read_only_says_so_acknowledges_nothing_and_goes_on_by_itself(
    mosquitto: Mosquitto, settings: Settings
) -> None:
    def set_disk(*, is_read_only: bool) -> None:
        for file in (hub.journal, hub.state_file):
            set_read_only(file, is_on=is_read_only)

    def held_up() -> list[str]:
        return [reason.detail for reason in watch.missing() if reason.code == "journal_held_up"]

    async with Hub(settings, SystemClock()) as hub, running(hub):
        watch = Watch(hub)
        await wait_until(lambda: not watch.missing())
        set_disk(is_read_only=True)
        assert "disk_read_only" in str(await wait_until(held_up))
        set_disk(is_read_only=False)
        await wait_until(lambda: not watch.missing())  # though nothing was said that it could take
        set_disk(is_read_only=True)
        await wait_until(held_up)
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as device:
            await device.publish("hub/s1/d1/telemetry", b"{}", qos=1)
        await wait_until(lambda: hub.inbox.waiting_messages)
        assert hub.hearing.acknowledged["telemetry"] == 0
        set_disk(is_read_only=False)
        await wait_until(lambda: hub.hearing.acknowledged["telemetry"] == 1)
        await wait_until(lambda: hub.engine.state.ledger.heard == 1 and not watch.missing())


@needs_mosquitto
async def test_a_checkpoint_that_the_disk_refused_covers_nothing_until_it_is_made(settings: Settings) -> None:
    often = settings.model_copy(update={"checkpoint": CheckpointSettings(every=timedelta(seconds=1))})
    async with Hub(often, SystemClock()) as hub, running(hub):
        watch = Watch(hub)
        await wait_until(lambda: hub.applying.checkpoints.position and not watch.missing())
        set_read_only(hub.state_file, is_on=True)
        with capture_logs() as logs:
            await wait_until(lambda: [line for line in logs if line["event"] == "checkpoint_held_up"])
        assert "state.sqlite" in {why.code: why.detail for why in watch.missing()}["journal_held_up"]
        assert hub.applying.checkpoints.position == (await hub.state_file.load()).position
        heard_until = hub.journal.last
        set_read_only(hub.state_file, is_on=False)
        await wait_until(lambda: hub.applying.checkpoints.position > heard_until)
        covered = hub.applying.checkpoints.position
        assert (await hub.state_file.load()).position >= covered
        await wait_until(lambda: not watch.missing())


@needs_mosquitto
async def test_a_journal_over_its_size_that_no_checkpoint_covers_makes_room_by_itself(settings: Settings) -> None:
    """As after a kill, or without its state, of a hub whose retention.size is lower now: no start mended that."""
    settings.files_dir.mkdir(parents=True)
    async with journal(settings.files_dir) as opened:
        for position in range(1, 71):
            await opened.append([heavy(position)])
    less = {
        "checkpoint": CheckpointSettings(every=timedelta(seconds=1)), "retention": RetentionSettings(size=64 * MIB),
    }  # fmt: skip
    async with Hub(settings.model_copy(update=less), SystemClock()) as hub, running(hub):
        watch = Watch(hub)
        await wait_until(lambda: hub.applying.checkpoints.position > opened.last and not watch.missing())
