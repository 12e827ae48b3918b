"""What the audit tells of changes: a hub that follows it knows what one that reads everything knows, and reads less."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from hub.model.values import PlaceType
from hub.registry import changes, credentials, many, scenes
from hub.registry.changes import Changes, changes_since
from hub.registry.circumstances import clear_fact, put_entries, remove_entries, set_fact, set_params, unset_params
from hub.registry.nouns import Device, DeviceState, Entry, Params, Place, Site, Source
from hub.registry.registry import Registry, Snapshot

MAIN, OTHER = Site(id="s1", zone="Asia/Shanghai"), Site(id="s2", zone="UTC", partition="east")
HOUSE = Place(site="s1", id="b1", type=PlaceType.BUILDING)
HOME = Place(site="s1", id="h1", type=PlaceType.DWELLING, parent="b1")
SMOKE = Device(site="s1", id="smoke-1", kind="smoke_sensor", place="h1")
GATE = Device(site="s1", id="gate-1", kind="access_controller")
FAR = Device(site="s2", id="far", kind="smoke_sensor")
LIMIT = Params(rule="hot", site="s1", values={"limit": 40})


class Follower:
    """Follows a registry as a hub does; counts how often it had to read everything."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.known = Snapshot(-1, {}, 0)
        self.wholes = 0
        self.named: list[frozenset[str]] = []

    async def follow(self) -> None:
        """Come to know what is so now."""
        while self.known.revision != await self._registry.revision():
            found = await changes_since(self._registry, self.known, "main") if self.known.revision >= 0 else None
            if found is None:
                self.wholes += 1
                self.known = await self._registry.snapshot("main")
            else:
                self.named.append(found.keys)
                self.known = Snapshot(found.revision, _overlaid(self.known.documents, found), found.line)
        assert self.known.documents == await self._registry.documents("main")


def _overlaid(known: dict[str, bytes], found: Changes) -> dict[str, bytes]:
    left = {
        key: body for key, body in known.items() if key not in found.keys and key.partition("/")[0] not in found.nouns
    }
    return left | dict(found.documents)


@pytest.fixture
async def follower(registry: Registry) -> Follower:
    for site in (MAIN, OTHER):
        await registry.add_site(site)
    await registry.add_places([HOUSE, HOME])
    await registry.add_devices([SMOKE, GATE, FAR])
    following = Follower(registry)
    await following.follow()
    return following


async def test_everyday_changes_are_followed_without_reading_everything(registry: Registry, follower: Follower) -> None:
    new = Device(site="s1", id="new", kind="smoke_sensor", place="h1")
    for change in (
        registry.add_devices([new]),
        many.put_devices(registry, [replace(new, place=""), replace(SMOKE, params={"a": 1})]),
        registry.set_device_state("s1", "new", DeviceState.DISABLED),
        registry.set_device_state("s1", "new", DeviceState.ACTIVE),
        registry.remove_device("s1", "new"),
        registry.add_devices([replace(FAR, id="farther")]),
        registry.add_places([Place(site="s1", id="h2", type=PlaceType.DWELLING, parent="b1")]),
        many.put_places(registry, [replace(HOME, label={"en": "Li"})]),
        set_fact(registry, ("s1", "h1"), "away", value=True),
        set_fact(registry, ("s1", "s1"), "city", value="Ningbo"),
        clear_fact(registry, ("s1", "h1"), "away"),
        put_entries(registry, [Entry(site="s1", list="block", value="A"), Entry(site="", list="allow", value="B")]),
        remove_entries(registry, "s1", "block", ["A"]),
        set_params(registry, LIMIT),
        unset_params(registry, LIMIT, ["limit"]),
        scenes.switch_off(registry, "s1", "night", "noise"),
        scenes.switch_on(registry, "s1", "night", []),
        credentials.rotate(registry, ("s1", "smoke-1"), timedelta(0)),
    ):
        await change
        await follower.follow()
    assert follower.wholes == 1  # the first time
    assert max(map(len, follower.named)) == 4  # two devices, each heard or barred


@pytest.fixture
async def tower(registry: Registry, follower: Follower) -> Follower:
    """A follower of a house in which flats are, and in those devices, of which one is disabled."""
    floor = Place(site="s1", id="f1", type=PlaceType.UNIT, parent="b1")
    flat = Place(site="s1", id="h2", type=PlaceType.DWELLING, parent="f1")
    await registry.add_places([floor, flat, Place(site="s1", id="b2", type=PlaceType.BUILDING)])
    await registry.add_devices([replace(SMOKE, id=name, place="h2") for name in ("in-1", "in-2")])
    await registry.set_device_state("s1", "in-2", DeviceState.DISABLED)
    await follower.follow()
    return follower


async def test_a_place_that_is_elsewhere_takes_along_what_is_in_it_and_no_more_is_read(
    registry: Registry, tower: Follower
) -> None:
    floor = Place(site="s1", id="f1", type=PlaceType.UNIT, parent="b2")
    for change in (
        many.put_places(registry, [floor]),
        many.put_places(registry, [replace(floor, type=PlaceType.BUILDING), replace(HOME, parent="f1")]),
        many.put_places(registry, [replace(floor, parent=""), replace(HOME, parent="")]),
    ):
        tower.named.clear()
        await change
        await tower.follow()
        assert {key.partition("/")[2] for key in tower.named[0]} >= {"s1/f1", "s1/h2", "s1/in-1", "s1/in-2"}
        assert "device/s1/gate-1" not in tower.named[0]
    assert tower.wholes == 1


async def test_what_may_change_very_many_documents_is_read_as_a_whole(
    registry: Registry, tower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registry.add_source(Source(id="lora", network="chirpstack"))
    await tower.follow()
    assert tower.wholes == 2
    monkeypatch.setattr(changes, "MOST_BELOW", 3)
    await many.put_places(registry, [Place(site="s1", id="f1", type=PlaceType.UNIT, parent="b2")])
    await tower.follow()
    assert tower.wholes == 3


async def test_very_many_devices_are_followed_a_part_at_a_time(
    registry: Registry, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST", 10)
    await registry.add_devices([Device(site="s1", id=f"d{number}", kind="smoke_sensor") for number in range(25)])
    await registry.remove_device("s1", "d3")
    await follower.follow()
    assert [len(each) for each in follower.named] == [20, 20, 12]  # the last line is of the device that is gone
    assert follower.wholes == 1


async def test_a_change_that_left_no_line_is_not_overlooked(registry: Registry, follower: Follower) -> None:
    async with registry.change() as change:  # another program, an older hub: nobody knows what
        await change.connection.execute(text("UPDATE registry_state SET revision = revision + 1"))
        change.note("device.changed", "device/s1/smoke-1")
    await follower.follow()
    assert follower.wholes == 2
