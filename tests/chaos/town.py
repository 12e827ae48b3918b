"""A town for the chaos tests: real servers, a hub in a process of its own, a publisher that remembers, an oracle."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import orjson

from hub.clock import SystemClock
from hub.config import Settings
from hub.journal.state_file import read_tallies
from hub.registry.nouns import Device, Place, PlaceType, Site
from hub.registry.registry import Registry
from hub.sinks.stream_readers import read_events
from hub.sinks.timeseries.local import LocalStore
from hub.sinks.timeseries.query import events as event_query
from hub.sinks.timeseries.query import telemetry
from hub.sinks.timeseries.store import Row, Span
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import PASSWORD, ValkeyServer
from tests.waiting import wait_until

SITE = "s1"
ALL_TIME = Span(since=0, until=2**62, limit=100_000)
SEEN = """
rule: card-seen
label: {en: Card seen, zh: 刷卡}
for_each: access_controller
on_signal: access.granted
raise: {event: access.card_seen, severity: info}
"""


class HubProcess:
    """``hub run`` with a configuration of its own; may be killed and started again."""

    def __init__(self, directory: Path, mqtt_port: int, redis_port: int) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.rules = directory / "rules"
        self.rules.mkdir(parents=True)
        self.data.mkdir()
        (self.rules / "seen.yaml").write_text(SEEN, encoding="utf-8")
        self.config = directory / "hub.toml"
        self.http_port = _free_port()
        self.config.write_text(
            f'data_dir = "{self.data}"\nrules_dir = "{self.rules}"\n'
            f"[mqtt]\nport = {mqtt_port}\n"
            f'[redis]\nurl = "redis://:{PASSWORD}@127.0.0.1:{redis_port}/0"\n'
            f"[http]\nport = {self.http_port}\n"
            '[checkpoint]\nevery = "1s"\n',
            encoding="utf-8",
        )
        self.settings = Settings(
            data_dir=self.data, rules_dir=self.rules, redis={"url": f"redis://:{PASSWORD}@127.0.0.1:{redis_port}/0"}
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self, failpoint: str = "") -> None:
        """Start it; it may die at ``failpoint``."""
        code = "from hub.ui.cli.main import main; main()"
        command = [sys.executable, "-c", code, "--config", str(self.config), "run"]
        with (self.directory / "hub.log").open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={"HUB_FAILPOINT": failpoint, "PATH": "/usr/bin:/usr/sbin:/bin"}
            )

    async def until_connected(self) -> None:
        """Wait until both sessions of this start are connected."""
        await wait_until(lambda: self.log()[self._log_start :].count("session_connected") >= 2, seconds=30)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it in good order and return its exit code."""
        return self._end(signal.SIGTERM)

    def has_died(self) -> bool:
        """Return whether it is not running."""
        return self._process is None or self._process.poll() is not None

    def log(self) -> str:
        """Return what it said."""
        return (self.directory / "hub.log").read_bytes().decode("ascii", "replace")

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        code = self._process.wait(20)
        self._process = None
        return code


@dataclass(slots=True)
class Sent:
    """What the publisher knows the broker took: the oracle's word."""

    temperatures: list[float] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)


