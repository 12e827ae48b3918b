"""What a trace says of a payload is true: laws over every example of every shipped profile, and single cases."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from hub.errors import PoisonError
from hub.model import Reading
from hub.normalize.compile import compile_profile
from hub.normalize.examples import Example, example_bytes
from hub.normalize.handler import ProfileHandler
from hub.normalize.marks import Mark
from hub.normalize.profile import Profile
from hub.normalize.trace import Sent, Trace, trace
from tests.normalize.devices import CATALOGUE, PROFILES

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
