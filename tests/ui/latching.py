"""An installation with rules of its own, whose alarms send commands and are ended by persons; and the CLI beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.config.settings import read_settings
from hub.sinks.redis_link import Link, RedisAddress
from hub.sinks.streams import domain_key
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import FIRE, NORMAL, SENSOR, SITE, Installation

TELEMETRY = f"hub/{SITE}/{SENSOR}/telemetry"
KEY = f"{SITE}/{SENSOR}"
LATCHED = """
rule: smoke-latched
label: {en: Smoke that a person must end, zh: 需人工解除的烟雾}
for_each: smoke_sensor
when: status == 'alarm'
raise: {event: fire.smoke_latched, severity: high}
clear: {by: operator, role: security}
do:
  - {command: unlock, args: {ttl: 30s}, to: {kind: access_controller, in: site}, priority: life_safety}
---
rule: exit-pressed
label: {en: The exit button is pressed, zh: 出门按钮被按下}
for_each: access_controller
on_signal: exit_button.pressed
raise: {event: access.exit_pressed, severity: low}
escalate: [{after: 1s, to: property_lead}, {after: 1h, to: street}]
clear: {by: operator}
---
rule: card-refused
label: {en: A card is refused, zh: 卡被拒}
for_each: {value: card, of: access_controller, forget_after: 1d}
on_signal: access.denied
raise: {event: access.card_refused, severity: low}
"""


def latching_in(directory: Path) -> Installation:
    """Return one that is not open yet."""
    it = Installation(directory)
    rules = directory / "rules"
    rules.mkdir()
    (rules / "latched.yaml").write_text(LATCHED, encoding="utf-8")
    with it.config.open("a", encoding="utf-8") as config:
        config.write(f'rules_dir = "{rules}"\n')
    return it


class Burning(At):
    """The CLI beside an installation whose sensor can burn."""

    def burn(self) -> dict[str, Any]:
        """Let the sensor report smoke; return its alarm that a person must end."""
        self.installation.publish(TELEMETRY, FIRE)
        alarms = self.until("alarms", "list", meets=lambda found: _latched(found) and len(found) == 2)
        self.until("events", "list", "--type", "fire.smoke_latched", meets=bool)
        return _latched(alarms)[0]

    def calm(self) -> None:
        """Let the sensor be normal, and end what a person must end."""
        self.installation.publish(TELEMETRY, NORMAL)
        self.until("telemetry", "query", "smoke_sensor", SENSOR, meets=is_calm)
        for alarm in _latched(self("alarms", "list")):
            self("alarms", "clear", alarm["id"], "--role", "security")
        self.until("alarms", "list", meets=lambda found: not _latched(found))


def _latched(alarms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [alarm for alarm in alarms if alarm["rule"] == "smoke-latched"]


def is_calm(rows: list[dict[str, Any]]) -> bool:
    """Return whether the last point says so."""
    return bool(rows) and rows[-1]["fields"].get("status") == "normal"


@pytest.fixture(scope="module")
def latching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Run one for a file of tests."""
    with latching_in(tmp_path_factory.mktemp("latching")) as it:
        yield it


@pytest.fixture
def at(cli: Cli, latching: Installation) -> Iterator[Burning]:
    """The CLI beside it; behind each test nothing burns any more."""
    here = Burning(cli, latching)
    yield here
    here.calm()


async def trimmed(installation: Installation, *domains: str) -> None:
    """Empty streams as their retention does."""
    url = read_settings(installation.config).redis.url.get_secret_value()
    async with Link(RedisAddress(url=url)) as link:
        for domain in domains:
            await link.ask("XTRIM", domain_key(domain), "MAXLEN", 0)


async def emptied(installation: Installation) -> None:
    """Empty Redis."""
    url = read_settings(installation.config).redis.url.get_secret_value()
    async with Link(RedisAddress(url=url)) as link:
        await link.ask("FLUSHALL")
