"""With which code a PostgreSQL refuses a connection: heard in the trace of one more, for libpq itself keeps words."""

from __future__ import annotations

import os
import re
import select
from collections.abc import Mapping
from typing import Any

from psycopg import pq
from psycopg.conninfo import make_conninfo

from hub.clock import SystemClock

PATIENCE_SECONDS = 5.0
"""For all of it: nobody can cancel the thread that asks, and a hub that is told to stop waits for it."""
WRONG_PASSWORD = "28P01"  # noqa: S105 -- a code
"""What a server would say of none, too: libpq does not send that."""
_REFUSAL = re.compile(rb'\tErrorResponse\t.*? C "(\w{5})"')
"""A line of the trace (libpq 14 and later): whose, how many bytes, what it is, then each of its fields."""


def sqlstate_of(words: Mapping[str, Any]) -> str:
    """Return the SQLSTATE with which a server refuses to be connected to with these words; empty when it does not.

    To be asked in a thread. What is traced, passwords among it, stays in memory.
    """
    known = {default.keyword.decode() for default in pq.Conninfo.get_defaults()}  # psycopg has words of its own
    conninfo = make_conninfo(**{word: value for word, value in words.items() if word in known})
    connection = pq.PGconn.connect_start(conninfo.encode())
    trace = os.memfd_create("handshake")
    try:
        connection.trace(trace)
        _shake_hands(connection)
        connection.untrace()
        refusals = _REFUSAL.findall(os.pread(trace, os.fstat(trace).st_size, 0))  # over TLS, then perhaps without
        if refusals:
            return str(refusals[-1].decode())
        return WRONG_PASSWORD if connection.needs_password else ""
    finally:
        connection.finish()
        os.close(trace)


def _shake_hands(connection: pq.abc.PGconn) -> None:
    """Go on until it is made or has failed; a server that says nothing, or goes on for too long, is left."""
    clock = SystemClock()
    ends = clock.monotonic_ns() + round(PATIENCE_SECONDS * 1e9)
    while (left := ends - clock.monotonic_ns()) > 0:
        match connection.connect_poll():
            case pq.PollingStatus.READING:
                awaited = select.POLLIN
            case pq.PollingStatus.WRITING:
                awaited = select.POLLOUT
            case _:
                return
        poll = select.poll()
        poll.register(connection.socket, awaited)
        if not poll.poll(left / 1e6):
            return
