"""One connection to Redis or Valkey: packed commands out, answers in, every failure an UnavailableError."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias, cast

import hiredis
from pydantic import SecretStr
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, parse_url
from redis.exceptions import AuthenticationError, InvalidResponse, RedisError, ResponseError
from typing_extensions import override

from hub.errors import ConfigError, UnavailableError
from hub.next_address import next_address_seconds

ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 2.0

Argument: TypeAlias = str | bytes | int
Answer: TypeAlias = "bytes | int | list[Answer] | ResponseError | None"
"""What the server says. Statuses are bytes; an error answer is a value, because the answers after it still come."""
_MORE = object()
"""What a reader gives that has no whole answer."""


class _Open(Connection):
    @override
    def _connection_arguments(self) -> Mapping[str, object]:
        return _with_next(super()._connection_arguments())


class _Sealed(SSLConnection):
    @override
    def _connection_arguments(self) -> Mapping[str, object]:
        return _with_next(super()._connection_arguments())


def _with_next(arguments: Mapping[str, object]) -> Mapping[str, object]:
    return {**arguments, "happy_eyeballs_delay": next_address_seconds(str(arguments["host"]))}


_OURS: Mapping[object, object] = {Connection: _Open, SSLConnection: _Sealed}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where a server is: ``redis://``, ``rediss://`` or ``unix://``; ``password`` wins over one in the URL."""

    url: str
    password: SecretStr | None = None

    def connection(self) -> AbstractConnection:
        """Return a connection that is not open yet; ConfigError ``redis_url_invalid``."""
        try:
            options = dict(parse_url(self.url))
        except ValueError:  # whose words may hold a part of the password
            hint = "redis://:PASSWORD@host:6379/0, what is special in the password %-encoded"
            raise ConfigError("redis_url_invalid", "that is no address of a Redis", hint=hint) from None
        # Called through a Callable: which options there are depends on the scheme, which is only known here.
        named = options.pop("connection_class", Connection)
        sort = cast("Callable[..., AbstractConnection]", _OURS.get(named, named))
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


def pack_around(*arguments: Argument, carried: Sequence[bytes]) -> bytes:
    """Return one packed command that ends with packed ``carried`` ones: of each, how many words it has, and these."""
    count, parts = len(arguments), [b""]
    for command in carried:
        head, _, words = command.partition(b"\r\n")
        length = head[1:]
        count += 1 + int(length)
        parts += (b"$%d\r\n%b\r\n" % (len(length), length), words)
    parts[0] = b"*%d\r\n" % count + pack(*arguments).partition(b"\r\n")[2]
    return b"".join(parts)


class _Answers(asyncio.Protocol):
    """What comes back on a connection that redis-py has opened and logged in, read whole before anybody is woken.

    Its own streams give one answer at a time, each behind two coroutines: 340 us of CPU for a transaction that finds
    cold caches, 250 here. ``is_lost``: nothing more can be asked; closing stays with redis-py.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        parse_error = connection._parser.parse_error  # noqa: SLF001 -- redis-py shows no other
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=parse_error, notEnoughData=_MORE)
        self._transport = cast("asyncio.StreamWriter", connection._writer).transport  # noqa: SLF001 -- as above
        self._transport.set_protocol(self)
        self._said: list[Answer] = []
        self._awaited = 0
        self._whole: asyncio.Future[list[Answer]] | None = None
        self.is_lost = self._transport.is_closing()

    async def to(self, packed: bytes, answers: int, *, within: float) -> list[Answer]:
        """Send commands and return their answers; RedisError, OSError, TimeoutError after so many seconds."""
        loop = asyncio.get_running_loop()
        self._awaited, self._whole = answers, loop.create_future()
        patience = loop.call_later(within, self._lose, TimeoutError())
        try:
            self._transport.write(packed)
            return await self._whole
        finally:
            patience.cancel()
            self._whole = None

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not _MORE:
                self._take(answer)
        except RedisError as error:
            self._lose(error)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(exc or ConnectionError("closed by the server"))

    def _take(self, answer: Answer | RedisError) -> None:
        if isinstance(answer, RedisError) and not isinstance(answer, ResponseError):
            raise answer  # the server loads its files, or wants nobody: that is no answer to a command
        if self._whole is None or self._whole.done():
            raise InvalidResponse
        self._said.append(answer)
        if len(self._said) == self._awaited:
            said, self._said = self._said, []
            self._whole.set_result(said)

    def _lose(self, error: Exception) -> None:
        self.is_lost = True
        if self._whole is not None and not self._whole.done():
            self._whole.set_exception(error)


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
        self._answers: _Answers | None = None

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
        return self._answers is not None and not self._answers.is_lost

    async def open(self) -> None:
        """Connect unless connected. UnavailableError ``redis_unreachable`` or ``redis_login_refused``."""
        if self.is_open:
            return
        await self.close()
        connection = self._address.connection()
        try:
            async with asyncio.timeout(min(self._answer_seconds, CONNECT_SECONDS)):  # the login too
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py left it bare
            self._answers = _Answers(connection)
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
        connection, self._connection, self._answers = self._connection, None, None
        if connection is not None:
            await _disconnect(connection)

    async def exchange(self, packed: Sequence[bytes], answers: int, *, patience: float = 0) -> list[Answer]:
        """Send commands in one write and return their ``answers``; ``patience`` s are added for commands that block."""
        if self._answers is None or not self.is_open:
            raise UnavailableError("redis_unreachable", "the connection is closed")
        try:
            return await self._answers.to(b"".join(packed), answers, within=self._answer_seconds + patience)
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
