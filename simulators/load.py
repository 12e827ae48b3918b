"""The load generator: many devices on many connections, QoS 1, at a steady rate or as fast as the broker takes it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from hub.clock import Clock
from hub.errors import UnavailableError
from simulators.tally import Tally
from simulators.wire import WINDOW, Books, Login, Waiting, Wire

TICK_SECONDS = 0.002
"""How late a message may leave at a steady rate; each connection wakes up at most so often."""
BURST = 250
QUEUED_PER_WIRE = WINDOW + 2 * BURST
"""More than that do not wait for a connection that is lost or slow: the others wait with it."""
RECONNECT_SECONDS, CONNECT_SECONDS = 0.5, 10.0
PATIENCE_SECONDS = 10.0
"""How long after the last publish a PUBACK may take."""

log = structlog.get_logger(__name__)


class Speech(Protocol):
    """What a load says; asked in the order of numbers, each one once."""

    def say(self, number: int, now_ns: int) -> tuple[int, str, bytes]:
        """Return who says message ``number`` (an index of the devices), its topic and its payload."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much: ``count`` messages (None: until ``seconds`` are over) from number ``first`` on; ``rate`` a second.

    Rate 0 is as fast as the broker takes it.
    """

    rate: float
    count: int | None = None
    seconds: float | None = None
    first: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The broker, and a login for each connection: device ``n`` speaks on connection ``n % len(logins)``."""

    host: str
    port: int
    logins: tuple[Login, ...]
    tls: ssl.SSLContext | None = None


def logins_of(prefix: str, connections: int, passwords: Mapping[str, str] | None = None) -> tuple[Login, ...]:
    """Return a login for each connection, its user and client id alike; without ``passwords`` nobody has a user."""
    names = [f"{prefix}-{number}" for number in range(1, connections + 1)]
    if passwords is None:
        return tuple(Login(client_id=name) for name in names)
    return tuple(Login(client_id=name, user=name, password=passwords.get(name)) for name in names)


class Load:
    """One load; ``tally`` says at any moment what came of it. ``took`` gets the numbers that the broker took."""

    def __init__(
        self, speech: Speech, pace: Pace, *, clock: Clock, took: Callable[[list[int]], None] | None = None
    ) -> None:
        self.tally = Tally()
        self.began_ns = 0
        self._speech = speech
        self._pace = pace
        self._clock = clock
        self._took = took
        self._said = 0
        self._settled = asyncio.Event()
        self._wires: list[Wire] = []
        self._stopped = False

    def stop(self) -> None:
        """Say nothing more; :meth:`run` returns when what was said is answered."""
        self._stopped = True

    def due_ns(self, index: int) -> int:
        """Return when the ``index``-th message of a steady rate was due, in monotonic ns."""
        return self.began_ns + round(index * 1e9 / self._pace.rate)

    async def run(self, target: Target) -> Tally:
        """Connect, say everything, wait for the PUBACKs; errors of the first connections are raised."""
        books = Books(tally=self.tally, clock=self._clock, settled=self._settle)
        self._wires = [Wire(login, books) for login in target.logins]
        try:
            async with asyncio.TaskGroup() as group:
                for wire in self._wires:
                    group.create_task(self._connect(wire, target), name="load.connect")
            async with asyncio.TaskGroup() as group:
                keeping = [group.create_task(self._keep(wire, target), name="load.keep") for wire in self._wires]
                self.began_ns = self._clock.monotonic_ns()
                await self._speak()
                await self._wait_for_answers()
                for task in keeping:
                    task.cancel()
        finally:
            for wire in self._wires:
                wire.close()
            self.tally.unsent = sum(len(wire.queue) for wire in self._wires)
        return self.tally

    # --------------------------------------------------------------------------------------------------- connections

    async def _connect(self, wire: Wire, target: Target) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                loop = asyncio.get_running_loop()
                await loop.create_connection(wire.begin, target.host, target.port, ssl=target.tls)
                await wire.accepted
        except (OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise UnavailableError("broker_unreachable", reason, host=target.host, port=target.port) from error

    async def _keep(self, wire: Wire, target: Target) -> None:
        """Connect again for as long as it takes."""
        while True:
            reason = await asyncio.shield(wire.lost)
            log.warning("wire_lost", reason=reason)
            while True:
                await self._clock.sleep(RECONNECT_SECONDS)
                with suppress(UnavailableError):
                    await self._connect(wire, target)
                    break
            wire.flush()

    # ------------------------------------------------------------------------------------------------------ speaking

    async def _speak(self) -> None:
        while not self._is_over():
            ready = self._ready()
            for wire in self._say(ready):
                wire.flush()
            if self._pace.rate:
                await self._clock.sleep(TICK_SECONDS)
            elif ready:
                await self._clock.sleep(0)
            else:
                await self._wait()

    def _is_over(self) -> bool:
        pace = self._pace
        if self._stopped or self._said == pace.count:
            return True
        return pace.seconds is not None and self._clock.monotonic_ns() - self.began_ns >= pace.seconds * 1e9

    def _ready(self) -> int:
        """Return how many may be said now: those that are due, or a burst, while there is room for them."""
        pace, waiting = self._pace, self._said - self.tally.ended
        room = len(self._wires) * QUEUED_PER_WIRE - waiting
        if not pace.rate:
            return min(BURST, room, (pace.count or self._said + BURST) - self._said)
        due = int((self._clock.monotonic_ns() - self.began_ns) / 1e9 * pace.rate) + 1
        return max(0, min(room, min(due, pace.count or due) - self._said))

    def _say(self, count: int) -> set[Wire]:
        """Queue the next ``count`` messages; return whose they are."""
        said, every_ns = self._said, 1e9 / self._pace.rate if self._pace.rate else 0.0
        wires, wall_ns, now = self._wires, self._clock.wall_ns(), self._clock.monotonic_ns()
        touched: set[Wire] = set()
        for index in range(said, said + count):
            number = self._pace.first + index
            speaker, topic, payload = self._speech.say(number, wall_ns)
            wire = wires[speaker % len(wires)]
            due = self.began_ns + round(index * every_ns) if every_ns else now
            wire.queue.append(Waiting(number, due, topic, payload))
            touched.add(wire)
        self._said = said + count
        return touched

    def _settle(self, taken: list[int]) -> None:
        if self._took is not None and taken:
            self._took(taken)
        self._settled.set()

    async def _wait(self) -> None:
        self._settled.clear()
        await self._settled.wait()

    async def _wait_for_answers(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not all(wire.is_idle for wire in self._wires):
                    await self._wait()
