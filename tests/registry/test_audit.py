"""The audit: every change leaves a line in its own transaction, nobody can take it away, and no secret is in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.errors import ConfigError, HubError
from hub.model.values import PlaceType
from hub.registry import audit, circumstances, credentials, many
from hub.registry.audit import PAGE, Line, Note
from hub.registry.author import Author, os_user
from hub.registry.nouns import Device, DeviceState, Entry, Params, Place, Site, Source
from hub.registry.registry import Registry
from tests.clocks import ManualClock

NOW = 1_772_000_000_000_000_000
SITE = Site(id="s1", zone="Asia/Shanghai")
GATE = Device(site="s1", id="gate-1", kind="access_controller", params={"doors": 2, "app_key": "planted-secret"})


@pytest.fixture
async def registry(url: str) -> AsyncIterator[Registry]:
    async with Registry(url, actor="mei", clock=ManualClock(wall_ns=NOW)) as opened:
        await opened.add_site(SITE)
        yield opened


async def lines(registry: Registry, **only: object) -> list[Line]:
    async with registry.transaction() as connection:
        return (await audit.lines(connection, **only))[::-1]  # type: ignore[arg-type] # as the test says


async def test_a_change_says_who_what_when_before_and_after(registry: Registry) -> None:
    await registry.add_devices([GATE])
    await registry.set_device_state("s1", "gate-1", DeviceState.DISABLED)
    line = (await lines(registry))[-1]
    assert (line.actor, line.os_user, line.at, line.revision) == ("mei", os_user(), NOW, 3)
    assert (line.what, line.subject) == ("device.disabled", "device/s1/gate-1")
    assert (line.before, line.after) == ({"state": "active"}, {"state": "disabled"})


async def test_who_names_nobody_acts_as_the_os_user(url: str) -> None:
    async with Registry(url) as registry:
        await registry.add_site(SITE)
        assert [line.actor for line in await lines(registry)] == [os_user()]


async def test_who_follows_a_snapshot_misses_no_line_beside_which_somebody_looked(registry: Registry) -> None:
    [added] = await lines(registry)
    await registry.look("recording.shown", "recording/1")
    assert [line.revision for line in await lines(registry)] == [added.revision, None]
    assert (await registry.snapshot()).line == added.id


async def test_all_lines_of_a_span_are_told_oldest_first_however_many(registry: Registry) -> None:
    notes = [Note(what="looked", subject=str(number)) for number in range(2 * PAGE + 1)]
    async with registry.transaction() as connection:
        await audit.write(connection, Author(os_user="li"), 7, None, notes)
        assert [line.subject async for line in audit.between(connection, 7, 7)] == [note.subject for note in notes]


async def test_every_way_to_change_the_registry_leaves_lines(registry: Registry) -> None:
    home = Place(site="s1", id="d1", type=PlaceType.DWELLING)
    await registry.add_places([home])
    await many.put_places(registry, [home, Place(site="s1", id="d2", type=PlaceType.DWELLING)])
    await registry.add_source(Source(id="lora", network="chirpstack"))
    await registry.remove_source("lora")
    await registry.add_devices([GATE])
    await many.put_devices(registry, [Device(site="s1", id="gate-1", kind="plate_reader")])
    [made] = await credentials.make_secrets(registry, [("s1", "gate-1")])
    await registry.remove_device("s1", "gate-1")
    await circumstances.put_entries(registry, [Entry(list="block", value="鲁B12345", note="planted-note")])
    await circumstances.remove_entries(registry, "", "block", ["鲁B12345"])
    await circumstances.set_params(registry, Params(rule="r", values={"a": 1}, site="s1"))
    await circumstances.unset_params(registry, Params(rule="r", values={}, site="s1"), [])
    await circumstances.set_fact(registry, ("s1", "d1"), "away", value=True)
    await circumstances.clear_fact(registry, ("s1", "d1"), "away")
    found = await lines(registry)
    assert [(line.what, line.subject) for line in found] == [
        ("site.added", "site/s1"),
        ("place.added", "place/s1/d1"),
        ("place.added", "place/s1/d2"),
        ("source.added", "source/lora"),
        ("source.removed", "source/lora"),
        ("device.added", "device/s1/gate-1"),
        ("device.changed", "device/s1/gate-1"),
        ("credential.added", "credential/s1/gate-1"),
        ("device.removed", "device/s1/gate-1"),
        ("credential.revoked", "credential/s1/gate-1"),
        ("list.added", "list/*/block/鲁B12**5"),
        ("list.removed", "list/*/block/鲁B12**5"),
        ("params.set", "params/s1/r/site"),
        ("params.unset", "params/s1/r/site"),
        ("fact.set", "place/s1/d1"),
        ("fact.cleared", "place/s1/d1"),
    ]
    assert [line.revision for line in found] == [*range(1, 10), 9, *range(10, 16)]
    told = repr(found)
    for planted in ("planted-secret", "planted-note", "鲁B12345", made.secret):
        assert planted not in told
    assert "'app_key': '****'" in told


async def test_what_was_refused_leaves_no_line(registry: Registry) -> None:
    with pytest.raises(ConfigError):
        await registry.add_devices([GATE, Device(site="s1", id="x", kind="gate", place="moon")])
    assert len(await lines(registry)) == 1


async def test_putting_what_is_there_already_is_no_change(registry: Registry) -> None:
    await registry.add_devices([GATE])
    home = Place(site="s1", id="d1", type=PlaceType.DWELLING)
    await registry.add_places([home])
    before = await lines(registry), await registry.revision()
    await many.put_devices(registry, [GATE])
    await many.put_places(registry, [home])
    assert (await lines(registry), await registry.revision()) == before
    assert (await registry.devices(), await registry.places()) == ([GATE], [home])


async def test_a_change_that_nobody_writes_down_does_not_happen(registry: Registry) -> None:
    with pytest.raises(HubError, match="change_not_audited"):
        async with registry.change() as change:
            await change.connection.execute(text("DELETE FROM places"))
    assert await registry.sites() == [SITE]


async def test_whatever_somebody_calls_himself_can_be_written(registry: Registry) -> None:
    strange = Author(os_user="x" * 200, actor="a\x00b\nc")
    await registry.note(Note(what="control." + "v" * 100, subject="s\x00", after={"text": "a\x00b"}), strange)
    line = (await lines(registry))[-1]
    assert (line.actor, line.subject, len(line.os_user), len(line.what)) == ("a?b?c", "s?", 128, 64)
    assert line.after == {"text": "a\x00b"}


@pytest.mark.parametrize("attempt", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
async def test_nobody_takes_a_line_away(registry: Registry, attempt: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"):
        async with registry.transaction() as connection:
            await connection.execute(text(attempt))
    assert [line.actor for line in await lines(registry)] == ["mei"]


async def test_a_look_is_a_line_and_no_revision(registry: Registry) -> None:
    await registry.look("credential.shown", "credential/gate-1", reason="ticket 12")
    line = (await lines(registry))[-1]
    assert (line.what, line.subject, line.reason, line.revision) == (
        "credential.shown",
        "credential/gate-1",
        "ticket 12",
        None,
    )
    assert await registry.revision() == 1


async def test_lines_are_found_by_time_actor_and_what(registry: Registry, url: str) -> None:
    async with Registry(url, clock=ManualClock(wall_ns=NOW + 10)) as other:
        await other.add_devices([GATE])
        await circumstances.put_entries(other, [Entry(list="allow", value="鲁B12345")])
    assert [line.what for line in await lines(registry, since=NOW + 10)] == ["device.added", "list.added"]
    assert [line.what for line in await lines(registry, actor="mei")] == ["site.added"]
    assert [line.what for line in await lines(registry, what="list.")] == ["list.added"]
    assert [line.what for line in await lines(registry, what="device/s1/")] == ["device.added"]
    assert await lines(registry, what="%") == []
    assert [line.what for line in await lines(registry, limit=1)] == ["list.added"]
