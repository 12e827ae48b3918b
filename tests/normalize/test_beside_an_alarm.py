"""Nothing that stands beside an alarm costs it, whatever it is: in a payload, in our own words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from hub.errors import PoisonError
from hub.model.heard import Reading
from hub.normalize.compile import compile_profile
from hub.normalize.examples import example_bytes
from hub.normalize.native import compile_native
from hub.normalize.payload import Format
from tests.normalize.devices import CATALOGUE, PROFILES
from tests.normalize.mutations import HOWEVER_ODD, beside

Read = Callable[[bytes], Sequence[Reading]]

PARTS = {"door-id", "doorNo", "part", "port"}
"""Of which door it is must be known: an alarm of another one is no help."""

MODELS = [name for name, profile in PROFILES.items() if profile.payload.format is Format.JSON]
NATIVE = (
    ("smoke_sensor", {"t": 1772366400000, "seq": 3, "boot": "a", "values": {"alarm": True, "battery": 80, "x": 1}}),
    ("access_controller", {"t": 1772366400000, "signals": [{"name": "access.duress", "card": "7"}]}),
    ("panic_button", [{"values": {"battery": 50}}, {"signals": [{"name": "sos.pressed", "press": "long"}]}]),
)


def ending(read: Read, data: bytes) -> str:
    """Return whether there is an alarm, and else why not; any other error is a bug."""
    try:
        return "alarm" if any(reading.critical for reading in read(data)) else "quiet"
    except PoisonError as error:
        return error.code


def costs(read: Read, data: bytes) -> list[bytes]:
    """Return the payloads in which something odd costs an alarm though nothing at all in its place does not."""
    assert ending(read, data) == "alarm"
    return [
        each
        for key, without, odd in beside(data, HOWEVER_ODD)
        if key not in PARTS and ending(read, without) == "alarm"
        for each in odd
        if ending(read, each) not in {"alarm", "too_deep"}
    ]


@pytest.mark.parametrize("name", MODELS)
def test_what_stands_beside_an_alarm_of_a_model_never_costs_it(name: str) -> None:
    kind = CATALOGUE.kind(PROFILES[name].kind)
    for example in PROFILES[name].examples:
        read, data = compile_profile(PROFILES[name], kind, example.params, "Asia/Shanghai"), example_bytes(example)
        if ending(read, data) == "alarm":
            assert costs(read, data) == []


@pytest.mark.parametrize(("kind", "message"), NATIVE, ids=[kind for kind, _ in NATIVE])
def test_what_stands_beside_an_alarm_in_our_own_words_never_costs_it(kind: str, message: object) -> None:
    assert costs(compile_native(CATALOGUE.kind(kind)), msgspec.json.encode(message)) == []
