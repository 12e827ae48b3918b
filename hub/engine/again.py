"""What was not understood when it came, taken as late: it waited for its device, or somebody asks for it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Protocol
from zlib import crc32

import msgspec
from msgspec.structs import replace

from hub.engine.acting import Hands
from hub.engine.ages import AHEAD_NS, BACKFILL_NS, age_of_reading
from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.foreign import WAITS, ForeignEar
from hub.engine.judging import Judge
from hub.engine.moment import Moment, Output
from hub.engine.state import State, count
from hub.engine.waiting import foreign_name
from hub.errors import PoisonError
from hub.model.effects import UNREGISTERED, DeadLetter, Reply, Settled
from hub.model.heard import Address, Heard, Reading
from hub.model.records import Control, Letter, Record
from hub.model.values import TopicClass

KEPT_PAYLOAD_BYTES = 256 * 1024
DATA = frozenset({TopicClass.TELEMETRY, TopicClass.SIGNAL})


class Grammar(Protocol):
    """The grammar of native topics."""

    def parse(self, topic: str, /) -> Address | None: ...
    def uplink_topics(self, site: str, device: str, /) -> Iterator[str]: ...


class Retaken(msgspec.Struct, frozen=True):
    """What came of a request to take dead letters again: how many are none any more, and how many still are, and why.

    The ``last`` number that was looked at, and whether there may be more behind it.
    """

    taken: int
    refused: int
    last: int = 0
    more: bool = False
    why: dict[str, int] = {}


class LateEar(ForeignEar):
    """Takes what waited, or was a dead letter: late, and outside the ledger but for ``replayed`` and its points."""

    __slots__ = ("_parse", "_topics")

    def __init__(  # noqa: PLR0913, PLR0917 -- the parts of the engine that a message passes
        self, state: State, content: Content, judge: Judge, hands: Hands, output: Output, topics: Grammar
    ) -> None:
        super().__init__(state, content, judge, hands, output)
        self._topics, self._parse = topics, topics.parse

    def replay_waiting(self, devices: Iterable[Device], record: Record) -> None:
        """Take the messages that waited for ``devices``, in the order in which they came, each as old as it waited."""
        waited = [
            (came, device, letter)
            for device in devices
            if device.deafness is None
            for name in _names_of(device)
            for came, letter in self.waiting.leave(name, record.t)
        ]
        waited.sort(key=itemgetter(0))  # what two detectors said one after the other, they did
        for index, letter in self._each([letter for _, _, letter in waited], record.position, record.t):
            came, device, _ = waited[index]
            self._waited = max(1, self._t - came)
            with suppress(Exception):  # it is a dead letter already; a bug costs one message
                self._take_again(device, self._waited_for(device, letter.topic), letter)
        self._waited = 0

    def retake(self, control: Control, moment: Moment) -> Reply:
        """Take the dead letters that a request names as what they mean by now; those that mean nothing yet stay.

        Hours may lie between: what they say is as old as that, of more than a day it is only stored, and that their
        device lives nobody knows from them. One that came when our clock was ahead stays until that moment: by it what
        was said since would be older.
        """
        if "refused" in control.args:
            return Reply(control.id, ok=False, code="bad_args", detail=str(control.args["refused"]))
        why: dict[str, int] = {}
        cut = int(control.args.get("cut", 0))
        if cut:
            why["payload_cut"] = cut
        self._is_asked = True
        for index, letter in self._each(control.letters, moment.cause[0], moment.t):
            now = moment.at + index
            self._waited = max(1, now - letter.received_at)
            code = "clock_was_ahead" if letter.received_at > now else self._refusal(letter)
            if code:
                count(why, code)
        self._waited, self._is_asked = 0, False
        refused, last, more = sum(why.values()), int(control.args.get("last", 0)), bool(control.args.get("more", False))
        found = Retaken(len(control.letters) + cut - refused, refused, last, more, why)
        return Reply(control.id, ok=True, code="ok", detail=msgspec.json.encode(found).decode())

    def _refusal(self, letter: Letter) -> str:
        """Take ``letter``, or return the code by which it stays one."""
        try:
            return "" if self._is_taken(letter) else "outdated"
        except PoisonError as error:
            code, detail = error.code, words_of(error)
        except Exception as error:  # noqa: BLE001 -- a bug costs one message (engine.md, Engine)
            code, detail = "internal_error", f"{type(error).__name__}: {error}"[:500]
        self._lay(letter, letter.number, code, detail)
        return code

    def _each(self, letters: Sequence[Letter], position: int, t: int) -> Iterator[tuple[int, Letter]]:
        """Have each of ``letters`` in hand, one after the other: nobody hears them now, but their points count."""
        points, self._readings_taken = len(self._output.stored), self._state.clock.readings
        for index, letter in enumerate(letters):
            self._message, self._payload, self._checksum = None, letter.payload, crc32(letter.topic.encode())
            self._position, self._index = position, index
            self._first_t, self._at, self._named = t, letter.received_at, ("", "")
            yield index, letter
        self._state.clock.readings = self._readings_taken
        self._state.ledger.points += len(self._output.stored) - points

    def _is_taken(self, letter: Letter) -> bool:
        """Take what ``letter`` measured or signalled; False: it is of something else, whose time is over."""
        address = self._parse(letter.topic)
        if address is None:
            found = self._said_abroad(letter.topic)
            if found is None:
                return False
            device, readings = found
        elif address.topic_class not in DATA:
            return False
        else:
            device = self._registered(address)
            readings = device.outfit.handle(self._payload)
        self._take_again(device, [self._aged(device, reading) for reading in readings], letter)
        return True

    def _take_again(self, device: Device, readings: Sequence[Reading], letter: Letter) -> None:
        self._take_readings(device, readings)
        self._state.ledger.replayed += 1
        if letter.number:
            self._output.effects.settled.append(Settled(self._position, letter.number))

    def _registered(self, address: Address) -> Device:
        device, name = self._content.find(address.site, address.device), f"{address.site}/{address.device}"
        if device is None:
            self._content.barred.check(name)
            raise PoisonError("unknown_device", f"{name}{UNREGISTERED}")
        return device

    def _said_abroad(self, topic: str) -> tuple[Device, Sequence[Reading]] | None:
        """Return who says what on the topic of a foreign network; None where devices measure and signal nothing."""
        route = self._content.networks.router.route(topic)
        if route is None or route.stream.carries not in WAITS:
            return None
        self._named = route.site, route.device
        device = self._seek(route, route.device) if route.device else None
        envelope = route.stream.read(self._payload)
        if device is None:
            if not envelope.device:
                raise PoisonError("no_device", "the envelope names no device")
            device = self._seek(route, envelope.device)
        return device, self._open(device, route, envelope)

    def _aged(self, device: Device, reading: Reading) -> Reading:
        """Return ``reading``, only to be stored when it is more than a day old, unless it is critical."""
        measured = reading.measured_at
        is_timed = measured is not None and measured - self._at <= AHEAD_NS
        age = self._waited + age_of_reading(device.state, self._at, measured if is_timed else None)
        return replace(reading, backfill=True) if age > BACKFILL_NS and not reading.critical else reading

    def _waited_for(self, device: Device, topic: str) -> Sequence[Reading]:
        """Return what ``device`` says in the message in hand; PoisonError when its topic is somebody else's by now."""
        if self._parse(topic) is not None:
            return device.outfit.handle(self._payload)
        found = self._said_abroad(topic)
        if found is None or found[0] is not device:
            raise PoisonError("bad_topic", f"{device.key} does not speak there any more")
        return found[1]

    # ---------------------------------------------------------------------------------------------------- dead letters

    def _named_by(self, topic: str) -> tuple[str, str]:
        """Return the (site, device) that the message in hand names."""
        address = self._parse(topic)
        return self._named if address is None else (address.site, address.device)

    def _lay(self, message: Heard, number: int, code: str, detail: str) -> None:
        """Let ``message`` be the dead letter ``number``."""
        topic, payload = message.topic, message.payload
        site, device = self._named_by(topic)
        self._output.effects.dead_letters.append(
            DeadLetter(
                number=number, position=self._position, index=self._index, received_at=self._at,
                topic=topic, payload=payload[:KEPT_PAYLOAD_BYTES], payload_bytes=len(payload),
                site=site, device=device, code=code, detail=detail,
            )
        )  # fmt: skip


def _names_of(device: Device) -> list[str]:
    """Return the names under which messages wait for ``device``."""
    if device.source is None:
        return [device.key]
    own = device.source.fold(device.row.network_id)
    return [device.key, *(foreign_name(device.row.source, name) for name in dict.fromkeys((own, device.called)))]


def words_of(error: PoisonError) -> str:
    """Return why a message is a dead letter, with the property that it is about."""
    name = error.fields.get("property")
    return f"{name}: {error.message}" if name else error.message
