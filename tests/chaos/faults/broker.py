"""mosquitto is killed, ended, or comes back with what it knew some time ago."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.chaos.faults.fault import DOWN, STARTING, Copies, Fault, Loss
from tests.chaos.publisher import CARD, number_of
from tests.chaos.storm import RATE, BrokerDied, Storm

BLIND = frozenset({"session_blind"})
SETTLED_MESSAGES = 15 * RATE
"""Longer than the hub remembers what the broker may send again: a ping every 5 s, answered at least 3 s ago."""


async def kill(storm: Storm) -> None:
    """Kill it under a hub that listens, and that had no backlog when it saved last."""
    await storm.town.mosquitto.until_saved()
    await storm.publisher.until_acked(storm.random.randrange(1, RATE))
    await _kill(storm)


async def kill_behind_backlog(storm: Storm) -> None:
    """Kill it when it has just delivered what its last save holds as never sent: it comes again, and is not marked."""
    hub, publisher = storm.town.hub, storm.publisher
    hub.kill()
    await publisher.until_acked(RATE)
    await storm.town.mosquitto.until_saved()
    hub.start()
    await hub.until_ready()
    storm.copies_allowed |= await _kill(storm)


async def _kill(storm: Storm) -> set[int]:
    """Kill it until the hub has noticed; return what its last save holds."""
    broker = storm.town.mosquitto
    broker.kill()
    held = held_in(broker.file)
    await storm.until_said(*BLIND)
    broker.start()
    return held


async def end(storm: Storm) -> None:
    """End it in good order: it saves everything."""
    broker = storm.town.mosquitto
    broker.stop()
    await storm.until_said(*BLIND)
    broker.start()


async def hang(storm: Storm) -> None:
    """Let it hang until the hub has given its connections up."""
    broker = storm.town.mosquitto
    broker.pause()
    await storm.until_said(*BLIND)
    broker.resume()


async def kill_without_hub(storm: Storm) -> None:
    """Kill it while the hub is down and it holds the queue."""
    broker, hub = storm.town.mosquitto, storm.town.hub
    await storm.town.mosquitto.until_saved()
    hub.kill()
    await storm.publisher.until_acked(RATE + storm.random.randrange(RATE))
    broker.kill()
    note_losses(storm)
    broker.start()
    await storm.until_said(DOWN)
    hub.start()


async def forget(storm: Storm) -> None:
    """Kill it and let it begin with an old save: what it held then was acked long ago, and comes again."""
    broker, hub, publisher = storm.town.mosquitto, storm.town.hub, storm.publisher
    file, old = broker.file, broker.directory / "old.db"
    hub.pause()
    await publisher.until_acked(RATE // 2)
    await storm.town.mosquitto.until_saved()
    shutil.copy(file, old)
    storm.copies_allowed |= held_in(old)
    hub.resume()
    await publisher.until_acked(SETTLED_MESSAGES)
    broker.kill()
    shutil.copy(old, file)
    await storm.until_said(*BLIND)
    broker.start()


def note_losses(storm: Storm) -> None:
    """Note of a broker that has just been killed when it saved last: what it took later may be lost, nothing else."""
    saved_at = storm.town.mosquitto.file.stat().st_mtime_ns
    storm.broker_died = BrokerDied(saved_at=saved_at, last=storm.publisher.number)


def held_in(file: Path) -> set[int]:
    """Return the numbers of the messages that a save holds: what somebody has not acknowledged, word for word.

    However long the hub took to acknowledge it: on a busy machine that is no fixed time.
    """
    saved = file.read_bytes()
    points = {number_of(float(value)) for value in re.findall(rb'"co2":([0-9.]+)', saved)}
    return points | {int(number) for number in re.findall(CARD.encode() + rb"([0-9]+)", saved)}


ROWS = (
    Fault(
        name="mosquitto killed",
        does="SIGKILL under a hub that listens",
        strike=kill,
        says=BLIND,
        loss=Loss.ACK_DELAY,
    ),
    Fault(
        name="mosquitto killed behind a backlog",
        does="SIGKILL when it has just delivered a queue that its last save holds as never sent",
        strike=kill_behind_backlog,
        says=BLIND | {DOWN},
        may_say=STARTING,
        loss=Loss.ACK_DELAY,
        copies=Copies.SINCE_SAVE,
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
        name="mosquitto hangs",
        does="SIGSTOP until the hub has given its connections up, SIGCONT",
        strike=hang,
        says=BLIND,
        is_long=True,
    ),
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
