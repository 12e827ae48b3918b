"""One hub with two sites, the city engine beside it, and what people see of it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import pytest

from hub.city.chart import position_of
from hub.config.settings import read_settings
from hub.registry.circumstances import set_fact
from hub.registry.nouns import Device, Site
from hub.registry.registry import Registry
from hub.services.child import free_port
from hub.ui.pages.city import missing_of
from tests.servers.pages import page
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import SITE, Installation, environment, hub_command
from tests.ui.office import Office
from tests.waiting import PATIENCE_SECONDS, wait_until

HARBOUR, GATE_7, CAMERA = "harbour", "gate-7", "camera"
GATES = {SITE: "gate-2", HARBOUR: GATE_7}
CARD, PLATE = "0012345678", "鲁B12345"


@pytest.fixture
def at(cli: Cli, installation: Installation) -> At:
    return At(cli, installation)


class CityPages:
    """Where the health of the city is read."""

    def __init__(self, port: int) -> None:
        self._port = port

    def __call__(self, path: str) -> tuple[int, str]:
        """Return status and text of a page; 0 while nothing listens."""
        status, body = page(self._port, path)
        return status, body.decode()


@pytest.fixture(scope="module")
def city(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CityPages]:
    """Register a second site, say where both lie, and run the city engine."""
    port = free_port()
    with installation.config.open("a", encoding="utf-8") as config:
        config.write(f'city.http.port = {port}\ncity.settle = "500ms"\n')
    asyncio.run(_register(installation))
    # What a device says before the hub knows it comes late, and without a clock of its own is not compared.
    asyncio.run(wait_until(lambda: _is_taken_up(installation)))
    log = (tmp_path_factory.mktemp("city") / "city.log").open("wb")
    command = hub_command("--config", str(installation.config), "city", "run")
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
    pages = CityPages(port)
    asyncio.run(wait_until(lambda: pages("/readyz")[0] == HTTPStatus.OK))
    yield pages
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
    log.close()


async def _register(installation: Installation) -> None:
    async with Registry(read_settings(installation.config).registry_url()) as registry:
        await registry.add_site(Site(id=HARBOUR, zone="Asia/Shanghai", label={"zh": "海港", "en": "Harbour"}))
        gates = [Device(site=site, id=gate, kind="access_controller") for site, gate in GATES.items()]
        await registry.add_devices(gates + [Device(site=site, id=CAMERA, kind="plate_reader") for site in GATES])
        for site, longitude in ((SITE, 120.0), (HARBOUR, 120.2)):
            await set_fact(registry, (site, site), "longitude", longitude)
            await set_fact(registry, (site, site), "latitude", 36.26)


async def _is_taken_up(installation: Installation) -> bool:
    async with Registry(read_settings(installation.config).registry_url()) as registry:
        revision = await registry.revision()
    return f"hub_registry_revision {revision}.0" in installation.page("/metrics")[1].decode()


def swipe(at: At, site: str, device: str) -> None:
    signals = [{"name": "access.granted", "credential": "card", "card": CARD, "direction": "in"}]
    payload = json.dumps({"part": "door-1", "signals": signals}).encode()
    at.installation.publish(f"hub/{site}/{device}/signal", payload)


def passed(at: At, site: str) -> None:
    values = {"plate": PLATE, "direction": "in", "confidence": 0.99}
    at.installation.publish(f"hub/{site}/{CAMERA}/telemetry", json.dumps({"values": values}).encode())


def wait_for_passages(at: At, type_: str, count: int) -> list[Any]:
    found: list[Any] = at.until("events", "list", "--type", type_, meets=lambda events: len(events) >= count)
    return found


@pytest.mark.usefixtures("city")
def test_one_card_at_two_sites_is_one_event_with_both_places_in_words(at: At) -> None:
    swipe(at, SITE, "gate-2")
    swipe(at, HARBOUR, GATE_7)
    wait_for_passages(at, "access.passage", 2)
    (event,) = wait_for_passages(at, "access.impossible_travel", 1)
    assert event["label"]["zh"].startswith("同一张卡出现在两个小区：先在柳园 gate-2，")
    assert "后在海港 gate-7，相距 17.9 km" in event["label"]["zh"]
    assert event["label"]["en"].startswith(f"One card at two sites: {SITE} gate-2, then Harbour gate-7, 17.9 km apart")
    assert CARD not in json.dumps(event)
    causes = [each["id"] for each in at("events", "list", "--type", "access.passage")][-2:]
    assert [event["data"]["from_event"], event["data"]["to_event"]] == causes


@pytest.mark.usefixtures("city")
def test_one_plate_at_two_sites_is_told_by_both_rules(at: At) -> None:
    passed(at, SITE)
    wait_for_passages(at, "vehicle.passage", 1)
    passed(at, HARBOUR)
    (twice,) = wait_for_passages(at, "vehicle.plate_in_two_places", 1)
    (inside,) = wait_for_passages(at, "vehicle.double_entry", 1)
    assert twice["data"]["token"] == inside["data"]["token"] != PLATE
    assert (twice["site"], twice["device"], twice["data"]["from_site"]) == (HARBOUR, CAMERA, SITE)


def test_the_city_tells_how_it_stands(at: At, city: CityPages) -> None:
    status = at.until(
        "city", "status", meets=lambda said: said["is_running"] and said["kept"]["counts"].get("judged", 0) >= 4
    )
    assert status["kept"]["counts"]["raised.vehicle-double-entry"] == 1
    at.until("city", "status", meets=lambda said: not any(said["unread"].values()))
    metrics = city("/metrics")[1].splitlines()
    assert 'hub_city_events_raised_total{rule="vehicle-plate-in-two-places"} 1.0' in metrics
    assert "hub_city_sites_unplaced 0.0" in metrics
    assert "raised.access-impossible-travel" in at.said("city", "status").out


@pytest.mark.usefixtures("city")
def test_an_event_of_the_city_is_traced_to_the_events_that_it_compares(at: At) -> None:
    (event,) = wait_for_passages(at, "access.impossible_travel", 1)
    traced = at("trace", event["id"])
    assert [each["id"] for each in traced["compares"]] == [event["data"]["from_event"], event["data"]["to_event"]]
    assert f"hub trace {event['data']['from_event'][:8]}" in at.said("trace", event["id"]).out


# ---------------------------------------------------------------------------------------------------- without servers


def test_a_city_whose_events_the_store_does_not_take_says_so() -> None:
    watch = SimpleNamespace(is_watching=True, silent_seconds=0.4)
    city = SimpleNamespace(watch=watch, historian=SimpleNamespace(behind_seconds=61.0, last_error="[store_busy] 503"))
    assert [(reason.code, reason.detail) for reason in missing_of(city)] == [  # type: ignore[arg-type] # what it asks
        ("timeseries_behind", "its events wait in Redis, for 61 s: [store_busy] 503")
    ]


def test_a_site_is_told_where_it_lies(office: Office) -> None:
    assert office.json("sites", "locate", "garden", "120.03", "36.26")["longitude"] == 120.03
    facts = office.json("places", "show", "garden", "garden")["facts"]
    assert position_of(facts) == (120.03, 36.26)
    assert "place_unknown" in office.refused("sites", "locate", "nowhere", "120.03", "36.26")
    assert office("sites", "locate", "garden", "36.26", "120.03").code == 2


def test_city_rules_are_listed_checked_and_tested(office: Office) -> None:
    listed = office.json("city", "list")
    assert {each["city_rule"] for each in listed} >= {"access-impossible-travel", "access-cloned-card"}
    assert all(each["sentence"]["zh"] and each["tests"] for each in listed)
    assert office.json("city", "check") == []
    results = office.json("city", "test", "access-cloned-card")
    assert {result["rule"] for result in results} == {"access-cloned-card"}
    assert all(result["differences"] == [] for result in results)
