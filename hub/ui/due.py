"""Which dossiers are to be sealed: of what was critical or high, once people were told all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from hub.durations import nanoseconds
from hub.model.effects import AlarmState, Event, Transition
from hub.model.values import Severity
from hub.partitions import partitions_of
from hub.registry import audit
from hub.registry.registry import Registry
from hub.sinks.stream_readers import read_alarms
from hub.sinks.streams import DOMAINS
from hub.ui.atlas import Atlas
from hub.ui.desk.desk import Desk
from hub.ui.history import History, Wanted, begins_of, is_lowered

GRAVE = (Severity.CRITICAL, Severity.HIGH)
LONG = timedelta(days=1)
MOST = 100_000
"""So many events, or lines of the audit, are looked at."""
WHOLE, OPEN = "jsonl", "open.jsonl"
SEALED = "alarm.sealed"
OVERLAP_NS = 60_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One dossier that is missing: of the alarm that ``raised`` began, because of what was at ``since`` (wall ns)."""

    raised: Event
    since: int
    suffix: str = WHOLE

    @property
    def file(self) -> str:
        """Return the name of its file; an alarm is sealed as it stands, open or lower, and when it is over."""
        return f"{self.raised.id}.{self.suffix}"


async def all_due(desk: Desk, since: int, settled: int) -> tuple[list[Due], int]:
    """Return what is to be sealed, the oldest first, and up to when that is all of it."""
    async with desk.registry() as registry:
        mine = {site.id for site in await registry.sites() if site.partition in partitions_of(desk.settings)}
    async with desk.redis() as link:
        history = History(desk, link, await Atlas.open(desk))
        told = await grave(history, since, settled)
        until = min(settled, told[-1].time) if len(told) >= MOST else settled
        real = [each for each in told if each.site in mine and each.rule and not (each.test or each.drill)]
        found = await over(history, real, until)
        long = [each for each in await read_alarms(link, sorted(mine)) if _is_long_open(each, desk)]
        async with desk.registry() as registry:
            known = await sealed_since(registry, min((each.since for each in long), default=settled))
        found += await long_open(history, [each for each in long if f"{each.id}.{OPEN}" not in known], desk, settled)
    async with desk.registry() as registry:
        known = await sealed_since(registry, min((each.raised.time for each in found), default=settled))
    return sorted((each for each in found if each.file not in known), key=lambda each: each.since), until


async def grave(history: History, since: int, settled: int) -> list[Event]:
    """Return what happened of grave alarms, the first ``MOST``.

    What Redis was given only now, because it was away, nobody was told yet: it is not settled, however old it is.
    """
    others = tuple(each for each in DOMAINS if each != "command")  # how commands end is in the dossier of their alarm
    wanted = Wanted(domains=others, severities=GRAVE, lowered_from=GRAVE)
    return await history.find(wanted, since=since, limit=MOST, written_by=settled)


async def over(history: History, told: Sequence[Event], until: int) -> list[Due]:
    """Return what of ``told`` was over by ``until`` (wall ns): what cleared or only occurred, and what is lower now."""
    raised: dict[tuple[str, str], Event] = {}
    found: list[Due] = []
    begun_before: list[Event] = []
    for each in told:
        if each.transition is Transition.RAISED:
            raised[each.rule, each.key] = each
        elif each.time > until:
            continue
        elif each.transition is Transition.OCCURRED:
            found.append(Due(raised=each, since=each.time))
        elif each.transition is Transition.CLEARED or is_lowered(each, GRAVE):
            if (first := raised.get((each.rule, each.key))) is not None:
                found.append(_ended(first, each))
            else:
                begun_before.append(each)
    begins = await begins_of(history, begun_before)
    return [*found, *map(_ended, begins, begun_before)]


def _ended(raised: Event, end: Event) -> Due:
    return Due(raised=raised, since=end.time, suffix=WHOLE if end.transition is Transition.CLEARED else OPEN)


def _is_long_open(alarm: AlarmState, desk: Desk) -> bool:
    """Return whether an alarm has been open so long that its proof would go before its end comes."""
    is_long = _long_since(alarm, desk) <= desk.clock.wall_ns()
    return is_long and alarm.severity in GRAVE and alarm.is_real


def _long_since(alarm: AlarmState, desk: Desk) -> int:
    return alarm.since + nanoseconds(min(LONG, desk.settings.retention.age / 4))


async def long_open(history: History, alarms: Sequence[AlarmState], desk: Desk, settled: int) -> list[Due]:
    """Return those of ``alarms`` that were told by ``settled`` (wall ns), with what raised them."""
    if not alarms:
        return []
    by_id = {each.id: each for each in alarms}
    wanted, since = Wanted(ids=frozenset(by_id)), max(0, min(each.since for each in alarms) - OVERLAP_NS)
    found = await history.find(wanted, since=since, limit=len(by_id), written_by=settled)
    return [Due(raised=each, since=_long_since(by_id[each.id], desk), suffix=OPEN) for each in found]


async def sealed_since(registry: Registry, since: int) -> set[object]:
    """Return which files were sealed since then."""
    async with registry.transaction() as connection:
        lines = await audit.lines(connection, since=since, what=SEALED, limit=MOST)
    return {(line.after or {}).get("file") for line in lines}
