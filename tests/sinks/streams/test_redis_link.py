"""One connection to Redis: what comes back is read whole, and belongs to what was asked."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import FrameType
from typing import cast

import pytest
from typing_extensions import override

from hub.errors import UnavailableError
from hub.sinks import redis_link
from hub.sinks.redis_link import Link, RedisAddress, pack
from tests.servers.silence import silent_first
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until


class Teller(asyncio.Protocol):
    """A server that answers the first thing it hears in ``pieces``, one a turn of the loop."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.has_ended = False
        self._pieces = deque(pieces)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self._pieces:
            self._transport.write(self._pieces.popleft())
            asyncio.get_running_loop().call_soon(self.data_received, b"")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.has_ended = True


@asynccontextmanager
async def told(*pieces: bytes) -> AsyncIterator[Link]:
    """Open a connection to a server that answers in these pieces."""
    teller = Teller(pieces)
    server = await asyncio.get_running_loop().create_server(lambda: teller, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        async with Link(RedisAddress(url=f"redis://127.0.0.1:{port}/0")) as link:
            yield link
        await wait_until(lambda: teller.has_ended)


async def test_answers_that_come_in_pieces_are_put_together() -> None:
    async with told(b"+O", b"K\r\n*2\r\n$1\r\n", b"a\r\n:7\r\n-ERR no\r\n$-1\r\n") as link:
        first, second, third, fourth = await link.exchange([pack("PING")] * 4, 4)
        assert (first, second, str(third), fourth) == (b"OK", [b"a", 7], "no", None)
        assert link.is_open


@pytest.mark.parametrize(
    "pieces",
    [[b"-LOADING Redis is loading the dataset in memory\r\n"], [b"?\r\n"], [b"+OK\r\n+TOO MUCH\r\n"]],
    ids=["it loads its files", "it is no Redis", "it says more than it was asked"],
)
async def test_what_is_no_answer_ends_the_connection(pieces: Sequence[bytes]) -> None:
    async with told(*pieces) as link:
        try:
            await link.exchange([pack("PING")], 1)
        except UnavailableError as error:
            assert error.code == "redis_unreachable"  # noqa: PT017 -- what is too much may come behind the answer
        await wait_until(lambda: not link.is_open)
        with pytest.raises(UnavailableError, match="connection is closed"):
            await link.ask("PING")


async def test_a_server_that_is_gone_is_noticed_without_asking_and_found_again(valkey: ValkeyServer) -> None:
    async with valkey.link() as link:
        assert await link.ask("PING") == b"PONG"
        valkey.kill()
        await wait_until(lambda: not link.is_open)
        valkey.start()
        await link.open()
        assert await link.ask("PING") == b"PONG"


async def test_a_transaction_is_sent_and_read_in_few_steps(valkey: ValkeyServer) -> None:
    packed = [pack("MULTI"), *(pack("HSET", "h", n, n) for n in range(10)), pack("EXEC")]
    calls: list[str] = []

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    async with valkey.link() as link:
        await link.exchange(packed, 12)
        gc.disable()  # what others have left does not end meanwhile
        sys.setprofile(count)
        try:
            await link.exchange(packed, 12)
        finally:
            sys.setprofile(None)
            gc.enable()
    assert calls.count("_take") == 12
    assert len(calls) < 80, calls  # redis-py itself takes 150


async def test_a_link_that_timed_out_is_closed_and_says_so(valkey: ValkeyServer) -> None:
    async with valkey.link() as link:
        assert await link.ask("PING") == b"PONG"
        valkey.pause()
        link._answer_seconds = 0.05  # noqa: SLF001 -- no sooner: a server that works may take longer
        with pytest.raises(Exception, match="redis_unreachable"):
            await link.ask("PING")
        assert not link.is_open
        with pytest.raises(Exception, match="connection is closed"):
            await link.ask("PING")
        valkey.resume()


async def test_a_server_that_accepts_and_says_nothing_is_given_up_long_before_an_answer_would_be(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "CONNECT_SECONDS", 0.05)
    valkey.pause()
    with pytest.raises(UnavailableError, match="redis_unreachable"):
        await Link(valkey.address, answer_seconds=600).open()
    valkey.resume()


async def test_a_link_that_was_cancelled_half_way_never_takes_an_answer_for_another(valkey: ValkeyServer) -> None:
    link = valkey.link()
    async with link:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await link.ask("BLPOP", "nothing", 1)
        assert not link.is_open
        await link.open()
        assert await link.ask("PING") == b"PONG"


async def test_a_server_is_reached_by_its_second_address_where_nothing_answers_at_the_first(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = valkey.address.url.replace("127.0.0.1", "redis.test")
    with silent_first(monkeypatch, valkey.port):
        async with Link(RedisAddress(url=url, password=valkey.address.password)) as link:
            assert await link.ask("PING") == b"PONG"
