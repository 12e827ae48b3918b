"""Foreign networks in the registry: their devices, what they call them, and which partition hears them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from hub.errors import ConfigError
from hub.registry.nouns import Device, Source
from hub.registry.registry import Registry
from tests.registry.furnished import SITE, furnished

LORA = Source(id="lora", network="chirpstack", params={"application": "17c82e96"})

DETECTOR = Device(site="s1", id="smoke-9", kind="smoke_sensor", source="lora", network_id="24e124535b316056")


async def test_a_device_of_a_foreign_network_is_there_after_a_restart(url: str) -> None:
    async with Registry(url) as registry:
        await registry.add_site(SITE)
        await registry.add_source(LORA)
        await registry.add_devices([DETECTOR])
    async with Registry(url) as registry:
        assert await registry.sources() == [LORA]
        assert await registry.devices() == [DETECTOR]
        assert await registry.revision() == 3


async def test_the_engine_learns_of_a_source_and_what_it_calls_its_devices(registry: Registry) -> None:
    await furnished(registry)
    await registry.add_source(LORA)
    await registry.add_devices([DETECTOR])
    bodies = await registry.documents()
    assert bodies["source/lora"] == b'{"network":"chirpstack","params":{"application":"17c82e96"},"source":"lora"}'
    row = orjson.loads(bodies["device/s1/smoke-9"])
    assert (row["source"], row["network_id"]) == ("lora", "24e124535b316056")
    assert "source" not in orjson.loads(bodies["device/s1/smoke-1"])


async def test_a_partition_sees_only_its_own_sources(registry: Registry) -> None:
    await registry.add_source(LORA)
    await registry.add_source(Source(id="west-lora", network="chirpstack", partition="west"))
    assert sorted(await registry.documents("west")) == ["source/west-lora"]
    assert sorted(await registry.documents("main")) == ["source/lora"]
    assert sorted(await registry.documents()) == ["source/lora", "source/west-lora"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"source": "zigbee"}, "is of source 'zigbee', which does not exist; known: lora, west"),
        ({"source": "west"}, "is in partition 'main', its source in 'west'"),
        ({"network_id": ""}, "has the network id ''"),
        ({"network_id": "a+"}, "has the network id 'a\\+'"),
        ({"network_id": "a\x00"}, "1 to 128 printable"),
        ({"network_id": "x" * 129}, "1 to 128 printable"),
        ({"source": ""}, "is of source '', which does not exist"),
        ({"network_id": "24e124535b316056"}, "of another device of lora"),
    ],
)
async def test_a_foreign_device_that_could_not_work_is_refused(
    registry: Registry, changes: dict[str, Any], complaint: str
) -> None:
    await registry.add_site(SITE)
    await registry.add_source(LORA)
    await registry.add_source(Source(id="west", network="chirpstack", partition="west"))
    await registry.add_devices([DETECTOR])
    other: dict[str, Any] = {"id": "smoke-10", "network_id": "烟感 1", **changes}
    with pytest.raises(ConfigError, match=complaint):
        await registry.add_devices([replace(DETECTOR, **other)])
    assert await registry.devices() == [DETECTOR]


async def test_two_devices_of_one_batch_may_not_share_a_network_id(registry: Registry) -> None:
    await registry.add_site(SITE)
    await registry.add_source(LORA)
    with pytest.raises(ConfigError, match="of another device of lora"):
        await registry.add_devices([DETECTOR, replace(DETECTOR, id="smoke-10")])


async def test_two_networks_may_call_different_devices_alike(registry: Registry) -> None:
    await registry.add_site(SITE)
    await registry.add_source(LORA)
    await registry.add_source(Source(id="b2", network="chirpstack"))
    await registry.add_devices([DETECTOR, replace(DETECTOR, id="smoke-10", source="b2")])
    assert [device.source for device in await registry.devices()] == ["b2", "lora"]


@pytest.mark.parametrize(
    "source", [Source(id="a/b", network="raw"), Source(id="a", network=""), Source(id="", network="raw")]
)
async def test_a_source_that_could_not_work_is_refused(registry: Registry, source: Source) -> None:
    with pytest.raises(ConfigError, match="is not 1 to 64"):
        await registry.add_source(source)
    assert await registry.sources() == []


async def test_a_source_cannot_be_added_twice(registry: Registry) -> None:
    await registry.add_source(LORA)
    with pytest.raises(ConfigError, match="source 'lora' exists already"):
        await registry.add_source(LORA)


async def test_a_source_goes_when_no_device_needs_it(registry: Registry) -> None:
    await registry.add_site(SITE)
    await registry.add_source(LORA)
    await registry.add_devices([DETECTOR])
    with pytest.raises(ConfigError, match="1 devices are of source 'lora'"):
        await registry.remove_source("lora")
    await registry.remove_device("s1", "smoke-9")
    await registry.remove_source("lora")
    assert await registry.sources() == []
    with pytest.raises(ConfigError, match="there is no source 'lora'"):
        await registry.remove_source("lora")
