"""A batch of messages: each to exactly one end of the ledger, its values to twin, rules and points."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from zlib import crc32

from hub.engine.acting import Hands
from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.judging import Judge
from hub.engine.moment import Output
from hub.engine.readings import BACKFILL, LATE, LIVE, Readings
from hub.engine.redelivery import Redelivery
from hub.engine.state import State, count
from hub.engine.waiting import WaitingRoom
from hub.errors import PoisonError
from hub.model import (
    Address,
    Batch,
    DeadLetter,
    Heard,
    Reading,
    Record,
    Timeliness,
    TopicClass,
)

MAX_PAYLOAD_BYTES = 256 * 1024
KEPT_PAYLOAD_BYTES = 256 * 1024

Parse = Callable[[str], Address | None]
Route = tuple[Device, TopicClass | None, int]
"""Where a topic leads: device, class (None for telemetry and signals, nearly everything), checksum of the topic."""

_is_duplicate = attrgetter("duplicate")


class Ear(Readings):
    """Takes batches, a message at a time, each to one end of the ledger."""

    __slots__ = ("_content", "_hands", "_parse", "_routes", "redelivery", "waiting")

    def __init__(  # noqa: PLR0913, PLR0917 -- the parts of the engine that a message passes
        self, state: State, content: Content, judge: Judge, hands: Hands, output: Output, parse: Parse,
        redelivery: Redelivery,
    ) -> None:  # fmt: skip
        super().__init__(state, judge, output)
        self._content = content
        self._hands = hands
        self._parse = parse
        self._routes: dict[str, Route] = {}
        self.redelivery = redelivery
        self.waiting = WaitingRoom(state)

    def forget_routes(self) -> None:
        """Look every topic up again: the registry has changed."""
        self._routes.clear()

    def batch(self, record: Record, batch: Batch) -> None:
        """Take every message of ``batch`` to its end. What is counted is added once a batch, not once a message."""
        ledger, clock, messages = self._state.ledger, self._state.clock, record.messages
        known = None
        if self.redelivery.expects(batch) and any(map(_is_duplicate, messages)):
            known = self.redelivery.known(batch)
        ledger.heard += len(messages)
        count(ledger.sessions, batch.session, len(messages))
        self._position, self._readings_taken = record.position, clock.readings
        t, at, number = record.t, record.received_at, clock.number
        ends: dict[Timeliness | None, int] = {LIVE: 0, LATE: 0, BACKFILL: 0, None: 0}
        for index, message in enumerate(messages):
            if known is not None and message.duplicate and known(message):
                ledger.duplicate += 1
                continue
            self._message, self._index, self._t, self._at = message, index, t + index, at + index
            try:
                ends[self._take(message)] += 1
            except PoisonError as error:
                self._bury(message, number + index + 1, error.code, error.message)
            except Exception as error:  # noqa: BLE001 -- a bug costs one message, never the hub (engine.md, Engine)
                detail = f"{type(error).__name__}: {error}"[:500]
                self._bury(message, number + index + 1, "internal_error", detail)
        ledger.live += ends[LIVE]
        ledger.late += ends[LATE]
        ledger.backfill += ends[BACKFILL]
        ledger.points += len(self._output.effects.points)
        clock.number, clock.readings = number + len(messages), self._readings_taken
        self.redelivery.heard(record, batch)

    def _take(self, message: Heard) -> Timeliness | None:
        """Take one message; None when it is refused, and counted there."""
        payload, topic = message.payload, message.topic
        self._payload = payload
        route = self._routes.get(topic) or self._route(topic)
        if route is None:
            return None
        if len(payload) > MAX_PAYLOAD_BYTES:
            self._refuse("too_large")
            return None
        device, aside, self._checksum = route
        if aside is not None:
            self._take_aside(device, aside)
            return LIVE
        readings = device.handler(payload)
        if len(readings) == 1 and self._take_usual(device, readings[0]):
            return LIVE
        return self._take_readings(device, readings)

    # ------------------------------------------------------------------------------------------------- where it goes

    def _route(self, topic: str) -> Route | None:
        """Find the device of ``topic``; None when the message is refused, PoisonError when nobody knows the device."""
        address = self._parse(topic)
        if address is None:
            self._refuse("bad_topic")
            return None
        is_data = address.topic_class in {TopicClass.TELEMETRY, TopicClass.SIGNAL}
        device = self._content.find(address.site, address.device)
        if device is None:
            if is_data:
                self.waiting.keep(address, self._t, self._at, topic, self._payload)
            raise PoisonError("unknown_device", f"{address.site}/{address.device} is not registered")
        route = (device, None if is_data else address.topic_class, crc32(topic.encode()))
        self._routes[topic] = route
        return route

    def _refuse(self, code: str) -> None:
        self._state.ledger.refused += 1
        count(self._state.ledger.refused_codes, code)

    def _bury(self, message: Heard, number: int, code: str, detail: str) -> None:
        self._state.ledger.dead_lettered += 1
        count(self._state.ledger.dead_letter_codes, code)
        topic, payload = message.topic, message.payload
        address = self._parse(topic)
        self._output.effects.dead_letters.append(
            DeadLetter(
                number=number, position=self._position, index=self._index, received_at=self._at,
                topic=topic, payload=payload[:KEPT_PAYLOAD_BYTES], payload_bytes=len(payload),
                site=address.site if address else "", device=address.device if address else "",
                code=code, detail=detail,
            )
        )  # fmt: skip

    def _take_aside(self, device: Device, topic_class: TopicClass) -> None:
        """Take a response or an availability; both are signs of life, unless the broker only remembers them."""
        if topic_class is TopicClass.AVAILABILITY:
            text = self._payload.decode("ascii", "replace").strip().strip('"')
            if text not in {"online", "offline"}:
                raise PoisonError("bad_availability", "say online or offline")
            is_memory = self._message is not None and self._message.retain
            if not (is_memory and device.state.availability != "unknown"):
                self._mark(device)
                device.state.availability = text
            if text == "online" and not is_memory:
                self._hear(device)
            return
        response = device.respond(self._payload)
        command = self._hands.commands.get(response.id)
        if command is None or (command.site, command.device) != device.identity:
            raise PoisonError("unknown_command", f"no command {response.id!r} was sent to this device")
        self._hands.response(command, ok=response.ok, detail=response.code, moment=self._moment(is_late=False))
        state = [Reading(values=dict(response.state), part=command.part or None)] if response.state else []
        self._take_readings(device, state)

    def replay_waiting(self, device: Device, record: Record) -> None:
        """Take the messages that waited for ``device`` as late ones; outside the ledger, counted ``replayed``."""
        for index, (received_at, topic, payload) in enumerate(self.waiting.leave(device, record.t)):
            self._message, self._payload = None, payload
            self._t, self._at = record.t + index, received_at
            self._position, self._index = record.position, index
            try:
                readings = device.handler(payload)
            except PoisonError:
                continue  # it is a dead letter already
            ledger = self._state.ledger
            ledger.replayed += 1
            points = len(self._output.effects.points)
            self._readings_taken = self._state.clock.readings
            self._checksum = crc32(topic.encode())
            self._take_readings(device, readings)
            self._state.clock.readings = self._readings_taken
            ledger.points += len(self._output.effects.points) - points
