"""Native commands and responses: the bytes that a device is sent, and what its answer means."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from hub.errors import PoisonError
from hub.model.values import Scalar
from hub.normalize.encode import encode_command
from hub.normalize.responses import Response, compile_response
from tests.normalize.profiles import SENSOR


def test_a_command_says_what_for_whom_and_until_when() -> None:
    args: dict[str, Scalar | timedelta] = {"ttl": timedelta(seconds=5), "by": "guard"}
    payload = encode_command(id="c1", command="unlock", part="door-1", args=args, expires_at=1_763_800_000_123)
    assert msgspec.json.decode(payload) == {
        "id": "c1",
        "command": "unlock",
        "part": "door-1",
        "args": {"ttl": 5_000, "by": "guard"},
        "expires_at": 1_763_800_000_123,
    }


def test_a_command_to_the_device_itself_names_no_part() -> None:
    payload = encode_command(id="c1", command="lock", part="", args={}, expires_at=5)
    assert msgspec.json.decode(payload) == {"id": "c1", "command": "lock", "expires_at": 5}


def test_a_response_is_typed_against_the_kind() -> None:
    decode = compile_response(SENSOR)
    payload = b'{"id":"c1","ok":true,"state":{"temperature":21,"mode":"on","wind":3,"text":null}}'
    assert decode(payload) == Response("c1", ok=True, state={"temperature": 21.0, "mode": "on"})
    assert decode(b'{"id":"c1","ok":false,"code":"door_blocked"}') == Response("c1", ok=False, code="door_blocked")


def test_what_a_response_says_out_of_range_is_bad() -> None:
    said = compile_response(SENSOR)(b'{"id":"c1","ok":true,"state":{"temperature":85.5,"count":0,"lit":true}}')
    assert (said.state, said.bad) == ({"temperature": 85.5, "count": 0, "lit": True}, ("temperature",))


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", "bad_json"),
        (b'{"ok":true}', "bad_value"),
        (b'{"id":"c1"}', "bad_value"),
        (b'{"id":"c1","ok":1}', "bad_value"),
        (b'{"id":"","ok":true}', "bad_value"),
        (rb'{"id":"c1\n","ok":true}', "bad_value"),
        (b'{"id":"c1","ok":true,"code":"Not so"}', "bad_value"),
        (b'{"id":"c1","ok":true,"state":{"mode":"ON"}}', "bad_value"),
        (b'{"id":"c1","ok":true,"state":[]}', "bad_value"),
        (b"[" * 100_000, "too_deep"),
    ],
)
def test_what_is_no_response_is_a_dead_letter(payload: bytes, code: str) -> None:
    with pytest.raises(PoisonError) as caught:
        compile_response(SENSOR)(payload)
    assert caught.value.code == code
