"""A server of the tests is the process that was started, and nobody else who happens to listen on its port."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.machine import needs
from tests.servers.mosquitto import Mosquitto


@needs("mosquitto")
def test_a_stranger_on_its_port_is_not_taken_for_the_server(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    with (
        socket.create_server(("127.0.0.1", broker.port)),
        pytest.raises(AssertionError, match=rf"(?s)port {broker.port}.*in use"),
    ):
        broker.start()
    broker.start()
    broker.kill()
