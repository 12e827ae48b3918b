"""A batch of messages: each to exactly one end of the ledger, its values to twin, rules and points."""

from __future__ import annotations

from operator import attrgetter
from zlib import crc32

from hub.engine.acting import Hands
from hub.engine.again import Grammar, LateEar, words_of
from hub.engine.barred import REFUSED
from hub.engine.change import Change
from hub.engine.content import Content
from hub.engine.device import Device, Part
from hub.engine.foreign import MAX_PAYLOAD_BYTES, may_be_large
from hub.engine.judging import Judge
from hub.engine.lessons import NEVER_AWAKE
from hub.engine.moment import Moment, Output
from hub.engine.readings import BACKFILL, LATE, LIVE
from hub.engine.redelivery import Redelivery
from hub.engine.rows import DOUBLE
from hub.engine.state import State, count
from hub.errors import PoisonError
from hub.model.effects import UNREGISTERED
from hub.model.heard import Address, Heard
from hub.model.records import Batch, Record
from hub.model.values import Timeliness, TopicClass, Values
from hub.normalize.networks.source import Route as ForeignRoute

FOREIGN_ROUTES = 100_000
"""Above so many topics a foreign one is looked up each time; our own are as many as there are devices."""

Aside = TopicClass | ForeignRoute
Route = Device | tuple[Device | None, Aside | None, int]
"""Where a topic leads: device (None: the payload names it), what it is (None for telemetry and signals on topics of our
own), checksum of the topic. The device alone says all three of nearly every topic."""

_is_duplicate = attrgetter("duplicate")


