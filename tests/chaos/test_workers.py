"""Two workers, each with a partition of its own: one dies and comes back, the other never stops hearing."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from hub.journal.neighbours import journal_path
from hub.partitions import settings_of
from hub.registry.nouns import Device
from hub.registry.registry import Registry
from hub.replay.tape import JournalTape
from tests.chaos.hub_process import HubProcess
from tests.chaos.town import Town, opened
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

EAST = "east"
FIRE = bytes.fromhex("221164321F18")


@pytest.fixture
async def west(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    """The first partition; its hub is that of both."""
    async for each in opened(Town(tmp_path, mosquitto, valkey, partitions=[EAST])):
        yield each


@pytest.fixture
def east(west: Town) -> Town:
    """A site of the second partition, not registered yet."""
    return west.neighbour("s2", EAST)


def sites_heard(town: Town) -> set[str]:
    """Return the sites of which the partition's journal holds a message."""
    tape = JournalTape(journal_path(settings_of(town.hub.settings, town.partition).files_dir))
    return {message.topic.split("/")[1] for record in tape.read(0) for message in record.messages}


def workers_of(hub: HubProcess) -> list[int]:
    """Return the process ids of all workers that were ever started, in that order."""
    started = (orjson.loads(line) for line in hub.log().splitlines() if '"worker_started"' in line)
    return [int(line["pid"]) for line in started]


def worker_of(hub: HubProcess, partition: str) -> int:
    """Return the process that runs ``partition``."""
    serving = re.compile(rf"--serving\0{partition}:\d+\0".encode())
    return next(pid for pid in workers_of(hub) if is_there(pid) and serving.search(_command_line(pid)))


def is_there(pid: int) -> bool:
    """Return whether the process lives; one that nobody has buried yet has no command line any more."""
    return bool(_command_line(pid))


def _command_line(pid: int) -> bytes:
    file = Path(f"/proc/{pid}/cmdline")
    return file.read_bytes() if file.exists() else b""


async def check_that_one_came_back_and_the_other_never_went(west: Town, east: Town) -> None:
    await west.until_settled()
    await east.until_settled()
    metrics = await west.hub.metrics()
    assert metrics['hub_sessions_connected_total{partition="main",session="telemetry"}'] == 1
    assert metrics["hub_workers_restarted_total"] == 1


async def test_a_worker_that_is_killed_comes_back_with_nothing_lost_while_the_other_goes_on(
    west: Town, east: Town
) -> None:
    await east.register()
    west.hub.start()
    await west.hub.until_ready()
    async with west.traffic(100), east.traffic(100):
        await east.until_sent(100)
        os.kill(worker_of(west.hub, EAST), signal.SIGKILL)
        await west.hub.until_down({EAST})
        await east.until_sent(200)
        await west.hub.until_ready()
        await east.until_sent(100)
    await check_that_one_came_back_and_the_other_never_went(west, east)
    pids = workers_of(west.hub)
    assert len(pids) == 3
    assert west.hub.stop() == 0
    assert not any(map(is_there, pids))
    await west.check_once()
    await east.check_once()
    assert (sites_heard(west), sites_heard(east)) == ({"s1"}, {"s2"})


async def test_a_worker_that_hangs_is_killed_and_comes_back_with_nothing_lost_while_the_other_goes_on(
    west: Town, east: Town
) -> None:
    await east.register()
    west.hub.prelude = "import hub.services.workers as kept; kept.SILENT_SECONDS = 8.0; "
    west.hub.start()
    await west.hub.until_ready()
    async with west.traffic(100), east.traffic(100):
        await east.until_sent(100)
        hung = worker_of(west.hub, EAST)
        os.kill(hung, signal.SIGSTOP)
        await wait_until(lambda: not is_there(hung))
        assert '"worker_hung"' in west.hub.log()
        await east.until_sent(100)
        await west.hub.until_ready()
        await east.until_sent(100)
    await check_that_one_came_back_and_the_other_never_went(west, east)
    assert west.hub.stop() == 0
    await west.check_once()
    await east.check_once()


async def test_workers_whose_supervisor_is_killed_end_by_themselves(west: Town) -> None:
    west.hub.start()
    await west.hub.until_ready()
    pids = workers_of(west.hub)
    west.hub.kill()
    await wait_until(lambda: not any(map(is_there, pids)))
    assert len(pids) == 2


async def test_a_terminal_that_goes_ends_all_of_them_in_good_order(west: Town) -> None:
    """SIGHUP ended the supervisor the hard way, and its Valkey beside those who still wrote to it."""
    west.hub.start()
    await west.hub.until_ready()
    pids = workers_of(west.hub)
    assert west.hub.stop(signal.SIGHUP) == 0
    assert not any(map(is_there, pids))
    assert west.hub.log().count('"fate": "left with 0", "event": "worker_stopped"') == 2


