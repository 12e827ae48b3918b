"""A whole registry onto another database and back: every row, the audit and the revision included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.errors import ConfigError
from hub.model.values import PlaceType
from hub.registry import circumstances, codes
from hub.registry.code_kinds import Kinds, Link
from hub.registry.copying import copy
from hub.registry.credentials import put_secrets
from hub.registry.nouns import Device, Division, Entry, Params, Place, Site, Source
from hub.registry.registry import Registry
from hub.registry.scenes import switch_off
from hub.registry.schema import metadata
from tests.registry.conftest import sqlite_url

SITE = Site(id="s1", zone="Asia/Shanghai", label={"zh": "柳园"})


async def furnish(registry: Registry) -> None:
    """Put something into every table; a place is below one that comes later in the order of ids."""
    await registry.add_site(SITE)
    await registry.set_division(Division(code="370281", label={"zh": "胶州市"}))
    tower = Place(site="s1", id="z1", type=PlaceType.BUILDING)
    await registry.add_places([tower, Place(site="s1", id="a1", type=PlaceType.DWELLING, parent="z1")])
    await registry.add_source(Source(id="lora", network="chirpstack"))
    await registry.add_devices([Device(site="s1", id="smoke-1", kind="smoke_sensor", place="a1", tags=("二期",))])
    await put_secrets(registry, {"gate-1": "planted-secret"})
    await circumstances.put_entries(registry, [Entry(list="block", value="鲁B12345")])
    await circumstances.set_params(registry, Params(rule="r", values={"a": 1}, site="s1"))
    await switch_off(registry, "s1", "fire", "works on the roof")
    await codes.put_links(registry, Kinds(), [Link(one="device:s1/smoke-1", other="place:s1/a1")])


async def everything(registry: Registry) -> dict[str, list[Any]]:
    async with registry.transaction() as connection:
        return {
            str(table.name): [
                tuple(row) for row in await connection.execute(table.select().order_by(*table.primary_key))
            ]
            for table in metadata.sorted_tables
        }


async def test_every_row_is_there_and_goes_on(url: str, tmp_path: Path) -> None:
    async with (
        Registry(sqlite_url(tmp_path / "one")) as source,
        Registry(url) as target,
        Registry(sqlite_url(tmp_path / "other")) as back,
    ):
        await furnish(source)
        before = await everything(source)
        assert {name for name, rows in before.items() if not rows} == {"certificates", "hub_logins"}
        await copy(source, target)
        await copy(target, back)
        assert await everything(target) == before
        assert await everything(back) == before
        await target.add_site(Site(id="s2", zone="Asia/Shanghai"))
        assert len((await everything(target))["audit"]) == len(before["audit"]) + 1


async def test_nothing_is_copied_over_what_is_there(url: str, tmp_path: Path) -> None:
    async with Registry(sqlite_url(tmp_path / "one")) as source, Registry(url) as target:
        await furnish(source)
        await target.add_site(Site(id="s2", zone="Asia/Shanghai"))
        before = await everything(target)
        with pytest.raises(ConfigError, match="registry_not_empty"):
            await copy(source, target)
        assert await everything(target) == before
