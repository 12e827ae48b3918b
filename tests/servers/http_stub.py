"""An HTTP server that answers writes by a script: every code, and every way not to answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

import pytest


class Manner(Enum):
    """How an answer leaves."""

    WHOLE = auto()
    HANGING = auto()  # nothing is sent until the client gives up
    TRUNCATED = auto()  # the head promises more than comes before the connection ends
    GARBLED = auto()  # what comes is no HTTP
    RESET = auto()  # the connection ends unanswered
    TRICKLING = auto()  # the head comes, the body never does


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer; ``stores`` tells whether the lines of the request are kept, which a client cannot see."""

    status: int = 204
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    manner: Manner = Manner.WHOLE
    stores: bool = False


OK = Answer(stores=True)


class HttpStub:
    """Takes the answers of ``script`` in turn, then whatever ``judge`` says of the lines (at first: 204, stored).

    ``stored`` maps (series, time) to the fields last written, as a time series store keeps them; ``requests`` are
    path with query and body, in order, ``heads`` their heads; ``writes`` how many lines each write had.
    """

    def __init__(self) -> None:
        self.script: deque[Answer] = deque()
        self.judge: Callable[[Sequence[bytes]], Answer] = lambda _lines: OK
        self.requests: list[tuple[str, bytes]] = []
        self.heads: list[str] = []
        self.stored: dict[tuple[bytes, bytes], bytes] = {}
        self.url = ""

    @property
    def writes(self) -> list[int]:
        return [len(body.split(b"\n")) for path, body in self.requests if "/write" in path]

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection can carry another one."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        self.requests.append((head.split(" ", 2)[1], body))
        self.heads.append(head)
        lines = body.split(b"\n")
        answer = self.script.popleft() if self.script else self.judge(lines)
        if answer.stores:
            self._store(lines)
        await self._send(answer, reader, writer)
        return answer.manner is Manner.WHOLE

    def _store(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            rest, _, time = line.rpartition(b" ")
            series, _, fields = rest.partition(b" ")
            self.stored[series, time] = fields

    @staticmethod
    async def _send(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        promised = len(answer.body)
        match answer.manner:
            case Manner.RESET:
                return
            case Manner.HANGING:
                await reader.read()
                return
            case Manner.GARBLED:
                writer.write(b"\x16\x03\x01 what?\r\n\r\n")
                await writer.drain()
                return
            case Manner.TRUNCATED | Manner.TRICKLING:
                promised += 100
            case Manner.WHOLE:
                pass
        headers = {"Content-Length": str(promised), "Content-Type": "application/json", **answer.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {answer.status} Scripted\r\n{head}\r\n".encode() + answer.body)
        await writer.drain()
        if answer.manner is Manner.TRUNCATED:
            # Closed, not aborted: what was written is to arrive.
            writer.close()
            await writer.wait_closed()
        if answer.manner is Manner.TRICKLING:
            await reader.read()


@pytest.fixture
async def http_stub() -> AsyncIterator[HttpStub]:
    """Give a running stub with an empty script."""
    stub = HttpStub()
    await stub.start()
    yield stub
    await stub.stop()
