"""With which rules a city begins: those of its files, or those that it had where one must be refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.citywide.rules import KEPT, read_at_start
from hub.config.settings import CitySettings, Settings
from hub.errors import ConfigError
from tests.citywide.rig import at_work, register, settings_of
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

OWN = """
city_rule: own-card
version: 1.0.0
label: {en: "One card at {from}, then at {to}", zh: "同一张卡先在{from}，后在{to}"}
watch: [access.passage]
for_each: {value: card, length: 8}
inside: {within: 12h}
raise: {event: access.own_card, severity: high}
"""


def with_own(settings: Settings, directory: Path, text: str) -> Settings:
    """Return settings of a city with one rule of its own."""
    directory.mkdir(exist_ok=True)
    (directory / "own.yaml").write_text(text, encoding="utf-8")
    return settings.model_copy(update={"city": settings.city.model_copy(update={"rules_dir": directory})})


async def test_a_city_that_was_at_work_goes_on_with_the_rules_that_it_had(tmp_path: Path, valkey: ValkeyServer) -> None:
    settings = with_own(settings_of(tmp_path / "data", valkey.url), tmp_path / "rules", OWN)
    await register(settings)
    async with at_work(settings) as city:
        before = city.rules
    with_own(settings, tmp_path / "rules", OWN.replace("within: 12h", "within: lo"))
    async with at_work(settings) as city:
        await wait_until(lambda: city.watch.is_watching)
        assert "own-card" in city.rules
        assert city.rules == before
        assert "own.yaml:7" in city.refused
    with_own(settings, tmp_path / "rules", OWN.replace("12h", "6h"))
    async with at_work(settings) as city:
        assert (city.rules == before, city.refused) == (False, "")


@pytest.mark.parametrize("kept", [None, b"", b'{"a": {}}'], ids=["never at work", "empty", "of no rules"])
def test_a_city_that_has_no_rules_to_go_on_with_does_not_start(tmp_path: Path, kept: bytes | None) -> None:
    settings = with_own(Settings(data_dir=tmp_path, city=CitySettings()), tmp_path / "rules", "city_rule: half")
    if kept is not None:
        (tmp_path / KEPT).write_bytes(kept)
    with pytest.raises(ConfigError, match=r"own\.yaml"):
        read_at_start(settings, tmp_path)
