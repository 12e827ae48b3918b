"""Open files: as many as a hub needs, where the system gives fewer to whoever does not ask."""

from __future__ import annotations

import resource

import structlog

ENOUGH = 65_536
"""As many as our units ask for (LimitNOFILE). More would cost programs that look at each that there might be."""

log = structlog.get_logger(__name__)


def raise_open_files() -> int:
    """Let this process, and those that it starts, open more files where they may; return how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    log.info("open_files_raised", before=soft, now=wanted)
    return wanted
