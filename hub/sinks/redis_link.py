"""One connection to Redis or Valkey: packed commands out, answers in, every failure an UnavailableError."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias, cast

import hiredis
from pydantic import SecretStr
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from hub.errors import ConfigError, UnavailableError

ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 2.0

Argument: TypeAlias = str | bytes | int
Answer: TypeAlias = "bytes | int | list[Answer] | ResponseError | None"
"""What the server says. Statuses are bytes; an error answer is a value, because the answers after it still come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where a server is: ``redis://``, ``rediss://`` or ``unix://``; ``password`` wins over one in the URL."""

    url: str
    password: SecretStr | None = None

    def connection(self) -> AbstractConnection:
        """Return a connection that is not open yet; ConfigError ``redis_url_invalid``."""
        try:
            options = dict(parse_url(self.url))
        except ValueError as error:
            raise ConfigError("redis_url_invalid", str(error), hint="redis://host:6379/0") from error
        # Called through a Callable: which options there are depends on the scheme, which is only known here.
        sort = cast("Callable[..., AbstractConnection]", options.pop("connection_class", Connection))
        if self.password is not None:
            options["password"] = self.password.get_secret_value()
        # RESP2: flat lists, and no HELLO, so that proxies and old servers answer too. One timeout spans a whole
        # exchange (see Link.exchange); one per answer would cost 1.5 us for each QUEUED.
        options |= {"protocol": 2, "socket_timeout": None, "socket_connect_timeout": CONNECT_SECONDS}
        return sort(driver_info=None, **options)


# 2.1 us for an event against 23 in a redis-py pipeline; hiredis declares a tuple of one.
_pack = cast("Callable[[tuple[Argument, ...]], bytes]", hiredis.pack_command)


def pack(*arguments: Argument) -> bytes:
    """Return one command in the wire protocol; UnicodeEncodeError for text that is no UTF-8."""
    return _pack(arguments)


def key_of(packed: bytes) -> bytes:
    """Return the first argument of one packed command: the key that it writes to."""
    return packed.split(b"\r\n", 5)[4]


def words_of(packed: bytes) -> list[bytes]:
    """Return the words of one packed command."""
    reader = hiredis.Reader()
    reader.feed(packed)
    return cast("list[bytes]", reader.gets())


class Link:
    """One connection, used by one task at a time.

    Whatever goes wrong half-way (a timeout, a reset, a cancellation) closes it: answers that might still come must
    never be taken for those of later commands. It is never reopened behind the caller's back, because WATCH would be
    forgotten; that is what ``open`` is for.
    """

    def __init__(self, address: RedisAddress, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._address = address
        self._answer_seconds = answer_seconds
        self._connection: AbstractConnection | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent; the server may be gone all the same."""
        return self._connection is not None and self._connection.is_connected

    async def open(self) -> None:
        """Connect unless connected. UnavailableError ``redis_unreachable`` or ``redis_login_refused``."""
        if self.is_open:
            return
        connection = self._address.connection()
        try:
            async with asyncio.timeout(min(self._answer_seconds, CONNECT_SECONDS)):  # the login too
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py left it bare
        except AuthenticationError as error:
            await _disconnect(connection)
            raise UnavailableError("redis_login_refused", str(error)) from error
        except (RedisError, OSError) as error:
            await _disconnect(connection)
            raise UnavailableError("redis_unreachable", str(error) or type(error).__name__) from error
        except BaseException:
            await _disconnect(connection)
            raise
        self._connection = connection

    async def close(self) -> None:
        """Close the socket; what was sent may still happen."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _disconnect(connection)

    async def exchange(self, packed: Sequence[bytes], answers: int, *, patience: float = 0) -> list[Answer]:
        """Send commands in one write and return their ``answers``; ``patience`` s are added for commands that block."""
        connection = self._connection
        if connection is None or not connection.is_connected:
            raise UnavailableError("redis_unreachable", "the connection is closed")
        try:
            async with asyncio.timeout(self._answer_seconds + patience):
                await connection.send_packed_command(packed, check_health=False)
                return [await _read(connection) for _ in range(answers)]
        except (RedisError, OSError) as error:
            await self.close()
            raise UnavailableError("redis_unreachable", str(error) or type(error).__name__) from error
        except BaseException:
            await self.close()
            raise

    async def ask(self, *arguments: Argument, patience: float = 0) -> Answer:
        """Send one command and return its answer; UnavailableError ``redis_refused`` for an error answer."""
        return checked((await self.exchange([pack(*arguments)], 1, patience=patience))[0])


async def _disconnect(connection: AbstractConnection) -> None:
    with suppress(RedisError, OSError):
        await connection.disconnect(nowait=True)


async def _read(connection: AbstractConnection) -> Answer:
    try:
        return cast("Answer", await connection.read_response())
    except ResponseError as error:
        return error


def checked(answer: Answer) -> Answer:
    """Return ``answer`` unless it is an error: OOM, MISCONF, READONLY and the like all mean "not now"."""
    if isinstance(answer, ResponseError):
        raise UnavailableError("redis_refused", str(answer))
    return answer


def rows(answer: Answer) -> list[Answer]:
    """Return a list answer; nil is an empty one."""
    return cast("list[Answer]", checked(answer) or [])


def pairs(answer: Answer) -> dict[bytes, bytes]:
    """Return a flat list of fields and values (HGETALL, an entry, a row of XINFO) as a dict."""
    flat = cast("list[bytes]", rows(answer))
    return dict(zip(flat[::2], flat[1::2], strict=True))
