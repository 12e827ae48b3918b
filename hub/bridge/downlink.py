"""Commands out: publishes transmissions and says what became of each."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import aiomqtt
import structlog

from hub.bridge import paho_client
from hub.bridge.paho_client import ClientConfig
from hub.bridge.reconnect import End, Guard, stay_connected
from hub.clock import Clock
from hub.model.effects import Transmission
from hub.model.records import Emit, Outcome, OutcomeKind

SWEEP_SECONDS = 0.25
"""How late an expired command may be reported."""
WINDOW = 256
"""How many publishes may await their PUBACK at once; less when the broker's receive maximum is smaller."""
PUBLISHES_PER_TURN = 16
_NS = 1_000_000_000
ATTENTION_NS = 10 * _NS
"""So long after a command devices are listened to closely: what they say next may end it, or need another."""

_log = structlog.get_logger()


@dataclass(slots=True)
class DownlinkCounts:
    """What became of transmissions."""

    connects: int = 0
    sent: int = 0
    delivered: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Owed:
    """``until``: monotonic ns at which it expires, for the wall clock may be set while it waits.

    ``is_doubtful``: a connection was lost before the broker acked it, so it may have arrived.
    """

    transmission: Transmission
    until: int
    is_sent: bool = False
    is_doubtful: bool = False


