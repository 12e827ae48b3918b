"""A start says what it waits for, with a code, and waits for nobody for ever: servers that accept and say nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import aiohttp
import aiomqtt
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from hub.app import Hub
from hub.beginning import Beginning, Step
from hub.clock import SystemClock
from hub.config.settings import (
    HttpSettings,
    MqttSettings,
    RedisSettings,
    RegistrySettings,
    Settings,
    TimeseriesSettings,
)
from hub.errors import ConfigError, StoppedError, UnavailableError
from hub.journal.neighbours import journal_path
from hub.metrics import Metrics
from hub.model.values import PlaceType
from hub.registry.nouns import Device, Place, Site
from hub.services.child import free_port
from hub.sinks.control import Request, send_control
from hub.ui.pages.http import pages_of, serve
from hub.ui.pages.observing import Watch
from tests.machine import needs, needs_mosquitto
from tests.running import running, settings_of
from tests.servers.mosquitto import Mosquitto
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import ProxyFactory
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

ODD = Device(site="garden", id="odd", kind="smoke_sensor", profile="acme/nowhere")


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """Give the port of a server that accepts whoever comes, and never says a word."""
    over = asyncio.Event()

    async def keep(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.transport.abort()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        over.set()


class Start:
    """A hub in this process with its pages, and what they say."""

    def __init__(self, directory: Path, *, mqtt: int, redis: str, registry: str = "", store: str = "") -> None:
        series = TimeseriesSettings(store="influxdb", url=store) if store else TimeseriesSettings(store="local")
        self.settings = Settings(
            data_dir=directory / "data",
            mqtt=MqttSettings(port=mqtt),
            redis=RedisSettings(url=SecretStr(redis)),
            timeseries=series,
            registry=RegistrySettings(url=SecretStr(registry)),
            http=HttpSettings(port=free_port()),
        )
        self.hub = Hub(self.settings, SystemClock())
        self.hub.pages = lambda: serve(pages_of(Metrics(), Watch(self.hub).missing), self.settings.http)

    async def status(self, path: str) -> int:
        """Return the status of a page."""
        url = f"http://127.0.0.1:{self.settings.http.port}{path}"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return answer.status

    async def reasons(self) -> dict[str, str]:
        """Return what /readyz says: code to detail; nothing when it is ready."""
        url = f"http://127.0.0.1:{self.settings.http.port}/readyz"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return {reason["code"]: reason["detail"] for reason in (await answer.json())["reasons"]}

    async def is_ready(self) -> bool:
        """Whether nothing is missing."""
        return not await self.reasons()


async def test_a_start_says_which_step_it_is_at_and_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.beginning.TELL_EVERY_SECONDS", 0.01)
    beginning = Beginning(SystemClock())
    with capture_logs() as said:
        beginning.at(Step.REGISTRY)
        await wait_until(lambda: len(said) >= 2)
        beginning.at(Step.JOURNAL)
        await wait_until(lambda: said[-1]["code"] == "starting_journal")
        beginning.over()
        told = len(said)
        await wait_until(lambda: beginning.seconds > 0.05)
    assert len(said) == told
    assert (said[0]["event"], said[0]["code"]) == ("start_held_up", "starting_registry")
    assert beginning.step is None


def test_every_step_has_a_code_of_its_own() -> None:
    assert len({step.code for step in Step}) == len(Step)


async def test_a_registry_that_accepts_and_says_nothing_is_named_and_waited_for_until_somebody_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.app.REGISTRY_ANSWER_SECONDS", 1.0)
    async with silent() as port, asyncio.TaskGroup() as group:
        registry = f"postgresql://hub:planted-secret@127.0.0.1:{port}/hub"
        start = Start(tmp_path, mqtt=port, redis=f"redis://127.0.0.1:{port}/0", registry=registry)

        async def begin() -> None:
            with pytest.raises(StoppedError):
                await start.hub.__aenter__()

        group.create_task(begin())
        await wait_until(lambda: start.hub.beginning.step is Step.REGISTRY)
        assert (await start.reasons())["starting_registry"].startswith("the registry is opened, for ")
        assert await start.status("/metrics") == HTTPStatus.SERVICE_UNAVAILABLE  # zeros would mean nothing
        assert await start.status("/healthz") == HTTPStatus.OK
        await wait_until(lambda: start.hub.beginning.why)
        said = (await start.reasons())["starting_registry"]
        assert "[registry_unavailable] no answer within 1.0 s" in said
        assert "planted-secret" not in said
        start.hub.stop()


@needs("postgres")
async def test_a_registry_that_is_away_at_the_start_is_waited_for_and_then_worked_with(
    tmp_path: Path, postgres: PostgresServer, mosquitto: Mosquitto, valkey: ValkeyServer
) -> None:
    start = Start(tmp_path, mqtt=mosquitto.port, redis=valkey.url, registry=postgres.database())

    async def work() -> None:
        async with start.hub, running(start.hub):
            await wait_until(start.is_ready)

    postgres.stop()
    async with asyncio.TaskGroup() as group:
        group.create_task(work())
        try:
            await wait_until(lambda: start.hub.beginning.why)
            said = await start.reasons()
        finally:
            postgres.start()
    assert "Connection refused" in said["starting_registry"]


async def test_a_registry_that_goes_away_before_it_was_read_is_waited_for_too_and_does_not_keep_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hub.beginning.AGAIN_SECONDS", 0.01)
    beginning, stopped, said = Beginning(SystemClock()), asyncio.Event(), list[str]()

    async def read() -> None:
        said.append(beginning.why)
        if len(said) == 2:
            stopped.set()
        raise UnavailableError("registry_unavailable", "it went")

    beginning.at(Step.REVISION)
    with pytest.raises(StoppedError):
        await beginning.patiently(read, stopped)
    beginning.over()
    assert said == ["", "[registry_unavailable] it went"]


async def test_a_registry_that_goes_away_while_what_it_says_is_compared_is_asked_again(tmp_path: Path) -> None:
    start = Start(tmp_path, mqtt=free_port(), redis=f"redis://127.0.0.1:{free_port()}/0")
    asked = 0
    async with start.hub:
        partitions = start.hub.registry.partitions

        async def once_away() -> frozenset[str]:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise UnavailableError("registry_unavailable", "it went")
            return await partitions()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(start.hub.registry, "partitions", once_away)
            async with running(start.hub):
                await wait_until(lambda: start.hub.is_running)
    assert asked == 2


async def say(mosquitto: Mosquitto, *sites: str) -> None:
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as device:
        for site in sites:
            await device.publish(f"hub/{site}/env/telemetry", b'{"values": {"co2": 500}}', qos=1)


@needs_mosquitto
async def test_a_registry_that_is_refused_silences_no_hub_that_was_at_work(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a hub at work passed over with a word in readyz ended it at its next start: after a power cut, at night."""
    monkeypatch.setattr("hub.app.REGISTRY_TICKS", 1)
    settings = settings_of(tmp_path, mosquitto, valkey)
    async with Hub(settings, SystemClock()) as hub, running(hub):
        await hub.registry.add_site(Site(id="garden", zone="Asia/Shanghai"))
        await hub.registry.add_site(Site(id="manor", zone="Asia/Shanghai", partition="other"))
        await hub.registry.add_devices([Device(site="garden", id="env", kind="environment_sensor")])
        await wait_until(lambda: hub.engine.content.find("garden", "env"))
        await hub.registry.add_devices([ODD])
    async with Hub(settings, SystemClock()) as hub, running(hub):
        await wait_until(lambda: not Watch(hub).vitals().blind_sessions)
        assert "acme/nowhere" in hub.comparing.error
        await say(mosquitto, "manor", "garden")
        await wait_until(lambda: hub.engine.state.ledger.heard)
        assert hub.engine.state.ledger.applied == hub.engine.state.ledger.heard == 1
        await hub.registry.remove_device("garden", "odd")
        await wait_until(lambda: not hub.comparing.error and hub.comparing.revision > 0)


