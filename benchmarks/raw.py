"""The careful way without a hub, as a process: gmqtt, one line of text a message, written raw in batches by aiohttp.

``python -m benchmarks.raw ORDER``; says ``ready`` when it has subscribed, and what it took, as JSON, at the end.
Acknowledged on receipt, no journal, no twins, one measurement, nothing survives a kill.
"""

from __future__ import annotations

import asyncio
import sys
import time
from importlib import import_module

import aiohttp
import msgspec
import orjson
import redis.asyncio

from benchmarks.traffic import BUILDING, FILTER, KIND, SITE
from benchmarks.tutorial import CONDITIONS, Order, Taken
from hub.clock import SystemClock

EVERY_SECONDS = 0.25
"""Between two writes: whatever came is one of them."""
WRITE = "/api/v2/write?bucket=hub&org=&precision=ns"


class Raw:
    """Takes messages as gmqtt calls back; lines and events wait for the next write."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.events: list[tuple[str, dict[str, str]]] = []
        self.count = 0
        self._active: set[tuple[str, str]] = set()

    def take(self, _client: object, topic: str, payload: bytes, _qos: int, _properties: object) -> int:
        """Parse, make a line, look at the conditions."""
        device = topic.split("/")[2]
        values = orjson.loads(payload)["values"]
        fields = ",".join([f"{name}={value}" for name, value in values.items()])
        self.lines.append(f"{KIND},site={SITE},building={BUILDING},device={device} {fields} {time.time_ns()}")
        for event, holds in CONDITIONS.items():
            is_true, key = holds(values), (event, device)
            if is_true is not (key in self._active):
                self._active ^= {key}
                self.events.append((event, {"type": event, "subject": f"{SITE}/{device}", "transition": str(is_true)}))
        self.count += 1
        return 0


async def write(raw: Raw, http: aiohttp.ClientSession, streams: redis.asyncio.Redis) -> int:
    """Write what waits; return how many events that was."""
    lines, raw.lines = raw.lines, []
    events, raw.events = raw.events, []
    if events:
        async with streams.pipeline(transaction=False) as pipeline:
            for event, fields in events:
                pipeline.xadd(f"hub:events:{event.partition('.')[0]}", fields)  # type: ignore[arg-type] # dict is invariant
            await pipeline.execute()
    if lines:
        async with http.post(WRITE, data="\n".join(lines).encode()) as answer:
            answer.raise_for_status()
    return len(events)


async def work(order: Order) -> Taken:
    """Subscribe, take what comes, write it all."""
    raw, clock, told = Raw(), SystemClock(), 0
    client = import_module("gmqtt").Client("raw", receive_maximum=16_384)  # not here when types are checked
    client.on_message = raw.take
    async with (
        aiohttp.ClientSession(order.influx_url) as http,
        redis.asyncio.Redis.from_url(order.redis_url) as streams,
    ):
        await client.connect("127.0.0.1", order.mqtt_port, version=5)
        subscribed = asyncio.Event()
        client.on_subscribe = lambda *_: subscribed.set()
        client.subscribe(FILTER, qos=1)
        await subscribed.wait()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        began = time.process_time()
        while raw.count < order.count or raw.lines:
            await clock.sleep(EVERY_SECONDS if raw.count < order.count else 0)
            told += await write(raw, http, streams)
        seconds = time.process_time() - began
        await client.disconnect()
    return Taken(told, seconds)


if __name__ == "__main__":
    taken = asyncio.run(work(msgspec.json.decode(sys.argv[1], type=Order)))
    sys.stdout.buffer.write(msgspec.json.encode(taken))
