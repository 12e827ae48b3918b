"""What this machine has: tests of real servers are skipped where a server is missing, unless all are required."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hub.services.broker import DAEMON_PATH

REQUIRED = os.environ.get("HUB_TEST_SERVERS") == "required"  # noqa: TID251 -- the runner says what must be there

# Fixtures that start a server which pip does not bring, and its executable.
SERVERS = {
    **dict.fromkeys(("mosquitto", "kept", "kept_tls"), "mosquitto"),
    "influxdb": "influxd",
    "victoria": "victoria-metrics",
    "postgres": "postgres",
}


def find(executable: str) -> str | None:
    """Return where ``executable`` is, daemon folders included."""
    debian = map(str, Path("/usr/lib/postgresql").glob("*/bin"))
    return shutil.which(executable) or shutil.which(executable, path=":".join([DAEMON_PATH, *sorted(debian)]))


def needs(executable: str) -> pytest.MarkDecorator:
    """Return the mark of tests that start ``executable``: with HUB_TEST_SERVERS=required they run, and fail."""
    missing = find(executable) is None and not REQUIRED
    return pytest.mark.skipif(missing, reason=f"{executable} is not installed; HUB_TEST_SERVERS=required would fail")


needs_mosquitto = needs("mosquitto")


def is_running(pid: int) -> bool:
    """Tell whether there is such a process that has not ended."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False


def waits_for_a_lock(pid: int) -> bool:
    """Tell whether a process stands and waits for a lock of a file."""
    return any(
        line.split()[1] == "->" and str(pid) in line.split() for line in Path("/proc/locks").read_text().splitlines()
    )
