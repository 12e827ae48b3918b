"""Which lines of a write InfluxDB refuses: found with its help, without it, and in spite of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from hub.errors import UnavailableError
from hub.sinks.timeseries.influxdb import InfluxStore
from hub.sinks.timeseries.lines import encode, event_line
from hub.sinks.timeseries.store import Written
from tests.servers.http_stub import OK, Answer, HttpStub
from tests.servers.influxdb import InfluxServer
from tests.sinks.timeseries.samples import NOON, event, series

LINES = encode([(series(), NOON + n, {"v": float(n)}) for n in range(64)])


async def test_of_two_lines_of_one_point_the_later_one_wins_even_after_a_refusal(
    store: InfluxStore, http_stub: HttpStub
) -> None:
    lines = encode([(series(), NOON, {"v": float(n)}) for n in range(16)])
    http_stub.judge = StrictServer([b"bad"]).judge

    await store.write([*lines[:8], b"bad", *lines[8:]])

    assert list(http_stub.stored.values()) == [b"v=15.0"]


async def test_a_body_that_is_too_large_goes_in_halves(store: InfluxStore, http_stub: HttpStub) -> None:
    http_stub.judge = lambda lines: OK if len(lines) <= 10 else Answer(status=413)

    assert (await store.write(LINES)).accepted == 64
    assert len(http_stub.stored) == 64
    assert max(count for count in http_stub.writes if count <= 10) == 8


async def test_a_line_that_is_too_large_by_itself_is_rejected(store: InfluxStore, http_stub: HttpStub) -> None:
    huge = encode([(series(), NOON, {"text": "x" * 5000})])[0]
    http_stub.judge = lambda lines: OK if len(b"\n".join(lines)) <= 4000 else Answer(status=413)

    written = await store.write([*LINES, huge])

    assert (written.accepted, len(http_stub.stored)) == (64, 64)
    assert [line for line, _ in written.rejected] == [huge]
    assert written.rejected[0][1].startswith("too large")


@pytest.mark.parametrize("count", [1, 64])
async def test_a_small_line_cannot_be_too_large_and_waits_for_the_way_to_be_mended(
    store: InfluxStore, http_stub: HttpStub, count: int
) -> None:
    """A proxy that answers 413 to all had cost every point: now no line is blamed, and all come later."""
    http_stub.judge = lambda _: Answer(status=413)

    with pytest.raises(UnavailableError, match="store_takes_no_line"):
        await store.write(LINES[:count])

    http_stub.judge = lambda _: OK
    assert await store.write(LINES[:count]) == Written(accepted=count, rejected=[])


async def test_however_little_a_server_takes_at_once_only_what_it_blames_is_rejected(
    store: InfluxStore, http_stub: HttpStub
) -> None:
    """It stores nothing of what is too large: a small limit had cost all that 200 requests did not get through."""
    lines = encode([(series(), NOON + n, {"v": float(n)}) for n in range(512)])
    strict = StrictServer([lines[500]])
    http_stub.judge = lambda some: strict.judge(some) if len(some) <= 2 else Answer(status=413)

    written = await store.write(lines)

    assert [line for line, _ in written.rejected] == [lines[500]]
    assert written.accepted == len(http_stub.stored) == 511


class StrictServer:
    """Refuses a write whole for one bad line, and says nothing about which: worse than any InfluxDB."""

    def __init__(self, bad: Sequence[bytes]) -> None:
        self.bad = set(bad)

    def judge(self, lines: Sequence[bytes]) -> Answer:
        return Answer(status=422, body=b'{"message":"no"}') if self.bad.intersection(lines) else OK


@pytest.mark.parametrize("bad", [[0], [63], [5, 6], [0, 31, 32, 63], list(range(0, 64, 2)), list(range(64))])
async def test_bad_lines_are_found_without_any_help(store: InfluxStore, http_stub: HttpStub, bad: list[int]) -> None:
    http_stub.judge = StrictServer([LINES[number] for number in bad]).judge

    written = await store.write(LINES)

    assert {line for line, _ in written.rejected} == {LINES[number] for number in bad}
    assert {reason for _, reason in written.rejected} == {"no"}
    assert written.accepted == 64 - len(bad) == len(http_stub.stored)


async def test_the_search_for_bad_lines_ends(store: InfluxStore, http_stub: HttpStub) -> None:
    lines = encode([(series(), NOON + n, {"v": float(n)}) for n in range(5000)])
    http_stub.judge = StrictServer(lines[::2]).judge

    written = await store.write(lines)

    assert len(http_stub.requests) <= 220
    assert set(lines[::2]) <= {line for line, _ in written.rejected}
    assert written.accepted + len(written.rejected) == 5000


async def test_lines_that_the_server_numbers_are_tried_first(store: InfluxStore, http_stub: HttpStub) -> None:
    strict = StrictServer([LINES[9], LINES[40]])

    def numbering(lines: Sequence[bytes]) -> Answer:
        numbers = [number for number, line in enumerate(lines, 1) if line in strict.bad]
        told = ",".join(f'{{"original_line":"…","line_number":{number},"error_message":"x"}}' for number in numbers)
        body = f'{{"error":"partial write of line protocol occurred","data":[{told}]}}'
        return Answer(status=400, body=body.encode()) if numbers else OK

    http_stub.judge = numbering

    written = await store.write(LINES)

    assert sorted(line for line, _ in written.rejected) == sorted([LINES[9], LINES[40]])
    assert http_stub.writes == [64, 2, 62]


async def test_a_server_that_numbers_the_wrong_lines_costs_requests_but_no_line(
    store: InfluxStore, http_stub: HttpStub
) -> None:
    strict = StrictServer([LINES[9]])

    def wrong(lines: Sequence[bytes]) -> Answer:
        if not strict.bad.intersection(lines):
            return OK
        number = lines.index(LINES[9])
        return Answer(status=400, body=b'{"error":"partial write","data":[{"line_number":%d}]}' % number)

    http_stub.judge = wrong

    written = await store.write(LINES)

    assert [line for line, _ in written.rejected] == [LINES[9]]
    assert len(http_stub.stored) == 63


@pytest.fixture
async def real(influxdb: InfluxServer, deadline: timedelta) -> AsyncIterator[InfluxStore]:
    async with InfluxStore(url=influxdb.url, token="", org="", bucket="hub", deadline=deadline) as opened:
        yield opened


async def test_points_that_come_with_refused_ones_are_all_there(real: InfluxStore, influxdb: InfluxServer) -> None:
    await real.write(encode([(series(), NOON, {"v": 0.0})]))
    conflicting = encode([(series(), NOON + n, {"v": "text"}) for n in range(1, 4000, 2)])
    good = encode([(series(), NOON + n, {"v": float(n)}) for n in range(2, 4000, 2)])
    unparsable = [b"smoke_sensor,site=x v=1x %d" % n for n in range(50)]
    mixed = [line for three in zip(conflicting, good, unparsable * 40, strict=False) for line in three]

    written = await real.write(mixed)

    assert written.accepted == 1999
    assert {line for line, _ in written.rejected} == set(conflicting[:1999]) | set(unparsable)
    stored = await influxdb.ask("SELECT v FROM smoke_sensor")
    assert stored == [[NOON, 0], *([NOON + n, n] for n in range(2, 4000, 2))]


async def test_points_beyond_the_retention_are_rejected_alone(real: InfluxStore, influxdb: InfluxServer) -> None:
    await influxdb.ask("ALTER RETENTION POLICY autogen ON hub DURATION 520w")
    old = encode([(series(), n, {"v": 1.0}) for n in range(1, 1000)])
    new = encode([(series(), NOON + n, {"v": 1.0}) for n in range(1000)])
    mixed = [line for pair in zip(old, new, strict=False) for line in pair] + new[999:]

    written = await real.write(mixed)

    assert {line for line, _ in written.rejected} == set(old)
    assert await influxdb.ask("SELECT count(v) FROM smoke_sensor") == [[0, 1000]]


async def test_nothing_that_a_device_says_makes_a_measurement(real: InfluxStore, influxdb: InfluxServer) -> None:
    attack = "x v=0 1\nadmin,role=root v=1"
    await real.write(encode([(series(part=attack), NOON, {"text": attack, attack: attack})]))
    await real.write([event_line(event(part=attack, data=attack, name=attack))])

    assert await influxdb.ask("SHOW MEASUREMENTS") == [["event"], ["smoke_sensor"]]
    assert await influxdb.ask('SHOW TAG KEYS FROM "smoke_sensor"') == [
        [name] for name in ("building", "device", "part", "profile", "site")
    ]
