"""What a device costs in memory, and that what is left out of an entry reads as what a former version wrote."""

from __future__ import annotations

import random
import tracemalloc

import msgspec
import orjson

from hub.engine.ages import HOUR_NS, LESSONS, age_of, first_time
from hub.engine.content import Content
from hub.engine.known import DeviceState
from hub.engine.rows import Document
from hub.engine.state import State, decode_entries
from hub.model.heard import Publish
from hub.model.records import Batch, Record
from hub.rules.timers import TimerClass, Timers
from hub.sinks.timeseries.lines import WRITING
from tests.engine.desk import SECOND, START, Desk, device, documents

DEVICES = 2_000
BATCH = Batch("telemetry", 1, session_present=True, settled=0, packets=b"")
MOST_BYTES = 660
"""With its document, without its timers; 551 were found alone, 609 behind other tests; 580 when what only a foreign
network gives had slots of its own, and 720 with a key for the document beside its own and a slot for each thing that
most never have. It took 868 without the document when each had a dict for its parts and slots for what all of its
kind work with, and 1,310 with four empty dicts, its names twice, and own words."""

MOST_BYTES_OF_A_VOICE = 940
"""Of what was heard: 898 were found, topic, values and caches included, 1,049 with a dict for its values, and 1,188
with three numbers of its ages and when it was heard by the wall clock; it took 1,560 when what is held of a part, the
part at work and the tags of its series were three objects in two dicts, and its topic led to it by a tuple."""

MOST_BYTES_OF_A_CHANGE = 20
"""Of noting that it changed: its mark and a place in a list, 8 bytes; 37 in a dict by key, and a second such dict while
a checkpoint is made."""

MOST_BYTES_OF_A_SILENCE = 50
"""Of waiting for its silence: 34 were found, 74 when each had a moment of its own, and 143 with an entry of its own
in a heap."""

MOST_BYTES_OF_A_DAY = 300
"""Of what it is told of its clock; 170 were found, or 493 where it drifts one way all day; 2,723 when each hour was a
list."""


def test_a_registered_device_holds_nothing_that_others_hold_too() -> None:
    known = documents(*(device(f"room-{number}", "environment_sensor") for number in range(DEVICES)))
    held: list[int] = []
    for keys in ([key for key in known if not key.startswith("device/")], [*known]):
        content = Content()
        tracemalloc.start()
        try:
            content.documents = {key.encode().decode(): Document(bytes(memoryview(known[key]))) for key in keys}
            content.restore({}, State())
            held.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    assert (held[1] - held[0]) / DEVICES < MOST_BYTES


def test_a_device_that_was_heard_holds_little_more_than_its_values() -> None:
    names = [f"room-{number}" for number in range(DEVICES)]
    desk = Desk(documents(*(device(name, "environment_sensor") for name in names)), WRITING)
    tracemalloc.start()
    try:
        for word in range(1, LESSONS + 2):  # behind its lessons it remembers of which age it may be
            at = START + word * SECOND
            desk.engine.apply(Record(100 + word, at, at, BATCH, [said(name, word) for name in names], {}))
        desk.engine.take_changed_twins()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held / DEVICES < MOST_BYTES_OF_A_VOICE


def said(name: str, word: int) -> Publish:
    values = {"temperature": 20.5, "humidity": 40.5, "co2": 400.5}
    payload = {"t": START // 1_000_000 + word * 1_000, "seq": 1_000 + word, "values": values}
    return Publish(f"hub/s1/{name}/telemetry", orjson.dumps(payload))


def test_a_device_that_changed_or_waits_holds_little_for_that() -> None:
    state, timers = State(), Timers()
    devices = [DeviceState() for _ in range(DEVICES)]
    for number, known in enumerate(devices):
        known.key = f"s1/room-{number}"
    held: list[float] = []
    numbers = iter(range(DEVICES))

    def later(_known: DeviceState) -> int:
        return START + HOUR_NS + next(numbers)  # each has a moment of its own

    for work in (state.mark, lambda known: timers.look(TimerClass.AWAKE, later(known), "silent", known.key)):
        tracemalloc.start()
        try:
            for known in devices:
                work(known)
            held.append(tracemalloc.get_traced_memory()[0] / DEVICES)
        finally:
            tracemalloc.stop()
    assert held[0] < MOST_BYTES_OF_A_CHANGE
    assert held[1] < MOST_BYTES_OF_A_SILENCE


def test_documents_that_the_registry_would_write_otherwise_stay_as_they_are() -> None:
    known = documents(device("room-1", "environment_sensor"))
    odd = orjson.dumps({"device": "room-2", "site": "s1", "kind": "environment_sensor", "note": 1})
    desk = Desk({**known, "device/s1/room-2": odd})
    assert {**desk.engine.content.bodies()} == {**known, "device/s1/room-2": odd}
    again = desk.restart().engine.content
    assert {**again.bodies()} == {**known, "device/s1/room-2": odd}
    assert [key for key in again.documents if key.startswith("device/")] == ["device/s1/room-2"]
    assert len(again.bodies()) == len([*again.bodies()]) == len(known) + 1


def test_a_day_of_a_device_with_a_clock_is_kept_in_few_bytes() -> None:
    chance = random.Random(5)  # noqa: S311 -- repeatable, not secret
    devices = [DeviceState() for _ in range(DEVICES // 10)]
    tracemalloc.start()
    try:
        for hour in range(24):
            for known in devices:
                known.heard_awake = hour * HOUR_NS
                age_of(known, chance.randrange(10**9), 1, None)
        held = tracemalloc.get_traced_memory()[0] / len(devices)
    finally:
        tracemalloc.stop()
    assert held < MOST_BYTES_OF_A_DAY


def test_a_device_that_a_former_version_wrote_is_read_and_goes_on() -> None:
    former = {"heard_at": 7, "identities": {}, "parts": {}, "stored": {}, "names": {}}
    ((_, known),) = decode_entries([("device/s1/room", msgspec.msgpack.encode(former))])
    assert isinstance(known, DeviceState)
    assert (known.heard_at, first_time(known, "a", 3), first_time(known, "a", 5)) == (7, (3, True), (3, False))


def test_a_part_that_a_former_version_wrote_among_all_is_that_of_the_whole_device() -> None:
    parts = {"": {"values": {"co2": 400.0}, "at": 5}, "zone-1": {"values": {"co2": 500.0}, "at": 6}}
    ((_, known),) = decode_entries([("device/s1/room", msgspec.msgpack.encode({"heard_at": 7, "parts": parts}))])
    assert isinstance(known, DeviceState)
    assert {name: (held.values, held.at) for name, held in known.by_part().items()} == {
        "": ({"co2": 400.0}, 5), "zone-1": ({"co2": 500.0}, 6),
    }  # fmt: skip
    ((_, again),) = decode_entries([("device/s1/room", msgspec.msgpack.encode(known.written()))])
    assert isinstance(again, DeviceState)
    assert {name: held.values for name, held in again.by_part().items()} == {
        "": {"co2": 400.0},
        "zone-1": {"co2": 500.0},
    }


def test_a_device_that_never_had_an_identity_remembers_its_first() -> None:
    ((_, known),) = decode_entries([("device/s1/room", msgspec.msgpack.encode(DeviceState().written()))])
    assert isinstance(known, DeviceState)
    assert (first_time(known, "a", 3), first_time(known, "a", 5)) == ((3, True), (3, False))
