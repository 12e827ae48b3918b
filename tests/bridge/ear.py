"""A hub for tests that only listens: runs one session, keeps every Delivery, acks as it is told."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol, Self, TypeVar

from hub.bridge.line import Deliver, SessionConfig, SessionCounts
from hub.bridge.topics import SessionName, filters
from hub.clock import Clock, SystemClock
from hub.model.heard import CaughtUp, Connected, Delivery, Heard, Lost, Packets, UplinkSession

B = TypeVar("B")
CLIENT_ID = "hub-p1-telemetry"


class CountingSession(UplinkSession, Protocol):
    """A session with its counts, whose filters can change."""

    counts: SessionCounts

    def listen(self, filters: tuple[str, ...], anew: frozenset[str]) -> None:
        """Listen to other filters from now on."""
        ...


class SessionFactory(Protocol):
    """The constructor that all sessions share."""

    def __call__(self, config: SessionConfig, deliver: Deliver, clock: Clock) -> CountingSession: ...


def config(port: int, *, keepalive_seconds: int = 10, first_connection: int = 1) -> SessionConfig:
    """Return the telemetry session of partition p1."""
    return SessionConfig(
        host="127.0.0.1",
        port=port,
        client_id=CLIENT_ID,
        name=SessionName.TELEMETRY,
        partition="p1",
        filters=filters(SessionName.TELEMETRY),
        keepalive_seconds=keepalive_seconds,
        first_connection=first_connection,
    )


class Ear:
    """``async with Ear(MqttSession, config(port)) as ear``; with ``acks`` it acks everything at once.

    That a connection was made it acks anyway, if ``journals``: without that nothing is subscribed to. ``heard_at``:
    when each Delivery came, by the time of the loop.
    """

    def __init__(
        self,
        factory: SessionFactory,
        settings: SessionConfig,
        *,
        acks: bool = True,
        journals: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.deliveries: list[Delivery] = []
        self.heard_at: list[float] = []
        self.session = factory(settings, self._hear, clock or SystemClock())
        self._acks = {Packets: acks, CaughtUp: acks, Connected: journals, Lost: False}

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        self._task = self._group.create_task(self.session.run(), name="session")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await self._group.__aexit__(kind, error, trace)

    @property
    def messages(self) -> list[Heard]:
        """Every message, in order."""
        return [message for body in self.bodies(Packets) for message in body.messages]

    @property
    def payloads(self) -> list[bytes]:
        """Every payload, in order."""
        return [message.payload for message in self.messages]

    @property
    def fresh(self) -> list[bytes]:
        """Every payload at its first arrival, in order."""
        return list(dict.fromkeys(self.payloads))

    @property
    def is_caught_up(self) -> bool:
        """Whether the newest connection has read everything that was queued."""
        if not self.deliveries or isinstance(self.deliveries[-1].body, Lost):
            return False
        return self.deliveries[-1].connection in {
            delivery.connection for delivery in self.deliveries if isinstance(delivery.body, CaughtUp)
        }

    def bodies(self, kind: type[B]) -> list[B]:
        """Every Delivery of one kind, in order."""
        return [delivery.body for delivery in self.deliveries if isinstance(delivery.body, kind)]

    def ack_all(self) -> list[bool]:
        """Ack every Delivery so far; return what the session said to each."""
        return [self.session.acknowledge(delivery) for delivery in self.deliveries]

    def _hear(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self.heard_at.append(asyncio.get_running_loop().time())
        if self._acks[type(delivery.body)]:
            self.session.acknowledge(delivery)
