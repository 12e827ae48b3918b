"""The listener: a process of its own that notes when each event appears in its stream.

``python -m benchmarks.listener ORDER``; says ``ready`` first, and what it saw, as JSON, at the end.
"""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

import msgspec
import redis

from benchmarks.traffic import DOMAINS
from hub.errors import UnavailableError
from hub.sinks.streams import domain_key

BLOCK_MS = 1_000


class Order(msgspec.Struct, frozen=True):
    """Listen to the events written from now on, until there were ``count`` or ``seconds`` are over."""

    url: str
    count: int
    seconds: float


Seen = list[tuple[str, int]]
"""For every event, in the order of its stream: what it is about, and when it was seen, in monotonic ns."""


class Listener:
    """A listener at work."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def seen(self) -> Seen:
        """Wait until it has seen what it waits for, or has given up."""
        answer, _ = await self._process.communicate()
        return msgspec.json.decode(answer, type=Seen)


@asynccontextmanager
async def listening(order: Order) -> AsyncIterator[Listener]:
    """Let a process listen."""
    command = (sys.executable, "-m", "benchmarks.listener", msgspec.json.encode(order))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        if process.stdout is None or await process.stdout.readline() != b"ready\n":
            raise UnavailableError("listener_did_not_begin")
        yield Listener(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def listen(order: Order) -> Seen:
    """Read the streams, one blocking question after the other."""
    client = redis.Redis.from_url(order.url)
    positions: dict[str | bytes, bytes] = {}
    for key in map(domain_key, DOMAINS):
        newest = cast("list[tuple[bytes, object]]", client.xrevrange(key, count=1))
        positions[key.encode()] = newest[0][0] if newest else b"0-0"
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    seen: Seen = []
    deadline = time.monotonic_ns() + round(order.seconds * 1e9)
    while len(seen) < order.count and time.monotonic_ns() < deadline:
        answer = client.xread(positions, count=1_000, block=BLOCK_MS)  # type: ignore[arg-type] # dict is invariant
        now = time.monotonic_ns()
        for stream, entries in cast("list[tuple[bytes, list[tuple[bytes, Mapping[bytes, bytes]]]]]", answer):
            positions[stream] = entries[-1][0]
            seen += [(fields[b"subject"].decode(), now) for _, fields in entries]
    return seen


if __name__ == "__main__":
    found = listen(msgspec.json.decode(sys.argv[1], type=Order))
    sys.stdout.buffer.write(msgspec.json.encode(found))
