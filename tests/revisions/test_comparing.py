"""What an import of many comes to in a hub at work: all or nothing in the registry, a page at a time in the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from hub.clock import SystemClock
from hub.config.settings import Settings
from hub.engine.rulebook import Rulebook
from hub.errors import ConfigError
from hub.registry import changes
from hub.registry.circumstances import set_params
from hub.registry.many import put_devices
from hub.registry.nouns import Device, Params, Site, Source
from hub.registry.registry import Registry
from hub.revisions import comparing
from hub.revisions.comparing import Compared, Comparing, Files
from tests.counting import counted
from tests.engine.desk import Desk, documents
from tests.engine.foreign import listing
from tests.registry.conftest import sqlite_url

NOTHING: Mapping[str, bytes] = {}
PAGE = 10
MANY = [Device(site="s1", id=f"d{number:02}", kind="smoke_sensor") for number in range(2 * PAGE + 5)]
ODD = PAGE + 3


class Rim:
    """Follows a registry as a hub does, with an engine on a desk."""

    def __init__(self, directory: Path, registry: Registry) -> None:
        self.desk, files = Desk(documents()), documents()
        content = self.desk.engine.content
        self._comparing = Comparing(
            Settings(data_dir=directory / "data"), SystemClock(), registry, content, Files(files, {})
        )

    async def follow(self, said: Mapping[str, bytes] = NOTHING) -> None:
        """Take what has changed, a page after the other; ConfigError for one that the engine could not work with.

        ``said``: by sources, of their devices.
        """
        while await self._comparing.is_behind(said):
            taken, said = said, NOTHING
            compared = await self._comparing.compare(None, taken)
            if compared.note is not None:
                self.desk.say(compared.note.revision, bodies=compared.note.bodies)
            self._comparing.settle(compared)

    async def compare(self, files: Mapping[str, bytes]) -> Compared:
        """Find out what files that were read again change."""
        return await self._comparing.compare(files, NOTHING)

    def take(self, compared: Compared) -> None:
        """Let the engine have it."""
        assert compared.note is not None
        self.desk.say(compared.note.revision, bodies=compared.note.bodies)
        self._comparing.settle(compared)

    async def read(self, files: Mapping[str, bytes]) -> None:
        """Take files that were read again."""
        self.take(await self.compare(files))

    def known(self) -> list[str]:
        """Return the devices that the engine knows."""
        return [device.device for device in self.desk.engine.content.devices()]


async def test_of_what_an_engine_cannot_work_with_the_pages_before_are_in_and_the_others_once_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST", PAGE)
    async with Registry(sqlite_url(tmp_path)) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        rim = Rim(tmp_path, registry)
        await rim.follow()
        odd = replace(
            MANY[ODD], profile="nobody/nothing"
        )  # who imports a file is told so first, and nothing is written
        await put_devices(registry, [odd if device.id == odd.id else device for device in MANY])
        for _ in range(2):
            with pytest.raises(ConfigError, match="nobody/nothing"):
                await rim.follow()
            assert rim.known() == [device.id for device in MANY[:PAGE]]
        await put_devices(registry, [MANY[ODD]])
        await rim.follow()
        assert rim.known() == [device.id for device in MANY]


async def test_of_many_that_the_registry_refuses_none_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST", PAGE)
    async with Registry(sqlite_url(tmp_path)) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        rim = Rim(tmp_path, registry)
        await rim.follow()
        before = await registry.revision()
        with pytest.raises(ConfigError, match="moon"):
            await put_devices(registry, [*MANY[:-1], replace(MANY[-1], place="moon")])
        assert (await registry.revision(), await registry.devices()) == (before, [])
        await rim.follow()
        assert rim.known() == []


async def test_what_a_source_said_of_its_devices_is_owed_until_a_revision_has_it(tmp_path: Path) -> None:
    async with Registry(sqlite_url(tmp_path)) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        await registry.add_source(Source(id="z2m", network="zigbee2mqtt"))
        hall = Device(site="s1", id="hall", kind="smoke_sensor", source="z2m", network_id="0x00158d0001b7d2a3")
        await put_devices(registry, [hall])
        rim = Rim(tmp_path, registry)
        await rim.follow()
        odd = replace(MANY[0], profile="nobody/nothing")
        await put_devices(registry, [odd])
        with pytest.raises(ConfigError, match="nobody/nothing"):
            await rim.follow({"z2m": listing()})
        await put_devices(registry, [MANY[0]])
        await rim.follow()
        found = rim.desk.engine.content.find("s1", "hall")
        assert found is not None
        assert (found.profile[:17], found.deafness) == ("zigbee2mqtt-auto/", None)


HOT: dict[str, object] = {
    "rule": "hot", "version": "1.0.0", "for_each": "smoke_sensor", "params": {"limit": 50.0},
    "when": "temperature > $limit", "raise": {"event": "fire.hot", "severity": "high"},
}  # fmt: skip


def with_rule(**words: object) -> dict[str, bytes]:
    return {**documents(), "rule/hot": orjson.dumps({**HOT, **words})}


async def test_rules_that_changed_are_compiled_before_they_are_journaled_and_nothing_else_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: Counter[str] = Counter()
    async with Registry(sqlite_url(tmp_path)) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        await put_devices(registry, MANY)
        for number, device in enumerate(MANY[:PAGE]):
            mine = Params(rule="hot", site="s1", device=device.id, values={"limit": 40.0 + number})
            await set_params(registry, mine)
        rim = Rim(tmp_path, registry)
        await rim.follow()
        await rim.read(with_rule())
        for owner, name in ((Registry, "snapshot"), (comparing, "difference"), (Rulebook, "_compiled")):
            counted(monkeypatch, owner, name, work)
        with pytest.raises(ConfigError, match="lumen"):
            await rim.compare(with_rule(when="lumen > $limit"))
        work.clear()
        compared = await rim.compare(with_rule(when="temperature > $limit + 5"))
        assert dict(work) == {"_compiled": PAGE + 1}
        work.clear()
        rim.take(compared)
        assert dict(work) == {}, "what messages would wait for"
        found = {device.device: device.rules.by_name["hot"] for device in rim.desk.engine.content.devices()}
        assert {rule.rule.when for rule in found.values()} == {
            *(f"temperature > {40.0 + number} + 5" for number in range(PAGE)), "temperature > 50.0 + 5",
        }  # fmt: skip
        await rim.read(documents())
        assert "hot" not in rim.desk.engine.content.rules


async def test_what_else_of_the_files_differs_is_compared_with_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: Counter[str] = Counter()
    async with Registry(sqlite_url(tmp_path)) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        await put_devices(registry, MANY[:1])
        rim = Rim(tmp_path, registry)
        await rim.follow()
        counted(monkeypatch, comparing, "difference", work)
        key = "profile/milesight/gs524n"
        other = {**with_rule(), key: orjson.dumps({**orjson.loads(documents()[key]), "version": "9.9.9"})}
        await rim.read(other)
        await put_devices(registry, MANY[:2])
        await rim.read(documents())  # of the registry nobody has told yet
        assert work["difference"] == 2
        assert rim.known() == [device.id for device in MANY[:2]]
        assert rim.desk.engine.content.bodies()[key] == documents()[key]
