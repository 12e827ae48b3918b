"""The registry goes away under a hub that works: it goes on with what it knows, and makes no empty one."""

from __future__ import annotations

from tests.chaos.faults.fault import Fault
from tests.chaos.storm import RATE, Storm

POLLS = 2
POLL_SECONDS = 5


async def take_away(storm: Storm) -> None:
    """Move its files aside for longer than the hub takes between two looks at it, and back."""
    data = storm.town.hub.data
    files = sorted(data.glob("registry.sqlite*"))
    for file in files:
        file.rename(data / f"aside-{file.name}")
    await storm.publisher.until_acked(POLLS * POLL_SECONDS * RATE)
    if made := sorted(data.glob("registry.sqlite*")):
        message = f"the hub has made {made}"
        raise AssertionError(message)
    for file in files:
        (data / f"aside-{file.name}").rename(file)


ROWS = (
    Fault(
        name="the registry is gone",
        does="its files are moved aside while the hub looks at it twice, and back",
        strike=take_away,
        is_long=True,
    ),
)