class Downlink:
    """Publishes each transmission until the broker acks it or it expires; full means: it fails with ``queue_full``.

    ``emit`` hears SENT once, just before the first publish, then either DELIVERED or FAILED with a detail: queue_full,
    expired, broker_gone (it expired while there was no connection), the broker's reason (no_matching_subscribers,
    not_authorized), unpublishable. After a lost connection what was not acked is published again under the same id.
    Nothing more of what expires unacked, or is refused only when it is published again: it may have arrived, and has
    not failed.

    ``away_since``: monotonic ns since when there is no connection, None while there is one; ``error``: why.
    """

    def __init__(
        self, config: ClientConfig, emit: Emit, clock: Clock, *, limit: int = 1_000, guard: Guard | None = None
    ) -> None:
        self.counts = DownlinkCounts()
        self.away_since: int | None = None
        self.error = "not connected yet"
        self._config = config
        self._emit = emit
        self._clock = clock
        self._limit = limit
        self._guard = guard
        self._reflexes: deque[_Owed] = deque()
        self._others: deque[_Owed] = deque()
        self._in_flight: dict[int, _Owed] = {}
        self._window = 0
        self._movable = asyncio.Event()
        self._owing = asyncio.Event()
        self._attends_until = 0

    @property
    def waiting(self) -> int:
        """How many transmissions are neither delivered nor failed."""
        return len(self._reflexes) + len(self._others) + len(self._in_flight)

    @property
    def attends(self) -> bool:
        """Whether a command was offered within the last ten seconds."""
        return self._clock.monotonic_ns() < self._attends_until

    def offer(self, transmission: Transmission) -> bool:
        """Take a transmission without waiting; False, and an outcome, when the queue is full."""
        if self.waiting >= self._limit:
            self._fail(transmission, "queue_full")
            return False
        now = self._clock.monotonic_ns()
        self._attends_until = now + ATTENTION_NS
        until = now + transmission.expires_at - self._clock.wall_ns()
        (self._reflexes if transmission.reflex else self._others).append(_Owed(transmission, until))
        self._movable.set()
        self._owing.set()
        return True

    async def run(self) -> None:
        """Connect, publish, reconnect; until cancelled."""
        self.away_since = self._clock.monotonic_ns()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep_forever(), name="hub.bridge.downlink.sweep")
            await stay_connected("downlink", self._serve, self._clock, self._guard)

    # ------------------------------------------------------------------------------------------ one connection

    async def _serve(self) -> End:
        client = paho_client.open_client(self._config)
        paho_client.when_connected(client, self._accepted)
        paho_client.when_acked(client, self._acked)
        reason, connects = "stopped", self.counts.connects
        try:
            async with client, asyncio.TaskGroup() as group:
                group.create_task(self._publish_forever(client), name="hub.bridge.downlink.publish")
                await paho_client.watch(client)
        except* aiomqtt.MqttError as errors:
            reason = paho_client.explain(errors.exceptions[0])
        finally:
            paho_client.sever(client)
            self._take_back()
            self.away_since, self.error = self.away_since or self._clock.monotonic_ns(), reason
        was_accepted = self.counts.connects > connects
        return End(reason, was_good=was_accepted, was_accepted=was_accepted)

    def _accepted(self, _session_present: bool, receive_maximum: int) -> None:  # noqa: FBT001 -- a callback's shape
        self.counts.connects += 1
        self.away_since = None
        self._window = min(WINDOW, receive_maximum)
        _log.info("downlink_connected", owed=self.waiting)

    async def _publish_forever(self, client: aiomqtt.Client) -> None:
        while True:
            if self._guard is not None:
                await self._guard.wake()
            self._movable.clear()
            for _ in range(PUBLISHES_PER_TURN):
                owed = self._next()
                if owed is None:
                    await self._movable.wait()
                    break
                self._publish(client, owed)
            await self._clock.sleep(0)

    def _next(self) -> _Owed | None:
        """Return what to publish next, reflexes first; None while nothing may leave."""
        if len(self._in_flight) >= self._window:
            return None
        for queue in (self._reflexes, self._others):
            if queue:
                return queue.popleft()
        return None

    def _publish(self, client: aiomqtt.Client, owed: _Owed) -> None:
        transmission = owed.transmission
        left = owed.until - self._clock.monotonic_ns()
        if left <= 0:
            self._expire(owed, "expired")
            return
        if not owed.is_sent:
            owed.is_sent = True
            self.counts.sent += 1
            self._emit(Outcome(transmission.command, OutcomeKind.SENT))
        properties = paho_client.command_properties(
            expiry_seconds=math.ceil(left / _NS),
            response_topic=transmission.response_topic,
            correlation=transmission.correlation,
        )
        try:
            packet_id = paho_client.publish(client, transmission.topic, transmission.payload, properties)
        except ValueError as error:
            self._fail(transmission, f"unpublishable: {error}")
            return
        self._in_flight[packet_id] = owed

    def _acked(self, packet_id: int, refusal: str | None) -> None:
        owed = self._in_flight.pop(packet_id, None)
        self._movable.set()
        if owed is None:
            return
        if refusal is not None:
            if not owed.is_doubtful:
                self._fail(owed.transmission, refusal)
            return
        self.counts.delivered += 1
        self._emit(Outcome(owed.transmission.command, OutcomeKind.DELIVERED))

    def _take_back(self) -> None:
        """Put what the lost connection left unanswered in front again, in its order."""
        for owed in reversed(self._in_flight.values()):
            owed.is_doubtful = True
            (self._reflexes if owed.transmission.reflex else self._others).appendleft(owed)
        self._in_flight.clear()
        self._window = 0

    # ------------------------------------------------------------------------------------------ expiry

    async def _sweep_forever(self) -> None:
        while True:
            await self._owing.wait()
            await self._clock.sleep(SWEEP_SECONDS)
            for owed in self._expired(self._clock.monotonic_ns()):
                self._expire(owed, "expired" if self._window else "broker_gone")
            if not self.waiting:
                self._owing.clear()

    def _expired(self, now: int) -> Iterator[_Owed]:
        """Remove and yield what is past its time."""
        for packet_id in [key for key, owed in self._in_flight.items() if owed.until <= now]:
            yield self._in_flight.pop(packet_id)
            self._movable.set()
        for queue in (self._reflexes, self._others):
            for owed in [owed for owed in queue if owed.until <= now]:
                queue.remove(owed)
                yield owed

    def _expire(self, owed: _Owed, detail: str) -> None:
        if not owed.is_sent:
            self._fail(owed.transmission, detail)

    def _fail(self, transmission: Transmission, detail: str) -> None:
        self.counts.failed += 1
        self._emit(Outcome(transmission.command, OutcomeKind.FAILED, detail))
