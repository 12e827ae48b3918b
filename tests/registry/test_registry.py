"""The registry: what it keeps, what it refuses, and what the engine and the broker read from it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from hub.errors import ConfigError, CorruptError
from hub.registry.nouns import Connection, Device, DeviceState, Place, PlaceType, Site
from hub.registry.registry import Registry

SITE = Site(id="s1", zone="Asia/Shanghai", label={"en": "Willow Court", "zh": "柳园"}, facts={"city": "Ningbo"})
BUILDING = Place(site="s1", id="b3", type=PlaceType.BUILDING)
UNIT = Place(site="s1", id="b3-u1", type=PlaceType.UNIT, parent="b3")
DWELLING = Place(site="s1", id="b3-u1-502", type=PlaceType.DWELLING, parent="b3-u1", facts={"care_watch": True})
SENSOR = Device(
    site="s1", id="smoke-1", kind="smoke_sensor", profile="milesight/gs524n", place="b3-u1-502", serial="SN-1"
)
GATE = Device(site="s1", id="gate-1", kind="access_controller", params={"doors": 2})


def url(directory: Path) -> str:
    return f"sqlite+aiosqlite:///{directory / 'data' / 'registry.sqlite'}"


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    async with Registry(url(tmp_path)) as opened:
        yield opened


async def furnished(registry: Registry) -> None:
    await registry.add_site(SITE)
    await registry.add_places([BUILDING, UNIT, DWELLING])
    await registry.add_devices([SENSOR, GATE])


async def test_what_was_added_is_there_after_a_restart(tmp_path: Path) -> None:
    async with Registry(url(tmp_path)) as registry:
        await furnished(registry)
    async with Registry(url(tmp_path)) as registry:
        assert await registry.sites() == [SITE]
        assert await registry.places() == [BUILDING, UNIT, DWELLING]
        assert await registry.devices() == [GATE, SENSOR]
        assert await registry.revision() == 3


async def test_a_devices_document_names_its_building_and_time_zone(registry: Registry) -> None:
    await furnished(registry)
    bodies = await registry.documents()
    assert sorted(bodies) == [
        "device/s1/gate-1",
        "device/s1/smoke-1",
        "place/s1/b3",
        "place/s1/b3-u1",
        "place/s1/b3-u1-502",
        "place/s1/s1",
    ]
    assert orjson.loads(bodies["device/s1/smoke-1"]) == {
        "site": "s1",
        "device": "smoke-1",
        "kind": "smoke_sensor",
        "profile": "milesight/gs524n",
        "building": "b3",
        "place": "b3-u1-502",
        "zone": "Asia/Shanghai",
        "params": {},
    }
    assert orjson.loads(bodies["place/s1/b3-u1-502"]) == {
        "site": "s1",
        "place": "b3-u1-502",
        "type": "dwelling",
        "parent": "b3-u1",
        "building": "b3",
        "zone": "Asia/Shanghai",
        "label": {},
        "facts": {"care_watch": True},
    }
    assert orjson.loads(bodies["device/s1/gate-1"])["building"] == ""
    assert orjson.loads(bodies["device/s1/gate-1"])["place"] == "s1"


async def test_documents_are_canonical_bytes(registry: Registry) -> None:
    await furnished(registry)
    body = (await registry.documents())["place/s1/s1"]
    assert (
        body
        == (
            '{"building":"","facts":{"city":"Ningbo"},"label":{"en":"Willow Court","zh":"柳园"},'
            '"parent":"","place":"s1","site":"s1","type":"site","zone":"Asia/Shanghai"}'
        ).encode()
    )


async def test_one_bad_device_keeps_all_of_its_batch_out(registry: Registry) -> None:
    await furnished(registry)
    before = await registry.snapshot()
    good = Device(site="s1", id="smoke-2", kind="smoke_sensor")
    with pytest.raises(ConfigError, match="'smoke-1' exists already"):
        await registry.add_devices([good, SENSOR])
    assert await registry.snapshot() == before


@pytest.mark.parametrize(
    ("device", "complaint"),
    [
        (Device(site="s1", id="a/b", kind="gate"), "'a/b' is not 1 to 64"),
        (Device(site="s1", id="", kind="gate"), "'' is not 1 to 64"),
        (Device(site="s1", id="x" * 65, kind="gate"), "is not 1 to 64"),
        (Device(site="s1", id="+", kind="gate"), "'\\+' is not 1 to 64"),
        (Device(site="s2", id="a", kind="gate"), "which site 's2' does not have"),
        (Device(site="s1", id="a", kind="gate", place="moon"), "is at 'moon'"),
        (Device(site="s1", id="a", kind="gate", profile="gs524n"), "is not vendor/model"),
        (Device(site="s1", id="a", kind="gate", serial="SN-1"), "has the serial 'SN-1' of another device"),
        (Device(site="s1", id="a", kind="gate", user="a:b"), "user 'a:b'"),
        (Device(site="s1", id="a\n", kind="gate"), "is not 1 to 64"),
    ],
)
async def test_a_device_that_could_not_work_is_refused(registry: Registry, device: Device, complaint: str) -> None:
    await furnished(registry)
    with pytest.raises(ConfigError, match=complaint):
        await registry.add_devices([device])


async def test_two_devices_of_one_batch_may_not_share_an_id(registry: Registry) -> None:
    await registry.add_site(SITE)
    with pytest.raises(ConfigError, match="exists already"):
        await registry.add_devices([GATE, GATE])
    assert await registry.devices() == []


async def test_many_problems_are_told_in_one_message_that_stays_short(registry: Registry) -> None:
    await registry.add_site(SITE)
    with pytest.raises(ConfigError, match="and 95 more"):
        await registry.add_devices([Device(site="s1", id=f"d{n}", kind="gate", place="moon") for n in range(100)])


@pytest.mark.parametrize(
    ("site", "complaint"),
    [
        (Site(id="_hub", zone="Asia/Shanghai"), "keeps for itself"),
        (Site(id="s 1", zone="Asia/Shanghai"), "is not 1 to 64"),
        (Site(id="s1", zone="Beijing"), "not an IANA name"),
        (Site(id="s1", zone="../etc/passwd"), "not an IANA name"),
        (Site(id="s1", zone=""), "not an IANA name"),
    ],
)
async def test_a_site_that_could_not_work_is_refused(registry: Registry, site: Site, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        await registry.add_site(site)
    assert await registry.sites() == []


async def test_a_site_cannot_be_added_twice(registry: Registry) -> None:
    await registry.add_site(SITE)
    with pytest.raises(ConfigError, match="exists already"):
        await registry.add_site(SITE)


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        (Place(site="s1", id="f1", type=PlaceType.FLOOR, parent="b9"), "below 'b9'"),
        (Place(site="s1", id="b3", type=PlaceType.BUILDING), "exists already"),
        (Place(site="s1", id="s9", type=PlaceType.SITE), "is a site"),
        (Place(site="s2", id="b1", type=PlaceType.BUILDING), "which site 's2' does not have"),
        (Place(site="s1", id="f1", type=PlaceType.FLOOR, parent="f1"), "below 'f1'"),
    ],
)
async def test_a_place_that_would_break_the_tree_is_refused(registry: Registry, place: Place, complaint: str) -> None:
    await registry.add_site(SITE)
    await registry.add_places([BUILDING])
    with pytest.raises(ConfigError, match=complaint):
        await registry.add_places([place])
    assert await registry.places() == [BUILDING]


async def test_every_change_bumps_the_revision_and_no_refusal_does(registry: Registry) -> None:
    assert await registry.revision() == 0
    await registry.add_site(SITE)
    assert await registry.revision() == 1
    with pytest.raises(ConfigError):
        await registry.add_devices([SENSOR])
    assert await registry.revision() == 1
    await registry.add_devices([GATE])
    await registry.set_device_state("s1", "gate-1", DeviceState.DISABLED)
    assert await registry.revision() == 3


async def test_a_disabled_device_is_neither_judged_nor_connected(registry: Registry) -> None:
    await registry.add_site(SITE)
    await registry.add_devices([Device(site="s1", id="gate-1", kind="access_controller", user="gate-1")])
    await registry.set_password_hashes({"gate-1": "$7$101$a$b"})
    assert len(await registry.connections()) == 1
    await registry.set_device_state("s1", "gate-1", DeviceState.DISABLED)
    assert "device/s1/gate-1" not in await registry.documents()
    assert await registry.connections() == []
    assert [device.state for device in await registry.devices()] == [DeviceState.DISABLED]


async def test_a_removed_device_is_forgotten(registry: Registry) -> None:
    await furnished(registry)
    await registry.remove_device("s1", "gate-1")
    assert await registry.devices() == [SENSOR]
    with pytest.raises(ConfigError, match="has no device 'gate-1'"):
        await registry.remove_device("s1", "gate-1")


async def test_a_gateway_user_carries_several_devices(registry: Registry) -> None:
    await registry.add_site(SITE)
    await registry.add_devices(
        [Device(site="s1", id=f"smoke-{n}", kind="smoke_sensor", user="gateway-1") for n in range(2)]
    )
    await registry.set_password_hashes({"gateway-1": "$7$101$a$b", "nobody": "$7$101$c$d"})
    assert await registry.connections() == [
        Connection(user="gateway-1", password_hash="$7$101$a$b", devices=(("s1", "smoke-0"), ("s1", "smoke-1")))
    ]


async def test_a_partition_sees_only_its_own_sites(registry: Registry) -> None:
    await registry.add_site(SITE)
    await registry.add_site(Site(id="s2", zone="Asia/Urumqi", partition="west"))
    await registry.add_devices([GATE, Device(site="s2", id="gate-9", kind="access_controller")])
    assert sorted(await registry.documents("west")) == ["device/s2/gate-9", "place/s2/s2"]
    assert sorted(await registry.documents("main")) == ["device/s1/gate-1", "place/s1/s1"]


async def test_two_hubs_see_each_others_changes(tmp_path: Path) -> None:
    async with Registry(url(tmp_path)) as one, Registry(url(tmp_path)) as other:
        await one.add_site(SITE)
        assert await other.revision() == 1
        await other.add_devices([GATE])
        assert await one.devices() == [GATE]


async def test_a_registry_of_a_newer_hub_is_refused(tmp_path: Path) -> None:
    async with Registry(url(tmp_path)):
        pass
    with sqlite3.connect(tmp_path / "data" / "registry.sqlite") as database:
        database.execute("UPDATE registry_state SET schema = 99")
    database.close()
    with pytest.raises(ConfigError, match="the registry has schema 99"):
        await Registry(url(tmp_path)).__aenter__()


async def test_a_damaged_registry_is_refused_and_never_started_empty(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "registry.sqlite"
    file.write_bytes(b"not a database at all" * 100)
    with pytest.raises(CorruptError):
        await Registry(url(tmp_path)).__aenter__()
    assert file.read_bytes().startswith(b"not a database")
