"""Scenes that are switched off, as the doctor sees them: loud where they keep people alive."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy

from hub.registry.nouns import Site
from hub.registry.registry import Registry
from hub.registry.scenes import switch_off, switch_on
from hub.ui.doctor.findings import Verdict
from tests.ui.doctor.scenes import GOOD, UNSEEN, WEAK, examined, scene, settings_of

WHY = "works on the roof"


async def test_a_scene_that_keeps_people_alive_is_named_as_long_as_it_is_off(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)

    async def found() -> Verdict:
        return (await examined("scenes", scene(settings)))["scenes_on"]

    assert (await found()).grade is GOOD  # before there is a registry
    async with Registry(settings.registry_url()) as registry:
        await registry.add_site(Site(id="garden", zone="Asia/Shanghai"))
        assert await found() == Verdict(GOOD, "every scene is on at every site")
        await switch_off(registry, "garden", "water", "")
        assert await found() == Verdict(GOOD, "off: water at garden")
        await switch_off(registry, "garden", "fire", WHY)
        told = await found()
        assert (told.grade, told.found.startswith("fire at garden since "), WHY in told.found) == (WEAK, True, True)
        await switch_on(registry, "garden", "fire", [])
        assert (await found()).grade is GOOD


async def test_a_registry_of_another_version_is_left_to_its_own_check(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with Registry(settings.registry_url()):
        pass
    file = sqlalchemy.create_engine(settings.registry_url().replace("+aiosqlite", ""))
    with file.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '9999'"))
    file.dispose()
    assert (await examined("scenes", scene(settings)))["scenes_on"].grade is UNSEEN
