"""A living Redis that somebody empties: a hub at work shows it everything again, and tells of what it cannot show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from hub.app import Hub
from hub.clock import SystemClock
from hub.config.settings import Settings
from hub.metrics import Metrics
from hub.model.effects import Event
from hub.registry.nouns import Device, Site
from hub.registry.registry import Registry
from hub.sinks import retention
from hub.sinks.redis_link import Link
from hub.sinks.stream_readers import read_events, read_twins
from hub.sinks.streams import cursor_key, domain_key
from hub.ui.pages.observing import Watch, observe
from tests.machine import needs_mosquitto
from tests.running import running, settings_of
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

pytestmark = needs_mosquitto


@pytest.fixture
async def settings(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> Settings:
    settings = settings_of(tmp_path, mosquitto, valkey)
    settings.data_dir.mkdir()
    async with Registry(settings.registry_url()) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        await registry.add_devices([Device(site="s1", id="env", kind="environment_sensor")])
    return settings


@asynccontextmanager
async def ready(settings: Settings) -> AsyncIterator[Hub]:
    """Let a hub work meanwhile, from when it has connected."""
    async with Hub(settings, SystemClock()) as hub, running(hub):
        await wait_until(lambda: "session_blind" not in codes(hub) and hub.stream_sink.connected)
        yield hub


def codes(hub: Hub) -> list[str]:
    return [reason.code for reason in Watch(hub).missing()]


async def say(mosquitto: Mosquitto, device: str) -> None:
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        await client.publish(f"hub/s1/{device}/telemetry", b'{"values": {"co2": 500}}', qos=1)


async def delivered(hub: Hub, link: Link, after: int = 0) -> int:
    """Wait until something behind record ``after`` was delivered and the hub knows it; return the record."""

    async def record() -> int:
        said = await link.ask("HGET", cursor_key("main"), "record")
        known = hub.streams_box.cursor
        return known if isinstance(said, bytes) and int(said) == known > after else 0

    await wait_until(record)
    return await record()


async def told(link: Link, count: int) -> list[tuple[str, dict[str, object]]]:
    """Wait for so many events of the hub's own and return them."""

    async def found() -> list[Event]:
        events = await read_events(link, ["device"])
        return events if len(events) >= count else []

    await wait_until(found)
    return [(event.name, dict(event.data)) for event in await found()]


async def test_a_silent_device_has_its_twin_again(
    settings: Settings, mosquitto: Mosquitto, valkey: ValkeyServer
) -> None:
    async with valkey.link() as link, ready(settings):
        await say(mosquitto, "env")
        await wait_until(lambda: read_twins(link, "s1"))
        await link.ask("FLUSHALL")
        await wait_until(lambda: read_twins(link, "s1"))


async def test_what_is_gone_is_told_by_an_event_a_reason_and_figures_with_the_groups_that_went_too(
    settings: Settings, mosquitto: Mosquitto, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "TRIM_EVERY_SECONDS", 3.0)  # the loss is found within a second
    fire = domain_key("fire")
    async with valkey.link() as link:
        await link.ask("XGROUP", "CREATE", fire, "billing", "0", "MKSTREAM")
        async with ready(settings) as hub:
            await say(mosquitto, "nobody")
            last = await delivered(hub, link)
            await wait_until(lambda: hub.retention._groups)  # noqa: SLF001 -- nothing else shows that it has looked
            await link.ask("FLUSHALL")
            await wait_until(lambda: "redis_forgot" in codes(hub) and hub.retention.gone)
            metrics = Metrics()
            observe(hub, metrics)
            values = metrics.values()
            assert await told(link, 2) == [
                ("device.stream_tail_lost", {"expected": last, "found": 0}),
                ("device.consumer_group_lost", {"stream": fire, "group": "billing"}),
            ]
    names = ("hub_streams_forgotten_total", "hub_consumer_groups_forgotten_total", "hub_entries_rejected_total")
    assert [values[name] for name in names] == [1, 1, 0]


async def test_what_went_while_the_hub_was_down_is_told_too(
    settings: Settings, mosquitto: Mosquitto, valkey: ValkeyServer
) -> None:
    async with valkey.link() as link:
        async with ready(settings) as hub:
            await say(mosquitto, "nobody")
            first = await delivered(hub, link)
            await say(mosquitto, "nobody")
            last = await delivered(hub, link, after=first)
        await link.ask("FLUSHALL")
        async with ready(settings) as hub:
            await wait_until(lambda: "redis_forgot" in codes(hub))
            assert await told(link, 1) == [("device.stream_tail_lost", {"expected": last, "found": 0})]
