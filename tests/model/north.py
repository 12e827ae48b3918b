"""North of the model: the hub's link to its Redis, and a store of lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from hub.errors import UnavailableError
from hub.sinks.redis_link import Answer, Argument, checked, pack
from hub.sinks.timeseries.lines import split_line
from hub.sinks.timeseries.store import Query, Row, Written
from tests.model.fake_redis import Client, Redis
from tests.model.still import Doors


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
            self._client = await self._doors.through("redis", "connect", lambda: Client(is_limited=True))

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
