"""The CLI beside an installation whose sensor can burn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.ui.at import At
from tests.ui.installation import FIRE, SENSOR, SITE
from tests.waiting import wait_until

TELEMETRY = f"hub/{SITE}/{SENSOR}/telemetry"


def in_thread(check: Callable[[], object]) -> object:
    """Wait until ``check`` is truthy; it may run the CLI, which makes an event loop of its own."""
    return asyncio.run(wait_until(lambda: asyncio.to_thread(check)))


class Burning(At):
    """The CLI beside an installation whose sensor can burn."""

    def burn(self) -> Any:  # noqa: ANN401 -- JSON is anything
        """Let the sensor report smoke; return its alarm."""
        self.installation.publish(TELEMETRY, FIRE)
        return self.until("alarms", "list")[0]
