"""The tutorial way, as a process: one message at a time through the stock clients, acknowledged on receipt.

``python -m benchmarks.tutorial ORDER``; says ``ready`` when it has subscribed, and what it took, as JSON, at the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiomqtt
import msgspec
import redis.asyncio
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import WriteApi
from influxdb_client.domain.write_precision import WritePrecision

from benchmarks.traffic import BUILDING, DAMP, FILTER, HOT, KIND, SITE, STUFFY


class Order(msgspec.Struct, frozen=True):
    """Take ``count`` messages; ``durable.py`` takes all that come."""

    mqtt_port: int
    influx_url: str
    redis_url: str
    count: int = 0


class Taken(msgspec.Struct, frozen=True):
    """CPU time (user and system, all threads) from subscribed to everything written."""

    events: int
    cpu_seconds: float


CONDITIONS: Mapping[str, Callable[[Mapping[str, float]], bool]] = {
    "fire.hot": lambda values: values["temperature"] >= HOT,
    "utility.damp": lambda values: values["humidity"] >= DAMP,
    "care.stuffy": lambda values: values["co2"] >= STUFFY and values["temperature"] < HOT,
}


class Tutorial:
    """What one finds when one searches for the names of the four libraries together."""

    def __init__(self, writes: WriteApi, streams: redis.asyncio.Redis) -> None:
        self._writes = writes
        self._streams = streams
        self._active: set[tuple[str, str]] = set()
        self._last_seen: dict[str, float] = {}
        self.events = 0

    async def take(self, message: aiomqtt.Message) -> None:
        """Parse, write a point, look at the conditions."""
        device = message.topic.value.split("/")[2]
        body = json.loads(message.payload)
        values = body["values"]
        point: Any = Point(KIND)  # type: ignore[no-untyped-call] # it has no types
        point.tag("site", SITE).tag("building", BUILDING).tag("device", device)
        for name, value in values.items():
            point.field(name, float(value))
        self._writes.write(bucket="hub", record=point.time(time.time_ns(), WritePrecision.NS))
        self._last_seen[device] = time.perf_counter()
        for event, holds in CONDITIONS.items():
            await self._judge(event, device, values, is_true=holds(values))

    async def _judge(self, event: str, device: str, values: dict[str, float], *, is_true: bool) -> None:
        key = (event, device)
        if is_true is (key in self._active):
            return
        self._active ^= {key}
        self.events += 1
        transition = "raised" if is_true else "cleared"
        fields = {"type": event, "subject": f"{SITE}/{device}", "transition": transition, "data": json.dumps(values)}
        await self._streams.xadd(f"hub:events:{event.partition('.')[0]}", fields)  # type: ignore[arg-type] # dict is invariant


async def work(order: Order) -> Taken:
    """Subscribe, take what comes, write it all."""
    async with (
        aiomqtt.Client("127.0.0.1", order.mqtt_port) as client,
        redis.asyncio.Redis.from_url(order.redis_url) as streams,
    ):
        with InfluxDBClient(url=order.influx_url, token="", org="") as influx:
            await client.subscribe(FILTER, qos=1)
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            began, count = time.process_time(), 0
            with influx.write_api() as writes:
                tutorial = Tutorial(writes, streams)
                async for message in client.messages:
                    await tutorial.take(message)
                    count += 1
                    if count == order.count:
                        break
            return Taken(tutorial.events, time.process_time() - began)


if __name__ == "__main__":
    taken = asyncio.run(work(msgspec.json.decode(sys.argv[1], type=Order)))
    sys.stdout.buffer.write(msgspec.json.encode(taken))
