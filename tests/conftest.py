"""What every test gets: the fixtures of the real servers and a repeatable hypothesis."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.machine import SERVERS, needs

pytest_plugins = [
    "tests.servers.mosquitto",
    "tests.servers.kept",
    "tests.servers.valkey",
    "tests.servers.http_stub",  # before who uses it: pytest rewrites what it loads first
    "tests.servers.http_thread",
    "tests.servers.influxdb",
    "tests.servers.victoria",
    "tests.servers.postgres",
    "tests.servers.proxy",
]

# Whoever starts the tests in the background of a shell has them ignore Ctrl-C, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")  # noqa: TID251 -- the runner says where it runs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose fixtures start a server that this machine may not have; let the most patient files begin.

    Two files run side by side: a long one that began last would run alone at the end.
    """
    patience: dict[Path, float] = {}
    for item in items:
        for fixture in SERVERS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(needs(SERVERS[fixture]))
        marker = item.get_closest_marker("timeout")
        patience[item.path] = max(patience.get(item.path, 0), marker.args[0] if marker else 0)
    items.sort(key=lambda item: -patience[item.path])
