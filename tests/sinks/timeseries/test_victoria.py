"""VictoriaMetrics takes the writes: numbers only, which is what it is for."""

from __future__ import annotations

from datetime import timedelta

from hub.model.effects import Point
from hub.sinks.timeseries.influxdb import InfluxStore
from hub.sinks.timeseries.lines import encode
from tests.servers.victoria import VictoriaServer
from tests.sinks.timeseries.samples import NOON, series
from tests.waiting import PATIENCE_SECONDS

MS = 1_000_000


async def test_every_number_arrives_and_a_string_forges_nothing(victoria: VictoriaServer) -> None:
    points: list[Point] = [
        (series(), NOON + n * MS, {"number": float(n), "text": "x\nadmin,role=root v=1"}) for n in range(1000)
    ]
    async with InfluxStore(
        url=victoria.url, token="", org="", bucket="hub", deadline=timedelta(seconds=PATIENCE_SECONDS)
    ) as store:
        written = await store.write(encode(points))

    assert written.accepted == 1000
    (numbers,) = await victoria.export("smoke_sensor_number")
    assert numbers["values"] == list(range(1000))
    assert await victoria.export('{__name__=~"admin.*"}') == []
