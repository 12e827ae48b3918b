"""Of a server's name with several addresses the next is tried beside one that is silent, not after it."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

NEXT_ADDRESS_SECONDS = 0.25
"""So long one is waited for (RFC 8305, section 8)."""


def next_address_seconds(host: str) -> float | None:
    """Return the ``happy_eyeballs_delay`` of asyncio for a server; None for an address, which is the only one.

    asyncio's race leaves the socket of a cancelled attempt to be collected, with a ResourceWarning.
    """
    with suppress(ValueError):
        ip_address(host)
        return None
    return NEXT_ADDRESS_SECONDS