class Town:
    """Ten sensors and a door; every message carries a number that appears once."""

    def __init__(self, directory: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> None:
        self.mosquitto = mosquitto
        self.valkey = valkey
        self.hub = HubProcess(directory / "hub", mosquitto.port, valkey.port)
        self.sent = Sent()
        self._number = 0

    async def register(self) -> None:
        """Put sensors and door into the registry."""
        async with Registry(self.hub.settings.registry_url()) as registry:
            await registry.add_site(Site(id=SITE, zone="Asia/Shanghai"))
            await registry.add_places([Place(site=SITE, id="b1", type=PlaceType.BUILDING)])
            await registry.add_devices(
                [Device(site=SITE, id=f"env-{n}", kind="environment_sensor", place="b1") for n in range(10)]
                + [Device(site=SITE, id="door", kind="access_controller", place="b1")]
            )

    async def publish(self, count: int) -> None:
        """Publish ``count`` messages at QoS 1, every thirtieth a card; remember what was acknowledged."""
        async with aiomqtt.Client(
            "127.0.0.1", self.mosquitto.port, protocol=aiomqtt.ProtocolVersion.V5, max_inflight_messages=20
        ) as client:
            client.pending_calls_threshold = 100
            for start in range(0, count, 20):
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(20, count - start)):
                        self._number += 1
                        group.create_task(self._publish_one(client, self._number))

    async def _publish_one(self, client: aiomqtt.Client, number: int) -> None:
        if number % 30 == 0:
            signal_ = {"name": "access.granted", "credential": "card", "card": f"card-{number}"}
            payload = {"part": "door-1", "signals": [signal_]}
            await client.publish(f"hub/{SITE}/door/signal", orjson.dumps(payload), qos=1)
            self.sent.cards.append(f"card-{number}")
        else:
            payload = {"values": {"co2": float(number)}}
            await client.publish(f"hub/{SITE}/env-{number % 10}/telemetry", orjson.dumps(payload), qos=1)
            self.sent.temperatures.append(float(number))

    # ---------------------------------------------------------------------------------------------------------- oracle

    async def stored(self) -> Counter[float]:
        """Return how often each number is in the store."""
        rows = await self._rows(telemetry("environment_sensor", ALL_TIME, {}))
        return Counter(float(row.fields["co2"]) for row in rows)

    async def stored_events(self) -> Counter[str]:
        """Return how often each event id is in the store."""
        rows = await self._rows(event_query(ALL_TIME, {"event": "access.card_seen"}))
        return Counter(str(row.fields["id"]) for row in rows)

    async def _rows(self, query: object) -> list[Row]:
        async with LocalStore(self.hub.data / "timeseries.sqlite", SystemClock()) as store:
            return await store.query(query)  # type: ignore[arg-type] # a Query

    async def streamed_cards(self) -> Counter[str]:
        """Return how often each card is in the event stream."""
        async with self.valkey.link() as link:
            found = await read_events(link, ["access"], count=100_000)
        return Counter(str(event.data["card"]) for event in found if event.name == "access.card_seen")

    async def streamed_ids(self) -> Counter[str]:
        """Return how often each event id is in the streams."""
        async with self.valkey.link() as link:
            return Counter(event.id for event in await read_events(link, count=100_000))

    async def until_settled(self, *, seconds: float = 60) -> None:
        """Wait until what was sent has arrived everywhere; on failure say what is missing."""
        cards, numbers = set(self.sent.cards), set(self.sent.temperatures)

        async def is_there() -> bool:
            assert not self.hub.has_died(), self.hub.log()[-3_000:]
            is_streamed = cards <= set(await self.streamed_cards()) and len(await self.stored_events()) >= len(cards)
            return is_streamed and numbers <= set(await self.stored())

        try:
            await wait_until(is_there, seconds=seconds)
        except AssertionError:
            missing = ranges(sorted(numbers - set(await self.stored())))
            lost = sorted(cards - set(await self.streamed_cards()))
            raise AssertionError(f"missing points {missing}, cards {lost}\n{self.hub.log()[-3_000:]}") from None

    async def check_once(self) -> None:
        """Assert that everything is there exactly once, by count and value."""
        stored, cards, ids = await self.stored(), await self.streamed_cards(), await self.streamed_ids()
        assert stored == Counter(self.sent.temperatures)
        assert cards == Counter(self.sent.cards)
        assert set(ids.values()) <= {1}
        assert set((await self.stored_events()).values()) <= {1}
        assert len(await self.stored_events()) == len(self.sent.cards)
        tally = read_tallies(self.hub.data / "state.sqlite")["timeseries"]
        assert (tally["written"], tally["rejected"]) == (len(self.sent.temperatures), 0)


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
    town = Town(directory, mosquitto, valkey)
    await town.register()
    try:
        yield town
    finally:
        town.hub.kill()
        shutil.rmtree(town.hub.directory, ignore_errors=True)


def _free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
