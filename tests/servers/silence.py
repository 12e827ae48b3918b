"""An address at which nobody answers, and nobody refuses: what a router that drops packets looks like."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest


@contextmanager
def silent_first(patch: pytest.MonkeyPatch, port: int) -> Iterator[None]:
    """Let every name have two addresses, of which the first, 127.0.0.2, is silent; for the running loop."""

    async def two_addresses(*_args: object, **_words: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.2", "127.0.0.1")]

    patch.setattr(asyncio.get_running_loop(), "getaddrinfo", two_addresses)
    with _silence("127.0.0.2", port):
        yield


@contextmanager
def _silence(host: str, port: int) -> Iterator[None]:
    """Answer nobody who connects: Linux drops what a full queue has no place for."""
    with socket.socket() as full, ExitStack() as waiting:
        full.bind((host, port))
        full.listen(0)
        for _ in range(3):
            one = waiting.enter_context(socket.socket())
            one.settimeout(0)
            one.connect_ex((host, port))
        yield
