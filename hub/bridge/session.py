"""One MQTT session on the sans-I/O codec: connects, stays connected, and fences its acks."""

from __future__ import annotations

import asyncio

from hub.bridge.connection import Connection
from hub.bridge.line import OVERSLEPT, Deliver, Line, SessionConfig, SessionCounts
from hub.bridge.reconnect import End, stay_connected
from hub.clock import Clock
from hub.model.heard import Delivery
from hub.next_address import next_address_seconds

_GOODBYE_SECONDS = 3.0


class MqttSession:
    """A :class:`hub.model.heard.UplinkSession`; gives Deliveries to ``deliver``, which must not block."""

    def __init__(self, config: SessionConfig, deliver: Deliver, clock: Clock) -> None:
        self.counts = SessionCounts()
        self._line = Line(config, deliver, self.counts)
        self._clock = clock
        self._next_number = config.first_connection
        self._connection: Connection | None = None
        self._paused = False

    @property
    def name(self) -> str:
        """What Deliveries and records call this session."""
        return self._line.config.name

    async def run(self) -> None:
        """Connect, subscribe, read, reconnect; until cancelled, then say goodbye to the broker."""
        await stay_connected(self.name, self._serve, self._clock, self._line.config.guard)

    def acknowledge(self, delivery: Delivery) -> bool:
        """Ack what ``delivery`` carries, in order; an ack on another connection would ack another message."""
        connection = self._connection
        if connection is None or not connection.is_open or connection.hearing.connection != delivery.connection:
            self.counts.stale_acks += 1
            return False
        if not self._line.may_acknowledge:
            self.counts.stale_acks += 1
            connection.abort(OVERSLEPT)
            return False
        connection.acknowledge(delivery)
        return True

    def listen(self, filters: tuple[str, ...], anew: frozenset[str] = frozenset()) -> None:
        """Listen to ``filters`` from now on, without a gap for those that stay."""
        new, gone = self._line.listen(filters, anew)
        if self._connection is not None and self._connection.is_made and self._connection.is_open:
            self._connection.resubscribe(new, gone)

    def pause_reading(self) -> None:
        """Stop reading the socket; pings go on."""
        self._paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume_reading(self) -> None:
        """Read again."""
        self._paused = False
        if self._connection is not None:
            self._connection.resume()

    async def _serve(self) -> End:
        """Live through one connection."""
        try:
            reason = await self._live()
        except (OSError, TimeoutError) as error:
            reason = f"unreachable: {str(error) or type(error).__name__}"
        finally:
            connection, self._connection = self._connection, None
            await _close(connection)
        self.counts.standing = reason
        return End(
            reason,
            was_good=connection is not None and connection.hearing.is_caught_up,
            was_accepted=connection is not None and connection.hearing.is_connected,
        )

    async def _live(self) -> str:
        config = self._line.config
        async with asyncio.timeout(config.keepalive_seconds):
            _, connection = await asyncio.get_running_loop().create_connection(
                self._begin,
                config.host,
                config.port,
                ssl=config.tls,
                happy_eyeballs_delay=next_address_seconds(config.host),
            )
        await asyncio.wait({connection.ended})  # cancelling us must not cancel the future: closing needs it
        return connection.ended.result()

    def _begin(self) -> Connection:
        self._connection = Connection(self._line, self._next_number, paused=self._paused)
        self._next_number += 1
        return self._connection


async def _close(connection: Connection | None) -> None:
    """Let the acks so far and the goodbye leave; a peer that takes nothing more is left."""
    if connection is None or not connection.is_made or connection.ended.done():
        return
    connection.close()
    await asyncio.wait({connection.ended}, timeout=_GOODBYE_SECONDS)
    connection.abort("stopped")
