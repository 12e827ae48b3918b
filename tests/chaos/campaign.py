"""The campaign: several towns side by side share the faults, each takes the next one that nobody has."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, count, islice
from pathlib import Path

from tests.chaos.faults.fault import Fault
from tests.chaos.outcome import Outcome, fault_log
from tests.chaos.storm_process import storm_process

SEED = 5
FAULTS_PER_TOWN = 20
"""Then a town begins anew: what is compared after each fault is everything that was ever said in it."""

Tell = Callable[[Sequence[Outcome]], None]
"""Hears what came of the faults of one town so far, the newest last."""


def shuffled(faults: Iterable[Fault], seed: int) -> list[Fault]:
    """Return ``faults`` in the order of ``seed``."""
    found = list(faults)
    random.Random(seed).shuffle(found)  # noqa: S311 -- repeatable, not secret
    return found


def endless(faults: Iterable[Fault], seed: int) -> Iterator[Fault]:
    """Yield all of ``faults``, and all of them again in another order, and so on."""
    found = list(faults)
    for again in count():
        yield from shuffled(found, seed + again)


async def strike_all(
    directory: Path, faults: Iterable[Fault], seed: int, towns: int, tell: Tell, *, is_warm: bool = False
) -> None:
    """Let ``faults`` happen, in ``towns`` processes at a time, a town in each; ``tell`` hears each outcome.

    With ``is_warm`` hubs are forked from a process that has the hub loaded: cheaper, and sooner back than real ones.
    """
    left, seeds = iter(faults), count(seed)

    async def live() -> None:
        while fault := next(left, None):
            here = next(seeds)
            async with storm_process(directory / f"town-{here}", here, is_warm=is_warm) as storm:
                for each in chain((fault,), islice(left, FAULTS_PER_TOWN - 1)):
                    await storm.strike(each)
                    tell(storm.outcomes)

    async with asyncio.TaskGroup() as group:
        for number in range(towns):
            group.create_task(live(), name=f"campaign.town-{number}")


def check(of_town: Sequence[Outcome]) -> None:
    """Assert that every invariant holds; else tell the lost ranges beside the log of faults."""
    assert not of_town[-1].wrong, fault_log(of_town)
