"""A batch of messages: each to exactly one end of the ledger, its values to twin, rules and points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

from hub.engine.acting import Hands
from hub.engine.ages import AHEAD_NS, MILLION, age_of, count_sequence, first_time, rank
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
Route = tuple[Device, TopicClass | None, int]
"""Where a topic leads: device, class (None for telemetry and signals, nearly everything), checksum of the topic."""

# An attribute of an enum class costs 40 ns each time.
LIVE, LATE, BACKFILL = Timeliness.LIVE, Timeliness.LATE, Timeliness.BACKFILL
GOOD, UNCERTAIN, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD


class Ear:
    """Takes batches. The message in hand is held in slots: passing it along would cost 0.4 us a message."""

    __slots__ = (
        "_at", "_checksum", "_content", "_hands", "_index", "_judge", "_message", "_output", "_parse", "_payload",
        "_position", "_readings_taken", "_routes", "_state", "_t", "_topic", "dirty_twins", "redelivery", "waiting",
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
        self._t = self._at = self._position = self._index = self._checksum = self._readings_taken = 0

    def forget_routes(self) -> None:
        """Look every topic up again: the registry has changed."""
        self._routes.clear()

    def batch(self, record: Record, batch: Batch) -> None:
        """Take every message of ``batch`` to its end. What is counted is added once a batch, not once a message."""
        ledger, clock, messages = self._state.ledger, self._state.clock, record.messages
        known = self.redelivery.known(batch) if any(one.duplicate for one in messages) else None
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
        self._payload = payload = message.payload
        self._topic = topic = message.topic
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
        return self._take_readings(device, device.handler(payload))

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

    def _take_readings(self, device: Device, readings: Sequence[Reading]) -> Timeliness:
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

    def _reading(self, device: Device, element: int, reading: Reading) -> Timeliness:  # noqa: C901, PLR0912 -- hot path: a call more costs 0.1 us a message
        at, known = self._at, device.state
        self._readings_taken += 1
        seq = reading.seq
        if seq is not None:
            if seq - 1 == known.seq and reading.boot == known.boot:
                known.seq = seq
            else:
                count_sequence(known, seq, reading.boot, self._state.ledger)
        blind_since = self._state.clock.blind_since
        measured = reading.measured_at
        if measured is None or measured - at > AHEAD_NS:
            measured = None
            time = at - at % MILLION + self._readings_taken % MILLION
            how = LIVE if blind_since is None else LATE
        else:
            time = measured - measured % MILLION + self._digest(device, element, reading.identity)
            how = age_of(known, at - measured, device.late_after_ns, blind_since)
        is_new = True
        if reading.identity is not None:
            time, is_new = first_time(known, reading.identity, time)
            self._state.ledger.repeated += not is_new
        is_memory = measured is None and self._message is not None and self._message.retain
        if how is not LIVE or reading.backfill or is_memory or self._message is None:
            how = self._settle(how, reading, is_memory=is_memory)
        part, values = reading.part or "", reading.values
        if values:
            self._hold(device, part, reading, measured, is_memory)
            if not is_memory:
                self._output.effects.points.append((device.series_of(part), time, values))
        if is_new and how is not BACKFILL:
            if values:
                rules = device.rules.reading(part, values)
                if rules:
                    self._judge.values(rules, device, part, how is LATE, self._moment)
            for signal in reading.signals:
                self._judge.signal(device, part, signal, self._moment(is_late=how is LATE))
        return how

    def _digest(self, device: Device, element: int, identity: str | None) -> int:
        """Return the ns below the millisecond that keep a re-write the same point, and two swipes two points.

        CRC-32 of topic, payload and element (or of the identity), of which a millionth is used: 0.2 us, where BLAKE2b
        costs 0.6 and no more of it would be used.
        """
        if identity is not None:
            return crc32(f"{device.key}\0{identity}".encode()) % MILLION
        found = crc32(self._payload, self._checksum)
        return (crc32(element.to_bytes(2, "big"), found) if element else found) % MILLION

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
            ledger = self._state.ledger
            ledger.replayed += 1
            points = len(self._output.effects.points)
            self._readings_taken = self._state.clock.readings
            self._checksum = crc32(topic.encode())
            self._take_readings(device, readings)
            self._state.clock.readings = self._readings_taken
            ledger.points += len(self._output.effects.points) - points
