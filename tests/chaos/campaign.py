"""The campaign: several towns side by side share the faults of the table, each takes the next one that nobody has."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.faults.fault import Fault
from tests.chaos.storm import Outcome, Storm, storm_in

Tell = Callable[[Storm, Outcome], None]


def shuffled(faults: Iterable[Fault], seed: int) -> list[Fault]:
    """Return ``faults`` in the order of ``seed``."""
    found = list(faults)
    random.Random(seed).shuffle(found)  # noqa: S311 -- repeatable, not secret
    return found


async def strike_all(directory: Path, faults: Sequence[Fault], seed: int, towns: int, tell: Tell) -> None:
    """Let each of ``faults`` happen once, in ``towns`` towns; ``tell`` hears each outcome. It may raise to end all."""
    left = deque(faults)

    async def live(number: int) -> None:
        async with storm_in(directory / f"town-{number}", seed + number) as storm:
            await storm.start()
            while left:
                tell(storm, await storm.strike(left.popleft()))

    async with asyncio.TaskGroup() as group:
        for number in range(towns):
            group.create_task(live(number), name=f"campaign.town-{number}")


@asynccontextmanager
async def quiet_town(directory: Path, seed: int) -> AsyncIterator[Storm]:
    """Open one town whose hub works: for faults that measure."""
    async with storm_in(directory, seed) as storm:
        await storm.start()
        yield storm
