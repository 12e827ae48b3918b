"""A benchmark tells lost from late, and from what a broker sent again because a connection was cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.hub_process import HubProcess, Losses, Setup
from benchmarks.load import Load
from benchmarks.stage import staged
from benchmarks.traffic import Traffic
from hub.errors import UnavailableError
from tests.machine import needs
from tests.servers.proxy import Proxy
from tests.waiting import wait_until

DEVICES, COUNT = 20, 2_000


@needs("mosquitto")
@needs("influxd")
async def test_what_comes_again_after_a_cut_is_not_lost(tmp_path: Path) -> None:
    async with staged(tmp_path / "stage") as stage, Proxy(stage.mosquitto.port).serve() as proxy:
        hub = HubProcess(stage, Traffic(DEVICES), Setup(mqtt_port=proxy.port))
        try:
            await hub.register()
            await hub.start()
            proxy.blackhole(down=False)  # no ack reaches the broker
            await Load(stage, hub, DEVICES).send(COUNT)
            proxy.heal()
            proxy.reset()

            async def is_known() -> bool:
                return (await hub.metrics())["hub_messages_deduplicated_total"] >= COUNT

            await wait_until(is_known)
            losses = await hub.stop()
        finally:
            await hub.kill()
    assert losses == Losses(unheard=0, points=0, events=0)
    heard, known = (hub.last_counts[f"hub_messages_{what}_total"] for what in ("heard", "deduplicated"))
    assert heard - known == COUNT  # a cut more is no loss either


@needs("mosquitto")
@needs("influxd")
async def test_what_is_late_is_not_called_lost(tmp_path: Path) -> None:
    async with staged(tmp_path / "stage") as stage:
        hub = HubProcess(stage, Traffic(DEVICES), Setup())
        try:
            await hub.register()
            await hub.start()
            hub.expect(range(3))
            with pytest.raises(UnavailableError, match="not_yet_delivered") as caught:
                await hub.until_delivered(seconds=0.1)
        finally:
            await hub.kill()
    assert (caught.value.fields["published"], caught.value.fields["written"]) == (3, 0)
