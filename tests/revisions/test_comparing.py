"""What an import of many comes to in a hub at work: all or nothing in the registry, a page at a time in the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from hub.config.settings import Settings
from hub.engine.outfits import Outfits
from hub.engine.registered import Registered
from hub.engine.rulebook import Rulebook
from hub.errors import ConfigError
from hub.model.values import PlaceType
from hub.registry import changes
from hub.registry.circumstances import set_params
from hub.registry.many import put_devices
from hub.registry.nouns import Device, Params, Place, Site, Source
from hub.registry.registry import Registry
from hub.revisions import comparing
from hub.revisions.comparing import Compared, Comparing, Files
from tests.clocks import ManualClock
from tests.counting import counted
from tests.engine.desk import Desk, documents
from tests.engine.foreign import listing
from tests.registry.conftest import ready_url

NOTHING: Mapping[str, bytes] = {}
PAGE = 10
MANY = [Device(site="s1", id=f"d{number:02}", kind="smoke_sensor") for number in range(2 * PAGE + 5)]
ODD = PAGE + 3


class Rim:
    """Follows a registry as a hub does, with an engine on a desk."""

    def __init__(self, directory: Path, registry: Registry, refused: ConfigError | None = None) -> None:
        self.desk, files = Desk(documents()), refused or documents()
        content, settings = self.desk.engine.content, Settings(data_dir=directory / "data")
        self.clock = ManualClock()
        self.comparing = Comparing(settings, self.clock, registry, content, Files(files, {}))

    async def follow(self, said: Mapping[str, bytes] = NOTHING) -> None:
        """Take what has changed, a page after the other; ConfigError for one that the engine could not work with.

        ``said``: by sources, of their devices.
        """
        while await self.comparing.is_behind(said):
            taken, said = said, NOTHING
            compared = await self.comparing.compare(None, taken)
            if compared.note is not None:
                self.desk.say(compared.note.revision, bodies=compared.note.bodies)
            self.comparing.settle(compared)

    async def compare(self, files: Mapping[str, bytes] | None) -> Compared:
        """Find out what files that were read again change, None: what has changed of the registry."""
        return await self.comparing.compare(files, NOTHING)

    def take(self, compared: Compared) -> None:
        """Let the engine have it."""
        assert compared.note is not None
        self.desk.say(compared.note.revision, bodies=compared.note.bodies)
        self.comparing.settle(compared)

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
    async with Registry(ready_url(tmp_path)) as registry:
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
            rim.clock.advance(60)
        await put_devices(registry, [MANY[ODD]])
        await rim.follow()
        assert rim.known() == [device.id for device in MANY]


async def test_what_is_refused_is_compared_again_once_something_has_changed_or_a_minute_is_over(tmp_path: Path) -> None:
    async with Registry(ready_url(tmp_path)) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        rim = Rim(tmp_path, registry)
        await rim.follow()
        await put_devices(registry, [replace(MANY[0], profile="nobody/nothing")])
        for _ in range(2):
            with pytest.raises(ConfigError, match="nobody/nothing"):
                await rim.follow()
            rim.comparing.held_up("nobody/nothing")
            await rim.follow()
            rim.comparing.held_up("")
            assert (rim.comparing.error, rim.comparing.failing_since is None) == ("nobody/nothing", False)
            rim.clock.advance(60)
        await put_devices(registry, MANY[:1])
        await rim.follow()
        rim.comparing.held_up("")
        assert (rim.known(), rim.comparing.error) == (["d00"], "")


async def test_of_many_that_the_registry_refuses_none_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST", PAGE)
    async with Registry(ready_url(tmp_path)) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        rim = Rim(tmp_path, registry)
        await rim.follow()
        before = await registry.revision()
        with pytest.raises(ConfigError, match="moon"):
            await put_devices(registry, [*MANY[:-1], replace(MANY[-1], place="moon")])
        assert (await registry.revision(), await registry.devices()) == (before, [])
        await rim.follow()
        assert rim.known() == []


async def test_files_that_were_refused_at_the_start_are_what_the_engine_has_until_they_are_read(tmp_path: Path) -> None:
    async with Registry(ready_url(tmp_path)) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        rim = Rim(tmp_path, registry, ConfigError("bad_yaml"))
        content = rim.desk.engine.content
        more = documents() | {"rule/later": documents()["rule/smoke-alarm"].replace(b"smoke-alarm", b"later")}
        rim.desk.revise(more)  # what the journal has beyond the checkpoint
        await put_devices(registry, MANY[:1])
        await rim.follow()
        assert (rim.known(), more.items() <= dict(content.bodies().items()).items()) == (["d00"], True)
        await rim.read(documents())
        assert "rule/later" not in content.bodies()


async def test_what_a_source_said_of_its_devices_is_owed_until_a_revision_has_it(tmp_path: Path) -> None:
    async with Registry(ready_url(tmp_path)) as registry:
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


async def test_what_is_made_of_what_a_network_says_is_made_anew_where_its_kind_changes_in_the_files(
    tmp_path: Path,
) -> None:
    async with Registry(ready_url(tmp_path)) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        await registry.add_source(Source(id="z2m", network="zigbee2mqtt"))
        hall = Device(site="s1", id="hall", kind="smoke_sensor", source="z2m", network_id="0x00158d0001b7d2a3")
        await put_devices(registry, [hall])
        rim = Rim(tmp_path, registry)
        await rim.follow({"z2m": listing()})
        files = {key: body for key, body in documents().items() if not key.startswith(("profile/", "rule/", "scene/"))}
        kind = orjson.loads(files["kind/smoke_sensor"])
        del kind["properties"]["battery"]
        await rim.read({**files, "kind/smoke_sensor": orjson.dumps(kind)})
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
    async with Registry(ready_url(tmp_path)) as registry:
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


KIND, PROFILE = "kind/smoke_sensor", "profile/milesight/gs524n"


def with_another(key: str) -> dict[str, bytes]:
    label = {"en": "another", "zh": "另一个"}
    return {**with_rule(), key: orjson.dumps({**orjson.loads(documents()[key]), "label": label})}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[tuple[Registry, Rim]]:
    """Two sites with devices, of which one has a profile, and rules that ask parameters and a list."""
    async with Registry(ready_url(tmp_path)) as registry:
        for site in ("s1", "s2"):
            await registry.add_site(Site(id=site, zone="Asia/Shanghai"))
        await registry.add_places([Place(site="s1", id="b1", type=PlaceType.BUILDING)])
        await put_devices(registry, [replace(MANY[0], profile=PROFILE.partition("/")[2]), *MANY[1:]])
        await put_devices(registry, [replace(device, site="s2") for device in MANY])
        rim = Rim(tmp_path, registry)
        await rim.follow()
        await rim.read(with_rule())
        yield registry, rim


@pytest.mark.parametrize(
    ("changed", "equipped", "asked"),
    [
        (Params(rule="hot", site="s1", device="d03", values={"limit": 40}), 0, 1),
        (Params(rule="hot", site="s1", values={"limit": 40}), 0, len(MANY)),
        (Params(rule="hot", profile=PROFILE.partition("/")[2], values={"limit": 40}), 0, 1),
        (PROFILE, 1, 0),
        (KIND, 2 * len(MANY), 2 * len(MANY) + 3),  # and three places
    ],
    ids=["a device's parameter", "a site's", "a profile's", "a profile", "a kind"],
)
async def test_what_is_changed_is_tried_where_the_engine_is_with_whom_it_concerns_and_nothing_else_is_read(
    town: tuple[Registry, Rim], monkeypatch: pytest.MonkeyPatch, changed: Params | str, equipped: int, asked: int
) -> None:
    (registry, rim), work = town, Counter[str]()
    if isinstance(changed, Params):
        await set_params(registry, changed)
    for owner, name in (
        (Registry, "snapshot"), (comparing, "revise"), (Registered, "bodies"), (Outfits, "equip"), (Rulebook, "of"),
        (Outfits, "_make"), (Outfits, "_native"), (Rulebook, "_compiled"),
    ):  # fmt: skip
        counted(monkeypatch, owner, name, work)
    compared = await rim.compare(with_another(changed) if isinstance(changed, str) else None)
    made = work.pop("_make", 0) + work.pop("_native", 0) + work.pop("_compiled", 0)
    assert work == Counter(equip=equipped, of=asked)
    assert made
    work.clear()
    rim.take(compared)
    assert work == Counter(equip=equipped, of=asked), "what messages would wait for: nothing is compiled"


async def test_what_differs_of_the_files_and_of_the_registry_is_compared_with_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: Counter[str] = Counter()
    async with Registry(ready_url(tmp_path)) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        await put_devices(registry, MANY[:1])
        rim = Rim(tmp_path, registry)
        await rim.follow()
        counted(monkeypatch, comparing, "difference", work)
        await rim.read(with_another(PROFILE))
        await put_devices(registry, MANY[:2])
        await rim.read(documents())  # of the registry nobody has told yet
        assert work["difference"] == 1
        assert rim.known() == [device.id for device in MANY[:2]]
        assert rim.desk.engine.content.bodies()[PROFILE] == documents()[PROFILE]


@pytest.mark.parametrize("key", [KIND, PROFILE])
async def test_what_an_engine_cannot_work_with_is_refused_before_it_is_journaled(
    town: tuple[Registry, Rim], key: str
) -> None:
    _, rim = town
    files = with_another(PROFILE)
    del files[key]
    with pytest.raises(ConfigError, match=key.rpartition("/")[2]):
        await rim.compare(files)
    await rim.read(with_another(PROFILE))
