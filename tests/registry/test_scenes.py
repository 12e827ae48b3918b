"""Scenes of sites: what is switched off is a document of the engine, and each switch a line of the audit."""

from __future__ import annotations

import orjson
import pytest

from hub.errors import ConfigError
from hub.registry import audit
from hub.registry.audit import Line
from hub.registry.circumstances import read_params
from hub.registry.nouns import Params, Site
from hub.registry.registry import Registry
from hub.registry.scenes import read_scenes_off, switch_off, switch_on

QUICK = Params(rule="door-held-open", site="s1", values={"patience": "10s"})
WHY = "works on the roof"


@pytest.fixture(autouse=True)
async def _sites(registry: Registry) -> None:
    await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
    await registry.add_site(Site(id="s2", zone="Asia/Shanghai", partition="west"))


async def off(registry: Registry, partition: str | None = None) -> dict[str, object]:
    found = await registry.documents(partition)
    return {key: orjson.loads(body) for key, body in found.items() if key.startswith("off/")}


async def lines(registry: Registry, what: str = "scene.") -> list[Line]:
    async with registry.transaction() as connection:
        return await audit.lines(connection, what=what)


async def test_nothing_is_off_until_somebody_says_so(registry: Registry) -> None:
    assert await off(registry) == {}


async def test_what_is_off_is_a_document_of_its_site_and_partition_alone(registry: Registry) -> None:
    assert await switch_off(registry, "s2", "fire", WHY)
    assert await off(registry) == {"off/s2/fire": {"site": "s2", "scene": "fire"}}
    assert await off(registry, "main") == {}
    assert await switch_on(registry, "s2", "fire", [])
    assert await off(registry) == {}


async def test_who_switched_what_off_and_why_is_kept_and_audited(registry: Registry) -> None:
    await switch_off(registry, "s1", "fire", WHY)
    (kept,) = await read_scenes_off(registry)
    assert (kept.site, kept.scene, kept.reason) == ("s1", "fire", WHY)
    await switch_on(registry, "s1", "fire", [])
    on, was_off = await lines(registry)
    assert (was_off.what, was_off.subject, was_off.actor, was_off.reason) == (
        "scene.disabled", "scene/s1/fire", "mei", WHY,
    )  # fmt: skip
    assert (on.what, on.before) == ("scene.enabled", {"reason": WHY, "since": kept.since})


async def test_a_second_time_changes_nothing_and_the_first_reason_stays(registry: Registry) -> None:
    await switch_off(registry, "s1", "fire", WHY)
    known = await registry.revision()
    assert not await switch_off(registry, "s1", "fire", "another")
    assert [each.reason for each in await read_scenes_off(registry)] == [WHY]
    assert await switch_on(registry, "s1", "fire", [QUICK])
    assert not await switch_on(registry, "s1", "fire", [QUICK])
    assert await registry.revision() == known + 1
    assert len(await lines(registry)) == 2


async def test_parameters_move_with_the_switch_and_leave_what_was_said_beside_them(registry: Registry) -> None:
    await switch_on(registry, "s1", "access", [Params(rule="door-held-open", site="s1", values={"then": "1m"})])
    assert await switch_on(registry, "s1", "access", [QUICK])
    assert [each.values for each in await read_params(registry)] == [{"then": "1m", "patience": "10s"}]
    assert len(await lines(registry, "params.set")) == 2


async def test_a_site_that_is_not_there_has_no_scenes(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="there is no site 's9'"):
        await switch_off(registry, "s9", "fire", WHY)
    with pytest.raises(ConfigError, match="there is no site 's9'"):
        await switch_on(registry, "s9", "fire", [QUICK])
    assert await read_scenes_off(registry) == []


async def test_a_reason_fits_into_the_audit(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="up to 256 printable"):
        await switch_off(registry, "s1", "fire", "x" * 257)
    with pytest.raises(ConfigError, match="up to 256 printable"):
        await switch_off(registry, "s1", "fire", "a\nb")
    assert await read_scenes_off(registry) == []
