"""The same session on aiomqtt 2 and paho: slower, for comparison and as the way to aiomqtt 3."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import aiomqtt
import mqtt5
import structlog
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hub.bridge import paho_client
from hub.bridge.frames import read_messages
from hub.bridge.hearing import PATIENCE_SECONDS, PROBE, Hearing
from hub.bridge.line import (
    MARKER_EVERY_SECONDS,
    NEVER_EXPIRES,
    OVERSLEPT,
    RECEIVE_MAXIMUM,
    Deliver,
    Line,
    SessionConfig,
    SessionCounts,
)
from hub.bridge.overtaken import UNANSWERED, Overtaken
from hub.bridge.reconnect import End, stay_connected
from hub.bridge.subscriptions import portions
from hub.bridge.topics import SYS_DROPPED
from hub.clock import Clock
from hub.model.heard import Delivery, Publish

T = TypeVar("T")

_log = structlog.get_logger()


class AiomqttSession:
    """A :class:`hub.model.heard.UplinkSession` that passes the same battery as MqttSession.

    Weaker in three ways: it never learns what is settled, it drops a connection that stays paused for two keepalives,
    and a frame that paho cannot decode ends the connection.
    """

    def __init__(self, config: SessionConfig, deliver: Deliver, clock: Clock) -> None:
        self.counts = SessionCounts()
        self._line = Line(config, deliver, self.counts)
        self._clock = clock
        self._next_number = config.first_connection
        self._client: aiomqtt.Client | None = None
        self._hearing: Hearing | None = None
        self._paused = False
        self._is_overslept = False
        self._may_listen = asyncio.Event()
        self._overtaken = Overtaken()
        self._questions = 0
        self._changes: asyncio.Queue[tuple[list[str], list[str]]] = asyncio.Queue()

    @property
    def name(self) -> str:
        """What Deliveries and records call this session."""
        return self._line.config.name

    async def run(self) -> None:
        """Connect, subscribe, read, reconnect; until cancelled."""
        await stay_connected(self.name, self._serve, self._clock, self._line.config.guard)

    def acknowledge(self, delivery: Delivery) -> bool:
        """Ack what ``delivery`` carries, in order; an ack on another connection would ack another message."""
        client, hearing = self._client, self._hearing
        if client is None or hearing is None or hearing.connection != delivery.connection:
            self.counts.stale_acks += 1
            return False
        if not self._line.may_acknowledge:
            self.counts.stale_acks += 1
            self._is_overslept = True
            paho_client.end(client)
            return False
        paho_client.ack(client, hearing.acknowledge(delivery), hearing.exactly_once)
        return True

    def listen(self, filters: tuple[str, ...], anew: frozenset[str] = frozenset()) -> None:
        """Listen to ``filters`` from now on, without a gap for those that stay."""
        change = self._line.listen(filters, anew)
        if any(change):
            self._changes.put_nowait(change)

    def pause_reading(self) -> None:
        """Stop reading the socket."""
        self._paused = True
        if self._client is not None and self._hearing is not None:
            paho_client.pause_reading(self._client)

    def resume_reading(self) -> None:
        """Read again."""
        self._paused = False
        if self._client is not None and self._hearing is not None:
            paho_client.resume_reading(self._client)

    async def _serve(self) -> End:
        """Live through one connection."""
        client = self._client = self._open()
        self._is_overslept = False
        self._may_listen = asyncio.Event()
        reason = "stopped"
        try:
            async with client, paho_client.settling(client), asyncio.TaskGroup() as group:
                group.create_task(self._greet(client), name=f"hub.bridge.{self.name}.greet")
                group.create_task(self._beat(client), name=f"hub.bridge.{self.name}.beat")
                await paho_client.watch(client)
        except* aiomqtt.MqttError as errors:
            reason = OVERSLEPT if self._is_overslept else paho_client.explain(errors.exceptions[0])
        finally:
            paho_client.sever(client)
            hearing, self._hearing, self._client = self._hearing, None, None
            if hearing is not None:
                hearing.lost(reason)
        self.counts.standing = reason
        return End(
            reason,
            was_good=hearing is not None and hearing.is_caught_up,
            was_accepted=hearing is not None,
        )

    def _open(self) -> aiomqtt.Client:
        config = self._line.config
        client = paho_client.open_client(
            paho_client.ClientConfig(
                host=config.host,
                port=config.port,
                client_id=config.client_id,
                username=config.username,
                password=config.password,
                tls=config.tls,
                keepalive_seconds=config.keepalive_seconds,
                session_expiry=NEVER_EXPIRES,
                receive_maximum=RECEIVE_MAXIMUM,
            )
        )
        paho_client.when_connected(client, self._accepted)
        paho_client.when_received(client, self._heard)
        paho_client.when_acked(client, self._marker_taken)
        self._overtaken = Overtaken()
        paho_client.when_pinged(client, self._overtaken.pinged, self._overtaken.ponged)
        return client

    def _accepted(self, session_present: bool, _receive_maximum: int) -> None:  # noqa: FBT001 -- a callback's shape
        _log.info("session_connected", session=self.name, session_present=session_present)
        self._hearing = Hearing(self._line, self._next_number, self._may_listen.set)
        self._next_number += 1
        self._hearing.connected(session_present=session_present)
        if self._paused:
            self.pause_reading()

    def _heard(self, frame: bytes) -> None:
        client, hearing = self._client, self._hearing
        if client is None or hearing is None:
            return
        end, other, _ = read_messages(memoryview(frame), 0, hearing.messages, room=1, reserved=hearing.reserved)
        if isinstance(other, Publish):
            self.counts.malformed_packets += 1
            hearing.messages.append(other)
            end = len(frame)
        if end:
            hearing.add_raw(frame)
            hearing.flush()
        elif isinstance(other, mqtt5.PublishPacket):
            paho_client.ack(client, hearing.hear_apart(other))
            hearing.flush()

    def _marker_taken(self, _packet_id: int, reason: str | None) -> None:
        if reason == "no_matching_subscribers" and self._hearing is not None:
            self._hearing.tell(session_present=False)

    async def _greet(self, client: aiomqtt.Client) -> None:
        """Subscribe as soon as that is safe, then publish the marker until it comes back."""
        paho_client.publish(client, self._line.marker, PROBE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._may_listen.wait()
        if self._hearing is not None:
            self._hearing.tell(session_present=True)
        while not self._changes.empty():
            self._changes.get_nowait()
        await self._resubscribe(client, (*self._line.filters, self._line.marker), self._line.unwanted)
        _log.info("session_listening", session=self.name)
        while (hearing := self._hearing) is not None and not hearing.is_caught_up:
            paho_client.publish(client, self._line.marker, hearing.nonce)
            await self._clock.sleep(MARKER_EVERY_SECONDS)
        while True:
            await self._resubscribe(client, *await self._changes.get())

    async def _resubscribe(self, client: aiomqtt.Client, new: Sequence[str], gone: Sequence[str]) -> None:
        """Subscribe to what is new, then unsubscribe from what is gone."""
        for some in portions(new):
            wanted = [(pattern, self._options(pattern)) for pattern in some]
            codes = await self._answer_to(client.subscribe(wanted, timeout=math.inf))
            refused = [pattern for pattern, code in zip(some, codes, strict=False) if _is_failure(code)]
            self.counts.answered(some, refused)
            if refused:
                _log.error("subscriptions_refused", session=self.name, filters=refused)
        self.counts.answered(gone, ())
        for some in portions(gone):
            await self._answer_to(client.unsubscribe(some, timeout=math.inf))

    async def _answer_to(self, question: Awaitable[T]) -> T:
        self._questions += 1
        self._overtaken.asked(self._questions)
        answer = await question
        self._overtaken.answered(self._questions)
        return answer

    async def _beat(self, client: aiomqtt.Client) -> None:
        """Leave a broker that answers pings and not what was asked before them; while paused nobody could tell."""
        seconds = self._line.config.keepalive_seconds / 2
        while True:
            await self._clock.sleep(seconds)
            if self._paused:
                continue
            if self._overtaken.listened(seconds):
                self.counts.unanswered_subscriptions += 1
                raise aiomqtt.MqttError(UNANSWERED)
            if self._overtaken.is_waiting:
                paho_client.ping(client)

    def _options(self, pattern: str) -> SubscribeOptions:
        if pattern == SYS_DROPPED:
            return SubscribeOptions(qos=0, retainHandling=SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE)
        anew, new = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE, SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        return SubscribeOptions(qos=1, retainHandling=anew if pattern in self._line.anew else new)


def _is_failure(code: object) -> bool:
    return isinstance(code, ReasonCode) and code.is_failure
