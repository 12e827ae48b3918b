"""Beside a running hub: who is pending, what adopting takes in, and which dwellings have a living detector."""

from __future__ import annotations

import asyncio

import pytest

from tests.machine import needs_mosquitto
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import NORMAL, SITE, Installation
from tests.ui.office import Office
from tests.waiting import wait_until

pytestmark = needs_mosquitto


@pytest.fixture
def at(cli: Cli, installation: Installation) -> At:
    return At(cli, installation)


def test_an_unknown_device_is_pending_and_once_adopted_what_it_said_is_stored(at: At) -> None:
    at.installation.publish(f"hub/{SITE}/new-1/telemetry", NORMAL)
    at.installation.publish(f"hub/{SITE}/new-1/availability", b"online")
    pending = at.until("devices", "pending", meets=lambda found: [one for one in found if one["messages"] == 2])
    (mine,) = [one for one in pending if one["device"] == f"{SITE}/new-1"]
    assert bytes.fromhex(mine["payload"]) == NORMAL
    best = mine["guesses"][0]
    assert (best["profile"], best["kind"]) == ("milesight/gs524n", "smoke_sensor")

    adopted = at("devices", "adopt", f"{SITE}/new-1", "--profile", best["profile"])
    assert (adopted["kind"], adopted["waiting"]) == ("smoke_sensor", 2)
    rows = at.until("telemetry", "query", "smoke_sensor", "new-1", meets=bool)
    assert rows[0]["fields"]["battery"] == 100
    assert [one for one in at("devices", "pending") if one["device"] == f"{SITE}/new-1"] == []


def test_a_native_payload_is_recognised_and_adopted_by_its_kind(at: At) -> None:
    at.installation.publish(f"hub/{SITE}/new-2/telemetry", b'{"values": {"battery": 50}}')
    mine = at.until(
        "devices", "pending", meets=lambda found: [one for one in found if one["device"].endswith("/new-2")]
    )
    assert [one["native"] for one in mine if one["device"].endswith("/new-2")] == [True]
    assert "--kind for the native payload" in at.refused("devices", "adopt", f"{SITE}/new-2")
    at("devices", "adopt", f"{SITE}/new-2", "--kind", "smoke_sensor")
    assert at.until("telemetry", "query", "smoke_sensor", "new-2", meets=bool)[0]["fields"] == {"battery": 50}


def test_a_device_that_was_registered_before_it_came_is_pending_until_it_is_adopted(at: At) -> None:
    words = ("--kind", "smoke_sensor", "--profile", "milesight/gs524n", "--serial", "SN-3", "--tag", "east")
    at("devices", "add", SITE, "new-3", *words, "--pending")
    at.installation.publish(f"hub/{SITE}/new-3/telemetry", NORMAL)
    at.until("devices", "pending", meets=lambda found: [one for one in found if one["device"] == f"{SITE}/new-3"])
    adopted = at("devices", "adopt", f"{SITE}/new-3", "--profile", "milesight/gs524n")
    assert (adopted["state"], adopted["serial"], adopted["tags"]) == ("active", "SN-3", ["east"])
    assert at.until("telemetry", "query", "smoke_sensor", "new-3", meets=bool)[0]["fields"]["battery"] == 100


def test_who_was_never_heard_cannot_be_adopted(at: At) -> None:
    assert "[pending_unknown]" in at.refused("devices", "adopt", f"{SITE}/nobody", "--kind", "smoke_sensor")


def test_a_dwelling_is_covered_when_its_detector_was_heard_of(at: At) -> None:
    at("places", "add", SITE, "b1", "--type", "building")
    for name in ("d1", "d2", "d3"):
        at("places", "add", SITE, name, "--type", "dwelling", "--parent", "b1")
    at("places", "add", SITE, "hall", "--type", "floor", "--parent", "d1")
    for device, place in (("in-hall", "hall"), ("in-d2", "d2")):
        at("devices", "add", SITE, device, "--kind", "smoke_sensor", "--profile", "milesight/gs524n", "--place", place)
    at("devices", "add", SITE, "meter", "--kind", "water_meter", "--place", "d3")
    at.installation.publish(f"hub/{SITE}/in-hall/telemetry", NORMAL)

    (building,) = at.until("coverage", meets=lambda found: found[0]["covered"] == 1)
    assert (building["site"], building["building"], building["dwellings"]) == (SITE, "b1", 3)
    assert building["share"] == 1 / 3
    assert building["silent"] == [
        {"dwelling": "d2", "device": "in-d2", "since": 0},
        {"dwelling": "d3", "device": "", "since": 0},
    ]
    asyncio.run(wait_until(lambda: at.figure("hub_dwellings_covered") == 1))
    assert at.figure("hub_dwellings") == 3
    assert at("coverage", "--within", "0s")[0]["covered"] == 0
    assert at("coverage", "--kind", "water_meter")[0]["covered"] == 0


def test_communities_are_summed_up_when_there_are_several(office: Office) -> None:
    office.json("sites", "add", "park")
    for site, names in (("garden", ("d1", "d2")), ("park", ("d1",))):
        for name in names:
            office.json("places", "add", site, name, "--type", "dwelling")
    rows = [line.split() for line in office("coverage").out.splitlines()]
    assert ["garden", "all", "0", "2", "0.0%"] in rows
    assert ["all", "0", "3", "0.0%"] in rows
