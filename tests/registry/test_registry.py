"""The registry: what it keeps, what it refuses, and what the engine and the broker read from it."""

from __future__ import annotations

import stat
import tracemalloc
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from hub.errors import ConfigError, CorruptError
from hub.model.values import PlaceType
from hub.registry import credentials
from hub.registry.nouns import Device, DeviceState, Place, Site
from hub.registry.registry import Registry
from tests.registry.conftest import sqlite_url
from tests.registry.furnished import BUILDING, DWELLING, GATE, SENSOR, SITE, UNIT, furnished


async def test_the_documents_of_many_devices_hold_what_they_say_and_not_more(url: str) -> None:
    async with Registry(url) as registry:
        await furnished(registry)
        await registry.add_devices([replace(GATE, id=f"gate-{number}") for number in range(2, 2_002)])
        await registry.documents()
        tracemalloc.start()
        try:
            documents = await registry.documents()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert held / len(documents) < 1_024


@pytest.mark.parametrize(
    "text", ["hush", "postgresql://hub:hush@[::1/hub", "postgresql://hub:pa@ss@db:54hush/hub", "mysql+hush://db/hub"]
)
def test_an_address_that_is_none_is_refused_and_not_told(text: str) -> None:
    with pytest.raises(ConfigError, match="registry_url_invalid") as refused:
        Registry(text)
    assert "hush" not in str(refused.value)
    assert refused.value.__suppress_context__


async def test_what_was_added_is_there_after_a_restart(url: str) -> None:
    async with Registry(url) as registry:
        await furnished(registry)
    async with Registry(url) as registry:
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
        (Device(site="s2", id="a", kind="gate"), "in site 's2', which is not there"),
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
    await credentials.make_secrets(registry, [("s1", "gate-1")])
    assert [*(await credentials.read_roster(registry, {})).users] == ["gate-1"]
    await registry.set_device_state("s1", "gate-1", DeviceState.DISABLED)
    assert "device/s1/gate-1" not in await registry.documents()
    assert not (await credentials.read_roster(registry, {})).users
    assert [device.state for device in await registry.devices()] == [DeviceState.DISABLED]


async def test_a_removed_device_is_forgotten(registry: Registry) -> None:
    await furnished(registry)
    await registry.remove_device("s1", "gate-1")
    assert await registry.devices() == [SENSOR]
    with pytest.raises(ConfigError, match="has no device 'gate-1'"):
        await registry.remove_device("s1", "gate-1")


async def test_a_partition_sees_only_its_own_sites(registry: Registry) -> None:
    await registry.add_site(SITE)
    await registry.add_site(Site(id="s2", zone="Asia/Urumqi", partition="west"))
    await registry.add_devices([GATE, Device(site="s2", id="gate-9", kind="access_controller")])
    assert sorted(await registry.documents("west")) == ["device/s2/gate-9", "place/s2/s2"]
    assert sorted(await registry.documents("main")) == ["device/s1/gate-1", "place/s1/s1"]


async def test_two_hubs_see_each_others_changes(url: str) -> None:
    async with Registry(url) as one, Registry(url) as other:
        await one.add_site(SITE)
        assert await other.revision() == 1
        await other.add_devices([GATE])
        assert await one.devices() == [GATE]


async def test_a_damaged_registry_is_refused_and_never_started_empty(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "registry.sqlite"
    file.write_bytes(b"not a database at all" * 100)
    with pytest.raises(CorruptError):
        await Registry(sqlite_url(tmp_path)).__aenter__()
    assert file.read_bytes().startswith(b"not a database")


async def test_a_new_file_is_for_our_eyes_only(tmp_path: Path) -> None:
    async with Registry(sqlite_url(tmp_path)):
        files = list((tmp_path / "data").iterdir())
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.parametrize("value", ["\udcbb\udca8", float("nan"), float("inf")], ids=["no_utf8", "nan", "inf"])
async def test_what_could_not_be_read_again_is_refused_before_it_is_written(
    registry: Registry, value: str | float
) -> None:
    await registry.add_site(SITE)
    with pytest.raises(ConfigError, match="value_invalid"):
        await registry.add_places([replace(BUILDING, facts={"called": value})])
    assert await registry.sites() == [SITE]
    assert await registry.places() == []


async def test_a_name_that_is_no_utf8_is_refused(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="value_invalid"):
        await registry.add_site(replace(SITE, label={"zh": "花园".encode("gbk").decode(errors="surrogateescape")}))
    assert await registry.sites() == []
