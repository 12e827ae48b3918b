"""The stage: real servers on free ports, and a hub in a process of its own whose CPU time is read."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import sqlite3
import sys
import time
from asyncio.subprocess import Process, create_subprocess_exec
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp
import redis.asyncio

from benchmarks.traffic import BUILDING, DOMAINS, FIELD, KIND, RULES, SITE, Traffic
from hub.config import Settings, TimeseriesStore
from hub.errors import UnavailableError
from hub.journal.state_file import read_tallies
from hub.model import PlaceType
from hub.registry.nouns import Device, Place, Site
from hub.registry.registry import Registry
from hub.services.child import free_port
from hub.sinks.streams import domain_key
from tests.servers.influxdb import InfluxServer
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
"""Nothing that would lead a hub elsewhere."""
READY_SECONDS = 60.0
STOP_SECONDS = 60.0
COUNT_LOCAL = "SELECT count(*) FROM points JOIN series ON series.id = points.series WHERE measurement = ?"
_SAMPLE = re.compile(r"^(hub_\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Stage:
    """Servers that run, all of them new."""

    directory: Path
    mosquitto: Mosquitto
    valkey: ValkeyServer
    influx: InfluxServer

    @property
    def redis_url(self) -> str:
        """Where the streams are, with the password."""
        return self.valkey.url

    async def count_events(self) -> int:
        """Return how many events the streams hold."""
        async with redis.asyncio.Redis.from_url(self.redis_url) as client:
            return sum([await client.xlen(domain_key(domain)) for domain in DOMAINS])

    async def count_points(self) -> int:
        """Return how many points InfluxDB holds."""
        rows = await self.influx.ask(f"SELECT count({FIELD}) FROM {KIND}")  # noqa: S608 -- our own names
        return int(str(rows[0][1])) if rows else 0


@asynccontextmanager
async def staged(directory: Path) -> AsyncIterator[Stage]:
    """Start mosquitto, Valkey (fsync always) and InfluxDB below ``directory``; end them and remove what they wrote."""
    mosquitto, valkey = Mosquitto(directory / "mosquitto"), ValkeyServer(directory / "valkey")
    try:
        async with InfluxServer(directory / "influxdb") as influx:
            mosquitto.start()
            valkey.start()
            yield Stage(directory, mosquitto, valkey, influx)
    finally:
        mosquitto.kill()
        valkey.kill()
        shutil.rmtree(directory)


def cpu_ns(pid: int) -> int:
    """Return the CPU time, user and system, that the threads of process ``pid`` have used; its children's is not in."""
    return time.clock_gettime_ns((~pid << 3) | 2)  # what clock_getcpuclockid(3) of Linux returns


class HubProcess:
    """`hub run` with the shipped defaults on a stage; everything it is given is counted again in its stores."""

    def __init__(self, stage: Stage, store: TimeseriesStore, traffic: Traffic) -> None:
        self._published = 0
        self._stage = stage
        self._store = store
        self._traffic = traffic
        self._data = stage.directory / "data"
        self._http_port = free_port()
        self._process: Process | None = None
        self._events = 0

    @property
    def pid(self) -> int:
        """The process id; 0 while it does not run."""
        return 0 if self._process is None else self._process.pid

    async def start(self) -> None:
        """Register the devices, start, and wait until /readyz says so."""
        config = self._write_files()
        async with Registry(Settings(data_dir=self._data).registry_url()) as registry:
            await registry.add_site(Site(id=SITE, zone="Asia/Shanghai"))
            await registry.add_places([Place(site=SITE, id=BUILDING, type=PlaceType.BUILDING)])
            names = self._traffic.names()
            await registry.add_devices([Device(site=SITE, id=name, kind=KIND, place=BUILDING) for name in names])
        code = "from hub.ui.cli.main import main; main()"
        with (self._stage.directory / "hub.log").open("wb") as log:
            command = [sys.executable, "-c", code, "--config", str(config), "--log-level", "warning", "run"]
            self._process = await create_subprocess_exec(*command, stdout=log, stderr=log, env=ENVIRONMENT)
        await wait_until(self._is_ready, seconds=READY_SECONDS)

    def _write_files(self) -> Path:
        stage, rules = self._stage, self._stage.directory / "rules"
        self._data.mkdir()
        rules.mkdir()
        (rules / "bench.yaml").write_text(RULES, encoding="utf-8")
        config = stage.directory / "hub.toml"
        config.write_text(
            f"""\
data_dir = "{self._data}"
rules_dir = "{rules}"
mqtt.port = {stage.mosquitto.port}
redis.url = "{stage.redis_url}"
http.port = {self._http_port}
timeseries = {{store = "{self._store.value}", url = "{stage.influx.url}", bucket = "hub"}}
""",
            encoding="utf-8",
        )
        return config

    async def _is_ready(self) -> bool:
        if self._process is None or self._process.returncode is not None:
            raise UnavailableError("hub_died", (self._stage.directory / "hub.log").read_text(encoding="utf-8")[-3_000:])
        try:
            return (await self._page("readyz"))[0] == HTTPStatus.OK
        except aiohttp.ClientError:
            return False

    async def _page(self, name: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self._http_port}/{name}") as answer:
            return answer.status, await answer.text()

    async def metrics(self) -> Counter[str]:
        """Return the counters by name, added up over their labels."""
        found: Counter[str] = Counter()
        for name, value in _SAMPLE.findall((await self._page("metrics"))[1]):
            found[name] += int(float(value))
        return found

    def expect(self, numbers: range) -> None:
        """Note that ``numbers`` are published, and the events that they must raise."""
        self._published += len(numbers)
        self._events += self._traffic.count_events(numbers)

    async def until_delivered(self, *, seconds: float) -> None:
        """Wait until the store has confirmed every point, and the streams hold every event."""

        async def is_delivered() -> bool:
            # The hub's own file: asking its HTTP would cost it CPU time.
            tally = read_tallies(self._data / "state.sqlite").get("timeseries", {})
            return tally.get("written", 0) >= self._published and await self._stage.count_events() >= self._events

        await wait_until(is_delivered, seconds=seconds)

    async def stop(self) -> Losses:
        """End the hub in good order, and count everything once more where it was stored."""
        heard = (await self.metrics())["hub_messages_heard_total"]
        process = self._process
        if process is None:
            raise UnavailableError("hub_not_started")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS):
            code = await process.wait()  # this loop stands between the hub and InfluxDB: it must not block
        if code:
            raise UnavailableError("hub_failed", returncode=code)
        self._process = None
        points = await self._stage.count_points() if self._store is TimeseriesStore.INFLUXDB else self._count_local()
        events = await self._stage.count_events()
        return Losses(unheard=self._published - heard, points=self._published - points, events=self._events - events)

    def _count_local(self) -> int:
        with closing(sqlite3.connect(self._data / "timeseries.sqlite")) as store:
            return int(store.execute(COUNT_LOCAL, (KIND,)).fetchone()[0])

    async def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What is missing (or, below zero, there twice) of what the broker took."""

    unheard: int
    points: int
    events: int

    @property
    def total(self) -> int:
        """How much is wrong, in all."""
        return abs(self.unheard) + abs(self.points) + abs(self.events)


@asynccontextmanager
async def hub_on(stage: Stage, store: TimeseriesStore, traffic: Traffic) -> AsyncIterator[HubProcess]:
    """Run a hub on ``stage``."""
    hub = HubProcess(stage, store, traffic)
    try:
        await hub.start()
        yield hub
    finally:
        await hub.kill()
