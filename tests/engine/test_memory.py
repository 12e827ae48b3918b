"""What a device costs in memory, and that what is left out of an entry reads as what a former version wrote."""

from __future__ import annotations

import random
import tracemalloc

import msgspec

from hub.engine.ages import HOUR_NS, age_of, first_time
from hub.engine.content import Content
from hub.engine.rows import Document
from hub.engine.state import DeviceState, State, decode_entries
from tests.engine.desk import device, documents

DEVICES = 2_000
MOST_BYTES = 1_000
"""Without its document and its timers; 868 were found, 1,310 when each had four empty dicts, its names twice, and words
of its place and parameters of its own."""

MOST_BYTES_OF_A_DAY = 300
"""Of what it is told of its clock; 170 were found, or 493 where it drifts one way all day; 2,723 when each hour was a
list."""


def test_a_registered_device_holds_nothing_that_others_hold_too() -> None:
    content = Content()
    known = documents(*(device(f"room-{number}", "environment_sensor") for number in range(DEVICES)))
    content.documents = {key: Document(body) for key, body in known.items()}
    few = Content()
    few.documents = {key: document for key, document in content.documents.items() if not key.startswith("device/")}
    held: list[int] = []
    for each in (few, content):
        tracemalloc.start()
        try:
            each.restore({}, State())
            held.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    assert (held[1] - held[0]) / DEVICES < MOST_BYTES


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


def test_a_device_that_never_had_an_identity_remembers_its_first() -> None:
    known = msgspec.msgpack.decode(msgspec.msgpack.encode(DeviceState()), type=DeviceState)
    assert (first_time(known, "a", 3), first_time(known, "a", 5)) == ((3, True), (3, False))
