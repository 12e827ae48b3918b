"""How a ledger stands: what waits, what is dead, what was counted; for its process, and for whoever looks beside it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from hub.errors import ConfigError
from hub.journal.files import read_rows
from hub.outward.parcel import State

FILE = "ledger.sqlite"
_PLACES = ("forward/*", "notify")
MAY_GO = "CASE attempts WHEN 0 THEN max(made_at, due) ELSE made_at END"
"""Since when one may go: what quiet hours hold grows no older meanwhile."""
_CHANNELS = f"""
SELECT channel, state, count(*), coalesce(min(CASE WHEN attempts > 0 OR due <= ? THEN {MAY_GO} END), 0)
FROM parcel WHERE state IN (?, ?) GROUP BY channel, state
"""  # noqa: S608 -- our own words
_LINE = "number, made_at, channel, event, name, kind, entry, lane, state, attempts, changed_at, answer, due"

Ask = Callable[[str, Sequence[int | str]], Iterable[Any]]
"""Returns the rows of a query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What waits and is dead by channel, since when (wall ns) the oldest that may go waits, what was counted."""

    waiting: Mapping[str, int]
    waits_since: Mapping[str, int]
    dead: Mapping[str, int]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger for people; times are wall ns. ``entry`` says from where on a replay would send it."""

    number: int
    made_at: int
    channel: str
    event: str
    name: str
    kind: str
    entry: str
    lane: str
    state: str
    attempts: int
    changed_at: int
    answer: str
    due: int


def ledgers_in(data_dir: Path) -> list[Path]:
    """Return the directories of all ledgers below a data directory."""
    return [path.parent for pattern in _PLACES for path in sorted(data_dir.glob(f"{pattern}/{FILE}"))]


def standing_by(ask: Ask, now: int) -> Standing:
    """Return how the ledger stands that ``ask`` asks."""
    rows = list(ask(_CHANNELS, (now, State.WAITING.value, State.DEAD.value)))
    waiting = [(channel, count, since) for channel, state, count, since in rows if state == State.WAITING]
    return Standing(
        waiting={channel: count for channel, count, _ in waiting},
        waits_since={channel: since for channel, _, since in waiting if since},
        dead={channel: count for channel, state, count, _ in rows if state == State.DEAD},
        counts=dict(ask("SELECT name, count FROM tally ORDER BY name", ())),
    )


def read_standing(directory: Path, now: int) -> Standing:
    """Return how the ledger of a running or stopped process stands; ConfigError ``ledger_unknown``."""
    return standing_by(partial(read_rows, _known(directory)), now)


def read_lines(directory: Path, *, state: State | None, limit: int) -> list[Line]:
    """Return the newest lines of a ledger, the oldest of them first; ConfigError ``ledger_unknown``."""
    where, values = ("", ()) if state is None else (" WHERE state = ?", (state.value,))
    words = f"SELECT {_LINE} FROM parcel{where} ORDER BY number DESC LIMIT ?"  # noqa: S608 -- our own words
    return [Line(*row) for row in read_rows(_known(directory), words, (*values, limit))][::-1]


def read_told(directory: Path, events: Collection[str]) -> list[Line]:
    """Return the lines about ``events``, the oldest first, however many came after them; of a ledger that is there."""
    words = f"SELECT {_LINE} FROM parcel WHERE event IN (SELECT value FROM json_each(?)) ORDER BY number"  # noqa: S608 -- our own words
    return [Line(*row) for row in read_rows(directory / FILE, words, [orjson.dumps([*events]).decode()])]


def read_counts(directory: Path) -> dict[str, int]:
    """Return what a ledger has counted since it was made, and how much ``waiting`` there is."""
    found = read_standing(directory, 0)
    return {**found.counts, "waiting": sum(found.waiting.values())}


def _known(directory: Path) -> Path:
    path = directory / FILE
    if not path.exists():
        names = ", ".join(sorted(each.parent.name for each in directory.parent.glob(f"*/{FILE}"))) or "none yet"
        raise ConfigError("ledger_unknown", f"there is no {directory.name!r}", hint=f"there are: {names}")
    return path
