"""A site with a building, a dwelling and two devices, in the registry of a test."""

from __future__ import annotations

from hub.model.values import PlaceType
from hub.registry.nouns import Device, Place, Site
from hub.registry.registry import Registry

SITE = Site(id="s1", zone="Asia/Shanghai", label={"en": "Willow Court", "zh": "柳园"}, facts={"city": "Ningbo"})

BUILDING = Place(site="s1", id="b3", type=PlaceType.BUILDING)

UNIT = Place(site="s1", id="b3-u1", type=PlaceType.UNIT, parent="b3")

DWELLING = Place(
    site="s1",
    id="b3-u1-502",
    type=PlaceType.DWELLING,
    parent="b3-u1",
    facts={"care_watch": True},
    consents={"care_watch": "her own, form 17"},
)

SENSOR = Device(
    site="s1", id="smoke-1", kind="smoke_sensor", profile="milesight/gs524n", place="b3-u1-502", serial="SN-1"
)

GATE = Device(site="s1", id="gate-1", kind="access_controller", params={"doors": 2})


async def furnished(registry: Registry) -> None:
    await registry.add_site(SITE)
    await registry.add_places([BUILDING, UNIT, DWELLING])
    await registry.add_devices([SENSOR, GATE])
