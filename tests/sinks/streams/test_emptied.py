"""A living Redis that somebody empties: a hub at work shows it everything again."""

from __future__ import annotations

from pathlib import Path

import aiomqtt

from hub.app import Hub
from hub.clock import SystemClock
from hub.registry.nouns import Device, Site
from hub.registry.registry import Registry
from hub.sinks.stream_readers import read_twins
from hub.ui.pages.observing import Watch
from tests.machine import needs_mosquitto
from tests.running import running, settings_of
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until


@needs_mosquitto
async def test_a_silent_device_has_its_twin_again(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> None:
    settings = settings_of(tmp_path, mosquitto, valkey)
    settings.data_dir.mkdir()
    async with Registry(settings.registry_url()) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        await registry.add_devices([Device(site="s1", id="env", kind="environment_sensor")])
    async with valkey.link() as link, Hub(settings, SystemClock()) as hub, running(hub):
        await wait_until(lambda: not Watch(hub).missing())
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as device:
            await device.publish("hub/s1/env/telemetry", b'{"values": {"co2": 500}}', qos=1)
        await wait_until(lambda: read_twins(link, "s1"))
        await link.ask("FLUSHALL")
        await wait_until(lambda: read_twins(link, "s1"))
