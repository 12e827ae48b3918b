"""Readiness is a pure judgement of vital signs: what must hold, what is forgiven, what is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import aiomqtt
import pytest
from pydantic import SecretStr

from hub import parts
from hub.app import Hub
from hub.bridge.topics import SYS_DROPPED
from hub.clock import SystemClock
from hub.config.settings import MqttSettings, RedisSettings
from hub.model.values import PlaceType
from hub.registry.circumstances import clear_fact
from hub.registry.nouns import Device, Place, Site
from hub.registry.registry import Registry
from hub.services.child import free_port
from hub.sinks.stream_readers import read_twins
from hub.ui.pages import readiness
from hub.ui.pages.observing import Watch, broker_dropped
from hub.ui.pages.readiness import Drops, Vitals, reasons
from tests.machine import needs_mosquitto
from tests.running import running, settings_of
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import PASSWORD, ValkeyServer
from tests.ui.vitals import WELL
from tests.waiting import wait_until


def codes(vitals: Vitals) -> list[str]:
    return [reason.code for reason in reasons(vitals)]


def test_a_hub_that_is_well_is_ready() -> None:
    assert codes(WELL) == []


@pytest.mark.parametrize(
    ("ill", "code"),
    [
        (replace(WELL, is_running=False), "not_running"),
        (replace(WELL, blind_sessions={"events": "no_answer"}), "session_blind"),
        (replace(WELL, unheard={"events": {"hub/+/+/signal"}}), "subscription_refused"),
        (replace(WELL, downlink_away_seconds=15.1, downlink_error="not_authorized"), "commands_held_up"),
        (replace(WELL, downlink_away_seconds=16.0, blind_sessions={"events": "no_answer"}), "session_blind"),
        (replace(WELL, journal_error="[disk_full]"), "journal_held_up"),
        (replace(WELL, journal_forgets_from=413), "journal_forgets"),
        (replace(WELL, still_stages={"judging": 10}), "stage_stands_still"),
        (replace(WELL, broker_dropped=3), "broker_dropped"),
        (replace(WELL, is_redis_connected=False), "redis_unreachable"),
        (replace(WELL, redis_unsafe="[redis_evicts]", is_redis_connected=False), "redis_unsafe"),
        (replace(WELL, forgot_seconds=59.0, forgotten="records 1 to 9"), "redis_forgot"),
        (replace(WELL, streams_behind_seconds=5.1), "streams_behind"),
        (replace(WELL, twins_behind_seconds=5.1), "twins_behind"),
        (replace(WELL, twins_behind_seconds=6.0, streams_behind_seconds=5.1), "streams_behind"),
        (replace(WELL, requests_refused_seconds=5.1), "requests_unheard"),
        (replace(WELL, store_behind_seconds=5.1), "timeseries_behind"),
        (replace(WELL, owned_seconds=5.1), "ownership_unconfirmed"),
        (replace(WELL, unkept_seconds=5.1, unkept_error="[broker_not_ours]"), "broker_not_kept"),
        (replace(WELL, outdated_seconds=60.1, outdated_error="[bad_fact]"), "registry_behind"),
        (replace(WELL, files_refused="ours.yaml:2 [bad_yaml]"), "files_refused"),
        (replace(WELL, unsealed_seconds=7_201.0, unsealed_error="[disk_full]"), "dossiers_unsealed"),
        (replace(WELL, owned_seconds=None), "ownership_unconfirmed"),
    ],
)
def test_each_illness_has_its_own_code(ill: Vitals, code: str) -> None:
    assert codes(ill) == [code]


def test_a_short_interruption_of_the_sinks_is_forgiven() -> None:
    assert codes(replace(WELL, streams_behind_seconds=4.9, store_behind_seconds=4.9, owned_seconds=4.9)) == []
    assert codes(replace(WELL, still_stages={"journal.thread": 9})) == []


def test_a_store_that_hangs_is_told_from_one_that_refuses() -> None:
    hangs = replace(WELL, store_behind_seconds=6.0)
    assert [reason.detail for reason in reasons(hangs)] == ["no write for 6 s: the store does not answer"]
    (refuses,) = reasons(replace(hangs, store_error="[store_busy] 503"))
    assert refuses.detail == "no write for 6 s: [store_busy] 503"


def test_every_blind_session_is_named() -> None:
    found = reasons(replace(WELL, blind_sessions={"events": "refused: not_authorized", "telemetry": "no_answer"}))
    assert [reason.detail.partition(":")[0] for reason in found] == ["events", "telemetry"]
    assert [reason.detail.rpartition("read: ")[2] for reason in found] == ["refused: not_authorized", "no_answer"]


def test_the_error_of_the_store_is_told() -> None:
    (reason,) = reasons(replace(WELL, store_behind_seconds=60, store_error="[store_busy] 503"))
    assert reason.detail == "no write for 60 s: [store_busy] 503"


def test_what_holds_up_the_streams_is_told() -> None:
    why = "[key_refuses] ERR The stream has exhausted the last possible ID key='hub:events:fire'"
    (reason,) = reasons(replace(WELL, streams_behind_seconds=60, streams_error=why))
    assert reason.detail == f"something waits for 60 s: {why}"


def test_what_redis_forgot_is_told_for_a_minute() -> None:
    forgot = replace(WELL, forgot_seconds=3.2, forgotten="records 1 to 9")
    assert [reason.detail for reason in reasons(forgot)] == ["found 3 s ago: records 1 to 9"]
    assert codes(replace(forgot, forgot_seconds=60.0)) == []


def test_a_hub_that_does_not_run_has_no_other_troubles() -> None:
    assert codes(replace(WELL, is_running=False, is_redis_connected=False, owned_seconds=None)) == ["not_running"]


def test_what_the_broker_dropped_before_we_looked_is_old() -> None:
    assert Drops().since_lately(0, 1_000) == 0


def test_drops_are_told_for_five_minutes() -> None:
    drops = Drops()
    counted = [drops.since_lately(seconds, total) for seconds, total in ((0, 7), (10, 9), (309, 9), (311, 9))]
    assert counted == [0, 2, 2, 0]


def test_a_restarted_broker_counts_from_the_beginning() -> None:
    drops = Drops()
    assert [drops.since_lately(0, 50), drops.since_lately(10, 0), drops.since_lately(20, 4)] == [0, 0, 4]
    assert drops.since_lately(30, 3) == 3  # restarted once more, and nobody saw it at 0


async def test_what_an_earlier_life_had_read_is_not_taken_for_what_this_one_has(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer
) -> None:
    settings = settings_of(tmp_path, mosquitto, valkey)
    async with Hub(settings, SystemClock()) as hub:
        watch = Watch(hub)
        async with running(hub):
            await wait_until(lambda: hub.is_running and not watch.vitals().blind_sessions)
    async with Hub(settings, SystemClock()) as hub:
        assert set(Watch(hub).vitals().blind_sessions) == {session.name for session in hub.sessions}


async def test_a_hub_from_which_no_command_leaves_or_that_may_not_hear_a_topic_is_not_ready(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, nowhere = parts.make_downlink, MqttSettings(port=free_port())
    monkeypatch.setattr(parts, "make_downlink", lambda at, *more: make(at.model_copy(update={"mqtt": nowhere}), *more))
    monkeypatch.setattr(readiness, "DOWNLINK_SECONDS", 0.1)
    async with Hub(settings_of(tmp_path, mosquitto, valkey), SystemClock()) as hub, running(hub):
        watch = Watch(hub)
        await wait_until(lambda: [reason.code for reason in watch.missing()] == ["commands_held_up"])
        hub.sessions[0].counts.unheard.add("hub/+/+/signal")
        assert [reason.code for reason in watch.missing()] == ["subscription_refused", "commands_held_up"]


@needs_mosquitto
async def test_twins_that_redis_refuses_are_told_until_it_takes_them(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer
) -> None:
    """Nobody heard of it while no event was owed: a page of the city showed what had been days ago."""
    url = SecretStr(f"redis://hub:{PASSWORD}@127.0.0.1:{valkey.port}/0")
    settings = settings_of(tmp_path, mosquitto, valkey).model_copy(update={"redis": RedisSettings(url=url)})
    settings.data_dir.mkdir()
    async with Registry(settings.registry_url()) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        await registry.add_devices([Device(site="s1", id="env", kind="environment_sensor")])
    async with valkey.link() as link:
        others = ("cursor:*", "heartbeat:*", "events:*", "alarms:*", "control:*", "reply:*", "dead-letters")
        rights = ("on", f">{PASSWORD}", "+@all", *(f"~hub:{key}" for key in others))
        await link.ask("ACL", "SETUSER", "hub", *rights)
        async with Hub(settings, SystemClock()) as hub, running(hub):
            watch = Watch(hub)
            await wait_until(lambda: not watch.vitals().blind_sessions and hub.engine.content.find("s1", "env"))
            async with aiomqtt.Client("127.0.0.1", mosquitto.port) as device:
                await device.publish("hub/s1/env/telemetry", b'{"values": {"co2": 500}}', qos=1)
            await wait_until(lambda: watch.vitals().twins_behind_seconds)
            assert "permission" in watch.vitals().twins_error
            await link.ask("ACL", "SETUSER", "hub", "allkeys")
            await wait_until(lambda: watch.vitals().twins_behind_seconds is None)
            assert [twin.name for twin in await read_twins(link, "s1")] == ["env"]


async def drop_some(broker: Mosquitto) -> None:
    """Publish more to somebody who is away than may wait, and wait until the broker tells of it."""

    def client(name: str, *, clean: bool) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", broker.port, identifier=name, clean_session=clean)

    async with client("away", clean=False) as away:
        await away.subscribe("lost", qos=1)
    async with client("teller", clean=True) as teller:
        await teller.subscribe(SYS_DROPPED)
        for _ in range(20):
            await teller.publish("lost", b"x", qos=1)
        async for message in teller.messages:
            if int(bytes(message.payload)):
                return


@needs_mosquitto
async def test_what_the_broker_dropped_before_the_hub_came_keeps_nobody_waiting(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    broker = Mosquitto(tmp_path / "mosquitto", "max_queued_messages 1")
    broker.start()
    try:
        await drop_some(broker)
        async with Hub(settings_of(tmp_path, broker, valkey), SystemClock()) as hub, running(hub):
            watch = Watch(hub)
            assert watch.vitals().broker_dropped == 0  # asked before the broker has told anything
            await wait_until(lambda: broker_dropped(hub) >= 10)
            await wait_until(lambda: not watch.missing())
    finally:
        broker.kill()


async def test_a_registry_that_cannot_be_taken_up_is_told_until_it_can(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.app.REGISTRY_TICKS", 1)
    settings = settings_of(tmp_path, mosquitto, valkey)
    dwelling = Place(site="garden", id="d1", type=PlaceType.DWELLING, facts={"away": "perhaps"})
    sensor = Device(site="garden", id="smoke-1", kind="smoke_sensor", place="d1")
    async with Hub(settings, SystemClock()) as hub, running(hub), Registry(settings.registry_url()) as registry:
        await wait_until(lambda: hub.is_running)
        await registry.add_site(Site(id="garden", zone="Asia/Shanghai"))
        await registry.add_places([dwelling])
        await registry.add_devices([sensor])
        watch = Watch(hub)
        await wait_until(lambda: "bad_fact" in watch.vitals().outdated_error)
        assert watch.vitals().outdated_seconds is not None
        await clear_fact(registry, ("garden", "d1"), "away")
        await wait_until(lambda: hub.engine.content.find("garden", "smoke-1"))
        await wait_until(lambda: watch.vitals().outdated_seconds is None)
