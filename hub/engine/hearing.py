"""A batch of messages: each to exactly one end of the ledger, its values to twin, rules and points."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hub.engine.acting import Hands
from hub.engine.ages import AHEAD_NS, MILLION, age_of, count_sequence, digest, first_time, rank
from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.judging import Judge
from hub.engine.moment import Moment, Output
from hub.engine.redelivery import Redelivery
from hub.engine.state import State, count
from hub.engine.waiting import WaitingRoom
from hub.errors import PoisonError
from hub.model import (
    Address,
    Batch,
    DeadLetter,
    Heard,
    Quality,
    Reading,
    Record,
    Timeliness,
    TopicClass,
)

MAX_PAYLOAD_BYTES = 256 * 1024
KEPT_PAYLOAD_BYTES = 256 * 1024

Parse = Callable[[str], Address | None]
Route = tuple[Device, TopicClass | None]
"""Where a topic leads; None in place of the class for telemetry and signals, which are nearly everything."""

# An attribute of an enum class costs 40 ns each time.
LIVE, LATE, BACKFILL = Timeliness.LIVE, Timeliness.LATE, Timeliness.BACKFILL
GOOD, UNCERTAIN, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD


class Ear:
    """Takes batches. The message in hand is held in slots: passing it along would cost 0.4 us a message."""

    __slots__ = (
        "_at", "_content", "_hands", "_index", "_judge", "_message", "_output", "_parse", "_payload", "_position",
        "_routes", "_state", "_t", "_topic", "dirty_twins", "redelivery", "waiting",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917 -- the parts of the engine that a message passes
        self, state: State, content: Content, judge: Judge, hands: Hands, output: Output, parse: Parse
    ) -> None:
        self._state = state
        self._content = content
        self._judge = judge
        self._hands = hands
        self._output = output
        self._parse = parse
        self._routes: dict[str, Route] = {}
        self.redelivery = Redelivery(state)
        self.waiting = WaitingRoom(state)
        self.dirty_twins: dict[tuple[Device, str], None] = {}
        self._message: Heard | None = None
        self._payload = b""
        self._topic = ""
        self._t = self._at = self._position = self._index = 0

    def forget_routes(self) -> None:
        """Look every topic up again: the registry has changed."""
        self._routes.clear()

    def batch(self, record: Record, batch: Batch) -> None:
        """Take every message of ``batch`` to its end."""
        ledger, clock = self._state.ledger, self._state.clock
        known = self.redelivery.known(batch) if any(one.duplicate for one in record.messages) else None
        ledger.heard += len(record.messages)
        count(ledger.sessions, batch.session, len(record.messages))
        self._position = record.position
        for index, message in enumerate(record.messages):
            clock.number += 1
            if known is not None and message.duplicate and known(message):
                ledger.duplicate += 1
                continue
            self._message, self._index = message, index
            self._t, self._at = record.t + index, record.received_at + index
            try:
                self._take(message)
            except PoisonError as error:
                self._bury(message, error.code, error.message)
            except Exception as error:  # noqa: BLE001 -- a bug costs one message, never the hub (engine.md, Engine)
                self._bury(message, "internal_error", f"{type(error).__name__}: {error}"[:500])
        self.redelivery.heard(record, batch)

    def _take(self, message: Heard) -> None:
        ledger = self._state.ledger
        self._payload = payload = message.payload
        self._topic = topic = message.topic
        route = self._routes.get(topic) or self._route(topic)
        if route is None:
            return
        if len(payload) > MAX_PAYLOAD_BYTES:
            self._refuse("too_large")
            return
        device, aside = route
        if aside is not None:
            self._take_aside(device, aside)
            ledger.live += 1
            return
        how = self._readings(device, device.handler(payload))
        if how is LIVE:
            ledger.live += 1
        elif how is LATE:
            ledger.late += 1
        else:
            ledger.backfill += 1

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
        route = (device, None if is_data else address.topic_class)
        self._routes[topic] = route
        return route

    def _refuse(self, code: str) -> None:
        self._state.ledger.refused += 1
        count(self._state.ledger.refused_codes, code)

    def _bury(self, message: Heard, code: str, detail: str) -> None:
        self._state.ledger.dead_lettered += 1
        count(self._state.ledger.dead_letter_codes, code)
        topic, payload = message.topic, message.payload
        address = self._parse(topic)
        self._output.effects.dead_letters.append(
            DeadLetter(
                number=self._state.clock.number, position=self._position, index=self._index, received_at=self._at,
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
        self._readings(device, state)

    # ------------------------------------------------------------------------------------------------- what it means

    def _moment(self, *, is_late: bool) -> Moment:
        return Moment(self._t, self._at, is_late, (self._position, self._index))

    def _mark(self, device: Device) -> None:
        if device.mark != self._state.generation:
            self._state.touch(device.entry_key, device.state)
            device.mark = self._state.generation

    def _hear(self, device: Device) -> None:
        """Note that ``device`` lives."""
        if device.mark != self._state.generation:
            self._mark(device)
        clock, known = self._state.clock, device.state
        blind_since = clock.blind_since
        known.heard_at = self._at
        known.heard_awake = (self._t if blind_since is None else blind_since) - clock.blind_total
        if device.is_silent:
            self._judge.heard(device, self._moment(is_late=False))

    def _readings(self, device: Device, readings: Sequence[Reading]) -> Timeliness:
        """Take the readings of one message; return the best timeliness among them. A heartbeat is live."""
        self._hear(device)
        if len(readings) == 1:
            return self._reading(device, 0, readings[0])
        best = LIVE if not readings else BACKFILL
        for element, reading in enumerate(readings):
            how = self._reading(device, element, reading)
            if rank(how) < rank(best):
                best = how
        return best

    def _reading(self, device: Device, element: int, reading: Reading) -> Timeliness:  # noqa: C901 -- hot path: a call more costs 0.1 us a message
        clock, at, known = self._state.clock, self._at, device.state
        clock.readings += 1
        if reading.seq is not None:
            count_sequence(known, reading, self._state.ledger)
        measured = reading.measured_at
        if measured is None or measured - at > AHEAD_NS:
            measured = None
            time = at - at % MILLION + clock.readings % MILLION
            how = LIVE if clock.blind_since is None else LATE
        else:
            time = measured - measured % MILLION + digest(device, self._topic, self._payload, element, reading.identity)
            how = age_of(known, at - measured, device.late_after_ns, clock.blind_since)
        is_new = True
        if reading.identity is not None:
            time, is_new = first_time(known, reading.identity, time)
            self._state.ledger.repeated += not is_new
        is_memory = measured is None and self._message is not None and self._message.retain
        if how is not LIVE or reading.backfill or is_memory or self._message is None:
            how = self._settle(how, reading, is_memory=is_memory)
        part = reading.part or ""
        if reading.values:
            self._hold(device, part, reading, measured, is_memory)
            if not is_memory:
                self._state.ledger.points += 1
                self._output.effects.points.append((device.series_of(part), time, reading.values))
        if is_new and how is not BACKFILL:
            if reading.values:
                self._judge.values(device, part, reading.values, how is LATE, self._moment)
            for signal in reading.signals:
                self._judge.signal(device, part, signal, self._moment(is_late=how is LATE))
        return how

    def _settle(self, how: Timeliness, reading: Reading, *, is_memory: bool) -> Timeliness:
        """Return the timeliness after what the vendor, the device and the broker say of the message."""
        if reading.backfill or is_memory:
            return BACKFILL
        if self._message is None and how is LIVE:
            return LATE
        if reading.critical and how is BACKFILL:
            return LATE
        return how

    def _hold(self, device: Device, part: str, reading: Reading, measured: int | None, is_memory: bool) -> None:  # noqa: FBT001 -- hot path: a keyword costs 30 ns
        """Put the values into the twin where they are not older than what it holds; a memory fills only gaps."""
        known = device.state
        held = known.parts.get(part)
        if held is None:
            held = known.parts[part] = {}
        time = self._at if measured is None else measured
        awake, bad = known.heard_awake, reading.bad
        quality = UNCERTAIN if measured is None and (is_memory or reading.measured_at is not None) else GOOD
        for name, value in reading.values.items():
            prior = held.get(name)
            if prior is None or (time >= prior[1] and not is_memory):
                held[name] = (value, time, awake, BAD if bad and name in bad else quality)
        self.dirty_twins[device, part] = None

    def replay_waiting(self, device: Device, record: Record) -> None:
        """Take the messages that waited for ``device`` as late ones; outside the ledger, counted ``replayed``."""
        for index, (received_at, topic, payload) in enumerate(self.waiting.leave(device, record.t)):
            self._message, self._topic, self._payload = None, topic, payload
            self._t, self._at = record.t + index, received_at
            self._position, self._index = record.position, index
            try:
                readings = device.handler(payload)
            except PoisonError:
                continue  # it is a dead letter already
            self._state.ledger.replayed += 1
            self._readings(device, readings)
