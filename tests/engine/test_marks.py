"""Which devices changed since the last checkpoint, and as what each is in it."""

from __future__ import annotations

import msgspec
import pytest

from hub.engine.known import DeviceState, Written
from hub.engine.rows import DeviceRow, Document
from hub.engine.state import MESSAGES_PER_ENTRY, State

KEY = "device/s1/room"


def room(heard_at: int, key: str = "s1/room") -> DeviceState:
    known = DeviceState(heard_at)
    known.key = key
    return known


def taken(state: State) -> dict[str, int | None]:
    """Return when each device of the checkpoint that is being made was heard, None of one that is gone."""
    rows = [*state.take_checkpoint().items()]
    devices = [(key, body) for key, body in rows if key.startswith("device/")]
    assert len(dict(devices)) == len(devices), "each once"
    decode = msgspec.msgpack.Decoder(Written).decode
    return {key: None if body is None else decode(body).heard_awake for key, body in devices}


@pytest.mark.parametrize("is_encoded", [False, True])
def test_a_device_that_changes_while_a_checkpoint_is_made_is_in_it_as_it_was(*, is_encoded: bool) -> None:
    state, known = State(), room(1)
    state.mark(known)
    state.begin_checkpoint()
    if is_encoded:
        assert state.encode_some()
    state.mark(known)
    known.heard_awake = 2
    assert taken(state) == {KEY: 1}
    state.begin_checkpoint()
    assert taken(state) == {KEY: 2}
    state.begin_checkpoint()
    assert taken(state) == {}


def test_a_device_that_is_removed_while_a_checkpoint_is_made_is_gone_in_the_next() -> None:
    state, known = State(), room(1)
    state.mark(known)
    state.begin_checkpoint()
    state.remove_device(known)
    assert taken(state) == {KEY: 1}
    state.begin_checkpoint()
    assert taken(state) == {KEY: None}


def test_a_device_that_was_removed_and_is_there_again_stays() -> None:
    state, former, known = State(), room(1), room(2)
    state.mark(former)
    state.remove_device(former)
    state.mark(known)
    state.begin_checkpoint()
    assert taken(state) == {KEY: 2}


def test_a_device_that_goes_before_the_checkpoint_is_only_gone() -> None:
    state, known = State(), room(1)
    state.mark(known)
    state.remove_device(known)
    state.begin_checkpoint()
    assert taken(state) == {KEY: None}


def test_a_checkpoint_is_made_a_little_at_a_time_and_waits_for_messages_that_pay_for_it() -> None:
    state = State()
    for number in range(100):
        state.mark(room(number, f"s1/{number}"))
    assert state.worth_messages == 100 * MESSAGES_PER_ENTRY
    state.begin_checkpoint()
    assert state.worth_messages == 0
    turns = 1
    while not state.encode_some(1_000):
        turns += 1
    assert turns > 5
    assert len(taken(state)) == 100


def documents_in(state: State) -> dict[str, bytes | None]:
    """Return what the next checkpoint does to the documents, the last word of each."""
    state.begin_checkpoint()
    rows = {key: body for key, body in state.take_checkpoint().rows() if key.startswith("document/")}
    decode = msgspec.msgpack.Decoder(Document).decode
    return {key: None if body is None else decode(body).body for key, body in rows.items()}


def test_of_two_documents_of_a_device_the_newer_is_written_and_one_that_went_is_gone() -> None:
    state, key = State(), f"document/{KEY}"
    former, row = DeviceRow("s1", "room", "environment_sensor"), DeviceRow("s1", "room", "smoke_sensor")
    state.put(KEY, former)
    state.put(KEY, row)
    assert documents_in(state) == {key: row.body}
    state.put(KEY, row)
    state.remove(key)
    assert documents_in(state) == {key: None}
    state.remove(key)
    state.put(KEY, row)
    assert documents_in(state) == {key: row.body}
    state.put(KEY, Document(b"odd"))
    state.put(KEY, row)
    assert documents_in(state) == {key: row.body}
    state.put(KEY, row)
    state.put(KEY, Document(b"odd"))
    assert documents_in(state) == {key: b"odd"}
    assert documents_in(state) == {}
