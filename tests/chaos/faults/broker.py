"""mosquitto is killed, ended, or comes back with what it knew some time ago."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.chaos.faults.fault import DOWN, STARTING, Copies, Fault, Loss
from tests.chaos.storm import RATE, Storm
from tests.waiting import wait_until

BLIND = frozenset({"session_blind"})
SETTLED_MESSAGES = 15 * RATE
"""Longer than the hub remembers what the broker may send again: a ping every 5 s, answered at least 3 s ago."""


async def kill(storm: Storm) -> None:
    """Kill it under a hub that listens."""
    broker = storm.town.mosquitto
    await storm.publisher.until_acked(storm.random.randrange(1, RATE))
    broker.kill()
    await storm.until_said(*BLIND)
    broker.start()


async def end(storm: Storm) -> None:
    """End it in good order: it saves everything."""
    broker = storm.town.mosquitto
    broker.stop()
    await storm.until_said(*BLIND)
    broker.start()


async def kill_without_hub(storm: Storm) -> None:
    """Kill it while the hub is down and it holds the queue."""
    broker, hub = storm.town.mosquitto, storm.town.hub
    hub.kill()
    await storm.publisher.until_acked(RATE + storm.random.randrange(RATE))
    broker.kill()
    broker.start()
    await storm.until_said(DOWN)
    hub.start()


async def forget(storm: Storm) -> None:
    """Kill it and let it begin with an old save: what it held then was acked long ago, and comes again."""
    broker, hub, publisher = storm.town.mosquitto, storm.town.hub, storm.publisher
    file, old = broker.directory / "mosquitto.db", broker.directory / "old.db"
    hub.pause()
    first = publisher.number + 1
    await publisher.until_acked(RATE // 2)
    await _until_saved(file)
    shutil.copy(file, old)
    storm.copies_allowed.update(range(first - RATE // 2, publisher.number + 1))
    hub.resume()
    await publisher.until_acked(SETTLED_MESSAGES)
    broker.kill()
    shutil.copy(old, file)
    await storm.until_said(*BLIND)
    broker.start()


async def _until_saved(file: Path) -> None:
    """Wait for two saves: the second has all that the broker had taken before the first."""
    for _ in range(2):
        before = file.stat().st_mtime_ns if file.exists() else 0
        await wait_until(lambda before=before: file.exists() and file.stat().st_mtime_ns > before)  # type: ignore[misc] # a default


ROWS = (
    Fault(
        name="mosquitto killed",
        does="SIGKILL under a hub that listens",
        strike=kill,
        says=BLIND,
        loss=Loss.ACK_DELAY,
    ),
    Fault(
        name="mosquitto killed while the hub is down",
        does="SIGKILL with a queue for the hub",
        strike=kill_without_hub,
        says=frozenset({DOWN}),
        may_say=STARTING,
        loss=Loss.SINCE_SAVE,
    ),
    Fault(name="mosquitto ended", does="SIGTERM: it saves before it goes", strike=end, says=BLIND),
    Fault(
        name="mosquitto comes back with an old save",
        does="SIGKILL, then a start from a persistence file that is 15 s old",
        strike=forget,
        says=BLIND,
        may_say=frozenset({DOWN}),
        loss=Loss.ACK_DELAY,
        copies=Copies.SINCE_SAVE,
    ),
)
