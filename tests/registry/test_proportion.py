"""A change reads of the registry whom it may concern: no more of many than of few, and what it refuses is the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import cast

import pytest

from hub.config.settings import Settings
from hub.errors import ConfigError
from hub.keeping import Keeper
from hub.model.values import PlaceType
from hub.registry import circumstances, codes, credentials, logins, many, rows
from hub.registry.brokers.broker import Broker, Drift, Roster
from hub.registry.brokers.grants import CONNECTIONS
from hub.registry.nouns import Device, Entry, Params, Place, Site, Source
from hub.registry.registry import Registry, device_problems
from tests.clocks import ManualClock
from tests.counting import counted
from tests.waiting import wait_until

HOMES = 600
SITES = Site(id="s1", zone="Asia/Shanghai"), Site(id="s2", zone="Asia/Shanghai")


@pytest.fixture
async def town(registry: Registry) -> Registry:
    """A registry with many dwellings and a device in each."""
    for site in SITES:
        await registry.add_site(site)
    await registry.add_source(Source(id="net", network="raw", params={}))
    await registry.add_places([Place(site="s1", id=f"h{number}", type=PlaceType.DWELLING) for number in range(HOMES)])
    await registry.add_devices([
        Device(
            site="s1", id=f"d{number}", kind="smoke_sensor", place=f"h{number}", serial=f"SN-{number}", source="net",
            network_id=f"n{number}",
        )
        for number in range(HOMES)
    ])  # fmt: skip
    return registry


async def test_who_is_added_changed_or_told_parameters_is_looked_up_and_nobody_else(
    town: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Counter[str] = Counter()
    for owner, name in ((rows, "_device"), (rows, "_place"), (logins, "Carried")):
        counted(monkeypatch, owner, name, read)
    new = Device(site="s1", id="new", kind="smoke_sensor", place="h7", gateway="d7", serial="SN-new")
    for change in (
        town.add_devices([new]),
        many.wrong_devices(town, [new]),
        many.put_devices(town, [new, Device(site="s1", id="other", kind="smoke_sensor", gateway="new")]),
        circumstances.set_params(town, Params(rule="hot", site="s1", device="d9", values={"limit": 40})),
    ):
        read.clear()
        await change
        assert read.total() <= 6  # all of them, twice where some were put
    with pytest.raises(ConfigError, match="600 devices are of source 'net'"):
        await town.remove_source("net")


async def test_who_gets_a_secret_goes_or_is_asked_for_by_a_code_is_looked_up_and_nobody_else(
    town: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Counter[str] = Counter()
    for owner, name in ((rows, "_device"), (rows, "_place"), (logins, "Carried")):
        counted(monkeypatch, owner, name, read)
    await town.add_devices([Device(site="s1", id=f"door-{number}", kind="access_controller") for number in range(3)])
    day, gate = timedelta(days=1), Place(site="s2", id="gate", type=PlaceType.GATE)
    for change in (
        credentials.make_secrets(town, [("s1", "door-1"), ("s1", "door-2")]),
        credentials.rotate(town, ("s1", "door-1"), day),
        credentials.revoke(town, ("s1", "door-1")),
        town.remove_device("s1", "door-2"),
        town.add_places([gate]),
        many.put_places(town, [replace(gate, label={"en": "Gate"})]),
        codes.resolve(town, "device:s1/d9", date(2026, 3, 1)),
        codes.resolve(town, "place:s1/h9", date(2026, 3, 1)),
    ):
        read.clear()
        await change
        assert read.total() <= 6


class Kept:
    """A broker that counts how often it is told who may come in."""

    def __init__(self) -> None:
        self.rosters: list[Roster] = []

    def mark(self) -> object:
        return "never changed by others"

    async def apply(self, wanted: Roster) -> Drift:
        self.rosters.append(wanted)
        return Drift()


async def test_a_broker_is_told_who_may_come_in_where_that_may_have_changed_and_not_for_each_visitor(
    town: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, clock, read = Kept(), ManualClock(), Counter[str]()
    passwords = dict.fromkeys(CONNECTIONS, "open sesame")
    settings = Settings.model_validate({"data_dir": tmp_path, "mqtt": {"passwords": passwords}})
    keeper = Keeper(settings, town, cast("Broker", broker))
    counted(monkeypatch, logins, "Carried", read)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(keeper.run(clock))

        async def look() -> None:
            """Let it look once more, and be done with it."""
            looks = len(clock.sleeps)
            await wait_until(lambda: len(clock.sleeps) > looks + 1)

        await wait_until(lambda: broker.rosters and clock.sleeps)
        await look()  # the hub's own users are in the registry now
        before = len(broker.rosters)
        read.clear()
        await circumstances.put_entries(town, [Entry(site="s1", list="block", value="鲁B12345")])
        await circumstances.set_params(town, Params(rule="hot", site="s1", values={"limit": 40}))
        await look()
        assert (len(broker.rosters), read.total()) == (before, 0)
        await town.remove_device("s1", "d1")
        await look()
        assert len(broker.rosters) == before + 1
        keeping.cancel()


async def test_what_is_wrong_with_a_device_is_the_same_whether_all_others_are_read_or_those_beside_it(
    town: Registry,
) -> None:
    found = set[str]()
    cases = product(
        ("s1", "s2"), ("d1", "new"), (None, "SN-2", "SN-new"), ("", "net", "gone"), ("n3", "n-new"),
        ("", "d4", "new", "nobody"),
    )  # fmt: skip
    async with town.transaction() as connection:
        everybody = await rows.devices(connection)
        for site, name, serial, source, network_id, gateway in cases:
            one = Device(
                site=site, id=name, kind="smoke_sensor", serial=serial, source=source,
                network_id=network_id if source else "", gateway=gateway,
            )  # fmt: skip
            wrong = await device_problems(connection, [one], await rows.devices_beside(connection, [one]))
            assert wrong == await device_problems(connection, [one], everybody)
            found |= {text for _, text in wrong}
    for word in ("exists already", "has the serial", "of another device of net", "has the gateway", "does not exist"):
        assert any(word in text for text in found), word


async def test_more_devices_than_a_query_may_name_are_found_all_the_same(town: Registry) -> None:
    async with town.transaction() as connection:
        everybody = await rows.devices(connection)
        assert len(everybody) > rows.NAMED_AT_ONCE
        assert await rows.devices_beside(connection, everybody) == everybody
        places = {("s1", f"h{number}") for number in range(HOMES)} | {("s1", "s1")}
        assert await rows.some_place_keys(connection, places | {("s2", "h1")}) == places
