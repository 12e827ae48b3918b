"""A broker of ours whose listeners would collide."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.config.ports import check_broker
from hub.config.settings import read_settings
from tests.ui.conftest import Cli


@pytest.mark.parametrize(
    ("ports", "what"),
    [
        ("tls_port = 8883", "8883 is for mqtt.port and broker.tls_port"),
        ("certificate_port = 8883", "8883 is for mqtt.port and broker.certificate_port"),
        ("tls_port = 8884\ncertificate_port = 8884", "8884 is for broker.tls_port and broker.certificate_port"),
    ],
)
def test_a_broker_of_ours_that_could_not_listen_is_refused_before_its_file_is_written(
    cli: Cli, tmp_path: Path, ports: str, what: str
) -> None:
    text = f'data_dir = "{tmp_path}/data"\n[mqtt]\nport = 8883\nca_file = "ca.crt"\n[broker]\n{ports}\n'
    config = tmp_path / "hub.toml"
    config.write_text(text, encoding="utf-8")
    check_broker(read_settings(config))  # somebody else's may listen at several addresses
    config.write_text(f'{text}keeper = "mosquitto"\n', encoding="utf-8")
    said = cli("--config", str(config), "broker", "apply")
    assert said.code == 2
    assert what in said.err
    assert "leave mqtt.ca_file out" in said.err
    assert not [*tmp_path.rglob("mosquitto.conf")]


def test_one_port_at_two_addresses_is_no_collision(tmp_path: Path) -> None:
    config = tmp_path / "hub.toml"
    text = f'data_dir = "{tmp_path}/data"\n[mqtt]\nport = 8883\n[broker]\nkeeper = "mosquitto"\ntls_port = 8883\n'
    config.write_text(f'{text}listen = "192.0.2.2"\n', encoding="utf-8")
    check_broker(read_settings(config))
