"""How old a message is by its device's own clock, and what its identity and counters say; pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

from hub.engine.clock_errors import learn, newest
from hub.engine.known import DeviceState
from hub.engine.ledger import Ledger
from hub.model.values import Timeliness

AHEAD_NS = 300_000_000_000
"""A device time further ahead of ours is none (engine.md, Blind time)."""
BACKFILL_NS = 86_400_000_000_000
LESSONS = 10
"""The first messages of a device only teach its clock."""
HOUR_NS = 3_600_000_000_000
SECOND_NS = 1_000_000_000
IDENTITIES = 64
LEAP = 2**32
"""A counter that goes further at once was set anew: nobody says so much unheard."""
MOST_MISSING = 2**63 - 1
"""What is missing is written down in 64 bits, and a device may say that it is ever more."""
MOST_TOGETHER = 10_000
"""So many devices with several points in a millisecond are remembered: 4 MB."""
MILLION = 1_000_000
NONE_NS = -(2**63)
"""Less than the least age of any message."""
NO_AGES = (1, NONE_NS, 0)

T = TypeVar("T")

LIVE, LATE, BACKFILL = Timeliness.LIVE, Timeliness.LATE, Timeliness.BACKFILL
_RANKS = {LIVE: 0, LATE: 1, BACKFILL: 2}


def rank(how: Timeliness) -> int:
    """Return 0 for live, 1 for late, 2 for backfill."""
    return _RANKS[how]


def age_of(known: DeviceState, difference: int, late_after_ns: int, blind_since: int | None) -> Timeliness:
    """Judge a message that came ``difference`` ns after it was measured, less the error of the device's clock.

    The error is the smallest difference of the last 24 hours in which the device was heard: what it kept while it was
    away for days is not taken for its clock.
    """
    hour, kept = known.heard_awake // HOUR_NS, known.differences
    newest_hour, least = newest(kept) if kept else (None, 0)
    if newest_hour != hour or difference < least:
        known.differences, known.clock_error = learn(kept, hour, difference)
    if known.taught < LESSONS:
        known.taught += 1
        return LIVE if blind_since is None else LATE
    return by_age(difference - known.clock_error, late_after_ns)


def by_age(age: int, late_after_ns: int) -> Timeliness:
    """Return how timely what is ``age`` ns old is, of a device whose clock is known."""
    if age <= late_after_ns:
        return LIVE
    return LATE if age <= BACKFILL_NS else BACKFILL


def age_of_reading(known: DeviceState, at: int, measured: int | None) -> int:
    """Return how long before ``at`` (ns) it was measured, less the error of the device's clock; 0 without a clock."""
    return 0 if measured is None else max(0, at - measured - known.clock_error)


def live_ages(known: DeviceState, late_after_ns: int) -> tuple[int, int, int]:
    """Return within what a message that comes next is live and teaches nothing, so that :func:`age_of` need not judge.

    (least, largest received - measured ns; engine time awake until which that holds). The largest is up to a second
    less than it might be, so that devices share it: three integers of each were 96 bytes, and three lines of the
    processor's cache a message. No message is within while the first ones teach.
    """
    if not known.differences:
        return NO_AGES
    hour, least = newest(known.differences)
    error = known.clock_error
    most = _multiple((error + late_after_ns) // SECOND_NS, SECOND_NS) if known.taught >= LESSONS else NONE_NS
    return error if error == least else least, most, _multiple(hour + 1, HOUR_NS)


@lru_cache(1_000)
def _multiple(count: int, of: int) -> int:
    """Return ``count`` times ``of``, the same object each time."""
    return count * of


def first_time(known: DeviceState, identity: str, time: int) -> tuple[int, bool]:
    """Return the time of the first point of ``identity``, and whether it is new: it is judged once.

    ``time`` ends in a digest, of which one pair in a million is alike: an identity whose point would lie upon another's
    takes the next ns of its millisecond.
    """
    mine = known.own()
    if mine.identities is None:
        mine.identities = {}
    identities = mine.identities
    first = identities.get(identity)
    if first is not None:
        return first, False
    identities[identity] = time = _free(identities, time)
    return time, True


def time_apart(together: dict[str, dict[int, int]], device: str, said: int, time: int) -> int:
    """Return the time of a point without an identity, in a millisecond that others may share; ``said`` is its checksum.

    ``together`` has for each such device the points of one millisecond. The first two that a device ever says in one
    are not compared: until then nothing is remembered of it.
    """
    mine = together.get(device)
    if mine is None or next(iter(mine.values())) // MILLION != time // MILLION:
        if mine is None and len(together) >= MOST_TOGETHER:
            del together[next(iter(together))]
        together[device] = {said: time}
        return time
    if said not in mine:
        mine[said] = _free(mine, time)
    return mine[said]


def _free(times: dict[T, int], time: int) -> int:
    """Return the first ns of a millisecond from ``time`` on at which no point is; the oldest of many is forgotten."""
    if len(times) >= IDENTITIES:
        del times[next(iter(times))]
    while time in times.values():
        time += 1 if (time + 1) % MILLION else 1 - MILLION
    return time


def count_sequence(known: DeviceState, seq: int, boot: str | None, ledger: Ledger) -> None:
    """Count what the native counters say is missing, repeated or reordered, for the device and in all."""
    if known.seq is None or boot != known.boot or seq - known.seq > LEAP:
        known.boot, known.seq = boot, seq
    elif seq > known.seq:
        gap = seq - known.seq - 1
        known.seq = seq
        if gap:
            known.own().missing = min(known.seldom.missing + gap, MOST_MISSING)
            ledger.missed = min(ledger.missed + gap, MOST_MISSING)
    elif seq == known.seq:
        known.own().repeated += 1
        ledger.repeated_sequence += 1
    else:
        known.own().reordered += 1
        ledger.reordered += 1
        if known.seldom.missing:
            known.own().missing -= 1
            ledger.missed -= 1
