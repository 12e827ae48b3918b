"""The stage: real servers on free ports, everything in them counted, and what the system tells of a process."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import redis.asyncio

from benchmarks.traffic import DOMAINS, FIELD, KIND
from hub.sinks.streams import domain_key
from tests.servers.influxdb import InfluxServer
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer

_MEMORY = {field: re.compile(rf"^{field}:\s+(\d+) kB$", re.MULTILINE) for field in ("VmRSS", "VmHWM")}


@dataclass(frozen=True, slots=True)
class Stage:
    """Servers that run, all of them new."""

    directory: Path
    mosquitto: Mosquitto
    valkey: ValkeyServer
    influx: InfluxServer
    way_in: int = 0
    """The port of what stands between the broker and who takes the messages, if anything does."""

    @property
    def mqtt_port(self) -> int:
        """Where who takes the messages finds the broker."""
        return self.way_in or self.mosquitto.port

    @property
    def redis_url(self) -> str:
        """Where the streams are, with the password."""
        return self.valkey.url

    async def count_events(self, domains: tuple[str, ...] = DOMAINS) -> int:
        """Return how many events the streams of ``domains`` hold."""
        async with redis.asyncio.Redis.from_url(self.redis_url) as client:
            return sum([await client.xlen(domain_key(domain)) for domain in domains])

    async def count_points(self) -> int:
        """Return how many points of the one kind of sensors InfluxDB holds."""
        rows = await self.influx.ask(f"SELECT count({FIELD}) FROM {KIND}")  # noqa: S608 -- our own names
        return int(str(rows[0][1])) if rows else 0

    async def count_points_of(self, kind: str) -> int:
        """Return how many points of any kind InfluxDB holds, whatever fields they have."""
        return len(await self.influx.ask(f'SELECT * FROM "{kind}" GROUP BY *'))  # noqa: S608 -- our own names

    def pids(self) -> Iterator[tuple[str, int]]:
        """Yield the servers' names and process ids."""
        yield "mosquitto", self.mosquitto.pid
        yield "Valkey", self.valkey.pid
        yield "influxd", self.influx.pid


@asynccontextmanager
async def staged(directory: Path) -> AsyncIterator[Stage]:
    """Start mosquitto, Valkey (fsync always) and InfluxDB below ``directory``; end them and remove what they wrote."""
    mosquitto = Mosquitto(directory / "mosquitto", "set_tcp_nodelay true")  # as the hub keeps its own
    valkey = ValkeyServer(directory / "valkey")
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


def memory_bytes(pid: int, field: str = "VmRSS") -> int:
    """Return what process ``pid`` holds in memory now; ``VmHWM`` is the most that it ever held."""
    return int(_MEMORY[field].findall(Path(f"/proc/{pid}/status").read_text(encoding="ascii"))[0]) * 1024
