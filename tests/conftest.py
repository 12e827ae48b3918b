"""What every test gets: the fixtures of the real servers and a repeatable hypothesis."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.servers.mosquitto",
    "tests.servers.valkey",
    "tests.servers.influxdb",
    "tests.servers.victoria",
    "tests.servers.http_stub",
    "tests.servers.proxy",
]

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")  # noqa: TID251 -- the runner says where it runs
