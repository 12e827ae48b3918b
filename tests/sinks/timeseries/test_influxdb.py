"""The InfluxDB store against a server that says, or fails to say, everything a server can."""

from __future__ import annotations

import gc
from contextlib import suppress
from datetime import timedelta
from types import FrameType

import pytest

from hub.errors import PoisonError, UnavailableError
from hub.services.child import free_port
from hub.sinks.timeseries.influxdb import InfluxStore
from hub.sinks.timeseries.lines import encode
from hub.sinks.timeseries.query import telemetry
from hub.sinks.timeseries.refusal import words_of
from hub.sinks.timeseries.store import Span
from tests.servers.http_stub import Answer, HttpStub, Manner
from tests.servers.influxdb import InfluxServer
from tests.sinks.timeseries.samples import NOON, series
from tests.sinks.timeseries.waits import PATIENT, SOON
from tests.waiting import wait_until

SILENT = {Manner.HANGING, Manner.TRICKLING}

LINES = encode([(series(), NOON + n, {"v": float(n)}) for n in range(64)])

EVERYTHING = telemetry("smoke_sensor", Span(since=0, until=2 * NOON), {})


def timed(*rows: tuple[Answer, str]) -> list[tuple[Answer, str, timedelta]]:
    """Return each answer with its deadline: only one that never comes is not waited for as a busy machine needs it."""
    return [(answer, code, SOON if answer.manner in SILENT else PATIENT) for answer, code in rows]


async def test_a_write_is_one_request_of_all_the_lines(store: InfluxStore, http_stub: HttpStub) -> None:
    assert (await store.write(LINES)).accepted == 64

    assert http_stub.requests == [("/api/v2/write?org=o&bucket=hub&precision=ns", b"\n".join(LINES))]


async def test_a_write_of_megabytes_goes_in_bodies_of_one(store: InfluxStore, http_stub: HttpStub) -> None:
    lines = encode([(series(), NOON + n, {"text": "x" * 900}) for n in range(3000)])

    assert (await store.write(lines)).accepted == 3000
    assert len(http_stub.stored) == 3000
    assert sum(http_stub.writes) == 3000
    assert max(len(body) for _, body in http_stub.requests) <= 1_000_000


@pytest.mark.parametrize(
    ("answer", "code", "deadline"),
    timed(
        (Answer(status=401, body=b'{"code":"unauthorized","message":"unauthorized access"}'), "store_unauthorized"),
        (Answer(status=403, body=b'{"code":"forbidden"}'), "store_forbidden"),
        (Answer(status=404, body=b'{"code":"not found","message":"bucket \\"hub\\" not found"}'), "bucket_not_found"),
        (Answer(status=404, body=b"404 page not found\n"), "store_too_old"),
        (Answer(status=429), "store_busy"),
        (Answer(status=500, body=b'{"error":"timeout"}'), "store_failed"),
        (Answer(status=502, body=b"<html>"), "store_failed"),
        (Answer(status=503), "store_busy"),
        (Answer(status=599), "store_failed"),
        (Answer(status=302, headers={"Location": "/login"}), "store_failed"),
        (Answer(status=200, body=b"<html>welcome</html>"), "garbled_answer"),
        (Answer(status=400, body=b"<html>The plain HTTP request was sent to HTTPS port</html>"), "garbled_answer"),
        (Answer(status=400, body=b'{"code":"invalid","message":"Please provide either orgID or org"}'), "org_missing"),
        (Answer(status=400, body=b'{"error":"partial wr'), "garbled_answer"),
        (Answer(status=422), "garbled_answer"),
        (Answer(status=400, body=b'{"error":"par', manner=Manner.TRUNCATED), "store_unreachable"),
        (Answer(manner=Manner.GARBLED), "store_unreachable"),
        (Answer(manner=Manner.RESET), "store_unreachable"),
        (Answer(manner=Manner.HANGING), "store_unreachable"),
        (Answer(status=500, manner=Manner.TRICKLING), "store_unreachable"),
    ),
)
async def test_an_answer_that_blames_no_line_rejects_none_and_the_next_write_goes_through(
    store: InfluxStore, http_stub: HttpStub, answer: Answer, code: str
) -> None:
    http_stub.script.append(answer)

    with pytest.raises(UnavailableError) as failed:
        await store.write(LINES)

    assert failed.value.code == code
    assert (await store.write(LINES)).accepted == 64
    assert len(http_stub.stored) == 64


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "99999"}, 300),
        ({"Retry-After": "Tue, 31 Mar 2026 12:00:30 GMT", "Date": "Tue, 31 Mar 2026 12:00:00 GMT"}, 30),
        ({"Retry-After": "Tue, 31 Mar 2026 11:00:00 GMT", "Date": "Tue, 31 Mar 2026 12:00:00 GMT"}, 0),
        ({"Retry-After": "Tue, 31 Mar 2026 12:00:30 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_the_servers_wish_to_be_left_alone_is_passed_on(
    store: InfluxStore, http_stub: HttpStub, status: int, headers: dict[str, str], seconds: int | None
) -> None:
    http_stub.script.append(Answer(status=status, headers=headers))

    with pytest.raises(UnavailableError) as failed:
        await store.write(LINES)

    assert failed.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))


