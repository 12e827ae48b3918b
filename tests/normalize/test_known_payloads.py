"""A payload that comes again: looked up where it means the same whenever it comes, read again where it does not."""

from __future__ import annotations

import pytest

from hub.errors import PoisonError
from hub.normalize.compile import compile_profile
from hub.normalize.examples import example_bytes
from hub.normalize.handler import KNOWN_BYTES, KNOWN_PAYLOADS, ProfileHandler
from tests.normalize.devices import CATALOGUE, PROFILES, handler

METER = {"payload": {"format": "json"}, "properties": {"volume": {"path": "v", "unit": "m3"}}}


def outcomes(model: str, times: int) -> tuple[list[object], list[tuple[int, int, int]]]:
    """Return what every example of a profile means each time it is heard, and what was counted odd by then."""
    found: list[object] = []
    counts: list[tuple[int, int, int]] = []
    profile = PROFILES[model]
    for example in profile.examples:
        made = compile_profile(profile, CATALOGUE.kind(profile.kind), example.params, "Asia/Shanghai")
        said = () if example.port is None else (example.port,)
        for _ in range(times):
            try:
                found.append(list(made(example_bytes(example), *said)))
            except PoisonError as error:
                found.append(error.code)
        if isinstance(made, ProfileHandler):
            counts.append((made.partials, made.clocks_unset, made.clocks_disagreeing))
    return found, counts


@pytest.mark.parametrize("model", PROFILES)
def test_what_comes_again_means_and_counts_what_it_did_at_first(model: str) -> None:
    once, counted = outcomes(model, 1)
    again, counted_again = outcomes(model, 3)
    assert again == [each for each in once for _ in range(3)]
    assert counted_again == [tuple(3 * count for count in counts) for counts in counted]


def test_a_short_payload_that_comes_again_is_not_read_again() -> None:
    made = handler("water_meter", **METER)
    assert made(b'{"v":1.5}') is made(b'{"v":1.5}')
    long = b'{"v":1.5,"x":"%b"}' % (b"x" * KNOWN_BYTES)
    assert made(long) == made(long)
    assert made(long) is not made(long)


def test_what_tells_a_time_or_who_passed_is_read_each_time() -> None:
    made = handler("water_meter", **METER, time={"from": [{"path": "t", "format": "unix"}]})
    timed = b'{"v":1.5,"t":1761111828}'
    assert made(timed) is not made(timed)
    shape = {"identity": "id", "properties": {"plate": {"path": "p"}}}
    plates = handler("plate_reader", payload={"format": "json"}, messages=[shape])
    assert plates(b'{"p":"A1","id":1}') is not plates(b'{"p":"A1","id":1}')


def test_only_so_many_payloads_are_known() -> None:
    made = handler("water_meter", **METER)
    first = made(b'{"v":0}')
    for number in range(1, KNOWN_PAYLOADS):
        made(b'{"v":%d}' % number)
    assert made(b'{"v":0}') is first
    made(b'{"v":%d}' % KNOWN_PAYLOADS)
    assert made(b'{"v":0}') is not first
    assert made(b'{"v":0}') == first
