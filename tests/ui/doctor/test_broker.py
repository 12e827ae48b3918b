"""Real brokers, good and bad, asked by the doctor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mqtt5
import pytest

from hub.clock import SystemClock
from hub.config.settings import Settings, read_settings
from hub.services.broker import IotcoreService
from hub.services.child import free_port
from hub.ui.doctor import broker
from hub.ui.doctor.broker_probe import Seen, look
from tests.machine import find, needs_mosquitto
from tests.servers.mosquitto import Mosquitto
from tests.servers.process import ServerProcess
from tests.ui.conftest import Cli
from tests.ui.doctor.scenes import BAD, GOOD, UNSEEN, WEAK, examined, grades, scene, settings_of
from tests.waiting import PATIENCE_SECONDS, wait_until

# mosquitto's own defaults, and then some.
CARELESS = (
    "max_queued_messages 1000",
    "max_inflight_messages 20",
    "max_packet_size 5000",
    "retain_available false",
)


def at(directory: Path, port: int) -> Settings:
    return settings_of(directory, mqtt={"port": port})


@pytest.fixture
def careless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mosquitto]:
    monkeypatch.setattr("hub.ui.doctor.broker_probe.SYS_SECONDS", 3.0)  # what never comes is waited for so long
    server = Mosquitto(tmp_path / "mosquitto", *CARELESS)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def careful(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, ServerProcess]]:
    """A mosquitto with the files that `hub init` wrote, and its installation."""
    monkeypatch.setattr("hub.ui.doctor.broker_probe.SYS_SECONDS", PATIENCE_SECONDS)
    place = tmp_path / "garden"
    words = [str(find("mosquitto")), "-c", str(place / "broker" / "mosquitto.conf")]
    server = ServerProcess(tmp_path / "mosquitto.log", lambda: words)
    assert cli("init", str(place), "--yes", "--mqtt-port", str(server.port)).code == 0
    server.start()
    yield place, server
    server.kill()


@needs_mosquitto
async def test_what_hub_init_wrote_is_good_and_nothing_of_the_doctor_is_left(
    careful: tuple[Path, ServerProcess],
) -> None:
    place, server = careful
    settings = read_settings(place / "hub.toml")
    found = await examined("broker", scene(settings))
    version = found.pop("broker_version")
    assert version.grade in {GOOD, WEAK}
    assert "mosquitto version" in version.found
    assert {name: verdict for name, verdict in found.items() if verdict.grade is not GOOD} == {}
    assert found["broker_backlog"].found == "1200 of 1200 queued messages came"
    assert not await has_session(server.port, settings.mqtt.passwords.doctor.get_secret_value())
    conf = await examined("mosquitto.conf", scene(settings, conf=place / "broker" / "mosquitto.conf"))
    assert [name for name, verdict in conf.items() if verdict.grade is BAD] == []


async def has_session(port: int, password: str) -> bool:
    """Tell whether the broker remembers a session of the doctor's."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    hello = mqtt5.ConnectPacket("x", username="hub-doctor", password=password.encode(), clean_start=False, keep_alive=9)
    writer.write(hello.write())
    packet, _ = mqtt5.read(memoryview(await reader.read(4096)))
    writer.close()
    assert isinstance(packet, mqtt5.ConnAckPacket)
    assert int(packet.reason_code) == 0
    return packet.session_present


@needs_mosquitto
async def test_a_careless_broker_is_found_out_by_asking_it(careless: Mosquitto, tmp_path: Path) -> None:
    found = await examined("broker", scene(at(tmp_path, careless.port)))
    assert grades(found) == {
        "broker_reachable": GOOD,
        "broker_version": found["broker_version"].grade,
        "broker_anonymous": BAD,
        "broker_client_id": BAD,
        "broker_session_expiry": GOOD,
        "broker_receive_maximum": WEAK,
        "broker_packet_size": BAD,
        "broker_quality": BAD,
        "broker_dropped": found["broker_dropped"].grade,
        "broker_backlog": BAD,
    }
    assert 1_000 <= int(found["broker_backlog"].found.split()[0]) < 1_100


@needs_mosquitto
async def test_what_it_has_thrown_away_is_told(tmp_path: Path) -> None:
    server = Mosquitto(tmp_path / "mosquitto", "max_queued_messages 1")
    server.start()
    try:

        async def has_dropped() -> bool:
            # the first look fills the queue beyond its limit; mosquitto tells of it a second later
            return (await examined("broker", scene(at(tmp_path, server.port))))["broker_dropped"].grade is WEAK

        await wait_until(has_dropped)
    finally:
        server.kill()


async def test_the_broker_of_the_demo_is_told_by_name(tmp_path: Path) -> None:
    port = free_port()
    async with IotcoreService(tmp_path, port=port, log_file=tmp_path / "log", clock=SystemClock()):
        found = await examined("broker", scene(at(tmp_path, port)))
    assert "toy_broker" in found["broker_reachable"].found
    assert found["broker_reachable"].grade is BAD


async def test_a_broker_that_is_not_there_hides_everything_else(tmp_path: Path) -> None:
    found = await examined("broker", scene(at(tmp_path, free_port())))
    assert found.pop("broker_reachable").grade is BAD
    assert set(grades(found).values()) == {UNSEEN}


@needs_mosquitto
async def test_a_doctor_without_its_password_says_whose_user_is_missing(
    careful: tuple[Path, ServerProcess], tmp_path: Path
) -> None:
    found = await examined("broker", scene(at(tmp_path, careful[1].port)))
    assert "doctor_refused" in found["broker_reachable"].found
    assert "hub-doctor" in found["broker_reachable"].found


@needs_mosquitto
async def test_answers_that_this_mosquitto_never_gives_are_judged_too(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """EMQX grants shorter sessions than asked for; later versions of mosquitto have fewer bugs. Neither is at hand."""
    seen: Seen = await look(scene(at(tmp_path, mosquitto.port)))
    granted = replace(seen, connack=mqtt5.ConnAckPacket(session_expiry_interval=7200))
    assert broker.session_expiry(granted).grade is BAD
    assert broker.version(replace(seen, version="mosquitto version 2.0.11")).grade is WEAK
    assert broker.version(replace(seen, version="mosquitto version 2.1.2")).grade is GOOD
    assert broker.version(replace(seen, version="EMQX 5.8")).grade is UNSEEN
    assert broker.quality(replace(seen, connack=mqtt5.ConnAckPacket(max_qos=mqtt5.QoS.AT_MOST_ONCE))).grade is BAD
