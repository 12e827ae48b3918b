"""Two hubs, or a stranger, with one identity."""

from __future__ import annotations

from tests.bridge.device import owed
from tests.chaos.faults.broker import BLIND
from tests.chaos.faults.fault import DOWN, STARTING, Fault
from tests.chaos.hub_process import HubProcess
from tests.chaos.storm import RATE, Storm
from tests.waiting import wait_until

LOST, REFUSED = 1, 2
TIMES = 3


async def refuse_second(storm: Storm) -> None:
    """Start a copy of the hub on another host beside it: it gives up, and nobody notices."""
    second = await _copy(storm, goes_on=True)
    second.start()
    await _until_ended(second, REFUSED, ("[partition_owned_elsewhere]", "[cursor_ahead]"))
    if "session_connected" in second.log():
        message = "a hub that was refused had connected to the broker"
        raise AssertionError(message)


async def take_over(storm: Storm) -> None:
    """Let the hub sleep while a copy of it takes over on another host, then wake it up: it leaves."""
    first = storm.town.hub
    second = await _copy(storm, goes_on=False)
    second.start()
    await second.until_connected()
    storm.adopt(second)
    await storm.publisher.until_acked(RATE)
    first.resume()
    await _until_ended(first, LOST, ("[partition_taken_over]",))


async def steal_client_id(storm: Storm) -> None:
    """Connect with the client id of each session for a moment, three times."""
    hub = storm.town.hub
    for session in ("telemetry", "events"):
        count = f'hub_sessions_reconnected_total{{session="{session}"}}'
        for _ in range(TIMES):
            before = (await hub.metrics())[count]
            await owed(storm.town.mosquitto.port, f"hub-{session}")

            async def has_returned(count: str = count, before: float = before) -> bool:
                return (await hub.metrics())[count] > before

            await wait_until(has_returned)
            await storm.publisher.until_acked(RATE // 4)


async def _copy(storm: Storm, *, goes_on: bool) -> HubProcess:
    """Return the hub with its files as they are, on another host."""
    town = storm.town
    town.hub.pause()
    number = len(town.hubs)
    copy = town.hub.moved(town.hub.directory.with_name(f"hub-{number}"), f"host-{number}")
    town.hubs.append(copy)
    if goes_on:
        town.hub.resume()
    return copy


async def _until_ended(hub: HubProcess, code: int, reasons: tuple[str, ...]) -> None:
    ended = await hub.until_ended()
    if ended != code or not any(reason in hub.log() for reason in reasons):
        message = f"it ended with {ended} instead of {code}\n{hub.log()[-2_000:]}"
        raise AssertionError(message)


ROWS = (
    Fault(
        name="a second hub with our identity",
        does="a copy on another host, beside the one that works: it is refused",
        strike=refuse_second,
        may_say=frozenset({DOWN}),  # it is stopped while its files are copied
    ),
    Fault(
        name="the hub sleeps through a takeover",
        does="SIGSTOP, a copy on another host takes over, SIGCONT: the sleeper leaves",
        strike=take_over,
        may_say=STARTING,
    ),
    Fault(
        name="a stranger with our client id",
        does="connects as each of the hub's sessions for a moment, three times",
        strike=steal_client_id,
        may_say=BLIND,
    ),
)
