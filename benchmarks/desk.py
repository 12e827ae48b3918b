"""A desk: engines, batches and stopwatches in this process, without servers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mqtt5

from benchmarks.traffic import BUILDING, KIND, SITE, Traffic
from hub import __version__
from hub.bridge import topics
from hub.bridge.frames import decode_packets
from hub.config.settings import packaged
from hub.engine.ages import LESSONS
from hub.engine.apply import Engine
from hub.engine.rows import DeviceRow
from hub.errors import ConfigError
from hub.model.records import Batch, Body, Record, SessionCaughtUp, SessionConnected, Started
from hub.revisions.files import read_yaml
from hub.revisions.revision import revise
from hub.sinks.timeseries.lines import WRITING

JOURNAL = "00000000-0000-4000-8000-000000000001"
SESSION = "telemetry"
BATCH = 1_000
UNSETTLED_BATCHES = 8
START_NS = 1_772_352_000_000_000_000
NS_PER_MESSAGE = 20_000
PACKET_IDS = 60_000


class Stopwatch:
    """The CPU time, of all threads, that each step has taken."""

    def __init__(self) -> None:
        self._ns: Counter[str] = Counter()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure what happens meanwhile; 2 us for itself, so: a batch, not a message."""
        began = time.process_time_ns()
        yield
        self._ns[name] += time.process_time_ns() - began

    def us(self, name: str, count: int) -> float:
        """Return the microseconds of a step for each of ``count``."""
        return self._ns[name] / 1e3 / count


class Desk:
    """``said`` by devices, topic and payload, as packets of a broker; and engines that take them."""

    def __init__(self, said: Iterable[tuple[str, bytes]]) -> None:
        qos = mqtt5.QoS.AT_LEAST_ONCE
        self._raw = [
            mqtt5.PublishPacket(topic, payload, qos=qos, packet_id=number % PACKET_IDS + 1).write()
            for number, (topic, payload) in enumerate(said)
        ]
        self.count = len(self._raw)

    def stream(self) -> bytes:
        """Return all packets as they come out of a socket."""
        return b"".join(self._raw)

    def records(self, first: int, size: int = BATCH) -> Iterator[Record]:
        """Yield the messages as records of ``size``, from position ``first`` on; each decoded when it is asked for."""
        for index, start in enumerate(range(0, self.count, size)):
            raw = b"".join(self._raw[start : start + size])
            at = START_NS + 1_000_000 + start * NS_PER_MESSAGE
            settled = max(0, index - UNSETTLED_BATCHES) * size
            body = Batch(SESSION, 1, session_present=True, settled=settled, packets=raw)
            yield Record(first + index, at, at, body, decode_packets(raw))


def caught_up(documents: Mapping[str, bytes]) -> Engine:
    """Return an engine with ``documents`` that has caught up; its next record is the one behind ``clock.position``."""
    engine = Engine(JOURNAL, topics, decode_packets, WRITING)
    note = revise({}, documents, __version__)
    if note is None:
        raise ConfigError("nothing_to_work_with")
    bodies: list[Body] = [
        Started(__version__, [SESSION]),
        note.revision,
        SessionConnected(SESSION, 1, session_present=True),
        SessionCaughtUp(SESSION, 1),
    ]
    for position, body in enumerate(bodies, start=1):
        engine.apply(Record(position, START_NS + position, START_NS + position, body, (), note.bodies))
    return engine


class TrafficDesk(Desk):
    """What a hub of the benchmarks works with, and ``count`` messages of ``devices``.

    The first ``lessons`` of them teach an engine the clocks of the devices, and make what each device holds.
    """

    def __init__(self, devices: int, count: int, directory: Path) -> None:
        self.lessons = -(-min(LESSONS * devices, count // 2) // BATCH) * BATCH  # whole records
        self._traffic = Traffic(devices)
        self._directory = directory
        super().__init__(self._said(range(count)))

    def _said(self, numbers: range) -> Iterator[tuple[str, bytes]]:
        names = self._traffic.topics
        for number in numbers:
            at_ms = (START_NS + number * NS_PER_MESSAGE) // 1_000_000
            yield names[number % len(names)], self._traffic.payload(number, at_ms)

    def engine(self, rules: str) -> Engine:
        """Return an engine with ``rules`` that has caught up."""
        return caught_up(self._documents(rules))

    def _documents(self, text: str) -> dict[str, bytes]:
        rules = self._directory / "rules"
        rules.mkdir(exist_ok=True)
        (rules / "bench.yaml").write_text(text, encoding="utf-8")
        found = read_yaml([packaged("device_profiles")], [packaged("rules"), rules])
        for name in self._traffic.names():
            row = DeviceRow(SITE, name, KIND, building=BUILDING, place=BUILDING)
            found[f"device/{SITE}/{name}"] = row.body
        return found
