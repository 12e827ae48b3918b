"""A wire: one MQTT 5 connection on the sans-I/O codec, cheap enough for many thousand publishes a second at QoS 1."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

import mqtt5
from typing_extensions import override

from hub.clock import Clock
from hub.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from simulators.tally import Tally

PACKET_IDS = 65_535
WINDOW = 2_000
"""Publishes without PUBACK at a time, where the broker allows so many."""
WORTH_IT = 250
"""So many leave together once PUBACKs have made room."""
BUSY, REST_SECONDS = 64, 0.001
"""With more than so many in flight, reads rest so long."""
_LOGIN = {"BAD_USER_NAME_OR_PASSWORD", "NOT_AUTHORIZED", "CLIENT_ID_NOT_VALID", "BAD_AUTHENTICATION_METHOD"}
_TAKEN = (mqtt5.PubAckReasonCode.SUCCESS, mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS)
_QOS = mqtt5.QoS.AT_LEAST_ONCE


class Waiting(NamedTuple):
    """A message on its way: its number, when it was due (monotonic ns), and what is published."""

    number: int
    due_ns: int
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who connects."""

    client_id: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What all wires of a load share; ``settled`` is called with those that the broker took, and after each read."""

    tally: Tally
    clock: Clock
    settled: Callable[[list[int]], None]


class Wire(asyncio.Protocol):
    """One connection after the other as the same client; messages leave in order, within the window.

    ``accepted`` resolves when the broker let us in, ``lost`` with why a connection ended.
    """

    def __init__(self, login: Login, books: Books) -> None:
        self.queue: deque[Waiting] = deque()
        self.inflight: dict[int, Waiting] = {}
        self._login = login
        self._books = books
        self._last_id = 0
        self._window = 0
        self._tail = b""
        self._is_made = False

    def begin(self) -> Wire:
        """Return this wire, ready for another connection."""
        loop = asyncio.get_running_loop()
        self.accepted: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()
        self._tail = b""
        return self

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, here or at the broker."""
        return not self.queue and not self.inflight

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._is_made = True
        login = self._login
        password = None if login.password is None else login.password.encode()
        packet = mqtt5.ConnectPacket(login.client_id, username=login.user, password=password, clean_start=True)
        self._transport.write(packet.write())

    def flush(self) -> None:
        """Publish what waits, as far as the window allows."""
        room = min(self._window - len(self.inflight), len(self.queue))
        if room <= 0:
            return
        inflight, packets, packet_id = self.inflight, [], self._last_id
        for _ in range(room):
            waiting = self.queue.popleft()
            packet_id = packet_id % PACKET_IDS + 1
            while packet_id in inflight:
                packet_id = packet_id % PACKET_IDS + 1
            inflight[packet_id] = waiting
            packets.append(mqtt5.PublishPacket(waiting[2], waiting[3], qos=_QOS, packet_id=packet_id).write())
        self._last_id = packet_id
        self._books.tally.published += room
        self._transport.write(b"".join(packets))

    @override
    def data_received(self, data: bytes) -> None:
        buffer, start = memoryview(self._tail + data if self._tail else data), 0
        now, taken = self._books.clock.monotonic_ns(), list[int]()
        while True:
            try:
                packet, size = mqtt5.read(buffer[start:])
            except IndexError:  # the rest has not come yet
                break
            start += size
            if isinstance(packet, mqtt5.PubAckPacket):
                self._settle(packet, now, taken)
            elif isinstance(packet, mqtt5.ConnAckPacket):
                self._begin_talking(packet)
            elif isinstance(packet, mqtt5.DisconnectPacket):
                self._end(packet.reason_code.name)
        self._tail = bytes(buffer[start:])
        self._books.settled(taken)
        if not self.inflight or self._window - len(self.inflight) >= WORTH_IT:
            self.flush()
        if len(self.inflight) > BUSY:
            self._rest()

    def _rest(self) -> None:
        """Read again in a moment: a wake-up for a single PUBACK costs as much as one for a hundred."""
        self._transport.pause_reading()
        asyncio.get_running_loop().call_later(REST_SECONDS, self._resume)

    def _resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _settle(self, packet: mqtt5.PubAckPacket, now_ns: int, taken: list[int]) -> None:
        waiting, tally, reason = self.inflight.pop(packet.packet_id), self._books.tally, packet.reason_code
        if reason in _TAKEN:
            tally.taken += 1
            tally.unheard += reason == mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS
            tally.latencies.add((now_ns - waiting[1]) // 1_000)
            taken.append(waiting[0])
        else:
            tally.refused[reason.name] += 1

    def _begin_talking(self, packet: mqtt5.ConnAckPacket) -> None:
        reason = packet.reason_code.name
        if packet.reason_code == mqtt5.ConnAckReasonCode.SUCCESS:
            self._window = min(WINDOW, packet.receive_max)
            self._books.tally.connects += 1
            self.accepted.set_result(None)
        elif reason in _LOGIN:
            hint = (
                "credentials are needed, see --passwords" if self._login.password is None else "its password is wrong"
            )
            self.accepted.set_exception(ConfigError("broker_login_refused", reason, hint=hint, user=self._login.user))
        else:
            self.accepted.set_exception(UnavailableError("broker_refused", reason))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc or "closed by the broker"))

    def _end(self, reason: str) -> None:
        if self.lost.done():
            return
        self._window = 0
        self._give_up()
        self.lost.set_result(reason)
        self._books.settled([])
        if not self.accepted.done():
            self.accepted.set_exception(UnavailableError("broker_hung_up", reason))
        self._transport.abort()

    def close(self) -> None:
        """Say goodbye; what was not answered by now is unanswered."""
        self._give_up()
        if self._is_made and not self._transport.is_closing():
            self._transport.write(mqtt5.DisconnectPacket().write())
            self._transport.close()

    def _give_up(self) -> None:
        self._books.tally.unanswered += len(self.inflight)
        self.inflight.clear()