class Ear(LateEar):
    """Takes batches, a message at a time, each to one end of the ledger."""

    __slots__ = ("_foreign", "_routes", "redelivery")

    def __init__(  # noqa: PLR0913, PLR0917 -- the parts of the engine that a message passes
        self, state: State, content: Content, judge: Judge, hands: Hands, output: Output, topics: Grammar,
        redelivery: Redelivery,
    ) -> None:  # fmt: skip
        super().__init__(state, content, judge, hands, output, topics)
        self._routes: dict[str, Route] = {}
        self._foreign: dict[tuple[str, str], list[str]] = {}
        """The topics by which a device of a foreign network was found, by the source, or its site, and its name."""
        self.redelivery = redelivery

    def revised(self, change: Change) -> None:
        """Look topics up again that led to devices which are others now, or gone; all of them with other networks.

        Those of a foreign network by every name: who is new may have the better claim to one.
        """
        self.quotas.revised(change)
        if change.has_new_kinds:
            self._routes.clear()
            self._foreign.clear()
        for device in change.former_devices:
            for topic in self._topics.uplink_topics(device.site, device.device.removesuffix(DOUBLE)):
                self._routes.pop(topic, None)
        for name in change.all_names() if self._foreign else ():
            for topic in self._foreign.pop(name, ()):
                del self._routes[topic]

    def batch(self, record: Record, batch: Batch) -> None:
        """Take every message of ``batch`` to its end. What is counted is added once a batch, not once a message."""
        ledger, clock, messages = self._state.ledger, self._state.clock, record.messages
        known, duplicates = None, ledger.duplicate
        if self.redelivery.expects(batch) and any(map(_is_duplicate, messages)):
            known = self.redelivery.known(batch)
        ledger.heard += len(messages)
        count(ledger.sessions, batch.session, len(messages))
        self._position, self._readings_taken = record.position, clock.readings
        self.quotas.look(messages, record.t, self._speaker)
        at, number, find = record.received_at, clock.number, self._routes.get
        self._first_t, self._first_at = record.t, at
        self._awake = record.t - clock.blind_total if clock.blind_since is None else NEVER_AWAKE
        self._ahead = at - self._awake
        ends: dict[Timeliness | None, int] = {LATE: 0, BACKFILL: 0, None: 0}
        live = 0  # nearly all, so not in the dict
        for index, message in enumerate(messages):
            if known is not None and message.duplicate and known(message):
                ledger.duplicate += 1
                continue
            route = find(message.topic)
            try:
                if type(route) is Device and (
                    self._take_known(route, message, index)
                    if route.shape is None
                    else self._take_shaped(route, message, index)
                ):
                    live += 1
                    continue
                self._message, self._index, self._at = message, index, at + index
                how = self._take(message, route)
                if how is LIVE:
                    live += 1
                else:
                    ends[how] += 1
            except PoisonError as error:
                self._put_away(message, number + index + 1, error)
            except Exception as error:  # noqa: BLE001 -- a bug costs one message, never the hub (engine.md, Engine)
                self._index, self._at = index, at + index
                detail = f"{type(error).__name__}: {error}"[:500]
                self._bury(message, number + index + 1, "internal_error", detail)
        ledger.live += live
        ledger.late += ends[LATE]
        ledger.backfill += ends[BACKFILL]
        ledger.points += len(self._output.stored)
        clock.number, clock.readings = number + len(messages), self._readings_taken
        self.redelivery.heard(record, batch, ledger.duplicate - duplicates)

    def _take(self, message: Heard, known: Route | None) -> Timeliness | None:
        """Take one message, which is ``known`` to lead somewhere; None when it is refused, and counted there."""
        payload = self._payload = message.payload
        route = known or self._route(message.topic)
        if isinstance(route, Device) and len(payload) <= MAX_PAYLOAD_BYTES:
            self._checksum = route.checksum
            return self._take_data(route, payload)
        return None if route is None else self._take_seldom(route, payload)

    def _take_data(self, device: Device, payload: bytes) -> Timeliness:
        """Take telemetry or signals of ``device``."""
        readings = device.outfit.handle(payload)
        if len(readings) == 1 and self._take_usual(device, readings[0]):
            return LIVE
        return self._take_readings(device, readings)

    def _take_seldom(self, route: Route, payload: bytes) -> Timeliness | None:
        """Take what is no data on a topic of our own, or too large."""
        device, aside, self._checksum = (route, None, 0) if isinstance(route, Device) else route
        if len(payload) > MAX_PAYLOAD_BYTES and not (
            isinstance(aside, ForeignRoute) and may_be_large(aside, len(payload))
        ):
            self._refuse("too_large")
            return None
        if device is None or aside is not None:
            return self._take_aside(device, aside)
        return self._take_data(device, payload)

    # ------------------------------------------------------------------------------------------------- where it goes

    def _route(self, topic: str) -> Route | None:
        """Find the device of ``topic``; None when the message is refused, PoisonError when nobody knows the device."""
        address = self._parse(topic)
        if address is None:
            return self._foreign_route(topic)
        if address.topic_class is TopicClass.DRILL:
            return self._rehearsed(topic, address)
        is_data = address.topic_class in {TopicClass.TELEMETRY, TopicClass.SIGNAL}
        device = self._content.find(address.site, address.device)
        if device is None:
            name = f"{address.site}/{address.device}"
            self._content.barred.check(name)
            if is_data:
                self._keep(name)
            raise PoisonError("unknown_device", f"{name}{UNREGISTERED}")
        checksum = crc32(topic.encode())
        if is_data and device.checksum in {0, checksum}:
            device.checksum = checksum
            route: Route = device
        else:
            route = (device, None if is_data else address.topic_class, checksum)
        self._routes[topic] = route
        return route

    def _rehearsed(self, topic: str, address: Address) -> Route | None:
        """Find the double; outside its drill nobody listens, and nothing waits for the next one."""
        double = self._content.find(address.site, f"{address.device}{DOUBLE}")
        if double is None:
            self._refuse("no_drill")
            return None
        route = self._routes[topic] = (double, None, crc32(topic.encode()))
        return route

    def _foreign_route(self, topic: str) -> Route | None:
        self._named = "", ""
        aside = self._content.networks.router.route(topic)
        if aside is None:
            self._refuse("bad_topic")
            return None
        device = self._seek(aside, aside.device) if aside.device else None
        route = (device, aside, crc32(topic.encode()))
        if len(self._routes) < FOREIGN_ROUTES:
            self._routes[topic] = route
            if aside.device:
                name = aside.site or aside.stream.source, aside.device
                self._foreign.setdefault(name, []).append(topic)
        return route

    def _refuse(self, code: str) -> None:
        self._state.ledger.refused += 1
        count(self._state.ledger.refused_codes, code)

    def _put_away(self, message: Heard, number: int, error: PoisonError) -> None:
        if error.code in REFUSED:
            self._refuse(error.code)
        elif self.quotas.refuses("/".join(self._named_by(message.topic)), self._now):
            self._refuse("over_quota")
        else:
            self._bury(message, number, error.code, words_of(error))

    def _speaker(self, topic: str) -> str:
        """Return the key of the device that a topic is of, registered or not; nothing where the payload names it.

        A topic of which nobody knows the way, as of all after a restart, comes to the same as one that was heard.
        """
        route = self._routes.get(topic)
        if route is None:
            return self._speaker_anew(topic)
        device = route[0] if isinstance(route, tuple) else route
        return "" if device is None else device.key

    def _speaker_anew(self, topic: str) -> str:
        address = self._parse(topic)
        if address is None:
            try:
                aside = self._content.networks.router.route(topic)
            except PoisonError:  # the message is told so when its turn comes
                return ""
            device = self._called(aside, aside.device) if aside is not None and aside.device else None
        elif address.topic_class is TopicClass.DRILL:
            device = self._content.find(address.site, f"{address.device}{DOUBLE}")
        else:
            return f"{address.site}/{address.device}"
        return "" if device is None else device.key

    def tick(self, moment: Moment) -> None:
        """Do what time does to what was heard: strangers are forgotten, and of a loud device the newest is a point."""
        self.waiting.let_go(moment.t)
        points = len(self._output.stored)
        self.quotas.tick(moment, self._store_newest)
        self._state.ledger.points += len(self._output.stored) - points

    def _store_newest(self, part: Part, time: int, values: Values) -> None:
        self._mark(part.device)  # what was stored last is remembered, and it may have been saved since it spoke
        self._store(part, time, values, is_new=True)

    def _bury(self, message: Heard, number: int, code: str, detail: str) -> None:
        self._state.ledger.dead_lettered += 1
        count(self._state.ledger.dead_letter_codes, code)
        self._lay(message, number, code, detail)

    def _take_aside(self, device: Device | None, aside: Aside | None) -> Timeliness:
        """Take what is not plain telemetry or a signal of our own."""
        if isinstance(aside, ForeignRoute):
            return self._take_foreign(device, aside)
        if device is None:
            raise AssertionError
        if aside is TopicClass.AVAILABILITY:
            self._take_availability(device, self._payload.decode("ascii", "replace").strip().strip('"'))
        else:
            self._take_response(device, self._payload)
        return LIVE
