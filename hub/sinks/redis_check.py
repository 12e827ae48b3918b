"""What a Redis must be before the hub trusts it: one primary, append-only, never evicting."""

from __future__ import annotations

from enum import Enum
from typing import cast

import structlog

from hub.errors import ConfigError
from hub.sinks.redis_link import Link

log = structlog.get_logger(__name__)


class OnUnsafe(Enum):
    """What to do about a server that may forget."""

    REFUSE = "refuse"
    WARN = "warn"


_WANTED = (
    ("cluster_enabled", "0", "redis_is_cluster", "use one primary; more cells, not a cluster"),
    ("role", "master", "redis_is_replica", "point the hub at the primary"),
    ("maxmemory_policy", "noeviction", "redis_evicts", "CONFIG SET maxmemory-policy noeviction"),
    ("aof_enabled", "1", "redis_not_append_only", "CONFIG SET appendonly yes"),
)


def unsafe_settings(info: str) -> list[ConfigError]:
    """Return one error for each thing in an INFO answer that would lose or refuse what the hub writes."""
    facts = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    return [
        ConfigError(code, f"{name} is {facts.get(name)!r}, must be {wanted!r}", hint=hint)
        for name, wanted, code, hint in _WANTED
        if facts.get(name) != wanted
    ]


async def check_server(link: Link, on_unsafe: OnUnsafe = OnUnsafe.REFUSE) -> list[ConfigError]:
    """Look at the server once: raise the first ConfigError, or log and return all of them (``WARN``).

    UnavailableError while it cannot be asked.
    """
    await link.open()
    unsafe = unsafe_settings(cast("bytes", await link.ask("INFO")).decode())
    for error in unsafe:
        if on_unsafe is OnUnsafe.REFUSE:
            raise error
        log.warning("redis_unsafe", code=error.code, reason=error.message, hint=error.hint)
    return unsafe
