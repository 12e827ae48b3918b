"""What every test gets: the fixtures of the real servers and a repeatable hypothesis."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
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


SLOW_ROOMS = ("chaos", "model", "benchmarks", "ui")
"""They begin: files run side by side, and a long one that began last would run alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose fixtures start a server that this machine may not have; let the slow rooms begin."""
    for item in items:
        for fixture in SERVERS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(needs(SERVERS[fixture]))
    items.sort(key=lambda item: (*SLOW_ROOMS, _room(item)).index(_room(item)))


def pytest_collection_finish() -> None:
    """Take what is loaded out of the garbage collector's sight, and let it look as seldom as in a hub at work.

    It walked all modules and 12,000 tests again and again, which was 40 % of what an engine's tests cost.
    """
    gc.freeze()
    gc.set_threshold(50_000)


@pytest.fixture(scope="module", autouse=True)
def _swept() -> Iterator[None]:
    """Let what a file of tests has left be found at its end, where it says whose it was, and not in some later file."""
    yield
    gc.collect()


def _room(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]
