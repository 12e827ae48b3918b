"""One record's work for Redis as packed commands, and as many of these as fit one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from hub.model.effects import StreamWork
from hub.sinks.redis_link import key_of
from hub.sinks.streams import (
    DEAD_LETTERS,
    UNWRITABLE,
    alarms_key,
    events_key,
    pack_alarm_change,
    pack_dead_letter,
    pack_event,
    pack_reply,
    reply_key,
)

COMMANDS_PER_TRANSACTION = 500
BYTES_PER_TRANSACTION = 1 << 20
SORTS = ("events", "alarms", "replies", "dead_letters")

N = TypeVar("N")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Parcel:
    """One record's commands, and the keys that they write to."""

    position: int
    packed: list[bytes] = field(default_factory=list)
    packed_bytes: int = 0
    keys: set[str] = field(default_factory=set)

    def of(self, key: str) -> Parcel:
        """Return what of it writes to ``key``."""
        packed = [command for command in self.packed if key_of(command).decode() == key]
        return Parcel(self.position, packed, sum(map(len, packed)), {key})


def keys_of(work: StreamWork) -> set[str]:
    """Return the keys that a record's work writes to."""
    # Most records have one sort of work; asking first saves 2 us for each of the others.
    keys = {events_key(event.name) for event in work.events} if work.events else set()
    if work.alarms:
        keys.update(alarms_key(change.site) for change in work.alarms)
    if work.dead_letters:
        keys.add(DEAD_LETTERS)
    if work.replies:
        keys.update(reply_key(reply.id) for reply in work.replies)
    return keys


def new_tally() -> dict[str, int]:
    """Return the counts of nothing yet."""
    return dict.fromkeys((*SORTS, "rejected"), 0)


def parcel(position: int, work: StreamWork, source: str, tally: dict[str, int]) -> Parcel:
    """Return the commands of a record, counted in ``tally`` by their sort; ``source`` is what its events name.

    What cannot be written down at all is ``rejected``: it would block what follows.
    """
    made = Parcel(position, keys=keys_of(work))
    if work.events:
        _fill(made, "events", work.events, lambda event: pack_event(event, source), tally)
    if work.alarms:
        _fill(made, "alarms", work.alarms, pack_alarm_change, tally)
    if work.dead_letters:
        _fill(made, "dead_letters", work.dead_letters, pack_dead_letter, tally)
    if work.replies:
        _fill(made, "replies", work.replies, pack_reply, tally)
    return made


def _fill(made: Parcel, sort: str, nouns: Sequence[N], pack_one: Callable[[N], bytes], tally: dict[str, int]) -> None:
    for noun in nouns:
        try:
            command = pack_one(noun)
        except UNWRITABLE as error:
            tally["rejected"] += 1
            log.error("stream_entry_rejected", sort=sort, record=made.position, reason=str(error))  # noqa: TRY400 -- its traceback says nothing more
        else:
            tally[sort] += 1
            made.packed.append(command)
            made.packed_bytes += len(command)


def load(parcels: Iterable[Parcel]) -> list[Parcel]:
    """Return the first parcels that fit one transaction; a bigger single record goes whole."""
    fitting: list[Parcel] = []
    commands = packed_bytes = 0
    for each in parcels:
        commands += len(each.packed)
        packed_bytes += each.packed_bytes
        if fitting and (commands > COMMANDS_PER_TRANSACTION or packed_bytes > BYTES_PER_TRANSACTION):
            break
        fitting.append(each)
    return fitting
