"""A town whose hub stores in InfluxDB: what is stored is asked of the server, and of the file it may have used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from typing_extensions import override

from hub.sinks.redis_link import pairs, rows
from hub.sinks.streams import decode_event, domain_key
from hub.sinks.timeseries.query import events
from tests.chaos.town import ALL_TIME, Town
from tests.servers.influxdb import InfluxServer
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer

LOCAL = "timeseries.sqlite"


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
        self._settings = f'[timeseries]\nstore = "influxdb"\nurl = "{influxdb.url}"\nbucket = "hub"\n'
        super().__init__(directory, mosquitto, valkey, settings=self._settings, rules=rules, card_every=card_every)
        self.influxdb = influxdb

    def store_in(self, *, is_local: bool) -> None:
        """Let the hub store in its own file from its next start on, or in InfluxDB again."""
        self.hub.more_settings = "" if is_local else self._settings

    @override
    async def stored(self) -> Counter[float]:
        there = Counter(float(str(row[1])) for row in await self.influxdb.ask("SELECT co2 FROM environment_sensor"))
        return there + await super().stored() if self._has_local else there

    @override
    async def stored_events(self) -> Counter[str]:
        found = await self.influxdb.ask("SELECT id FROM event WHERE event = 'access.card_seen'")
        return Counter(str(row[1]) for row in found)

    async def stored_event_ids(self) -> Counter[str]:
        """Return how often each event of any rule is in the store."""
        there = Counter(str(row[1]) for row in await self.influxdb.ask("SELECT id FROM event"))
        here = await self._rows(events(ALL_TIME, {"site": self.site})) if self._has_local else []
        return there + Counter(str(row.fields["id"]) for row in here)

    @property
    def _has_local(self) -> bool:
        return (self.hub.data / LOCAL).exists()

    async def streamed_at(self) -> Mapping[str, int]:
        """Return the wall-clock ms at which Redis took the event of each card."""
        async with self.valkey.link() as link:
            found = [rows(row) for row in rows(await link.ask("XRANGE", domain_key("access"), "-", "+"))]
        entries = [(cast("bytes", entry), decode_event(pairs(fields))) for entry, fields in found]
        return {str(event.data["card"]): int(entry.partition(b"-")[0]) for entry, event in entries}
