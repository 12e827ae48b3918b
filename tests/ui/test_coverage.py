"""Beside a running hub: who is pending, what adopting takes in, and which dwellings have a living detector."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.machine import needs_mosquitto
from tests.ui.conftest import Cli
from tests.ui.installation import NORMAL, SITE, Installation
from tests.waiting import wait_until

pytestmark = needs_mosquitto


class At:
    """The CLI with the settings of an installation."""

    def __init__(self, cli: Cli, installation: Installation) -> None:
        self.installation = installation
        self._cli = cli

    def __call__(self, *words: str) -> Any:  # noqa: ANN401 -- JSON is anything
        """Return the JSON of a command that went well."""
        said = self._cli("--config", str(self.installation.config), *words, "--json")
        assert said.code == 0, said.err
        return said.document()

    def refused(self, *words: str) -> str:
        """Return what a command said that a person must mend."""
        said = self._cli("--config", str(self.installation.config), *words)
        assert said.code == 2
        return said.err

    def until(self, *words: str, meets: Callable[[Any], object]) -> Any:  # noqa: ANN401 -- JSON is anything
        """Ask until the answer ``meets`` what is wanted; return it."""
        answers: list[Any] = []

        def asked() -> object:
            answers.append(self(*words))
            return meets(answers[-1])

        asyncio.run(wait_until(lambda: asyncio.to_thread(asked), seconds=20))
        return answers[-1]

    def figure(self, name: str) -> float:
        """Return a metric of this site."""
        lines = self.installation.page("/metrics")[1].decode().splitlines()
        wanted = f'{name}{{site="{SITE}"}} '
        return next(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))


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
    assert building["silent"] == [
        {"dwelling": "d2", "device": "in-d2", "since": 0},
        {"dwelling": "d3", "device": "", "since": 0},
    ]
    asyncio.run(wait_until(lambda: at.figure("hub_dwellings_covered") == 1, seconds=20))
    assert at.figure("hub_dwellings") == 3
    assert at("coverage", "--within", "0s")[0]["covered"] == 0
    assert at("coverage", "--kind", "water_meter")[0]["covered"] == 0
