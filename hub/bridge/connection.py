"""One TCP connection of a session: an asyncio transport around the sans-I/O codec."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import mqtt5
import structlog
from typing_extensions import override

from hub.bridge.frames import Malformed, frame_bytes, pubacks, read_messages
from hub.bridge.hearing import MAX_BYTES, MAX_MESSAGES, PATIENCE_SECONDS, PROBE, Hearing
from hub.bridge.line import MARKER_EVERY_SECONDS, NEVER_EXPIRES, RECEIVE_MAXIMUM, SHORT_REST, Line, Pace
from hub.bridge.overtaken import UNANSWERED
from hub.bridge.plain_socket import read_waiting
from hub.bridge.subscriptions import FAILURE, Subscriptions
from hub.model.heard import Delivery, Publish

PING_AFTER_ACKS = 8_192
RESUBSCRIBE_SECONDS, GREETING_SECONDS = 10.0, 2.0
"""A broker that accepts a connection and then says nothing is not there: the next attempt may find it."""
_PINGREQ = mqtt5.PingReqPacket().write()

_log = structlog.get_logger()


class Connection(asyncio.Protocol):
    """Reads into a :class:`Hearing`, writes acks, pings and markers; ``ended`` resolves with the reason of its end.

    A ping leaves twice per keepalive; when the next one is due and nothing at all has come since, the peer is dead.
    One that pings and does not answer what it was asked is left, too. While paused nobody reads, so nobody can judge
    that.
    """

    def __init__(self, line: Line, number: int, *, paused: bool) -> None:
        self.hearing = Hearing(line, number, self._listen)
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.is_made = False
        self._line = line
        self._paused = paused
        self._is_leaving = self._resting = False
        self._pace = Pace()
        self._heard = True
        self._reason = ""
        self._tail: list[bytes] = []
        self._tail_bytes = self._needed_bytes = 0
        self._last_packet_id = 0
        self._subscriptions = Subscriptions(line, self._next_packet_id)
        self._is_listening = False
        self._beat_seconds = line.config.keepalive_seconds / 2
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}

    # ------------------------------------------------------------------------------------------ what the session asks

    @property
    def is_open(self) -> bool:
        """Whether an ack written now can still reach the broker."""
        return self.hearing.is_connected and not self._is_leaving and not self._transport.is_closing()

    def acknowledge(self, delivery: Delivery) -> None:
        """Write the acks of ``delivery`` as one piece."""
        if acks := pubacks(self.hearing.acknowledge(delivery), self.hearing.exactly_once):
            self._transport.write(acks)
        if self.hearing.acks.unpinged > PING_AFTER_ACKS:
            self._ping()

    def resubscribe(self, new: Sequence[str], gone: Sequence[str]) -> None:
        """Subscribe to what is new, and only then unsubscribe from what is gone; before :meth:`_listen` it waits."""
        if self._is_listening:
            self._transport.write(self._subscriptions.change(new, gone))

    def pause(self) -> None:
        """Stop reading once the broker has accepted us."""
        self._paused = True
        self._regulate()

    def resume(self) -> None:
        """Read again; silence while paused proves nothing."""
        self._paused = False
        self._heard = True
        self._regulate()

    def close(self) -> None:
        """Say goodbye and leave the closing to the broker, which keeps the session.

        Closing a socket with unread bytes resets it, and a reset throws away the acks that the broker has not read.
        """
        self._reason = self._reason or "stopped"
        self._is_leaving = True
        self._transport.write(mqtt5.DisconnectPacket().write())
        self._regulate()

    def abort(self, reason: str) -> None:
        """Drop the connection at once."""
        self._reason = self._reason or reason
        self._transport.abort()

    # ------------------------------------------------------------------------------------------ what the transport says

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_made = True
        config = self._line.config
        self._transport.write(
            mqtt5.ConnectPacket(
                config.client_id,
                username=config.username,
                password=None if config.password is None else config.password.encode(),
                clean_start=False,
                keep_alive=config.keepalive_seconds,
                session_expiry_interval=NEVER_EXPIRES,
                receive_max=RECEIVE_MAXIMUM,
            ).write()
        )
        self._later(self._beat_seconds, self._beat)
        self._later(GREETING_SECONDS, self._expect_greeting)

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_leaving:
            return  # what is not delivered is not acked, and comes again
        self._heard = True
        if not self._resting:
            self._rest(len(data))
        if self._tail:
            self._tail.append(data)
            self._tail_bytes += len(data)
            if self._tail_bytes < self._needed_bytes:
                return
            data = b"".join(self._tail)
            if self._needed_bytes > MAX_BYTES:
                self._read(data[: self._needed_bytes])
                data = data[self._needed_bytes :]
        self._keep(data[self._read(data) :])

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers.values():
            timer.cancel()
        reason = self._reason or ("closed_by_broker" if exc is None else f"connection_lost: {exc}")
        self.hearing.lost(reason)
        if not self.ended.done():
            self.ended.set_result(reason)

    # ------------------------------------------------------------------------------------------ reading

    def _read(self, data: bytes) -> int:
        """Hear every complete packet of ``data``; return where the incomplete rest begins."""
        view, start, hearing = memoryview(data), 0, self.hearing
        while not self._transport.is_closing():
            messages = hearing.messages
            end, other, after = read_messages(
                view, start, messages, room=MAX_MESSAGES - len(messages), reserved=hearing.reserved
            )
            if end > start:
                hearing.add_raw(data[start:end])
            start = after
            if other is not None:
                self._turn(other)
            elif len(messages) < MAX_MESSAGES:
                break
            else:
                hearing.flush()
        hearing.flush()
        return start

    def _keep(self, rest: bytes) -> None:
        """Keep an incomplete packet, and how many bytes it needs so that a large one is joined once."""
        self._tail = [rest] if rest else []
        self._tail_bytes = len(rest)
        self._needed_bytes = frame_bytes(memoryview(rest))[1] if rest and not self._transport.is_closing() else 0

    def _turn(self, packet: mqtt5.Packet | Publish | Malformed) -> None:
        match packet:
            case Publish(payload=frame):
                self._line.counts.malformed_packets += 1
                self.hearing.messages.append(packet)
                self.hearing.add_raw(frame)
            case mqtt5.PublishPacket():
                if acks := pubacks(self.hearing.hear_apart(packet)):
                    self._transport.write(acks)
            case mqtt5.PubRelPacket(packet_id=packet_id):
                self._transport.write(self.hearing.release(packet_id))
            case Malformed(reason=reason):
                self._line.counts.malformed_packets += 1
                self._refuse(mqtt5.DisconnectReasonCode.MALFORMED_PACKET, f"malformed_packet: {reason}")
            case _:
                self._answer(packet)

    def _answer(self, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.PingRespPacket():
                self.hearing.acks.answered(asyncio.get_running_loop().time())
                self._subscriptions.overtaken.ponged()
            case mqtt5.PubAckPacket(reason_code=code):
                if code == mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS:
                    self.hearing.tell(session_present=False)
            case mqtt5.SubAckPacket():
                self._subscribed(packet)
            case mqtt5.UnsubAckPacket():
                self._subscriptions.answered(packet)
            case mqtt5.ConnAckPacket():
                self._accepted(packet)
            case mqtt5.DisconnectPacket(reason_code=code, reason_str=text):
                self.abort(f"{code.name.lower()}: {text}" if text else code.name.lower())
            case _:
                self._refuse(mqtt5.DisconnectReasonCode.PROTOCOL_ERROR, f"protocol_error: {type(packet).__name__}")

    def _refuse(self, code: mqtt5.DisconnectReasonCode, reason: str) -> None:
        self._transport.write(mqtt5.DisconnectPacket(reason_code=code).write())
        self.abort(reason)

    # ------------------------------------------------------------------------------------------ greeting

    def _accepted(self, packet: mqtt5.ConnAckPacket) -> None:
        if int(packet.reason_code) >= FAILURE:
            self.abort(f"refused: {packet.reason_code.name.lower()}")
            return
        if packet.server_keep_alive:
            self._beat_seconds = min(self._beat_seconds, packet.server_keep_alive / 2)
            self._timers[self._beat].cancel()
            self._later(self._beat_seconds, self._beat)
        _log.info("session_connected", session=self._line.config.name, session_present=packet.session_present)
        if packet.session_present:
            self._publish_marker(PROBE)
        self._later(PATIENCE_SECONDS, self._listen_anyway)
        self.hearing.connected(session_present=packet.session_present)
        self._regulate()

    def _listen(self) -> None:
        if not self._is_listening:
            self._is_listening = True
            self.resubscribe((*self._line.filters, self._line.marker), self._line.unwanted)

    def _listen_anyway(self) -> None:
        self.hearing.tell(session_present=True)
        self._listen()

    def _subscribed(self, packet: mqtt5.SubAckPacket) -> None:
        """Publish the marker after the first SUBACK."""
        if self._subscriptions.answered(packet):
            self._later(RESUBSCRIBE_SECONDS, self._ask_again)
        if self._mark not in self._timers:
            _log.info("session_listening", session=self._line.config.name)
            self._mark()

    def _ask_again(self) -> None:
        self._transport.write(self._subscriptions.ask_again())

    def _mark(self) -> None:
        """Publish the marker until it comes back; one that a broker lost must not keep us blind."""
        if self.hearing.is_caught_up:
            return
        self._publish_marker(self.hearing.nonce)
        self._later(MARKER_EVERY_SECONDS, self._mark)

    def _publish_marker(self, payload: bytes) -> None:
        qos, packet_id = mqtt5.QoS.AT_LEAST_ONCE, self._next_packet_id()
        self._transport.write(mqtt5.PublishPacket(self._line.marker, payload, qos=qos, packet_id=packet_id).write())

    def _next_packet_id(self) -> int:
        self._last_packet_id = self._last_packet_id % 0xFFFF + 1
        return self._last_packet_id

    # ------------------------------------------------------------------------------------------ time

    def _rest(self, size: int) -> None:
        """Read no more for a while after ``size`` bytes."""
        config, lately = self._line.config, self._pace.add(size, asyncio.get_running_loop().time())
        rest = SHORT_REST if self.hearing.acks.is_full else config.rests.after(size, lately, attends=config.attends())
        self._resting = True
        self._later(rest.total_seconds(), self._wake)
        self._transport.pause_reading()

    def _wake(self) -> None:
        self._resting = False
        try:
            waiting = b"" if self._is_deaf or self._is_leaving else read_waiting(self._transport)
        except OSError as error:
            self.abort(f"connection_lost: {error}")
            return
        try:
            if waiting:
                self.data_received(waiting)
            else:
                self._regulate()
        except BaseException as error:
            self.abort(f"connection_lost: {error}")  # as a transport does: what was read and not delivered comes again
            raise

    def _regulate(self) -> None:
        """Read, unless we just did or the hub cannot take more."""
        if self._resting or self._is_deaf:
            self._transport.pause_reading()
        elif self.is_made:  # over TLS that takes a while, and who pauses or resumes the session does not wait for it
            self._transport.resume_reading()

    @property
    def _is_deaf(self) -> bool:
        # The CONNACK is always read, and the end that the broker makes.
        return self._paused and self.hearing.is_connected and not self._is_leaving

    def _expect_greeting(self) -> None:
        if not self.hearing.is_connected:
            self.abort(f"no_answer: no CONNACK within {GREETING_SECONDS} s")

    def _beat(self) -> None:
        """Ping; a peer that was silent since the ping before is dead, if anybody listened."""
        if self.hearing.acks.awaits_answer and not self._heard and not self._is_deaf:
            self.abort(f"no_answer: silent for {self._beat_seconds} s after a ping")
            return
        if not self._is_deaf and self._subscriptions.overtaken.listened(self._beat_seconds):
            self._line.counts.unanswered_subscriptions += 1
            self.abort(UNANSWERED)
            return
        self._heard = False
        if self.hearing.is_connected:
            self._ping()
        self._later(self._beat_seconds, self._beat)

    def _ping(self) -> None:
        self.hearing.acks.pinged()
        self._subscriptions.overtaken.pinged()
        self._transport.write(_PINGREQ)

    def _later(self, seconds: float, step: Callable[[], None]) -> None:
        self._timers[step] = asyncio.get_running_loop().call_later(seconds, step)
