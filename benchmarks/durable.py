"""The tutorial way, as a process that goes on: a session that the broker keeps, connected again when it was lost.

``python -m benchmarks.durable ORDER``; it works until it is killed. The loop is the one that aiomqtt's pages recommend.
"""

from __future__ import annotations

import asyncio
import json
import sys

import aiomqtt
import msgspec
import redis.asyncio
from influxdb_client.client.influxdb_client import InfluxDBClient

from benchmarks.reflex import SURE
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
                            if "/camera-" in message.topic.value:
                                await hold(client, message)
                            else:
                                await tutorial.take(message)
                except aiomqtt.MqttError:
                    await SystemClock().sleep(AGAIN_SECONDS)


async def hold(client: aiomqtt.Client, message: aiomqtt.Message) -> None:
    """Hold the door of the car whose camera sees an e-bike."""
    if json.loads(message.payload)["values"]["ebike_confidence"] >= SURE:
        topic = message.topic.value.replace("/camera-", "/lift-").replace("/telemetry", "/command")
        await client.publish(topic, json.dumps({"command": "hold_door", "args": {"ttl": "10s"}}), qos=1)


if __name__ == "__main__":
    asyncio.run(work(msgspec.json.decode(sys.argv[1], type=Order)))