@needs_mosquitto
@pytest.mark.parametrize(
    "written",
    [
        *("places SET type = 'castle' WHERE id = 'b1'", "places SET facts = '{' WHERE id = 'b1'"),
        *("places SET type = 'castle' WHERE id = 'garden'", "places SET facts = '{' WHERE id = 'garden'"),
        *("places SET zone = NULL WHERE id = 'garden'", "places SET partition = NULL WHERE id = 'garden'"),
        *("places SET label = '[1]' WHERE id = 'garden'", "devices SET params = '[1]' WHERE site = 'garden'"),
    ],
)
async def test_a_row_that_somebody_wrote_by_hand_ends_no_hub(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setattr("hub.app.REGISTRY_TICKS", 1)
    settings = settings_of(tmp_path, mosquitto, valkey)
    async with Hub(settings, SystemClock()) as hub, running(hub):
        await hub.registry.add_site(Site(id="manor", zone="Asia/Shanghai", partition="other"))
        for site in ("garden", "grove"):
            await hub.registry.add_site(Site(id=site, zone="Asia/Shanghai"))
            await hub.registry.add_devices([Device(site=site, id="env", kind="environment_sensor")])
        await hub.registry.add_places([Place(site="garden", id="b1", type=PlaceType.BUILDING)])
        await wait_until(lambda: hub.comparing.revision == 6)
        with closing(sqlite3.connect(tmp_path / "data" / "registry.sqlite")) as connection, connection:
            connection.execute(f"UPDATE {written}")
            connection.execute("UPDATE registry_state SET revision = revision + 1")
        await wait_until(lambda: "registry_row_invalid" in hub.comparing.error)
        await say(mosquitto, "garden", "grove")
        await wait_until(lambda: hub.engine.state.ledger.applied == 2)
    async with Hub(settings, SystemClock()) as hub, running(hub):
        await wait_until(lambda: not Watch(hub).vitals().blind_sessions)
        assert "registry_row_invalid" in hub.comparing.error
        await say(mosquitto, "manor", "garden", "grove")
        await wait_until(lambda: hub.engine.state.ledger.applied == 4)
        assert hub.engine.state.ledger.heard == 4


async def test_a_registry_that_is_refused_keeps_a_hub_that_was_never_at_work_from_starting(tmp_path: Path) -> None:
    start = Start(tmp_path, mqtt=free_port(), redis=f"redis://127.0.0.1:{free_port()}/0")
    async with start.hub as hub:
        await hub.registry.add_site(Site(id="garden", zone="Asia/Shanghai"))
        await hub.registry.add_devices([ODD])
        with pytest.raises(ConfigError, match="acme/nowhere"):
            await hub.run()


PROFILE = """
profile: acme/env
version: 1.0.0
kind: environment_sensor
label: {en: Air, zh: 空气}
payload: {format: json}
time: {from: none}
properties: {co2: {path: ppm, unit: "[ppm]"}}
examples: [{name: air, source: invented, payload: {json: {ppm: 500}}, expect: {co2: 500}}]
"""


@needs_mosquitto
async def test_a_file_that_is_refused_silences_no_hub_that_was_at_work(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer
) -> None:
    """Somebody was half done with it when the machine was started again: nobody else was heard any more, either."""
    ours = tmp_path / "profiles" / "air.yaml"
    ours.parent.mkdir()
    ours.write_text(PROFILE, encoding="utf-8")
    settings = settings_of(tmp_path, mosquitto, valkey).model_copy(update={"profiles_dir": ours.parent})
    async with Hub(settings, SystemClock()) as hub, running(hub):
        await hub.registry.add_site(Site(id="garden", zone="Asia/Shanghai"))
        await hub.registry.add_devices([Device(site="garden", id="env", kind="environment_sensor", profile="acme/env")])
        await wait_until(lambda: hub.engine.content.find("garden", "env"))
    ours.write_text(PROFILE.partition(", unit")[0], encoding="utf-8")
    async with Hub(settings, SystemClock()) as hub, running(hub):
        watch = Watch(hub)
        await wait_until(lambda: hub.is_running and not watch.vitals().blind_sessions)
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as device:
            await device.publish("hub/garden/env/telemetry", b'{"ppm": 600}', qos=1)
        await wait_until(lambda: hub.engine.state.ledger.heard)
        assert hub.engine.state.ledger.applied == hub.engine.state.ledger.heard == 1
        assert str(ours) in {why.code: why.detail for why in watch.missing()}["files_refused"]
        ours.write_text(PROFILE, encoding="utf-8")
        async with valkey.link() as link:
            request = Request(actor="li", verb="reload")
            said = await send_control(link, SystemClock(), "main", request, wait=timedelta(seconds=30))
        assert (said.code, [why.code for why in watch.missing()]) == ("unchanged", [])


async def test_a_file_that_is_refused_keeps_a_hub_that_was_never_at_work_from_starting(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("profile: [", encoding="utf-8")
    start = Start(tmp_path, mqtt=free_port(), redis=f"redis://127.0.0.1:{free_port()}/0")
    settings = start.settings.model_copy(update={"profiles_dir": tmp_path})
    with pytest.raises(ConfigError, match="bad_yaml"):
        await Hub(settings, SystemClock()).__aenter__()
    assert not journal_path(settings.files_dir).exists()


async def silence_is_named(start: Start) -> bool:
    """Whether it says that the broker accepts, and does not answer."""
    return "no CONNACK within 2.0 s" in (await start.reasons())["session_blind"]


async def test_servers_that_accept_and_say_nothing_hold_no_start_up_and_are_named_until_they_speak(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, proxy_to: ProxyFactory
) -> None:
    async with proxy_to(mosquitto.port) as broker, proxy_to(valkey.port) as redis, silent() as store:
        for proxy in (broker, redis):
            proxy.blackhole()
        url = valkey.url.replace(f":{valkey.port}", f":{redis.port}")
        start = Start(tmp_path, mqtt=broker.port, redis=url, store=f"http://127.0.0.1:{store}")
        async with start.hub, running(start.hub):
            await wait_until(lambda: start.hub.is_running)
            said = await start.reasons()
            assert said.keys() == {"session_blind", "redis_unreachable", "ownership_unconfirmed"}
            await wait_until(lambda: silence_is_named(start))
            redis.heal()
            await wait_until(lambda: start.hub.stream_sink.connected)
            broker.heal()
            await wait_until(start.is_ready)


@needs_mosquitto
async def test_a_broker_that_lets_the_hub_not_in_is_told_in_its_own_words(tmp_path: Path, valkey: ValkeyServer) -> None:
    broker = Mosquitto(tmp_path / "mosquitto", anonymous=False)
    broker.start()
    try:
        start = Start(tmp_path, mqtt=broker.port, redis=valkey.url)
        async with start.hub, running(start.hub):
            watch = Watch(start.hub)
            await wait_until(lambda: set(watch.vitals().blind_sessions.values()) == {"refused: not_authorized"})
    finally:
        broker.kill()
