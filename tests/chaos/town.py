"""A town for the chaos tests: real servers, a hub in a process of its own, a publisher that remembers, an oracle."""

from __future__ import annotations

import asyncio
import copy
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import aiomqtt
import orjson

from hub.clock import SystemClock
from hub.journal.state_file import read_tallies
from hub.model.effects import Event
from hub.model.values import PlaceType
from hub.partitions import settings_of
from hub.registry.nouns import Device, Place, Site
from hub.registry.registry import Registry
from hub.sinks.stream_readers import read_events
from hub.sinks.timeseries.local import LocalStore
from hub.sinks.timeseries.query import events as event_query
from hub.sinks.timeseries.query import telemetry
from hub.sinks.timeseries.store import Row, Span
from tests.chaos.hub_process import HubProcess
from tests.ready_registry import lay_ready
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import PATIENCE_SECONDS, wait_until

SITE = "s1"
T = TypeVar("T", bound="Town")
ALL_TIME = Span(since=0, until=2**62, limit=100_000)


@dataclass(slots=True)
class Sent:
    """What the publisher knows the broker took: the oracle's word. ``at``: wall ns before the publish of a card."""

    temperatures: list[float] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)
    at: dict[str, int] = field(default_factory=dict)


class Town:
    """Ten sensors, a smoke detector and two doors; every message carries a number that appears once.

    Every ``card_every``-th message is a card at the door. ``settings`` (TOML) and ``rules`` (YAML) are the hub's.
    """

    def __init__(
        self,
        directory: Path,
        mosquitto: Mosquitto,
        valkey: ValkeyServer,
        *,
        settings: str = "",
        rules: str = "",
        card_every: int = 30,
        partitions: Sequence[str] = (),
    ) -> None:
        self.mosquitto = mosquitto
        self.valkey = valkey
        self.site, self.partition = SITE, "main"
        self.hub = HubProcess(
            directory / "hub", mosquitto.port, valkey.port, settings=settings, rules=rules, partitions=partitions
        )
        self.hubs = [self.hub]
        self.sent = Sent()
        self.clock = SystemClock()
        self.card_every = card_every
        self._number = 0

    async def register(self) -> None:
        """Put sensors and door into the registry."""
        async with Registry(self.hub.settings.registry_url()) as registry:
            await registry.add_site(Site(id=self.site, zone="Asia/Shanghai", partition=self.partition))
            await registry.add_places([Place(site=self.site, id="b1", type=PlaceType.BUILDING)])
            await registry.add_devices(
                [Device(site=self.site, id=f"env-{n}", kind="environment_sensor", place="b1") for n in range(10)]
                + [Device(site=self.site, id=door, kind="access_controller", place="b1") for door in ("door", "gate")]
                + [Device(site=self.site, id="smoke", kind="smoke_sensor", profile="milesight/gs524n", place="b1")]
            )

    def neighbour(self, site: str, partition: str) -> Town:
        """Return another site, of another partition of the same hub."""
        town = copy.copy(self)
        town.site, town.partition, town.sent, town.hubs = site, partition, Sent(), []
        return town

    def second_hub(self) -> HubProcess:
        """Return the hub once more, on another host and with its files as they are now; it is not started."""
        self.hubs.append(self.hub.moved(self.hub.directory.with_name("second-hub")))
        return self.hubs[-1]

    async def publish(self, count: int) -> None:
        """Publish ``count`` messages at QoS 1 as fast as it goes; remember what was acknowledged."""
        async with self.client() as client:
            for start in range(0, count, 20):
                await self._publish_some(client, min(20, count - start))

    async def stream(self, rate: int, until: asyncio.Event) -> None:
        """Publish ``rate`` messages a second, evenly, until told to stop; remember what was acknowledged."""
        async with self.client() as client:
            start, published = self.clock.monotonic_ns(), 0
            while not until.is_set():
                due = (self.clock.monotonic_ns() - start) * rate // 1_000_000_000 - published
                await self._publish_some(client, min(due, 100))
                published += min(due, 100)
                await self.clock.sleep(0.01)

    async def until_sent(self, count: int) -> None:
        """Wait until the broker took ``count`` more messages."""
        wanted = len(self.sent.temperatures) + len(self.sent.cards) + count
        seconds = PATIENCE_SECONDS + count / 100
        await wait_until(lambda: len(self.sent.temperatures) + len(self.sent.cards) >= wanted, seconds=seconds)

    @asynccontextmanager
    async def traffic(self, rate: int) -> AsyncIterator[None]:
        """Let ``rate`` messages a second come in meanwhile."""
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.stream(rate, enough), name="town.stream")
            try:
                yield
            finally:
                enough.set()

    def client(self) -> aiomqtt.Client:
        """Return a client of the broker that is not connected yet."""
        client = aiomqtt.Client(
            "127.0.0.1", self.mosquitto.port, protocol=aiomqtt.ProtocolVersion.V5, max_inflight_messages=100
        )
        client.pending_calls_threshold = 200
        return client

    async def _publish_some(self, client: aiomqtt.Client, count: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                self._number += 1
                group.create_task(self._publish_one(client, self._number))

    async def _publish_one(self, client: aiomqtt.Client, number: int) -> None:
        if number % self.card_every == 0:
            self.sent.at[f"card-{number}"] = self.clock.wall_ns()
            signal_ = {"name": "access.granted", "credential": "card", "card": f"card-{number}"}
            payload = {"part": "door-1", "signals": [signal_]}
            await client.publish(f"hub/{self.site}/door/signal", orjson.dumps(payload), qos=1)
            self.sent.cards.append(f"card-{number}")
        else:
            values = {"values": {"co2": float(number)}}
            await client.publish(f"hub/{self.site}/env-{number % 10}/telemetry", orjson.dumps(values), qos=1)
            self.sent.temperatures.append(float(number))

    # ---------------------------------------------------------------------------------------------------------- oracle

    async def stored(self) -> Counter[float]:
        """Return how often each number is in the store."""
        rows = await self._rows(telemetry("environment_sensor", ALL_TIME, {"site": self.site}))
        return Counter(float(row.fields["co2"]) for row in rows)

    async def stored_events(self) -> Counter[str]:
        """Return how often each event id is in the store."""
        rows = await self._rows(event_query(ALL_TIME, {"event": "access.card_seen", "site": self.site}))
        return Counter(str(row.fields["id"]) for row in rows)

    async def _rows(self, query: object) -> list[Row]:
        async with LocalStore(self.hub.data / "timeseries.sqlite", SystemClock()) as store:
            return await store.query(query)  # type: ignore[arg-type] # a Query

    async def events(self, *domains: str) -> list[Event]:
        """Return what is in the event streams of these domains, in order."""
        async with self.valkey.link() as link:
            return await read_events(link, domains, count=100_000)

    async def card_order(self) -> list[str]:
        """Return the cards of the event stream in its order."""
        mine = [event for event in await self.events("access") if event.site == self.site]
        return [str(event.data["card"]) for event in mine if event.name == "access.card_seen"]

    async def streamed_cards(self) -> Counter[str]:
        """Return how often each card is in the event stream."""
        return Counter(await self.card_order())

    async def streamed_ids(self) -> Counter[str]:
        """Return how often each event id is in the streams."""
        async with self.valkey.link() as link:
            return Counter(event.id for event in await read_events(link, count=100_000))

    async def until_settled(self) -> None:
        """Wait until what was sent has arrived everywhere; on failure say what is missing."""
        cards, numbers = set(self.sent.cards), set(self.sent.temperatures)

        async def is_there() -> bool:
            assert not self.hub.has_died(), self.hub.log()[-3_000:]
            is_streamed = cards <= set(await self.streamed_cards()) and len(await self.stored_events()) >= len(cards)
            return is_streamed and numbers <= set(await self.stored())

        try:
            await wait_until(is_there)
        except AssertionError:
            missing = ranges(sorted(numbers - set(await self.stored())))
            lost = sorted(cards - set(await self.streamed_cards()))
            message = f"missing points {missing}, cards {lost}\n{self.hub.log()[-3_000:]}"
            raise AssertionError(message) from None

    async def check_once(self) -> None:
        """Assert that everything is there exactly once, by count and value."""
        stored, cards, ids = await self.stored(), await self.streamed_cards(), await self.streamed_ids()
        assert stored == Counter(self.sent.temperatures)
        assert cards == Counter(self.sent.cards)
        assert set(ids.values()) <= {1}
        assert set((await self.stored_events()).values()) <= {1}
        assert len(await self.stored_events()) == len(self.sent.cards)
        files = settings_of(self.hub.settings, self.partition).files_dir
        tally = read_tallies(files / "state.sqlite")["timeseries"]
        counts, sent = (tally["written"], tally["rejected"]), len(self.sent.temperatures)
        assert counts == (sent, 0), f"{counts} written and rejected by the books of the hub, {sent} sent"


def ranges(numbers: Iterable[float]) -> list[tuple[int, int]]:
    """Return runs of consecutive numbers as (first, last)."""
    found: list[tuple[int, int]] = []
    for number in map(int, numbers):
        if found and number - found[-1][1] <= 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


async def open_town(directory: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    """Open a registered town whose hub is not started; end the hub afterwards."""
    async for town in opened(Town(directory, mosquitto, valkey)):
        yield town


async def opened(town: T) -> AsyncIterator[T]:
    """Register ``town``; end its hubs afterwards."""
    lay_ready(town.hub.data)
    try:
        await town.register()
        yield town
    finally:
        for hub in town.hubs:
            hub.kill()
            shutil.rmtree(hub.directory, ignore_errors=True)


async def start(town: Town) -> None:
    """Start the hub and wait until it works in full."""
    town.hub.start()
    await town.hub.until_ready()


async def ends(town: Town, count: int = 1) -> list[Event]:
    """Return what became of commands, once ``count`` of them have ended."""

    async def found() -> list[Event]:
        events = await town.events("command")
        return events if len(events) >= count else []

    await wait_until(found)
    return await found()
