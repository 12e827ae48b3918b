"""A session over TLS with certificates on both sides, and while nothing is agreed on yet."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from hub.bridge.aiomqtt_session import AiomqttSession
from hub.bridge.session import MqttSession
from hub.config.settings import MqttSettings, Settings
from hub.model.heard import CaughtUp, Lost
from hub.parts import tls_of
from tests.bridge.device import publish
from tests.bridge.ear import Ear, SessionFactory, config
from tests.servers.mosquitto import Mosquitto
from tests.waiting import wait_until


def _openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def _certificates(directory: Path) -> None:
    """Make ca, server and client keys and certificates for 127.0.0.1; the authority tells no key usage."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    _openssl(directory, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test ca")
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1\n", encoding="utf-8")
    for name in ("server", "client"):
        _openssl(directory, "req", *key[:-2], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        _openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *sign)


@pytest.mark.parametrize("factory", [MqttSession, AiomqttSession])
async def test_a_session_reads_and_acks_over_mutual_tls(factory: SessionFactory, tmp_path: Path) -> None:
    _certificates(tmp_path)
    plain = Mosquitto(tmp_path)
    tls = f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key"
    broker = Mosquitto(tmp_path, f"listener {plain.port} 127.0.0.1", tls, "require_certificate true")
    authority, own = tmp_path / "ca.pem", (tmp_path / "client.pem", tmp_path / "client.key")
    nobody = MqttSettings(ca_file=authority)
    known = MqttSettings(ca_file=authority, cert_file=own[0], key_file=own[1])
    broker.start()
    try:
        async with Ear(factory, dataclasses.replace(config(plain.port), tls=tls_of(Settings(mqtt=nobody)))) as stranger:
            await wait_until(lambda: "peer did not return a certificate" in broker.log())
            assert stranger.bodies(CaughtUp) == []
        payloads = [bytes([number]) * 3_000 for number in range(200)]
        async with Ear(factory, dataclasses.replace(config(plain.port), tls=tls_of(Settings(mqtt=known)))) as ear:
            await wait_until(lambda: ear.is_caught_up)
            await publish(broker.port, payloads)
            await wait_until(lambda: len(ear.messages) == 200)
            assert ear.payloads == payloads
            assert ear.bodies(Lost) == []
    finally:
        broker.kill()


async def test_a_session_can_be_paused_and_resumed_while_tls_is_not_agreed_on() -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        secret = dataclasses.replace(config(server.getsockname()[1]), tls=ssl.create_default_context())
        async with Ear(MqttSession, secret) as ear:
            peer, _ = await loop.sock_accept(server)
            with peer:
                assert await loop.sock_recv(peer, 1)  # it has begun, and nobody answers
                ear.session.pause_reading()  # as a hub does that stops
                ear.session.resume_reading()  # as one does that has journaled what the last connection brought
            assert ear.deliveries == []
