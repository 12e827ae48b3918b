"""North of the model: a Redis of the few commands that the hub uses, its link, and a store of lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Self, cast

import hiredis

from hub.errors import UnavailableError
from hub.sinks.redis_link import Answer, Argument, checked, pack
from hub.sinks.timeseries.lines import split_line
from hub.sinks.timeseries.store import Query, Row, Written
from tests.model.still import Doors

Command = list[bytes]
Fields = dict[bytes, bytes]


def commands_of(packed: Sequence[bytes]) -> list[Command]:
    """Return the commands in what a client sends."""
    reader = hiredis.Reader()
    reader.feed(b"".join(packed))
    found: list[Command] = []
    while isinstance(command := reader.gets(), list):
        found.append(cast("Command", command))
    return found


class Client:
    """What the server knows of one connection: the keys it watches, and its open transaction."""

    def __init__(self) -> None:
        self.watched: dict[bytes, int] = {}
        self.queued: list[Command] | None = None


class Redis:
    """Strings, hashes and streams, WATCH and EXEC. ``buffered``: copies that it finds in some buffer later.

    ``on_entry`` hears of each entry of a stream, ``on_transaction`` of each transaction before it happens.
    """

    def __init__(self) -> None:
        self.strings: dict[bytes, bytes] = {}
        self.hashes: dict[bytes, Fields] = {}
        self.streams: dict[bytes, list[Fields]] = {}
        self.buffered: deque[Callable[[], object]] = deque()
        self.on_entry: Callable[[bytes, Fields], None] = lambda _key, _fields: None
        self.on_transaction: Callable[[Sequence[Command]], None] = lambda _commands: None
        self._versions: dict[bytes, int] = {}

    def run(self, client: Client, packed: Sequence[bytes]) -> list[Answer]:
        """Run what a client sent."""
        return [self._one(client, command) for command in commands_of(packed)]

    def _one(self, client: Client, command: Command) -> Answer:
        name, *words = command
        match name:
            case b"WATCH":
                client.watched |= {key: self._versions.get(key, 0) for key in words}
                return b"OK"
            case b"MULTI":
                client.queued = []
                return b"OK"
            case b"EXEC":
                return self._execute(client)
            case _:
                pass
        if client.queued is not None:
            client.queued.append(command)
            return b"QUEUED"
        return self._do(name, words)

    def _execute(self, client: Client) -> Answer:
        queued, client.queued = client.queued or [], None
        watched, client.watched = client.watched, {}
        if any(self._versions.get(key, 0) != version for key, version in watched.items()):
            return None
        self.on_transaction(queued)
        return [self._do(name, words) for name, *words in queued]

    def _do(self, name: bytes, words: Command) -> Answer:  # noqa: C901 -- a table of commands
        key = words[0]
        match name:
            case b"HGETALL":
                return [part for pair in self.hashes.get(key, {}).items() for part in pair]
            case b"GET":
                return self.strings.get(key)
            case b"PTTL":
                return -2
            case b"TYPE":
                kinds = ((b"hash", self.hashes), (b"stream", self.streams), (b"string", self.strings))
                return next((kind for kind, where in kinds if key in where), b"none")
            case b"EVAL":
                return 0
            case _:
                pass
        self._versions[key] = self._versions.get(key, 0) + 1
        match name:
            case b"HSET":
                self.hashes.setdefault(key, {}).update(zip(words[1::2], words[2::2], strict=True))
            case b"HDEL":
                self.hashes.get(key, {}).pop(words[1], None)
            case b"DEL":
                self.hashes.pop(key, None)
            case b"SET":
                self.strings[key] = words[1]
            case b"XADD":
                fields = dict(zip(words[2::2], words[3::2], strict=True))
                self.streams.setdefault(key, []).append(fields)
                self.on_entry(key, fields)
            case _:
                message = f"the model's Redis knows no {name!r}"
                raise AssertionError(message)
        return 1


class ModelLink:
    """One connection of the hub to that Redis, as :class:`hub.sinks.redis_link.Link`: what goes wrong closes it."""

    def __init__(self, redis: Redis, doors: Doors) -> None:
        self._redis = redis
        self._doors = doors
        self._client: Client | None = None

    @property
    def is_open(self) -> bool:
        return self._client is not None

    async def open(self) -> None:
        if self._client is None:
            self._client = await self._doors.through("redis", "connect", Client)

    async def close(self) -> None:
        self._client = None

    async def exchange(self, packed: Sequence[bytes], answers: int, *, patience: float = 0) -> list[Answer]:
        del patience
        client = self._client
        if client is None:
            raise UnavailableError("redis_unreachable", "the connection is closed")

        def run() -> list[Answer]:
            return self._redis.run(client, packed)

        def later() -> None:
            self._redis.buffered.append(run)

        try:
            said = await self._doors.through("redis", "exchange", run, later)
        except BaseException:
            self._client = None
            raise
        assert len(said) == answers
        return said

    async def ask(self, *arguments: Argument, patience: float = 0) -> Answer:
        return checked((await self.exchange([pack(*arguments)], 1, patience=patience))[0])


class AlwaysSafe:
    """In place of :class:`hub.sinks.redis_check.ServerCheck`: this server has no settings."""

    async def require(self, link: ModelLink) -> None:
        await link.open()


class Lines:
    """The time series store: a point is its series and time. It takes no line with the field that is ``refused``."""

    def __init__(self, refused: bytes) -> None:
        self.points: dict[tuple[bytes, int], bytes] = {}
        self.refused = refused

    def write(self, lines: Sequence[bytes]) -> Written:
        """Take lines."""
        rejected: list[tuple[bytes, str]] = []
        for line in lines:
            parts = split_line(line)
            assert parts is not None, line
            series, fields, time = parts
            if self.refused in fields:
                rejected.append((line, "refused by the model"))
            else:
                self.points[series, time] = fields
        return Written(accepted=len(lines) - len(rejected), rejected=rejected)


class ModelStore:
    """The hub's way to the store."""

    def __init__(self, lines: Lines, doors: Doors) -> None:
        self._lines = lines
        self._doors = doors

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        pass

    async def write(self, lines: Sequence[bytes]) -> Written:
        return await self._doors.through("store", "write", lambda: self._lines.write(lines))

    async def query(self, select: Query) -> list[Row]:
        raise NotImplementedError

    async def ping(self) -> None:
        pass
