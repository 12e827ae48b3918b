"""A town whose hub stores in InfluxDB: what is stored is asked of the server, not of the hub's own files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from typing_extensions import override

from hub.sinks.redis_link import pairs, rows
from hub.sinks.streams import decode_event, domain_key
from tests.chaos.town import Town
from tests.servers.influxdb import InfluxServer
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer


class InfluxTown(Town):
    """See the room; one message in ``card_every`` is an event."""

    def __init__(
        self,
        directory: Path,
        mosquitto: Mosquitto,
        valkey: ValkeyServer,
        influxdb: InfluxServer,
        *,
        rules: str = "",
        card_every: int = 30,
    ) -> None:
        settings = f'[timeseries]\nstore = "influxdb"\nurl = "{influxdb.url}"\nbucket = "hub"\n'
        super().__init__(directory, mosquitto, valkey, settings=settings, rules=rules, card_every=card_every)
        self.influxdb = influxdb

    @override
    async def stored(self) -> Counter[float]:
        return Counter(float(str(row[1])) for row in await self.influxdb.ask("SELECT co2 FROM environment_sensor"))

    @override
    async def stored_events(self) -> Counter[str]:
        found = await self.influxdb.ask("SELECT id FROM event WHERE event = 'access.card_seen'")
        return Counter(str(row[1]) for row in found)

    async def stored_event_ids(self) -> Counter[str]:
        """Return how often each event of any rule is in the store."""
        return Counter(str(row[1]) for row in await self.influxdb.ask("SELECT id FROM event"))

    async def streamed_at(self) -> Mapping[str, int]:
        """Return the wall-clock ms at which Redis took the event of each card."""
        async with self.valkey.link() as link:
            found = [rows(row) for row in rows(await link.ask("XRANGE", domain_key("access"), "-", "+"))]
        entries = [(cast("bytes", entry), decode_event(pairs(fields))) for entry, fields in found]
        return {str(event.data["card"]): int(entry.partition(b"-")[0]) for entry, event in entries}
