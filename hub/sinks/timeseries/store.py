"""What a time series store promises the hub, and the nouns of writing to it and asking it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Final, Protocol, Self

from hub.errors import PoisonError
from hub.model.values import Values
from hub.sinks.timeseries.lines import TAGS

IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
"""Names of measurements and fields that may stand in a query; nothing else is ever put into its text."""
LIMIT_MAX: Final = 100_000
_TIME_MAX: Final = 2**63 - 1


class Order(StrEnum):
    """Which end of a span comes first, and so which end a limit cuts off."""

    OLDEST_FIRST = "ASC"
    NEWEST_FIRST = "DESC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From ``since`` (included) until ``until`` (not included), UTC ns; at most ``limit`` rows."""

    since: int
    until: int
    limit: int = 10_000
    order: Order = Order.OLDEST_FIRST

    def __post_init__(self) -> None:
        if not 0 < self.limit <= LIMIT_MAX:
            raise PoisonError("bad_limit", f"a limit is 1 to {LIMIT_MAX}", limit=self.limit)
        if not -_TIME_MAX <= self.since <= self.until <= _TIME_MAX:
            raise PoisonError("bad_span", "since comes before until, both in ns", since=self.since, until=self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Rows of one measurement; ``where`` tags have these values ("" = without that tag); no ``fields`` = all of them.

    Raises PoisonError ``bad_name`` for a name outside the allow-list, ``bad_tag`` for a tag that no series has.
    """

    measurement: str
    span: Span
    where: Mapping[str, str] = field(default_factory=dict)
    fields: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in (self.measurement, *self.fields):
            if not IDENTIFIER.fullmatch(name):
                raise PoisonError("bad_name", "a measurement or field is letters, digits and _", name=name)
        for tag in self.where:
            if tag not in TAGS:
                raise PoisonError("bad_tag", f"a tag is one of {', '.join(sorted(TAGS))}", tag=tag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One point. A store that answers in JSON may say 21 for 21.0: the kind knows the type, the row does not."""

    time: int
    tags: Mapping[str, str]
    fields: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of each line of a write: ``accepted`` of them are durable, each other one has a reason."""

    accepted: int
    rejected: Sequence[tuple[bytes, str]] = ()


class Store(Protocol):
    """A time series store. A point is its series and time: written again it stays one, its newer fields win."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def write(self, lines: Sequence[bytes]) -> Written:
        """Store ``lines``; every one is accepted or rejected when this returns.

        Raises UnavailableError when the store cannot take them now: some may be stored, write all of them again.
        """
        ...

    async def query(self, select: Query) -> list[Row]:
        """Return the rows that ``select`` asks for. Raises UnavailableError, PoisonError ``query_refused``."""
        ...

    async def ping(self) -> None:
        """Return when the store answers; raises UnavailableError when it does not."""
        ...
