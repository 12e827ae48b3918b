"""What a trace says of a payload is true: laws over every example of every shipped profile, and single cases."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from random import Random

import msgspec
import pytest

from hub.authoring.anatomy import Section
from hub.authoring.marks import Mark, Use
from hub.authoring.trace import Sent, Trace, trace
from hub.errors import PoisonError
from hub.model.heard import Reading
from hub.normalize.compile import compile_profile
from hub.normalize.examples import Example, example_bytes
from hub.normalize.handler import ProfileHandler
from hub.normalize.profile import Profile
from tests.normalize.devices import CATALOGUE, PROFILES, model

ZONE = "Asia/Shanghai"
NAMES = sorted(PROFILES)


def traced(profile: Profile, example: Example) -> Trace:
    sent = Sent(payload=example_bytes(example), port=example.port, params=example.params, zone=ZONE)
    return trace(profile, CATALOGUE.kind(profile.kind), sent)


def seen(name: str, example: str) -> Trace:
    profile = PROFILES[name]
    return traced(profile, next(each for each in profile.examples if each.name == example))


def mark(found: Trace, name: str, reading: int = 0) -> Mark:
    return next(each for each in found.marks if each.name == name and each.reading == reading)


@pytest.mark.parametrize("name", NAMES)
def test_every_value_of_every_example_is_traced_to_a_place(name: str) -> None:
    profile, missing = PROFILES[name], []
    for example in profile.examples:
        found = traced(profile, example)
        for number, reading in enumerate(found.readings if found.error is None else ()):
            told = {(each.name, each.value) for each in found.marks if each.reading == number and each.extent.found}
            said = {(key, value) for key, value in reading.values.items()}
            said |= {
                (f"{signal.name}.{key}", value) for signal in reading.signals for key, value in signal.data.items()
            }
            said |= {("identity", reading.identity)} if reading.identity is not None else set()
            missing += [(example.name, number, pair) for pair in said - told]
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_and_the_handler_agree_about_every_example(name: str) -> None:
    profile, differing = PROFILES[name], []
    for example in profile.examples:
        found = traced(profile, example)
        if (None if found.error is None else found.error.code, found.is_partial) != (
            example.expect_error,
            example.expect_partial,
        ):
            differing.append((example.name, found.error, found.is_partial))
    assert differing == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_as_unread_may_be_changed_and_nothing_else_changes(name: str) -> None:
    profile, differing = PROFILES[name], []
    for example in profile.examples:
        if example.expect_error is not None or example.expect_partial:
            continue
        handler = unframed(profile, example)
        before = read(handler, example_bytes(example), example.port)
        for what, changed in altered(traced(profile, example)):
            if read(handler, changed, example.port) != before:
                differing.append((example.name, what))
    assert differing == []


@functools.cache
def frameless(name: str) -> Profile:
    profile = PROFILES[name]
    nothing = {"check": None, "starts": None, "ends": None}
    return profile.model_copy(update={"payload": profile.payload.model_copy(update=nothing)})


def unframed(profile: Profile, example: Example) -> ProfileHandler:
    made = compile_profile(frameless(profile.profile), CATALOGUE.kind(profile.kind), example.params, ZONE)
    assert isinstance(made, ProfileHandler)
    return made


def read(handler: ProfileHandler, payload: bytes, port: int | None) -> Sequence[Reading] | str:
    try:
        return [
            msgspec.structs.replace(each, signals=[*each.signals], bad=[*each.bad]) for each in handler(payload, port)
        ]
    except PoisonError as error:
        return error.code


def altered(found: Trace) -> Iterator[tuple[object, bytes]]:
    """Yield the payload with one byte, or one leaf of JSON, changed that no mark covers."""
    whole = found.sections[0]
    mine = [each for each in found.marks if each.extent.section == ""]
    if whole.leaves is None:
        covered = {offset for each in mine for offset in range(*each.extent.bytes)}
        for offset in sorted(set(range(len(whole.data))) - covered):
            for flip in (0xFF, 0x01):
                yield offset, bytes([*whole.data[:offset], whole.data[offset] ^ flip, *whole.data[offset + 1 :]])
        return
    paths = {path for each in mine for path in each.extent.paths}
    if not whole.data.lstrip().startswith(b"{"):
        return
    for leaf in whole.leaves:
        if leaf.path not in paths:
            document = json.loads(whole.data)
            *above, last = leaf.path.split(".")
            target = functools.reduce(
                lambda at, step: at[int(step)] if isinstance(at, list) else at[step], above, document
            )
            target[int(last) if isinstance(target, list) else last] = "another"
            yield leaf.path, json.dumps(document).encode()


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_payload_is_traced_as_the_handler_takes_it_and_nothing_else_breaks(name: str) -> None:
    profile = PROFILES[name]
    kind, dice, tried = CATALOGUE.kind(profile.kind), Random(name), 0  # noqa: S311 -- the same damage every time
    for example in profile.examples[:6]:
        for _ in range(20):
            payload = damaged(example_bytes(example), dice)
            made = compile_profile(profile, kind, example.params, ZONE)
            assert isinstance(made, ProfileHandler)
            found = trace(profile, kind, Sent(payload=payload, port=example.port, params=example.params, zone=ZONE))
            said = read(made, payload, example.port)
            assert (found.error is None) == (not isinstance(said, str))
            assert all(each.extent.bytes[1] <= len(section.data) for section, each in placed(found))
            tried += 1
    assert tried >= 40


def damaged(payload: bytes, dice: Random) -> bytes:
    """Return a payload with a byte changed, added, taken away, or without its end."""
    at = dice.randrange(len(payload)) if payload else 0
    kept, byte = payload[at:], bytes([dice.randrange(256)])
    return payload[:at] + dice.choice([byte + kept[1:], byte + kept, kept[1:], b""])


def placed(found: Trace) -> Iterator[tuple[Section, Mark]]:
    by_name = {section.name: section for section in found.sections}
    yield from ((by_name[each.extent.section], each) for each in found.marks)


def test_bits_of_one_byte_are_traced_one_by_one() -> None:
    name = "the state of all doors, the first of them alarmed and held open though its contact is closed"
    found = seen("zkteco/c3-400", name)
    assert [(mark(found, each).where, mark(found, each).value) for each in ("alarm", "held_open", "door")] == [
        ("0[0,1]", True),
        ("0[1,1]", True),
        ("4[0,2]", "closed"),
    ]


def test_a_value_in_the_second_record_lies_behind_the_first() -> None:
    found = seen("gbt26875/panel", "two objects in one frame; a fault and a fire")
    assert [mark(found, "component", reading).extent.bytes for reading in (0, 1)] == [(31, 32), (77, 78)]


def test_a_channel_is_traced_with_its_key() -> None:
    found = seen("milesight/em400-mud", "tilted")
    assert mark(found, "distance").extent.bytes == (9, 11)
    assert {each.extent.bytes for each in found.marks if each.name == "key of a channel"} == {
        (0, 2),
        (3, 5),
        (7, 9),
        (11, 13),
    }


def test_a_value_that_only_another_box_tells_is_not_claimed() -> None:
    found = seen("elevator_box/d_block", "trapped at a landing, told by a box on the car roof that sees nobody")
    assert not any(each.name == "passenger" and each.use is Use.PROPERTY for each in found.marks)
    assert any(each.where == "sensorType" and each.use is Use.CONDITION for each in found.marks)


def test_of_two_places_that_both_could_tell_only_the_one_that_counts_is_claimed() -> None:
    words = {"payload": {"format": "json"}, "properties": {"temperature": {"path": ["t", "temp"], "unit": "Cel"}}}
    profile = model("environment_sensor", **words)
    sent = Sent(payload=b'{"t": 20, "temp": 30}')
    found = trace(profile, CATALOGUE.kind("environment_sensor"), sent)
    assert [each.where for each in found.marks if each.use is Use.PROPERTY] == ["t"]


def test_a_wrong_checksum_leaves_the_bytes_to_be_looked_at() -> None:
    found = seen("milesight/gs524n", "one bit wrong")
    assert found.error is not None
    assert [each.name for each in found.marks if each.is_wrong] == ["checksum"]
    assert mark(found, "status").value == "alarm"


def test_a_value_outside_its_range_is_marked_wrong() -> None:
    found = seen("milesight/gs524n", "a battery of 200 % is stored, but bad")
    assert [each.name for each in found.marks if each.is_wrong] == ["battery"]


def test_a_poisonous_value_names_its_place() -> None:
    found = seen("zigbee2mqtt/smoke", "a smoke that is no bool")
    assert [each.where for each in found.marks if each.is_wrong] == ["smoke"]


def test_an_own_payload_is_traced_by_its_names() -> None:
    head = {"profile": "test/own", "version": "1.0.0", "kind": "environment_sensor", "label": {"en": "Own"}}
    native = Profile.model_validate({**head, "payload": {"format": "native"}})
    sent = Sent(payload=b'{"values": {"temperature": 20, "x": 1}}')
    found = trace(native, CATALOGUE.kind("environment_sensor"), sent)
    assert [(each.where, each.value) for each in found.marks] == [("values.temperature", 20.0)]
