"""`hub sim` beside a running hub: its devices are registered, its messages heard, and its figures the broker's."""

from __future__ import annotations

import asyncio
import stat

import pytest

from hub.config.settings import Settings
from hub.registry import credentials
from hub.registry.registry import Registry
from tests.machine import needs
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import Installation
from tests.ui.office import Office
from tests.waiting import wait_until

pytestmark = needs("mosquitto")


@pytest.fixture
def at(cli: Cli, installation: Installation) -> At:
    return At(cli, installation)


def metric(at: At, name: str) -> float:
    """Return a metric, added up over its labels."""
    lines = at.installation.page("/metrics")[1].decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0].partition(" ")[0] == name)


@pytest.mark.parametrize("mix", [(), ("--mix",)])
def test_devices_that_register_themselves_are_heard_and_understood(at: At, mix: tuple[str, ...]) -> None:
    site = "mixed" if mix else "native"
    heard = metric(at, "hub_messages_heard_total")
    words = ("sim", "load", "--site", site, "--devices", "20", "--connections", "3", "--rate", "200", "--duration", "2")
    found = at(*words, "--register", *mix)
    assert (found["published"], found["pubacked"], found["refused"], found["unanswered"]) == (400, 400, {}, 0)
    assert (found["devices"], found["connections"], found["reconnects"]) == (20, 3, 0)
    assert 0 < found["puback_ms"]["p50"] <= found["puback_ms"]["p99"] <= found["puback_ms"]["most"]
    asyncio.run(wait_until(lambda: metric(at, "hub_messages_heard_total") == heard + 400))
    assert at("dead-letters", "list") == []
    assert {device["user"] for device in at("devices", "list", "--site", site)} == {
        f"{site}.gateway-{number}" for number in (1, 2, 3)
    }


def test_who_is_not_registered_is_told_how(at: At) -> None:
    said = at.said("sim", "load", "--site", "nobody", "--devices", "5", "--rate", "5", "--duration", "1")
    assert said.code == 0
    assert "5 of 5 devices are not registered here" in said.err
    assert "--register" in said.err


def test_what_is_printed_can_be_imported(office: Office) -> None:
    printed = office("sim", "devices", "--devices", "12", "--site", "garden", "--mix").out
    assert office.json("devices", "import", office.file("load.csv", printed))["added"] == 12


def test_new_passwords_are_written_for_nobody_else_to_read_and_registered(office: Office) -> None:
    file = office.directory / "passwords"
    words = ("sim", "load", "--devices", "4", "--connections", "2", "--register", "--passwords", str(file))
    assert office(*words, "--duration", "1").code == 1  # no broker listens there
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    users = [line.partition(":")[0] for line in file.read_text(encoding="utf-8").splitlines()]
    assert users == ["load.gateway-1", "load.gateway-2"]

    async def registered() -> list[str]:
        async with Registry(Settings(data_dir=office.directory / "data").registry_url()) as registry:
            return sorted((await credentials.read_roster(registry, {})).users)

    assert asyncio.run(registered()) == users


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--mix", "--devices", "3"), "a mixture is at least 7 devices"),
        (("--duration", "soon"), "a plain number is seconds"),
        (("--duration", "0"), "at least 1s"),
        (("--passwords", "/nowhere/at/all"), "--register makes a new one"),
    ],
)
def test_what_cannot_be_is_refused(office: Office, words: tuple[str, ...], complaint: str) -> None:
    assert complaint in office.refused("sim", "load", *words)
