"""The embedded brokers: ready, reachable, stopped, and never left behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from hub.clock import SystemClock
from hub.errors import ConfigError, UnavailableError
from hub.services.broker import IotcoreService, MosquittoService, iotcore_toml, mosquitto_executable
from hub.services.child import NEVER_LENT, Child, accepts, free_port
from tests.machine import is_running
from tests.waiting import PATIENCE_SECONDS, wait_until

HUNDRED_KIB = b"x" * 100_000


@pytest.fixture
async def iotcore(tmp_path: Path) -> AsyncIterator[IotcoreService]:
    service = IotcoreService(tmp_path, port=free_port(), log_file=tmp_path / "broker.log", clock=SystemClock())
    async with service:
        yield service


def client(port: int) -> aiomqtt.Client:
    return aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5)


async def test_the_built_in_broker_speaks_mqtt_5_and_takes_a_payload_of_100_kb(iotcore: IotcoreService) -> None:
    async with client(iotcore.port) as listener, client(iotcore.port) as speaker:
        await listener.subscribe("a/#", qos=1)
        await speaker.publish("a/b", HUNDRED_KIB, qos=1)
        message = await asyncio.wait_for(anext(listener.messages), PATIENCE_SECONDS)
    assert message.payload == HUNDRED_KIB


async def test_the_built_in_broker_listens_on_loopback_only(iotcore: IotcoreService) -> None:
    listening = Path(f"/proc/{iotcore.pid}/net/tcp").read_text(encoding="ascii")
    hexadecimal_port = f":{iotcore.port:04X} 00000000:0000 0A"
    addresses = [line.split()[1] for line in listening.splitlines() if hexadecimal_port in line]
    loopback = socket.inet_aton("127.0.0.1")[::-1].hex().upper()
    assert addresses == [f"{loopback}:{iotcore.port:04X}"]


async def test_a_broker_is_gone_when_its_block_ends(tmp_path: Path) -> None:
    service = IotcoreService(tmp_path, port=free_port(), log_file=tmp_path / "broker.log", clock=SystemClock())
    async with service:
        assert is_running(service.pid)
    assert not is_running(service.pid)
    assert not await accepts(service.port)


async def test_a_broker_that_is_killed_is_reported_with_its_signal(iotcore: IotcoreService) -> None:
    os.kill(iotcore.pid, signal.SIGKILL)
    code = await asyncio.wait_for(iotcore.ended(), PATIENCE_SECONDS)
    assert code == 128 + signal.SIGKILL


async def test_a_broker_does_not_outlive_a_hub_that_is_killed(tmp_path: Path) -> None:
    port = free_port()
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from hub.clock import SystemClock\n"
        "from hub.services.broker import IotcoreService\n"
        "async def main():\n"
        "    here = Path(sys.argv[1])\n"
        "    service = IotcoreService(here, port=int(sys.argv[2]), log_file=here / 'log', clock=SystemClock())\n"
        "    async with service:\n"
        "        (here / 'pid').write_text(str(service.pid))\n"
        "        await service.ended()\n"
        "asyncio.run(main())\n"
    )
    hub = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(tmp_path), str(port))
    written = tmp_path / "pid"
    broker = int(str(await wait_until(lambda: written.exists() and written.read_text(encoding="ascii"))))
    assert is_running(broker)
    hub.kill()
    await hub.wait()
    await wait_until(lambda: not is_running(broker))


async def test_a_port_that_a_stranger_holds_is_refused(tmp_path: Path) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        service = IotcoreService(tmp_path, port=port, log_file=tmp_path / "broker.log", clock=SystemClock())
        with pytest.raises(ConfigError) as refusal:
            await service.__aenter__()
    assert refusal.value.code == "port_in_use"


async def test_a_service_that_dies_at_once_says_what_it_printed(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    complaint = [sys.executable, "-c", "import sys; sys.exit('no licence')"]
    with pytest.raises(UnavailableError) as death:
        await Child("complaint", complaint, log_file=tmp_path / "log", ready=never, clock=SystemClock()).__aenter__()
    assert death.value.code == "service_died"
    assert "no licence" in death.value.message


async def test_a_service_that_cannot_be_executed_says_so(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    nothing = Child("absent", [str(tmp_path / "absent")], log_file=tmp_path / "log", ready=never, clock=SystemClock())
    with pytest.raises(UnavailableError) as death:
        await nothing.__aenter__()
    assert death.value.code == "service_died"
    assert "No such file" in death.value.message


async def test_a_service_that_does_not_listen_to_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.services.child.STOP_SECONDS", 0.2)
    marker = tmp_path / "deaf"
    deaf = (
        "import signal, pathlib; signal.signal(15, signal.SIG_IGN); "
        f"pathlib.Path({str(marker)!r}).touch(); signal.pause()"
    )

    async def is_deaf() -> bool:
        return marker.exists()

    command = [sys.executable, "-c", deaf]
    async with Child("deaf", command, log_file=tmp_path / "log", ready=is_deaf, clock=SystemClock()) as child:
        assert is_running(child.pid)
    assert not is_running(child.pid)


async def test_a_missing_mosquitto_is_a_sentence_and_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("hub.services.broker.DAEMON_PATH", str(tmp_path))
    with pytest.raises(ConfigError) as refusal:
        MosquittoService(tmp_path / "mosquitto.conf", port=1, log_file=tmp_path / "log", clock=SystemClock())
    assert "mosquitto is not installed" in str(refusal.value)
    assert "apt-get install mosquitto" in str(refusal.value)


def test_mosquitto_is_found_where_an_ordinary_users_path_does_not_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sbin").mkdir()
    daemon = tmp_path / "sbin" / "mosquitto"
    shutil.copy("/bin/true", daemon)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("hub.services.broker.DAEMON_PATH", str(tmp_path / "sbin"))
    assert mosquitto_executable() == str(daemon)


def test_the_configuration_of_the_built_in_broker_names_loopback() -> None:
    assert 'listen = "127.0.0.1:4711"' in iotcore_toml(4711)


def test_a_free_port_is_none_that_the_system_lends_to_connections() -> None:
    assert {free_port() for _ in range(20)} <= set(NEVER_LENT)


def test_a_port_is_given_to_one_asker_only(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    monkeypatch.setattr("hub.services.child.NEVER_LENT", range(port, port + 100))
    assert port not in {free_port() for _ in range(20)}


def test_a_server_gets_the_port_that_is_held_for_it_as_often_as_it_starts() -> None:
    port = free_port()
    for _ in range(2):
        with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
            pass


def test_ports_are_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.services.child.HELD_PORTS", 3)
    first = free_port()
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    for _ in range(10):
        free_port()
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) <= before
    with socket.socket() as other:
        other.bind(("127.0.0.1", first))
