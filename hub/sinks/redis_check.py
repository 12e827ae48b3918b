"""What a Redis must be before the hub trusts it: one primary, append-only, never evicting."""

from __future__ import annotations

from typing import cast

import structlog

from hub.errors import ConfigError, UnavailableError
from hub.sinks.redis_link import Link

log = structlog.get_logger(__name__)

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


async def check_server(link: Link) -> None:
    """Look at the server once: ConfigError for the first thing that is wrong, UnavailableError while nobody answers."""
    await link.open()
    for error in unsafe_settings(cast("bytes", await link.ask("INFO")).decode(errors="replace")):
        raise error


class ServerCheck:
    """The same look on the connections of a hub that runs: it goes on hearing, and delivers nothing until it is mended.

    ``unsafe`` is what was wrong at the last look, empty when nothing was.
    """

    def __init__(self) -> None:
        self.unsafe = ""

    async def require(self, link: Link) -> None:
        """UnavailableError ``redis_unsafe`` while the server may forget what it is given, or cannot be asked."""
        try:
            await check_server(link)
        except ConfigError as error:
            if str(error) != self.unsafe:
                log.error("redis_unsafe", code=error.code, reason=error.message, hint=error.hint)  # noqa: TRY400 -- its traceback says nothing more
            self.unsafe = str(error)
            raise UnavailableError("redis_unsafe", self.unsafe) from error
        self.unsafe = ""
