"""Servers stop, hang, restart or are taken over while messages come in; nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hub.sinks.streams import cursor_key
from tests.chaos.hub_process import HubProcess
from tests.chaos.town import Town, open_town
from tests.journal.papers import batch, journal, records
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

RATE = 200
OUTAGE_SECONDS = 10
SLOW = (
    "import hub.clock as it; s = it.SystemClock.sleep; it.SystemClock.sleep = lambda clock, long: s(clock, long or 1); "
)
"""A hub that rests for a second wherever it lets others take their turn: between two records that it applies again."""


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    async for each in open_town(tmp_path, mosquitto, valkey):
        yield each


async def until_acknowledged(town: Town) -> None:
    """Wait until the hub has acknowledged and stored as much as the broker had taken at the time of asking."""
    numbers, cards = len(town.sent.temperatures), len(town.sent.cards)

    async def is_done() -> bool:
        metrics = await town.hub.metrics()
        return metrics["hub_acks_sent_total"] >= numbers + cards and metrics["hub_points_written_total"] >= numbers

    await wait_until(is_done)


async def check_all(town: Town) -> None:
    """Assert that everything is everywhere once, events in the order in which they happened."""
    await town.until_settled()
    await town.hub.until_ready()
    assert town.hub.stop() == 0
    await town.check_once()
    assert await town.card_order() == sorted(town.sent.cards, key=lambda card: int(card.removeprefix("card-")))


# -------------------------------------------------------------------------------------------------------------- Redis


@pytest.mark.parametrize(
    ("end", "begin"),
    [(ValkeyServer.stop, ValkeyServer.start), (ValkeyServer.pause, ValkeyServer.resume)],
    ids=["stopped", "hanging"],
)
async def test_without_redis_acks_and_points_go_on_and_events_follow_once_and_in_order(
    town: Town, end: Callable[[ValkeyServer], None], begin: Callable[[ValkeyServer], None]
) -> None:
    town.hub.start()
    await town.hub.until_ready()
    async with town.traffic(RATE):
        await town.until_sent(RATE)
        end(town.valkey)
        for _ in range(OUTAGE_SECONDS // 2):
            await town.until_sent(2 * RATE)
            await until_acknowledged(town)
        await town.hub.until_unready("redis_unreachable")
        begin(town.valkey)
        await town.until_sent(RATE)
    await check_all(town)


async def test_a_hub_that_starts_without_redis_hears_stores_and_delivers_later(town: Town) -> None:
    town.valkey.stop()
    town.hub.start()
    await town.hub.until_connected()
    await town.publish(300)
    await until_acknowledged(town)
    await town.hub.until_unready("redis_unreachable")
    town.valkey.start()
    await check_all(town)


@pytest.mark.parametrize("is_claimed", [False, True], ids=["at its first connection", "after a reconnect"])
async def test_a_redis_that_comes_back_forgetful_gets_nothing_until_it_is_mended(town: Town, is_claimed: bool) -> None:  # noqa: FBT001 -- a parameter
    if not is_claimed:
        town.valkey.stop()
    town.hub.start()
    await town.hub.until_connected()
    if is_claimed:
        await town.hub.until_ready()
        town.valkey.stop()
    town.valkey.options["maxmemory-policy"] = "allkeys-lru"
    await town.publish(300)
    town.valkey.start()
    await town.hub.until_unready("redis_unsafe")
    await town.publish(300)
    await until_acknowledged(town)
    async with town.valkey.link() as link:
        assert await link.ask("EXISTS", cursor_key("main")) == is_claimed
        assert await town.streamed_ids() == {}
        await link.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await check_all(town)


async def test_a_redis_that_is_forgetful_at_the_start_is_refused_before_anything_is_heard(town: Town) -> None:
    town.valkey.stop()
    town.valkey.options["appendonly"] = "no"
    town.valkey.start()
    said = await town.hub.cli("run")
    assert said.code == 2
    assert "[redis_not_append_only]" in said.err
    assert "session_connected" not in said.err
    async with town.valkey.link() as link:
        assert await link.ask("DBSIZE") == 0


async def test_a_hub_that_is_killed_while_redis_is_down_delivers_after_both_are_back(town: Town) -> None:
    town.hub.start()
    await town.hub.until_connected()
    await town.publish(150)
    town.valkey.kill()
    await town.publish(300)
    await until_acknowledged(town)
    town.hub.kill()
    town.hub.start()
    await town.hub.until_connected()
    await town.publish(150)
    town.valkey.start()
    await check_all(town)


# ------------------------------------------------------------------------------------------------------------- broker


@pytest.mark.parametrize("end", [Mosquitto.stop, Mosquitto.kill], ids=["ended", "killed"])
async def test_what_a_restarted_broker_sends_again_is_not_judged_twice(
    town: Town, end: Callable[[Mosquitto], None]
) -> None:
    town.hub.start()
    await town.hub.until_ready()
    await town.publish(300)
    await until_acknowledged(town)
    town.hub.pause()  # what is sent to it now is read, but can no longer be acknowledged where it came from
    await town.publish(300)
    await town.mosquitto.until_saved()
    end(town.mosquitto)
    town.hub.resume()
    town.mosquitto.start()
    await town.publish(300)
    await town.until_settled()
    metrics = await town.hub.metrics()
    assert metrics["hub_sessions_reconnected_total"] >= 2
    assert metrics["hub_messages_deduplicated_total"] >= 300
    await check_all(town)


async def test_what_a_killed_broker_had_saved_as_unacknowledged_is_not_judged_twice(town: Town) -> None:
    """Its last save is up to a second older than the ping it answered: what it sends again was settled already.

    2,100 messages at 400 a second end just behind the first ping, 5 s after connecting.
    """
    town.hub.start()
    await town.hub.until_connected()
    async with town.traffic(400):
        await town.until_sent(2_100)
    await until_acknowledged(town)
    town.mosquitto.kill()
    town.mosquitto.start()
    await town.publish(100)
    await check_all(town)


# ----------------------------------------------------------------------------------------------------------- the hub


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_hub_that_is_stopped_in_full_traffic_goes_on_where_it_was(town: Town, number: signal.Signals) -> None:
    town.hub.start()
    await town.hub.until_ready()
    async with town.traffic(RATE):
        await town.until_sent(RATE)
        assert await asyncio.to_thread(town.hub.stop, number) == 0
        await town.until_sent(RATE // 2)
        town.hub.start()
        await town.hub.until_connected()
        await town.until_sent(RATE // 2)
    await check_all(town)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_hub_that_is_stopped_while_it_applies_its_journal_again_leaves_at_once_and_loses_nothing(
    town: Town, number: signal.Signals
) -> None:
    unheard_of = batch(*[b"%d" % n for n in range(1_000)])
    async with journal(town.hub.data) as opened:
        await opened.append(records(1, [unheard_of] * 60))
    town.hub.prelude = SLOW
    town.hub.start()
    await town.hub.until_said("recovery_began")
    assert town.hub.stop(number) == 0
    town.hub.prelude = ""
    for later in ("recovery_finished", "partition_claimed", "session_connected"):
        assert later not in town.hub.log()
    town.hub.start()
    await town.hub.until_ready()
    assert (await town.hub.metrics())["hub_messages_dead_lettered_total"] == 60_000
    await town.publish(60)
    await check_all(town)


async def test_a_second_hub_on_one_data_directory_is_refused(town: Town) -> None:
    town.hub.start()
    await town.hub.until_ready()
    said = await town.hub.cli("run")
    assert said.code == 2
    assert "[already_running]" in said.err
    await town.publish(60)
    await check_all(town)


async def test_a_second_hub_on_one_partition_of_redis_is_refused_before_it_hears_anything(
    town: Town, tmp_path: Path
) -> None:
    town.hub.start()
    await town.hub.until_ready()
    async with town.traffic(RATE):
        await town.until_sent(RATE)
        other = HubProcess(tmp_path / "other", town.mosquitto.port, town.valkey.port)
        said = await other.cli("run")
        await town.until_sent(RATE)
    assert said.code == 2
    assert "[journal_mismatch]" in said.err
    assert (await town.hub.metrics())["hub_sessions_reconnected_total"] == 0
    await check_all(town)
