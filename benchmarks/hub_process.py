"""`hub run` as a process of its own: started, stopped, killed; all that it was given is counted again in its stores."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import sys
from asyncio.subprocess import Process, create_subprocess_exec
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import aiohttp
import structlog

from benchmarks.stage import Stage, cpu_ns
from benchmarks.traffic import KIND, RULES, SITE, Traffic
from hub.clock import SystemClock
from hub.config.settings import Settings, TimeseriesStore
from hub.errors import UnavailableError
from hub.journal.state_file import read_tallies
from hub.registry import many
from hub.registry.nouns import Device, Place, Site
from hub.registry.registry import Registry
from hub.services.child import free_port
from hub.sinks.streams import DOMAINS
from simulators.mixture import FAMILIES, Mixture
from tests.waiting import wait_until

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
"""Nothing that would lead a hub elsewhere."""
READY_SECONDS = 120.0
ANSWER_SECONDS = 30.0
"""What a page may take; a loop that does not turn for so long is told."""
LOOK_EVERY_SECONDS = 0.1
"""A hub that starts answers, too: looking every 10 ms it took 1.43 s of CPU instead of 1.27 until it was ready."""
STOP_SECONDS = 60.0
LOOKS = 30
"""How often in a row the store is found to have taken no more before the hub is asked what it owes."""
COUNT_LOCAL = "SELECT count(*) FROM points JOIN series ON series.id = points.series WHERE measurement = ?"
COMMAND = [sys.executable, "-c", "from hub.ui.cli.main import main; main()"]
LOG_BYTES = 3_000
_SAMPLE = re.compile(r"^(hub_\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a hub is set up: its store, more TOML, rules of its own, and another port in place of the broker's.

    ``checkout`` is where its code is, when it is not this one.
    """

    store: TimeseriesStore = TimeseriesStore.INFLUXDB
    settings: str = ""
    rules: str = RULES
    mqtt_port: int | None = None
    checkout: Path | None = None


class Speech(Protocol):
    """Who speaks to a hub, as its registry has them."""

    def places(self) -> list[Place]: ...
    def devices(self) -> list[Device]: ...


