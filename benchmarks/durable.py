"""The tutorial way, as a process that goes on: a session that the broker keeps, connected again when it was lost.

``python -m benchmarks.durable ORDER``; it works until it is killed. The loop is the one that aiomqtt's pages recommend.
"""

from __future__ import annotations

import asyncio
import sys

import aiomqtt
import msgspec
import redis.asyncio
from influxdb_client.client.influxdb_client import InfluxDBClient

from benchmarks.traffic import FILTER
from benchmarks.tutorial import Order, Tutorial
from hub.clock import SystemClock

CLIENT = "tutorial"
AGAIN_SECONDS = 1.0


async def work(order: Order) -> None:
    """Subscribe, take what comes, and connect again, without end."""
    client = aiomqtt.Client("127.0.0.1", order.mqtt_port, identifier=CLIENT, clean_session=False)
    async with redis.asyncio.Redis.from_url(order.redis_url) as streams:
        with InfluxDBClient(url=order.influx_url, token="", org="") as influx, influx.write_api() as writes:
            tutorial = Tutorial(writes, streams)
            while True:
                try:
                    async with client:
                        await client.subscribe(FILTER, qos=1)
                        async for message in client.messages:
                            await tutorial.take(message)
                except aiomqtt.MqttError:
                    await SystemClock().sleep(AGAIN_SECONDS)


if __name__ == "__main__":
    asyncio.run(work(msgspec.json.decode(sys.argv[1], type=Order)))
