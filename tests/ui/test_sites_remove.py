"""`hub sites remove` beside a running hub: what goes at once, what is told, what stays, and that a replay agrees."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from hub.config.settings import read_settings
from hub.sinks.redis_link import Link, RedisAddress
from hub.sinks.streams import alarms_key, twin_key
from tests.machine import needs_mosquitto
from tests.ui.at import At
from tests.ui.burning import in_thread
from tests.ui.conftest import Cli
from tests.ui.installation import FIRE, GATE, NORMAL, SENSOR, SITE, Installation
from tests.ui.latching import TELEMETRY, latching_in
from tests.ui.listener import Listener

pytestmark = needs_mosquitto
OTHER = "meadow"


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Installation]:
    """An installation of two sites; of the first the sensor burns, and the gate is held open for that."""
    with latching_in(tmp_path) as opened:
        yield opened


async def _shown(at: At) -> list[bytes]:
    """Return what Redis shows of sites."""
    url = read_settings(at.installation.config).redis.url.get_secret_value()
    async with Link(RedisAddress(url=url)) as link:
        return [
            key
            for pattern in (twin_key("*"), alarms_key("*"))
            for key in cast("list[bytes]", await link.ask("KEYS", pattern))
        ]


def _kept(directory: Path) -> list[str]:
    """Return what the state of a hub that has stopped keeps of the site."""
    with closing(sqlite3.connect(directory / "data" / "state.sqlite")) as connection:
        rows = connection.execute("SELECT key FROM entries WHERE key LIKE ?", (f"%{SITE}%",))
        return [key for (key,) in rows]


def _is_open(alarms: list[dict[str, Any]]) -> bool:
    return {alarm["rule"] for alarm in alarms if alarm["site"] == SITE} == {"smoke-alarm", "smoke-latched"}


def test_a_site_goes_with_its_alarms_and_holds_and_a_replay_says_the_same(
    cli: Cli, it: Installation, tmp_path: Path
) -> None:
    at = At(cli, it)
    at("sites", "add", OTHER)
    at("devices", "add", OTHER, SENSOR, "--kind", "smoke_sensor", "--profile", "milesight/gs524n")
    at("devices", "add", SITE, "valve", "--kind", "water_meter")
    at("lists", "add", "block", "P-1", "--site", SITE)
    wish = ("twin", "set", f"{SITE}/valve", "valve=closed", "--reason", "frost")
    at.until("devices", "list", "--site", SITE, meets=lambda found: len(found) == 3)
    in_thread(lambda: at.said(*wish).code == 0)
    with Listener(it.broker.port, GATE) as gate:
        in_thread(lambda: gate.is_listening)
        it.publish(TELEMETRY, FIRE)
        at.until("alarms", "list", meets=_is_open)
        at.until("commands", "list", "--state", "open", meets=lambda found: [one["hold"] for one in found] != [])
        going = at.until("sites", "remove", SITE, "--dry-run", meets=lambda found: found["going_on"]["holds"])
        assert going == {
            "site": SITE,
            "dry_run": True,
            "registered": {
                "devices": 3, "params": 0, "list_entries": 1, "scenes_off": 0, "places": 1, "links": 0, "owners": 3
            },
            "going_on": {"alarms": 2, "holds": 1, "desired": 1},
        }  # fmt: skip
        refused = at.refused("sites", "remove", SITE)
        assert "[site_in_use] site 'willow' has 3 devices, 2 alarms, 1 holds, 1 desired" in refused
        assert [site["id"] for site in at("sites", "list")] == [OTHER, SITE]
        assert at("sites", "remove", SITE, "--yes") == {
            "site": SITE, "dry_run": False, "registered": going["registered"]
        }  # fmt: skip
        at.until("alarms", "list", meets=lambda found: not found)
        at.until("commands", "list", meets=lambda found: "lock" in {one["command"] for one in found})
    it.publish(f"hub/{OTHER}/{SENSOR}/telemetry", NORMAL)
    in_thread(lambda: at.said("twin", "show", f"{OTHER}/{SENSOR}").code == 0)
    assert asyncio.run(_shown(at)) == [twin_key(OTHER).encode()]
    cleared = [each for each in at("events", "list", "--since", "1h") if each["transition"] == "cleared"]
    assert {(each["rule"], each["data"]["reason"]) for each in cleared} == {
        ("smoke-alarm", "device removed"),
        ("smoke-latched", "device removed"),
    }
    rows = at.until("telemetry", "query", "smoke_sensor", SENSOR, meets=lambda found: len(found) == 2)
    assert {(row["tags"]["site"], row["fields"]["status"]) for row in rows} == {(SITE, "alarm"), (OTHER, "normal")}
    assert it.stop() == 0
    assert _kept(tmp_path) == []
    replayed = at("rules", "replay")
    assert (replayed["differences"], replayed["same"] > 0, replayed["state"]) == ([], True, "exact")
