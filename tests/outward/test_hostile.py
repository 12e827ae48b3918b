"""Receivers that trickle, hang, lie or are somebody else, on real sockets: it costs time, and nobody else anything."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Self

import msgspec
import pytest
from pydantic import SecretStr

from hub.clock import SystemClock
from hub.outward.messenger import ANSWER_SECONDS, MOST_HANGING, Messenger, recipients
from hub.outward.parcel import Answer, Parcel, Verdict
from hub.outward.webhook import Webhook
from hub.outward.wording import Notice
from hub.registry.certificates import Authority
from tests.servers.http_thread import HttpThread
from tests.waiting import wait_until

# Apprise 2.3.0 imports it where Python still has it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

NOTICE = msgspec.json.encode(Notice(title="t", body="b", severity="high", moved="raised"))
PARCEL = Parcel(channel="c", lane="l", entry="e", event="id", name="n", kind="k", body=NOTICE, due=0)


class Trickling:
    """A server that answers everybody a byte at a time, for ever; ``asked`` counts them."""

    def __init__(self) -> None:
        self.asked = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        clock = SystemClock()
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await clock.sleep(0.05)


async def test_a_service_that_never_ends_its_answers_holds_up_no_other_channel(
    http_thread: HttpThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = Messenger("good", recipients("good", SecretStr(f"json://127.0.0.1:{http_thread.port}/hook")))
    assert (await good.send(PARCEL)).verdict is Verdict.TAKEN  # it has read all that it needs: that may take seconds
    async with Trickling() as service:
        slow = Messenger("slow", recipients("slow", SecretStr(f"json://127.0.0.1:{service.port}/hook")))
        async with asyncio.TaskGroup() as group:
            hanging = [group.create_task(slow.send(PARCEL)) for _ in range(MOST_HANGING)]
            await wait_until(lambda: service.asked == MOST_HANGING)
            assert (await good.send(PARCEL)).verdict is Verdict.TAKEN
            assert not any(task.done() for task in hanging)
            loop = asyncio.get_running_loop()
            now = loop.time
            monkeypatch.setattr(loop, "time", lambda: now() + ANSWER_SECONDS)  # only now is their time over
        busy = Answer(verdict=Verdict.BUSY, text=f"no end of its answer within {ANSWER_SECONDS:.0f} s")
        assert [task.result() for task in hanging] == [busy] * MOST_HANGING
        assert (await slow.send(PARCEL)).text == f"{MOST_HANGING} messages hang in this service already"
        assert service.asked == MOST_HANGING  # and no thread more

    async def is_over() -> bool:
        return "hang" not in (await slow.send(PARCEL)).text

    await wait_until(is_over)


CUT = b"<cut>"
"""Where an answer comes in pieces."""


@asynccontextmanager
async def answering(raw: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, Sequence[bytes]]]:
    """Answer each request with these bytes; yield the port and the heads that came."""
    heads: list[bytes] = []
    serving = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal serving
        serving += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            for piece in raw.split(CUT):
                writer.write(piece)
                await writer.drain()
                for _ in range(10):  # turns of the loop in which the other side, which is in it too, reads
                    await SystemClock().sleep(0)
            await reader.read()  # until the other side has gone
        writer.transport.abort()
        serving -= 1

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], heads
        await wait_until(lambda: not serving)


async def sent(url: str) -> Answer:
    async with Webhook(url, [b"k" * 32], SystemClock()) as webhook:
        return await webhook.send(PARCEL)


@pytest.mark.parametrize(
    ("raw", "verdict", "says"),
    [
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", Verdict.BUSY, ""),
        (b"HTTP/1.1 500 no\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Verdict.BUSY, ""),
        (b"HTTP/1.1 500 no\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", Verdict.LATER, "500"),
        (b"HTTP/1.1 999 odd\r\nContent-Length: 0\r\n\r\n", Verdict.BUSY, "999"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", Verdict.BUSY, "101"),
        (b"HTTP/1.1 200 ok\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Verdict.BUSY, ""),
        (b"HTTP/1.1 200 ok\r\nContent-Length: 1000000000\r\n\r\n", Verdict.TAKEN, "200"),
        (
            b"HTTP/1.1 302 m\r\nLocation: http://hush/\r\nContent-Length: 0\r\n\r\n",
            Verdict.BUSY,
            "302 redirects are not",
        ),
    ],
)
async def test_an_answer_that_is_none_is_no_end_of_the_forwarder(raw: bytes, verdict: Verdict, says: str) -> None:
    async with answering(raw) as (port, heads):
        answer = await sent(f"http://127.0.0.1:{port}/hook")
    assert (answer.verdict, answer.text.startswith(says), "hush" in answer.text) == (verdict, True, False)
    assert len(heads) == 1


@pytest.mark.parametrize(
    "before",
    [
        b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Con" + CUT + b"tinue\r\n\r\n" + CUT,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 2\r\n\r\nok", b"\r\nok", b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"Content-Le" + CUT + b"ngth: 2\r\n\r\nok", b"Content-Length: 2\r\n" + CUT + b"\r\nok",
    ],
)  # fmt: skip
async def test_who_says_no_content_and_then_some_has_taken_it_and_what_else_it_said_answers_nothing(
    before: bytes, rest: bytes
) -> None:
    async with (
        answering(before + b"HTTP/1.1 204 No Content\r\n" + rest) as (port, heads),
        Webhook(f"http://127.0.0.1:{port}/hook", [b"k" * 32], SystemClock()) as webhook,
    ):
        found = [await webhook.send(PARCEL) for _ in range(2)]  # each on a connection of its own
    assert found == [Answer(verdict=Verdict.TAKEN, text="204")] * 2
    assert len(heads) == 2


@pytest.mark.parametrize(
    ("asked", "after"), [("7", 7), ("99999999999999999999", 0), ("\u00b2", 0), ("86400", 300), ("soon", 0)]
)
async def test_a_receiver_that_is_too_busy_is_left_alone_as_long_as_it_asks_within_reason(
    asked: str, after: int
) -> None:
    raw = f"HTTP/1.1 429 slow\r\nRetry-After: {asked}\r\nContent-Length: 0\r\n\r\n".encode()
    async with answering(raw) as (port, _):
        answer = await sent(f"http://127.0.0.1:{port}/hook")
    assert (answer.verdict, answer.after) == (Verdict.BUSY, timedelta(seconds=after))


async def test_a_receiver_that_accepts_and_hangs_is_given_up_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.outward.webhook.ANSWER_SECONDS", 0.3)
    async with answering(b"HTTP/1.1 100 Continue\r\n\r\n") as (port, _):
        answer = await sent(f"http://127.0.0.1:{port}/hook")
    assert answer == Answer(verdict=Verdict.BUSY, text="no answer within 0 s")


async def test_whoever_cannot_prove_who_it_is_gets_nothing(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path / "ca", SystemClock()).serve(tmp_path / "server", ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with answering(b"HTTP/1.1 200 ok\r\nContent-Length: 0\r\n\r\n", context) as (port, heads):
        answer = await sent(f"https://127.0.0.1:{port}/hook")
    assert answer == Answer(verdict=Verdict.BUSY, text="ClientConnectorCertificateError")
    assert heads == []
