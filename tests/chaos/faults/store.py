"""InfluxDB refuses, hangs, is slow, answers every code that it knows, or half of an answer."""

from __future__ import annotations

import resource
from dataclasses import replace
from functools import partial
from http import HTTPStatus

from tests.chaos.faults.fault import Fault
from tests.chaos.storm import RATE, Storm
from tests.servers.http_stub import Answer, Manner
from tests.waiting import wait_until

BEHIND = frozenset({"timeseries_behind"})
SLOW_SECONDS = 1.5
BODY_BYTES = 2_000
INVALID = b'{"code": "invalid", "message": "unable to parse: it says so of a line and means the server\'s own trouble"}'


async def refuse(storm: Storm) -> None:
    """Let nobody listen."""
    influxdb = storm.town.influxdb
    await influxdb.close()
    influxdb.kill()
    await storm.until_said(*BEHIND)
    await influxdb.start()
    await influxdb.open()


async def hang(storm: Storm) -> None:
    """Let it take requests and answer none."""
    influxdb = storm.town.influxdb
    influxdb.pause()
    await storm.until_said(*BEHIND)
    influxdb.resume()


async def fill(storm: Storm) -> None:
    """Let no file of it grow, as on a full disk. It answers 500, also when there is room again, until it is restarted.

    So does influxd 1.6.7: what could not be written to its write-ahead log is refused from then on (measured).
    """
    influxdb, limit = storm.town.influxdb, resource.RLIMIT_FSIZE
    resource.prlimit(influxdb.pid, limit, (1, resource.prlimit(influxdb.pid, limit)[1]))
    await storm.until_said(*BEHIND)
    influxdb.kill()
    await influxdb.start()


async def slow(storm: Storm) -> None:
    """Let every answer take its time."""
    influxdb = storm.town.influxdb
    influxdb.latency_seconds = SLOW_SECONDS
    await storm.publisher.until_acked(4 * RATE)
    influxdb.latency_seconds = 0


async def answer(said: Answer, storm: Storm) -> None:
    """Let every write be answered so until the hub says that it is behind."""
    influxdb = storm.town.influxdb
    influxdb.answer = said
    await storm.until_said(*BEHIND)
    influxdb.answer = None


async def blame_once(storm: Storm) -> None:
    """Let a write be blamed on its lines, three times: halves of it are taken."""
    influxdb = storm.town.influxdb
    for _ in range(3):
        await storm.publisher.until_acked(RATE)
        influxdb.script.append(Answer(status=HTTPStatus.UNPROCESSABLE_ENTITY, body=INVALID))
        await wait_until(lambda: not influxdb.script)


async def too_large(storm: Storm) -> None:
    """Let it take small bodies only."""
    influxdb = storm.town.influxdb
    influxdb.body_limit_bytes = BODY_BYTES
    await storm.publisher.until_acked(2 * RATE)
    influxdb.body_limit_bytes = None


async def conflict(storm: Storm) -> None:
    """Let some points clash with the type of a field that is there: the server stores the others and says 400."""
    await storm.town.influxdb.write(b'environment_sensor,device=strange humidity="moist"')
    storm.publisher.is_humid = True
    await storm.publisher.until_acked(RATE)
    storm.publisher.is_humid = False
    storm.rejected |= storm.publisher.humid


def _row(name: str, does: str, said: Answer) -> Fault:
    return Fault(name=f"InfluxDB {name}", does=does, strike=partial(answer, said), says=BEHIND)


def _status(status: HTTPStatus, does: str, **headers: str) -> Fault:
    return _row(f"answers {status.value}", does, Answer(status=status, body=b"{}", headers=headers))


ROWS = (
    Fault(name="InfluxDB refuses connections", does="killed, nobody listens", strike=refuse, says=BEHIND),
    Fault(name="InfluxDB hangs", does="SIGSTOP: requests are taken, answers do not come", strike=hang, says=BEHIND),
    Fault(
        name="InfluxDB's disk is full",
        does="RLIMIT_FSIZE: its write-ahead log cannot grow; then there is room, and it is started again",
        strike=fill,
        says=BEHIND,
    ),
    Fault(name="InfluxDB is slow", does=f"every answer takes {SLOW_SECONDS} s", strike=slow),
    Fault(
        name="InfluxDB answers 400, partial write",
        does="a real conflict of types: some points are refused for good and counted, their neighbours stored",
        strike=conflict,
    ),
    replace(_status(HTTPStatus.UNAUTHORIZED, "the token is worth nothing for a while"), is_long=True),
    _status(HTTPStatus.NOT_FOUND, "the bucket is gone for a while"),
    Fault(name="InfluxDB answers 413", does=f"bodies over {BODY_BYTES} bytes are refused", strike=too_large),
    Fault(name="InfluxDB answers 422", does="three writes are blamed on their lines without cause", strike=blame_once),
    _status(HTTPStatus.TOO_MANY_REQUESTS, "with Retry-After: 1", **{"Retry-After": "1"}),
    _status(HTTPStatus.INTERNAL_SERVER_ERROR, "every write fails"),
    _status(HTTPStatus.SERVICE_UNAVAILABLE, "every write fails"),
    _row(
        "cuts its answers",
        "every write is stored, and the connection ends in the middle of saying so",
        Answer(status=HTTPStatus.OK, body=b"{", manner=Manner.TRUNCATED, stores=True),
    ),
)
