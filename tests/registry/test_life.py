"""The life of a device, and where it and its place are: states, gateways and tags, address codes and geometry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from hub.errors import ConfigError
from hub.model.values import PlaceType
from hub.registry import credentials, many
from hub.registry.nouns import NEXT_STATES, Device, DeviceState, Division, Geometry, Place, Site
from hub.registry.registry import Registry

SITE = Site(id="s1", zone="Asia/Shanghai", code="370281001001")
SENSOR = Device(site="s1", id="smoke-1", kind="smoke_sensor", serial="SN-1", user="smoke-1")
RING = [[120.0, 36.0], [120.1, 36.0], [120.1, 36.1], [120.0, 36.0]]
OUTLINE = {"type": "Polygon", "coordinates": [RING]}
BUILDING = Place(
    site="s1",
    id="b1",
    type=PlaceType.BUILDING,
    code="3702810010010003",
    geometry=Geometry(longitude=120.05, latitude=36.05, footprint=OUTLINE, floors=18, basements=2),
)


async def connecting(registry: Registry) -> int:
    return len((await credentials.read_roster(registry, {})).users)


async def keys(registry: Registry) -> list[str]:
    return [key for key in await registry.documents() if not key.startswith("place/")]


# ----------------------------------------------------------------------------------------------------------- the life


async def test_the_engine_knows_each_state_by_its_document(registry: Registry) -> None:
    await registry.add_site(SITE)
    await registry.add_devices([replace(SENSOR, state=DeviceState.PENDING)])
    await credentials.make_secrets(registry, [("s1", "smoke-1")])
    found: list[tuple[list[str], int]] = [(await keys(registry), await connecting(registry))]
    for state in (DeviceState.ACTIVE, DeviceState.DISABLED, DeviceState.ACTIVE, DeviceState.RETIRED):
        await registry.set_device_state("s1", "smoke-1", state)
        found.append((await keys(registry), await connecting(registry)))
    assert found == [
        ([], 1),
        (["device/s1/smoke-1"], 1),
        (["barred/s1/smoke-1"], 0),
        (["device/s1/smoke-1"], 1),
        (["barred/s1/smoke-1"], 0),
    ]
    assert orjson.loads((await registry.documents())["barred/s1/smoke-1"])["state"] == "retired"


@pytest.mark.parametrize("before", DeviceState)
@pytest.mark.parametrize("after", DeviceState)
async def test_a_life_goes_one_way(registry: Registry, before: DeviceState, after: DeviceState) -> None:
    await registry.add_site(SITE)
    await registry.add_devices([replace(SENSOR, state=before)])
    able = after in NEXT_STATES[before]
    assert able is ((before, after) in STEPS)
    if able:
        await registry.set_device_state("s1", "smoke-1", after)
    else:
        with pytest.raises(ConfigError, match="device_state_invalid"):
            await registry.set_device_state("s1", "smoke-1", after)
    assert [device.state for device in await registry.devices()] == [after if able else before]


STEPS = {
    (DeviceState.PENDING, DeviceState.ACTIVE),
    (DeviceState.PENDING, DeviceState.RETIRED),
    (DeviceState.ACTIVE, DeviceState.DISABLED),
    (DeviceState.ACTIVE, DeviceState.RETIRED),
    (DeviceState.DISABLED, DeviceState.ACTIVE),
    (DeviceState.DISABLED, DeviceState.RETIRED),
}


async def test_a_file_cannot_bring_a_retired_device_back(registry: Registry) -> None:
    await registry.add_site(SITE)
    await registry.add_devices([replace(SENSOR, state=DeviceState.RETIRED)])
    assert await many.wrong_devices(registry, [SENSOR]) == [
        (0, "device 'smoke-1' is retired and cannot become active: it can become nothing any more")
    ]
    with pytest.raises(ConfigError, match="is retired and cannot become active"):
        await many.put_devices(registry, [SENSOR])


async def test_a_device_keeps_its_gateway_and_tags(registry: Registry) -> None:
    await registry.add_site(SITE)
    gateway = Device(site="s1", id="gw-1", kind="gateway")
    carried = replace(SENSOR, gateway="gw-1", tags=("stairs", "2026春"))
    await registry.add_devices([carried, gateway])
    assert await registry.devices() == [gateway, carried]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"gateway": "gw-9"}, "has the gateway 'gw-9', no other device"),
        ({"gateway": "smoke-1"}, "has the gateway 'smoke-1', no other device"),
        ({"tags": ("two words",)}, "has the tag 'two words'"),
        ({"tags": ("",)}, "has the tag ''"),
        ({"serial": "a\nb"}, "has the serial"),
        ({"serial": "x" * 129}, "has the serial"),
    ],
)
async def test_a_device_that_makes_no_sense_is_refused(
    registry: Registry, changes: dict[str, Any], complaint: str
) -> None:
    await registry.add_site(SITE)
    with pytest.raises(ConfigError, match=complaint):
        await registry.add_devices([replace(SENSOR, **changes)])


# ------------------------------------------------------------------------------------------------------ where it is


async def test_a_place_keeps_its_code_and_geometry(registry: Registry) -> None:
    await registry.add_site(SITE)
    await registry.add_places([BUILDING])
    assert (await registry.sites(), await registry.places()) == ([SITE], [BUILDING])
    moved = replace(BUILDING, geometry=Geometry(floors=19))
    await many.put_places(registry, [moved])
    assert await registry.places() == [moved]


@pytest.mark.parametrize(
    ("geometry", "complaint"),
    [
        (Geometry(longitude=120.0), "one of longitude and latitude"),
        (Geometry(longitude=181.0, latitude=0.0), "the longitude 181.0, which is not -180 to 180"),
        (Geometry(longitude=0.0, latitude=float("nan")), "the latitude nan"),
        (Geometry(floors=-1), "the floors -1"),
        (Geometry(basements=21), "the basements 21"),
        (Geometry(footprint={"type": "Point", "coordinates": [1, 2]}), "no GeoJSON Polygon"),
        (Geometry(footprint={"type": "Polygon", "coordinates": []}), "no GeoJSON Polygon"),
        (Geometry(footprint={"type": "Polygon", "coordinates": [RING[:3]]}), "no GeoJSON Polygon"),
        (Geometry(footprint={"type": "Polygon", "coordinates": [[*RING[:3], [1.0, 1.0]]]}), "no GeoJSON Polygon"),
        (Geometry(footprint={"type": "Polygon", "coordinates": [[[0, 91], [1, 1], [2, 2], [0, 91]]]}), "no GeoJSON"),
        (Geometry(footprint={"type": "Polygon", "coordinates": [[["0", 1], [1, 1], [2, 2], ["0", 1]]]}), "no GeoJSON"),
    ],
)
async def test_a_geometry_that_cannot_be_is_refused(registry: Registry, geometry: Geometry, complaint: str) -> None:
    await registry.add_site(SITE)
    with pytest.raises(ConfigError, match=complaint):
        await registry.add_places([replace(BUILDING, geometry=geometry)])
    assert await registry.places() == []


@pytest.mark.parametrize("code", ["370281001002", "370281001001", "3702810010010003x", "1" * 41])
async def test_a_code_begins_with_that_of_what_is_around_and_goes_on(registry: Registry, code: str) -> None:
    await registry.add_site(SITE)
    with pytest.raises(ConfigError, match="has the code"):
        await registry.add_places([replace(BUILDING, code=code)])


async def test_a_code_skips_what_has_none(registry: Registry) -> None:
    await registry.add_site(SITE)
    unit = Place(site="s1", id="u1", type=PlaceType.UNIT, parent="b1")
    home = Place(site="s1", id="d1", type=PlaceType.DWELLING, parent="u1", code="37028100100100030502")
    await registry.add_places([BUILDING, unit, home])
    with pytest.raises(ConfigError, match="does not begin with 3702810010010003"):
        await registry.add_places([replace(home, id="d2", code="37028100100100040502")])


async def test_a_code_that_no_longer_fits_what_is_below_is_blamed_on_who_changes_it(registry: Registry) -> None:
    await registry.add_site(SITE)
    home = Place(site="s1", id="d1", type=PlaceType.DWELLING, parent="b1", code="37028100100100030502")
    await registry.add_places([BUILDING, home])
    other = Place(site="s1", id="b2", type=PlaceType.BUILDING)
    found = await many.wrong_places(registry, [other, replace(BUILDING, code="3702810010010009")])
    assert [index for index, _ in found] == [1]
    with pytest.raises(ConfigError, match="does not begin with 370281001002"):
        await registry.set_site_code("s1", "370281001002")
    await registry.set_site_code("s1", "")
    assert [site.code for site in await registry.sites()] == [""]


@pytest.mark.parametrize("code", ["37028", "370281001", "37028100100a"])
async def test_the_code_of_a_site_is_that_of_a_community(registry: Registry, code: str) -> None:
    with pytest.raises(ConfigError, match="is 12 digits"):
        await registry.add_site(replace(SITE, code=code))


async def test_cities_and_streets_have_names(registry: Registry) -> None:
    city, street = Division(code="370281", label={"zh": "胶州市"}), Division(code="370281001", label={"zh": "阜安街道"})
    for division in (street, replace(city, label={"zh": "胶州"}), city):
        await registry.set_division(division)
    assert await registry.divisions() == [city, street]
    for wrong in (Division(code="3702", label={"zh": "x"}), Division(code="370281")):
        with pytest.raises(ConfigError, match="division_invalid"):
            await registry.set_division(wrong)