async def test_a_site_that_comes_later_is_heard_by_its_partition_alone_and_nobody_reconnects(
    west: Town, east: Town
) -> None:
    west.hub.workers = 1  # which runs both
    west.hub.start()
    await west.hub.until_ready()
    await west.publish(30)
    await east.register()
    await west.hub.until_said('"sites": 1, "event": "sites_listened_to", "partition": "east"')
    await west.hub.until_said('"sites": 1, "event": "sites_listened_to", "level"')
    await west.publish(30)
    await west.until_settled()  # the hub says that it has asked: until then the broker has answered, too
    await east.publish(60)
    await east.until_settled()
    metrics = await west.hub.metrics()
    assert (metrics["hub_sessions_connected_total"], metrics["hub_workers_running"]) == (4, 1)
    assert west.hub.stop() == 0
    await west.check_once()
    await east.check_once()
    assert (sites_heard(west), sites_heard(east)) == ({"s1"}, {"s2"})


@pytest.mark.parametrize("of_all", [True, False], ids=("all anew", "its worker anew"))
async def test_a_partition_whose_journal_is_damaged_is_refused_alone_and_hears_all_once_it_is_mended(
    west: Town, east: Town, *, of_all: bool
) -> None:
    """With it all that one worker ran was silent: the whole city, for one file."""
    hub, journal = west.hub, journal_path(settings_of(west.hub.settings, EAST).files_dir)
    hub.workers = 1  # which runs both
    await east.register()
    hub.start()
    await hub.until_ready()
    await east.publish(30)
    await east.until_settled()
    assert hub.stop() == 0
    whole = journal.read_bytes()
    journal.write_bytes(b"no journal")
    hub.start()
    await hub.until_said_of("partition_refused", {EAST})
    assert '"event": "partition_refused"' in hub.log()
    await west.publish(60)
    await east.publish(60)
    await west.until_settled()
    (found,) = orjson.loads((await hub.cli("status", "--json")).out)
    (why,) = found["reasons"]
    assert (why["partition"], str(journal) in why["detail"], bool(why["now"]["zh"])) == (EAST, True, True)
    if of_all:
        assert hub.stop() == 0
    journal.write_bytes(whole)
    if of_all:
        hub.start()
    else:
        os.kill(worker_of(hub, EAST), signal.SIGTERM)
    await hub.until_ready()
    await east.until_settled()
    assert hub.stop() == 0
    await west.check_once()
    await east.check_once()


async def test_a_partition_that_never_was_at_work_and_has_a_refused_registry_does_not_end_the_others(
    west: Town, east: Town
) -> None:
    hub = west.hub
    hub.workers = 1  # which runs both
    hub.start()
    await hub.until_ready()
    assert hub.stop() == 0
    shutil.rmtree(settings_of(hub.settings, EAST).files_dir)
    await east.register()
    async with Registry(hub.settings.registry_url()) as registry:
        await registry.add_devices([Device(site="s2", id="odd", kind="smoke_sensor", profile="acme/nowhere")])
    hub.start()
    await hub.until_said_of("partition_refused", {EAST})
    await west.publish(60)
    await west.until_settled()
    assert hub.stop() == 0


async def test_a_worker_ends_with_2_when_every_partition_of_it_is_refused(west: Town) -> None:
    for partition in ("main", EAST):
        journal = journal_path(settings_of(west.hub.settings, partition).files_dir)
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.write_bytes(b"no journal")
    west.hub.workers = 1  # which runs both
    west.hub.start()
    assert await west.hub.until_ended() == 2


async def test_commands_find_the_partition_of_a_site_or_ask_which_one_is_meant(west: Town, east: Town) -> None:
    await east.register()
    hub = west.hub
    hub.start()
    await hub.until_ready()
    for town in (west, east):
        async with town.client() as client:
            await client.publish(f"hub/{town.site}/smoke/telemetry", FIRE, qos=1)

    async def raised() -> dict[str, str]:
        said = await hub.cli("alarms", "list", "--json")
        return {alarm["site"]: alarm["id"] for alarm in orjson.loads(said.out) if alarm["rule"] == "smoke-alarm"}

    await wait_until(lambda: _has_both(raised))
    alarm = (await raised())["s2"]
    assert orjson.loads((await hub.cli("alarms", "ack", alarm, "--as", "guard", "--json")).out)["ok"]
    assert orjson.loads((await hub.cli("alarms", "show", alarm, "--json")).out)["heard"][0].endswith("[critical]")
    assert orjson.loads((await hub.cli("trace", alarm, "--json")).out)["proven"]
    sent = await hub.cli("commands", "send", "s2", "door", "unlock", "--part", "door-1", "--arg", "ttl=5s", "--json")
    assert orjson.loads(sent.out)["ok"], sent
    applied = orjson.loads((await hub.cli("rules", "apply", "--as", "guard", "--json")).out)
    assert {partition: reply["ok"] for partition, reply in applied.items()} == {"main": True, EAST: True}
    undecided = await hub.cli("journal", "show", "--json")
    assert (undecided.code, "partition_needed" in undecided.err) == (2, True)
    asked = [
        orjson.loads((await hub.cli("--partition", name, "journal", "show", "--last", "500", "--json")).out)
        for name in ("main", EAST)
    ]
    verbs = [{record["verb"] for record in records if "verb" in record} - {"report"} for records in asked]
    assert verbs == [{"reload"}, {"ack", "command", "reload"}]
    assert hub.stop() == 0


async def _has_both(raised: Callable[[], Awaitable[dict[str, str]]]) -> bool:
    return {"s1", "s2"} <= set(await raised())
