"""A site that goes takes along all that is of it, and nothing of any other."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import select

from hub.errors import ConfigError
from hub.model.values import PlaceType
from hub.registry import audit, codes, credentials, schema
from hub.registry.circumstances import put_entries, read_entries, read_params, set_params
from hub.registry.code_kinds import Kinds
from hub.registry.nouns import Device, Entry, Params, Place, Site
from hub.registry.registry import Registry
from hub.registry.removal import belongings, remove_site
from hub.registry.scenes import read_scenes_off, switch_off

KINDS = Kinds()
DAY = date(2026, 3, 1)
HOME, MOVER = "household:00c1d09b7e88aa012345", "household:11c1d09b7e88aa012345"
PERSON, CAR = "person:4f2ac1d09b7e88aa0123", "plate:鲁B12345"


async def _settle(registry: Registry, site: str) -> None:
    """Give a site one of everything."""
    await registry.add_site(Site(id=site, zone="Asia/Shanghai"))
    building = Place(site=site, id="b1", type=PlaceType.BUILDING)
    await registry.add_places([building, Place(site=site, id="d1", type=PlaceType.DWELLING, parent="b1")])
    await registry.add_devices([Device(site=site, id=name, kind="smoke_sensor", place="d1") for name in ("one", "two")])
    await credentials.make_secrets(registry, [(site, "one")])
    await put_entries(registry, [Entry(site=site, list="block", value="x", place=place) for place in ("", "d1")])
    await set_params(registry, Params(rule="hot", values={"limit": 3}, site=site, device="one"))
    await switch_off(registry, site, "fire", "not wanted")


async def _told(registry: Registry) -> dict[str, bytes]:
    return await registry.documents()


async def test_a_site_goes_with_all_that_is_of_it_and_the_others_are_what_they_were(registry: Registry) -> None:
    await _settle(registry, "garden")
    before, users = await _told(registry), (await credentials.read_roster(registry, {})).users
    await _settle(registry, "Garden")  # no database may take one for the other
    found = await belongings(registry, "Garden")
    gone = await remove_site(registry, "Garden")
    assert found == gone
    assert gone.counts == {
        "devices": 2, "params": 1, "list_entries": 2, "scenes_off": 1, "places": 3, "links": 0, "owners": 2
    }  # fmt: skip
    assert await _told(registry) == before
    assert (await credentials.read_roster(registry, {})).users == users
    entries, params, off = await read_entries(registry), await read_params(registry), await read_scenes_off(registry)
    left = [each.site for each in entries], [each.site for each in params], [each.site for each in off]
    assert left == (["garden", "garden"], ["garden"], ["garden"])
    await _settle(registry, "Garden")  # its name is free again


async def test_nobody_comes_in_to_the_broker_any_more_but_who_carries_devices_of_another_site(
    registry: Registry,
) -> None:
    for site in ("garden", "manor"):
        await registry.add_site(Site(id=site, zone="Asia/Shanghai"))
    mine = Device(site="garden", id="gate", kind="access_controller")
    shared = replace(mine, id="lamp", user="gateway")
    await registry.add_devices([mine, shared, replace(shared, site="manor")])
    await credentials.make_secrets(registry, [("garden", "gate"), ("garden", "lamp")])
    assert {*(await credentials.read_roster(registry, {})).users} == {"garden/gate", "gateway"}
    await remove_site(registry, "garden")
    assert {*(await credentials.read_roster(registry, {})).users} == {"gateway"}
    async with registry.transaction() as connection:
        assert [*(await connection.execute(select(schema.logins.c.user))).scalars()] == ["gateway"]


async def test_households_that_live_nowhere_else_are_forgotten_with_who_belongs_to_them(registry: Registry) -> None:
    for site in ("garden", "manor"):
        await registry.add_site(Site(id=site, zone="Asia/Shanghai"))
        await registry.add_places([Place(site=site, id="d1", type=PlaceType.DWELLING)])
    await codes.move_in(registry, KINDS, HOME, ["place:garden/d1", PERSON], DAY)
    await codes.move_in(registry, KINDS, MOVER, ["place:garden/d1", "place:manor/d1", CAR], DAY)
    assert len((await remove_site(registry, "garden")).links) == 3
    left = {(link.one, link.other) for link in await codes.read_links(registry)}
    assert left == {(MOVER, "place:manor/d1"), (MOVER, CAR)}


async def test_the_audit_tells_what_went_in_one_line_and_who_was_locked_out(registry: Registry) -> None:
    await _settle(registry, "garden")
    await remove_site(registry, "garden")
    async with registry.transaction() as connection:
        lines = [line for line in await audit.lines(connection) if line.revision == await registry.revision()]
    assert [(line.what, line.subject) for line in reversed(lines)] == [
        ("site.removed", "site/garden"),
        ("credential.revoked", "credential/garden/one"),
    ]
    assert lines[-1].before is not None
    assert lines[-1].before["with"]["devices"] == 2


async def test_a_site_that_is_not_there_is_refused_and_nothing_changes(registry: Registry) -> None:
    before = await registry.revision()
    with pytest.raises(ConfigError, match="site_unknown"):
        await remove_site(registry, "garden")
    assert await registry.revision() == before
