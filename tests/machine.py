"""What this machine has: tests of real servers are skipped where a server is missing, unless all are required."""

from __future__ import annotations

import os
import shutil

import pytest

from hub.services.broker import DAEMON_PATH, mosquitto_executable

REQUIRED = os.environ.get("HUB_TEST_SERVERS") == "required"  # noqa: TID251 -- the runner says what must be there


def needs(executable: str, found: str | None) -> pytest.MarkDecorator:
    """Return the mark of tests that start ``executable``: with HUB_TEST_SERVERS=required they run, and fail."""
    return pytest.mark.skipif(found is None and not REQUIRED, reason=f"{executable} is not installed")


def find(executable: str) -> str | None:
    """Return where ``executable`` is, daemon folders included."""
    return shutil.which(executable) or shutil.which(executable, path=DAEMON_PATH)


needs_mosquitto = needs("mosquitto", mosquitto_executable())
needs_influxd = needs("influxd", find("influxd"))
needs_victoria = needs("victoria-metrics", find("victoria-metrics"))
