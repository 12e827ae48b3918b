"""Ports: no two of one machine's listeners on the same."""

from __future__ import annotations

from collections.abc import Mapping

from hub.config.settings import BrokerKeeper, Settings
from hub.errors import ConfigError


def refuse_collision(ports: Mapping[str, int], hint: str = "choose another for one") -> None:
    """ConfigError ``ports_collide`` for the first port that two are for; ``ports`` are by the name of who listens."""
    for port in ports.values():
        names = [name for name, theirs in ports.items() if theirs == port]
        if len(names) > 1:
            raise ConfigError("ports_collide", f"{port} is for {' and '.join(names)}", hint=hint)


_OUR_OWN = ("", "0.0.0.0", "::", "localhost", "127.0.0.1")  # noqa: S104 -- compared with, not listened at


def check_broker(settings: Settings) -> None:
    """ConfigError ``ports_collide`` for a broker of ours that could not listen: it would tell at its next start.

    The hub's own listener is at 127.0.0.1, the others at ``broker.listen``.
    """
    broker, mqtt = settings.broker, settings.mqtt
    if broker.keeper is BrokerKeeper.NOBODY:
        return
    hint = "the hub comes in at mqtt.port, in the clear and from this machine alone: give each a port of its own"
    if mqtt.ca_file is not None:
        hint += ", and leave mqtt.ca_file out"
    ports = {
        "mqtt.port": mqtt.port if broker.listen in _OUR_OWN else None,
        "broker.tls_port": broker.tls_port,
        "broker.certificate_port": broker.certificate_port,
    }
    refuse_collision({name: port for name, port in ports.items() if port is not None}, hint)