async def test_a_server_that_is_not_there_is_unavailable(deadline: timedelta) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with InfluxStore(url=url, token="", org="", bucket="hub", deadline=deadline) as store:
        with pytest.raises(UnavailableError, match="store_unreachable"):
            await store.write(LINES)
        with pytest.raises(UnavailableError, match="store_unreachable"):
            await store.ping()
        with pytest.raises(UnavailableError, match="store_unreachable"):
            await store.query(EVERYTHING)


@pytest.mark.parametrize(
    ("manner", "deadline"), [(Manner.HANGING, SOON), (Manner.TRUNCATED, PATIENT), (Manner.RESET, PATIENT)]
)
async def test_a_write_that_was_stored_but_not_answered_is_stored_once_after_the_next(
    store: InfluxStore, http_stub: HttpStub, manner: Manner
) -> None:
    http_stub.script.append(Answer(status=500, manner=manner, stores=True))

    with pytest.raises(UnavailableError):
        await store.write(LINES)
    await store.write(LINES)

    assert len(http_stub.stored) == 64


def held_calls() -> list[str]:
    """Return the calls of the client that are over, and are held all the same, with all that they were given."""
    calls = (each.f_code for each in gc.get_objects() if isinstance(each, FrameType))
    return [call.co_qualname for call in calls if "influxdb_client" in call.co_filename]


@pytest.mark.parametrize(
    ("answer", "deadline"),
    [
        (None, PATIENT),
        (Answer(status=503), PATIENT),
        (Answer(status=400, body=b"who knows"), PATIENT),
        (Answer(manner=Manner.RESET), PATIENT),
        (Answer(manner=Manner.TRUNCATED), PATIENT),
        (Answer(manner=Manner.HANGING), SOON),
    ],
)
async def test_nobody_holds_what_a_write_could_not_store(
    store: InfluxStore, http_stub: HttpStub, answer: Answer | None
) -> None:
    if answer is None:
        await http_stub.stop()
    else:
        http_stub.script.append(answer)
    gc.collect()
    gc.disable()  # it looks so seldom that a store which is away for long would fill memory
    try:
        with suppress(UnavailableError):
            await store.write(LINES)
        await wait_until(lambda: not held_calls())  # the loop holds the last one for a turn
    finally:
        gc.enable()


@pytest.mark.parametrize("status", [201, 400, 500])
async def test_an_answer_without_an_end_is_not_read_to_it(store: InfluxStore, http_stub: HttpStub, status: int) -> None:
    """By the deadline of 10 s a store that sends on and on had filled the memory, and the hub was gone."""
    http_stub.script.append(Answer(status=status, body=b"x" * 64 * 2**20, headers={"Content-Type": "text/plain"}))
    with pytest.raises(UnavailableError, match="without an end"):
        await store.write(LINES)
    assert (await store.write(LINES)).accepted == len(LINES)


async def test_a_bucket_that_is_missing_is_waited_for(influxdb: InfluxServer, deadline: timedelta) -> None:
    async with InfluxStore(url=influxdb.url, token="", org="", bucket="none", deadline=deadline) as store:
        with pytest.raises(UnavailableError, match="bucket_not_found"):
            await store.write(LINES)
        with pytest.raises(UnavailableError, match="query_failed"):
            await store.query(EVERYTHING)


# -------------------------------------------------------------------------------------------------- questions


@pytest.mark.parametrize(
    ("answer", "code", "deadline"),
    timed(
        (Answer(status=401), "store_unauthorized"),
        (Answer(status=500), "query_failed"),
        (Answer(status=302, headers={"Location": "/login"}), "query_failed"),
        (Answer(status=200, body=b"<html>"), "garbled_answer"),
        (Answer(status=200, body=b'{"results":[', manner=Manner.TRUNCATED), "store_unreachable"),
        (Answer(manner=Manner.HANGING), "store_unreachable"),
    ),
)
async def test_a_question_without_an_answer_is_unavailable(
    store: InfluxStore, http_stub: HttpStub, answer: Answer, code: str
) -> None:
    http_stub.script.append(answer)

    with pytest.raises(UnavailableError) as failed:
        await store.query(EVERYTHING)

    assert failed.value.code == code


async def test_a_question_that_the_server_refuses_is_poison(store: InfluxStore, http_stub: HttpStub) -> None:
    http_stub.script.append(Answer(status=400, body=b'{"error":"error parsing query"}'))

    with pytest.raises(PoisonError, match="error parsing query"):
        await store.query(EVERYTHING)


async def test_a_ping_that_is_refused_is_unavailable(store: InfluxStore, http_stub: HttpStub) -> None:
    http_stub.script.append(Answer(status=503))

    with pytest.raises(UnavailableError, match="ping_refused"):
        await store.ping()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>welcome</html>", "<html>welcome</html>"),
        ('{"error":"timeout at plate_reader,site=s1 plate=\\"鲁B12345\\""}'.encode(), "timeout at plate_reader,site"),
        ("""{"message":"cannot take 'plate_reader plate=鲁B12345'"}""".encode(), "cannot take"),
        ('{"broken: "鲁B12345"}'.encode(), "{"),
        (b"", ""),
    ],
)
def test_what_a_store_says_is_told_up_to_where_it_may_repeat_what_was_sent(body: bytes, words: str) -> None:
    assert words_of(body) == words
