"""InfluxDB 2 and 3 (and what speaks their write API): lines in through influxdb-client, rows out through InfluxQL."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from http import HTTPStatus
from traceback import clear_frames
from types import TracebackType
from typing import Final, Self

import aiohttp
import msgspec
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException
from typing_extensions import override

from hub.errors import PoisonError, UnavailableError
from hub.sinks.retry_after import retry_after
from hub.sinks.timeseries.query import influxql, read_answer
from hub.sinks.timeseries.refusal import TOO_LARGE, Refusal, read_refusal, words_of
from hub.sinks.timeseries.store import Query, Row, Written

REQUESTS_MAX: Final = 200
"""Per write. Past it a refused group is rejected whole: InfluxDB has stored its good lines, only the count is high.

A server that stores nothing of what it refuses, and does not say why, would lose them: reported, and counted.
"""
BODY_BYTES_MAX: Final = 1_000_000
"""aiohttp sends larger bodies in one go too, and warns that this holds up the loop."""
SMALL_BYTES: Final = 1024
"""No server has a limit below it: who answers 413 to one such line takes nothing at all, and no line is to blame."""
_CONNECT_SECONDS: Final = 3
_ANSWER_BYTES_MAX: Final = 16 * 2**20
"""To a write; what blames each of its lines is a few MB. One without an end would fill the memory by the deadline."""

_BLAMES_LINES: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
_CODES: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "store_unauthorized",
    HTTPStatus.FORBIDDEN: "store_forbidden",
    HTTPStatus.NOT_FOUND: "bucket_not_found",
    HTTPStatus.TOO_MANY_REQUESTS: "store_busy",
    HTTPStatus.SERVICE_UNAVAILABLE: "store_busy",
}
_NO_SUCH_PAGE: Final = b"404 page not found"
"""What 1.6.7 answers to a write of version 2; a bucket that is not there is a JSON document."""
_NO_ORG: Final = "Please provide either orgID or org"
"""What 2.x says, with 400, while ``timeseries.org`` is empty: of all that is written, and of no line of it."""
_TOO_OLD: Final = "InfluxDB 1.8 or newer is needed (or is timeseries.url another server's?)"

_TOO_LITTLE: Final = "mend the limit of bodies of what stands before the store"


class _ShortAnswer(aiohttp.ClientResponse):
    """An answer to a write; of a longer one nobody needs the end."""

    @override
    async def read(self) -> bytes:
        found = bytearray()
        try:
            while len(found) <= _ANSWER_BYTES_MAX and (chunk := await self.content.readany()):
                found += chunk
        except BaseException:
            self.close()
            raise
        if len(found) > _ANSWER_BYTES_MAX:
            self.close()
            raise aiohttp.ClientPayloadError("an answer without an end")  # noqa: TRY003 -- aiohttp's own
        return bytes(found)


class InfluxStore:
    """A :class:`hub.sinks.timeseries.store.Store` at ``url``; ``deadline`` is for a whole request.

    InfluxDB 2 needs a DBRP mapping of the name of the bucket to answer questions; 1.8 and 3 need nothing.
    """

    def __init__(self, *, url: str, token: str, org: str, bucket: str, deadline: timedelta) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._org = org
        self._bucket = bucket
        self._headers = {"Authorization": f"Token {token}"} if token else {}
        self._timeout = aiohttp.ClientTimeout(total=deadline.total_seconds(), sock_connect=_CONNECT_SECONDS)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            client = InfluxDBClientAsync(
                self._url,
                self._token,
                self._org,
                timeout=self._timeout,
                allow_redirects=False,
                client_session_kwargs={"response_class": _ShortAnswer},
            )
            self._writes = (await opened.enter_async_context(client)).write_api()
            self._http = await opened.enter_async_context(
                aiohttp.ClientSession(timeout=self._timeout, headers=self._headers)
            )
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def write(self, lines: Sequence[bytes]) -> Written:
        """Store ``lines``. A refused group is split until every line of it is accepted, or blamed.

        That a server stores the good lines of a group that it refuses is not relied upon.
        """
        rejected: list[tuple[bytes, str]] = []
        waiting = deque(_bodies(lines))
        requests = 0
        while waiting:
            group = waiting.popleft()
            refusal = await self._post(group)
            requests += -1 if refusal is TOO_LARGE else 1  # which makes one group two: that is no search, and ends
            if refusal is None:
                continue
            if refusal is TOO_LARGE and len(group) == 1 and len(group[0]) < SMALL_BYTES:
                raise UnavailableError("store_takes_no_line", "413 to a small line", hint=_TOO_LITTLE)
            if len(group) == 1 or requests > REQUESTS_MAX or refusal.condemns(group):
                rejected += [(line, refusal.reason(line)) for line in group]
            else:
                # In front and in order: of two lines of one point the later one is to win.
                waiting.extendleft(reversed(refusal.split(group)))
        return Written(accepted=len(lines) - len(rejected), rejected=rejected)

    async def _post(self, lines: Sequence[bytes]) -> Refusal | None:
        try:
            # Bytes pass through the client as they are, with ns as its default: 0.26 ms a call and 0.4 us a line.
            stored = await self._writes.write(self._bucket, self._org, b"\n".join(lines))
        except ApiException as error:
            _let_go(error)
            return _refusal(error)
        except (aiohttp.ClientError, OSError) as error:
            _let_go(error)
            raise UnavailableError("store_unreachable", str(error) or type(error).__name__) from error
        if not stored:
            raise UnavailableError("garbled_answer", "the store said neither 201 nor 204 to a write")
        return None

    async def query(self, select: Query) -> list[Row]:
        text, parameters = influxql(select)
        asked = {"db": self._bucket, "epoch": "ns", "q": text, "params": msgspec.json.encode(parameters).decode()}
        status, body = await self._get("/query", asked)
        if status in _BLAMES_LINES:
            raise PoisonError("query_refused", body[:200].decode("utf-8", "replace"))
        if status != HTTPStatus.OK:
            raise UnavailableError(_CODES.get(status, "query_failed"), status=status)
        return read_answer(body)

    async def ping(self) -> None:
        status, _ = await self._get("/ping", {})
        if status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            raise UnavailableError("ping_refused", status=status)

    async def _get(self, path: str, parameters: dict[str, str]) -> tuple[int, bytes]:
        try:
            async with self._http.get(self._url + path, params=parameters, allow_redirects=False) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, OSError) as error:
            raise UnavailableError("store_unreachable", str(error) or type(error).__name__) from error


def _bodies(lines: Sequence[bytes]) -> Iterator[list[bytes]]:
    body: list[bytes] = []
    size = 0
    for line in lines:
        size += len(line) + 1
        if body and size > BODY_BYTES_MAX:
            yield body
            body, size = [], len(line) + 1
        body.append(line)
    if body:
        yield body


def _let_go(error: Exception) -> None:
    """Let ``error``, and what caused it, hold nothing of the calls that it came through.

    They and it hold each other, and the body that was to be written, until the collector looks, which it does seldom:
    of a store that was away 11 MiB a minute were left at 2,000 messages a second (five times 20 s).
    """
    for each in (error, error.__cause__, error.__context__):
        if each is not None:
            clear_frames(each.__traceback__)


def _refusal(error: ApiException) -> Refusal:
    """Return how the answer blames the lines; raises UnavailableError when it does not."""
    status, body = error.status or 0, error.body or b""
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TOO_LARGE
    refusal = read_refusal(body) if status in _BLAMES_LINES else None
    if refusal is not None and refusal.text.startswith(_NO_ORG):
        raise UnavailableError("org_missing", refusal.text, hint="InfluxDB 2 needs timeseries.org") from error
    # A 400 that is not a store's own (a proxy's page, half an answer) says nothing about the lines.
    if refusal is None:
        code = "garbled_answer" if status in _BLAMES_LINES else _CODES.get(status, "store_failed")
        if status == HTTPStatus.NOT_FOUND and body.strip() == _NO_SUCH_PAGE:
            raise UnavailableError("store_too_old", "it takes no points at /api/v2/write", hint=_TOO_OLD) from error
        raise UnavailableError(
            code, words_of(body), retry_after=retry_after(error.headers or {}), status=status
        ) from error
    return refusal