class HubProcess:
    """A hub with the shipped defaults on a stage, set up as ``setup`` says.

    With ``Traffic`` everything that must come of it is known beforehand; of a ``Mixture`` the hub's own counts are
    compared with its stores. Nor can events be known (``knows_events``) when a hub hears messages while it is blind:
    alarms do not clear then.
    """

    def __init__(self, stage: Stage, speech: Speech, setup: Setup) -> None:
        self.stage = stage
        self.data = stage.directory / "data"
        self.config = stage.directory / "hub.toml"
        self.start_cpu_seconds = 0.0
        self.knows_events = isinstance(speech, Traffic)
        self.last_counts: Counter[str] = Counter()
        self._published = self._beside = self._written = self._looks = 0
        self._setup = setup
        self._speech = speech
        self._http_port = free_port()
        self._said = ""
        self._process: Process | None = None
        self._events = 0

    @property
    def pid(self) -> int:
        """The process id; 0 while it does not run."""
        return 0 if self._process is None else self._process.pid

    async def register(self) -> None:
        """Write its files and fill its registry."""
        self._write_files()
        async with Registry(Settings(data_dir=self.data).registry_url()) as registry:
            await registry.add_site(Site(id=SITE, zone="Asia/Shanghai"))
            await many.put_places(registry, self._speech.places())
            await many.put_devices(registry, self._speech.devices())

    async def start(self) -> None:
        """Start, and wait until /readyz says so."""
        with (self.stage.directory / "hub.log").open("ab") as log:
            command = [*COMMAND, "--config", str(self.config), "--log-level", "warning", "run"]
            self._process = await create_subprocess_exec(
                *command, stdout=log, stderr=log, env=ENVIRONMENT, cwd=self._setup.checkout
            )
        try:
            await wait_until(self._is_ready, seconds=READY_SECONDS)
        except AssertionError as error:
            raise UnavailableError("hub_not_ready", f"it said {self._said}\n{self._log()}") from error
        self.start_cpu_seconds = cpu_ns(self.pid) / 1e9

    def _write_files(self) -> None:
        stage, rules = self.stage, self.stage.directory / "rules"
        self.data.mkdir()
        rules.mkdir()
        if self._setup.rules:
            (rules / "bench.yaml").write_text(self._setup.rules, encoding="utf-8")
        self.config.write_text(
            f"""\
data_dir = "{self.data}"
rules_dir = "{rules}"
mqtt.port = {self._setup.mqtt_port or stage.mqtt_port}
redis.url = "{stage.redis_url}"
http.port = {self._http_port}
timeseries = {{store = "{self._setup.store.value}", url = "{stage.influx.url}", bucket = "hub"}}
{self._setup.settings}
""",
            encoding="utf-8",
        )

    async def _is_ready(self) -> bool:
        if self._process is None or self._process.returncode is not None:
            raise UnavailableError("hub_died", self._log())
        try:
            status, self._said = await self._page("readyz")
        except (aiohttp.ClientError, TimeoutError) as error:
            self._said = f"nothing at port {self._http_port}: {type(error).__name__} {error}"
            return False
        if status != HTTPStatus.OK:
            await SystemClock().sleep(LOOK_EVERY_SECONDS)
        return status == HTTPStatus.OK

    def _log(self) -> str:
        return (self.stage.directory / "hub.log").read_text(encoding="utf-8")[-LOG_BYTES:]

    async def _page(self, name: str) -> tuple[int, str]:
        url, timeout = f"http://127.0.0.1:{self._http_port}/{name}", aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as answer:
            return answer.status, await answer.text()

    async def metrics(self) -> Counter[str]:
        """Return the counters by name, added up over their labels."""
        found: Counter[str] = Counter()
        for name, value in _SAMPLE.findall((await self._page("metrics"))[1]):
            found[name] += int(float(value))
        return found

    def expect(self, numbers: range, *, beside: int = 0) -> None:
        """Note that ``numbers`` are published, and the events that they must raise; ``beside`` them other messages.

        Those are heard and stored too, but nobody looks at what.
        """
        self._published += len(numbers)
        self._beside += beside
        if isinstance(self._speech, Traffic):
            self._events += self._speech.count_events(numbers)

    async def until_delivered(self, *, seconds: float) -> None:
        """Wait until the store has confirmed every point, and the streams hold every event.

        UnavailableError when it takes longer: what is late is not lost, only :meth:`stop` can tell that.
        """
        known = isinstance(self._speech, Traffic)
        try:
            await wait_until(self._is_delivered if known else self._is_settled, seconds=seconds)
        except AssertionError as error:
            raise UnavailableError(
                "not_yet_delivered", f"after {seconds:g} s; nobody knows whether anything is lost",
                published=self._published + self._beside, written=self._count_written(), log=self._log(),
            ) from error  # fmt: skip

    async def _is_delivered(self) -> bool:
        # The hub's own file: asking its HTTP would cost it CPU time.
        if self._count_written() < self._published + self._beside:
            return False
        return not self.knows_events or await self.stage.count_events() >= self._events

    async def _is_settled(self) -> bool:
        # Nobody knows how many points must come. A page of figures costs the hub as much as hundreds of messages: it is
        # asked for when the store takes no more.
        written = self._count_written()
        self._looks = self._looks + 1 if written == self._written else 0
        self._written = written
        if not self._looks or self._looks % LOOKS:
            return False
        found = await self.metrics()
        owed = ("hub_points_waiting", "hub_outbox_waiting_records", "hub_engine_lag_records")
        return heard_once(found) >= self._published and not any(found[name] for name in owed)

    def _count_written(self) -> int:
        return read_tallies(self.data / "state.sqlite").get("timeseries", {}).get("written", 0)

    async def stop(self) -> Losses:
        """End the hub in good order, and count everything once more where it was stored."""
        found = await self.metrics()
        process = self._process
        if process is None:
            raise UnavailableError("hub_not_started")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS):
            code = await process.wait()  # this loop stands between the hub and InfluxDB: it must not block
        if code:
            raise UnavailableError("hub_failed", returncode=code)
        self._process = None
        self.last_counts = found
        if again := found["hub_messages_deduplicated_total"]:
            log.warning("messages_sent_again", count=again, log=self._log())
        losses = await (self._losses_of_mixture(found) if isinstance(self._speech, Mixture) else self._losses(found))
        if losses.total:
            log.error("not_as_counted", published=self._published, **asdict(losses))
        return losses

    async def _losses(self, found: Counter[str]) -> Losses:
        points = (
            await self.stage.count_points() if self._setup.store is TimeseriesStore.INFLUXDB else self._count_local()
        )
        return Losses(
            unheard=self._published + self._beside - heard_once(found),
            points=self._published - points,
            events=(self._events if self.knows_events else found["hub_events_raised_total"])
            - await self.stage.count_events(),
        )

    async def _losses_of_mixture(self, found: Counter[str]) -> Losses:
        stored = sum([await self.stage.count_points_of(family.kind) for family in FAMILIES])
        return Losses(
            unheard=self._published - found["hub_messages_applied_total"],
            points=found["hub_points_derived_total"] - stored,
            events=found["hub_events_raised_total"] - await self.stage.count_events(DOMAINS),
        )

    def _count_local(self) -> int:
        with closing(sqlite3.connect(self.data / "timeseries.sqlite")) as store:
            return int(store.execute(COUNT_LOCAL, (KIND,)).fetchone()[0])

    async def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._process = None


def heard_once(counts: Counter[str]) -> int:
    """Return how many messages a hub heard, less those that the broker sent again after a cut and the hub knew."""
    return counts["hub_messages_heard_total"] - counts["hub_messages_deduplicated_total"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What is missing (or, below zero, there twice) of what the broker took.

    What the broker sent again and the hub knew is neither; it cost CPU, so :meth:`HubProcess.stop` warns of it.
    """

    unheard: int
    points: int
    events: int

    @property
    def total(self) -> int:
        """How much is wrong, in all."""
        return abs(self.unheard) + abs(self.points) + abs(self.events)


@asynccontextmanager
async def hub_on(stage: Stage, speech: Speech, setup: Setup) -> AsyncIterator[HubProcess]:
    """Run a hub on ``stage``."""
    hub = HubProcess(stage, speech, setup)
    try:
        await hub.register()
        await hub.start()
        yield hub
    finally:
        await hub.kill()
