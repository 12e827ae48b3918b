"""Two things at once: what holds against each alone must hold when they meet."""

from __future__ import annotations

import os
import signal

from tests.chaos.faults.broker import BLIND, note_losses
from tests.chaos.faults.disk import (
    FORGETS,
    HELD_UP,
    followed_until,
    full_disk,
    limit_files,
    limited_files,
    may_mount,
    restart,
)
from tests.chaos.faults.fault import DOWN, STARTING, Fault, Loss
from tests.chaos.faults.redis import GONE, SLOW
from tests.chaos.faults.store import BEHIND
from tests.chaos.storm import RATE, Storm


async def lose_power(storm: Storm) -> None:
    """Kill hub and servers in one moment, as when the machine they share is reset; start them again."""
    town = storm.town
    await town.mosquitto.until_saved()
    await storm.publisher.until_acked(storm.random.randrange(1, RATE))
    await town.influxdb.close()
    running = (town.hub, town.mosquitto, town.valkey, town.influxdb)
    for each in running:
        os.kill(each.pid, signal.SIGKILL)  # all of them before we wait for the end of any
    for each in running:
        each.kill()
    note_losses(storm)
    await storm.until_said(DOWN)
    town.mosquitto.start()
    town.valkey.start()
    await town.influxdb.start()
    await town.influxdb.open()
    town.hub.start()


async def restart_broker_without_redis(storm: Storm) -> None:
    """End mosquitto in good order while Valkey is gone, and start it before that comes back."""
    town = storm.town
    town.valkey.kill()
    await storm.until_said(*GONE)
    town.mosquitto.stop()
    await storm.until_said(*BLIND)
    town.mosquitto.start()
    await storm.publisher.until_acked(RATE)
    town.valkey.start()


async def kill_without_stores(storm: Storm) -> None:
    """Kill the hub while neither Valkey nor InfluxDB is there: what it owes both waits on its disk."""
    town = storm.town
    town.valkey.kill()
    town.influxdb.pause()
    await storm.until_said(*GONE, *BEHIND)
    town.hub.kill()
    await storm.publisher.until_acked(RATE // 2)
    town.hub.start()
    await town.hub.until_connected()
    await storm.publisher.until_acked(RATE)
    town.valkey.start()
    town.influxdb.resume()


async def start_on_a_full_disk(storm: Storm) -> None:
    """Kill the hub when its disk is full, and start it before there is room again; see :func:`disk.fill`."""
    town = storm.town
    if not may_mount(town.hub.directory):
        await restart(storm)
        await limit_files(storm)
        return
    async with full_disk(storm, 0) as ballast:
        await followed_until(storm, lambda: HELD_UP in storm.watch.said)
        town.hub.kill()
        await storm.publisher.until_acked(RATE // 2)
        town.hub.start()
        await town.hub.until_unready(HELD_UP)
        ballast.unlink()
        await town.hub.until_ready()


async def fill_disk_without_store(storm: Storm) -> None:
    """Let no file of the hub grow while InfluxDB hangs: the outbox finds no room either."""
    influxdb = storm.town.influxdb
    influxdb.pause()
    await storm.until_said(*BEHIND)
    async with limited_files(storm):
        await storm.until_said(HELD_UP)
        await storm.publisher.until_acked(RATE)
        influxdb.resume()
        await storm.publisher.until_acked(RATE)


ROWS = (
    Fault(
        name="everything killed at once",
        does="SIGKILL for hub, mosquitto, Valkey and influxd in one moment, as by a reset of their machine",
        strike=lose_power,
        says=frozenset({DOWN}),
        may_say=STARTING | BEHIND | GONE | SLOW,
        loss=Loss.SINCE_SAVE,  # nobody is left to take what was on its way: 60 were seen, 0.3 s at load 12
    ),
    Fault(
        name="mosquitto ended while Valkey is gone",
        does="SIGTERM and a start, Valkey comes back after it",
        strike=restart_broker_without_redis,
        says=BLIND | GONE,
        may_say=SLOW,
    ),
    Fault(
        name="hub killed while both stores are gone",
        does="SIGKILL and a start without Valkey and with an InfluxDB that hangs",
        strike=kill_without_stores,
        says=BEHIND | GONE | {DOWN},
        may_say=STARTING | SLOW,
        is_long=True,
    ),
    Fault(
        name="hub killed and started on a full disk",
        does="SIGKILL when not a byte is left, a start, and then there is room",
        strike=start_on_a_full_disk,
        says=frozenset({DOWN}),
        may_say=STARTING | {HELD_UP, FORGETS},
    ),
    Fault(
        name="InfluxDB hangs and files may not grow",
        does="SIGSTOP, then RLIMIT_FSIZE for the hub: its outbox finds no room; influxd goes on first",
        strike=fill_disk_without_store,
        says=BEHIND | {HELD_UP},
        is_long=True,
    ),
)
