"""Device clocks: how a model writes a moment, to nanoseconds UTC."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub.errors import ConfigError, PoisonError
from hub.normalize.codecs.codec import Row
from hub.normalize.codecs.slices import bcd
from hub.normalize.limits import CLOCK_HIGH_NS, CLOCK_LOW_NS
from hub.normalize.sources import TimeWords

ReadTime = Callable[[object], int | None]
"""A raw value (never None) to ns UTC; None = the clock is not set. Raises PoisonError ``bad_time``."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST = len("2025-10-22T13:43")
_LATELY = 100
_UNITS = {"unix": 1_000_000_000, "unix_ms": 1_000_000}


def compile_time(words: TimeWords, site_zone: str) -> ReadTime:
    """Return the reader of one source of time. Raises ConfigError for an unknown zone."""
    name = site_zone if words.zone == "site" else words.zone
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        hint = "an IANA name such as Asia/Shanghai, or site"
        raise ConfigError("unknown_zone", f"there is no zone {name!r}", hint=hint) from error
    if words.format in _UNITS:
        return _number(_UNITS[words.format])
    if words.format in _FIELDS:
        return _fields(_FIELDS[words.format], zone)
    if words.format.endswith(_ZONE_NAME):
        return _named(_formatted(words.format.removesuffix(_ZONE_NAME)), zone)
    return _text(_iso8601 if words.format == "iso8601" else _formatted(words.format), zone)


def set_clock(nanoseconds: int) -> int | None:
    """Return the moment, or None when a clock that says so is not set (or counts in another unit)."""
    return nanoseconds if CLOCK_LOW_NS <= nanoseconds < CLOCK_HIGH_NS else None


def _number(unit_ns: int) -> ReadTime:
    def read(raw: object) -> int | None:
        try:
            if isinstance(raw, int) and not isinstance(raw, bool):
                return set_clock(raw * unit_ns)
            if isinstance(raw, float | str):  # floats are exact to the microsecond; the rest would be noise
                return set_clock(round(float(raw) * (unit_ns // 1_000)) * 1_000)
        except (ValueError, OverflowError):
            if raw == "":
                return None
        raise PoisonError("bad_time", "not a number of seconds or milliseconds")

    return read


def _iso8601(text: str) -> datetime:
    if len(text) < _SHORTEST:
        raise ValueError
    return datetime.fromisoformat(text)


_ZEROS = re.compile(r"[0 ./:T-]{8,32}(?:Z|[+-][0-9]{2}:?[0-9]{2})?")
"""How a clock that nobody has set is written where there is no month 0: ``0000-00-00 00:00:00``."""
_DAY_AND_TIME = re.compile(r"%Y-%m-%d(?P<between>[ T])%H:%M:%S")
_LENGTH = len("2025-10-22 13:43:48")


def _formatted(words: str) -> Callable[[str], datetime]:
    if "%Z" in words:
        raise ConfigError("bad_format", "the name of a zone is read at the end only", hint="%Y-%m-%d %H:%M:%S %Z")
    usual = _DAY_AND_TIME.fullmatch(words)
    return _strptime(words) if usual is None else _usual(usual["between"])


def _usual(between: str) -> Callable[[str], datetime]:
    """Read what nearly every device writes: 0.2 us instead of the 5 us of strptime."""

    def parse(text: str) -> datetime:
        if len(text) != _LENGTH or text[10] != between or text[4] != "-" or text[13] != ":":
            raise ValueError
        return datetime.fromisoformat(text)

    return parse


def _strptime(words: str) -> Callable[[str], datetime]:
    def parse(text: str) -> datetime:
        return datetime.strptime(text, words)  # noqa: DTZ007 -- the zone is put on by the caller

    return parse


def _zk(raw: object) -> Sequence[int]:
    if not isinstance(raw, int):
        raise TypeError
    rest, second = divmod(raw, 60)
    rest, minute = divmod(rest, 60)
    rest, hour = divmod(rest, 24)
    rest, day = divmod(rest, 31)
    year, month = divmod(rest, 12)
    return year, month + 1, day + 1, hour, minute, second


def _smhdmy(raw: object) -> Sequence[int]:
    if not isinstance(raw, bytes):
        raise TypeError
    return raw[::-1]


def _bcd(raw: object) -> Sequence[int]:
    if not isinstance(raw, bytes):
        raise TypeError
    return [bcd(raw[at : at + 1]) for at in range(6)]


_FIELDS: dict[str, Callable[[object], Sequence[int]]] = {"zk": _zk, "smhdmy": _smhdmy, "bcd_ymdhms": _bcd}
"""Formats of bytes: a raw value to year - 2000, month, day, hour, minute, second."""


def _fields(split: Callable[[object], Sequence[int]], zone: tzinfo) -> ReadTime:
    def read(raw: object) -> int | None:
        try:
            year, month, day, hour, minute, second = split(raw)
            since = _local(datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone))
        except TypeError:
            raise PoisonError("bad_time", "not the bytes of a time") from None
        except (ValueError, OverflowError, PoisonError):
            return None  # zeros, 0xff, a 31st of June: a clock that nobody has set must not cost an alarm
        return set_clock((since.days * 86_400 + since.seconds) * 1_000_000_000)

    return read


def _local(moment: datetime) -> timedelta:
    """Return how long after 1970 a local time is: the second, of an hour that comes twice.

    What is an hour ahead of us has no time, so it is of now. An hour old it would be late, and older than what is held.
    """
    return max(moment - _EPOCH, moment.replace(fold=1) - _EPOCH)


def _text(parse: Callable[[str], datetime], zone: tzinfo) -> ReadTime:
    """Return what reads a text; what was read lately is known: in one second many devices write the same."""

    @lru_cache(_LATELY)
    def moment_of(raw: str) -> int | None:
        try:
            moment = parse(raw)
            since = moment - _EPOCH if moment.tzinfo is not None else _local(moment.replace(tzinfo=zone))
        except (ValueError, OverflowError):
            if _ZEROS.fullmatch(raw):
                return None
            raise PoisonError("bad_time", "not written as the profile says") from None
        # Exact, and 0.3 us faster than dividing a timedelta.
        return set_clock((since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000)

    def read(raw: object) -> int | None:
        if raw.__class__ is not str:
            raise PoisonError("bad_time", "not a text")
        return moment_of(raw) if raw else None

    return read


_ZONE_NAME = " %Z"
_UTC_NAMES = frozenset({"UTC", "GMT"})


def _named(parse: Callable[[str], datetime], zone: tzinfo) -> ReadTime:
    """Read a time with the name of its zone after it: UTC, or what ``zone`` is called at that moment.

    Any other name is no clock of ours: CST is China and Chicago. strptime would ask the machine that the hub runs on.
    """
    in_utc, in_zone = _text(parse, UTC), _text(parse, zone)

    def read(raw: object) -> int | None:
        moment, _, name = raw.rpartition(" ") if isinstance(raw, str) and raw else (raw, "", "")
        if name in _UTC_NAMES:
            return in_utc(moment)
        found = in_zone(moment)
        if found is None or datetime.fromtimestamp(found // 1_000_000_000, zone).tzname() != name:
            return None
        return found

    return read


class Clocks:
    """What is counted of the device clocks of one profile; and which of how many records of a payload is read now.

    ``is_undated``: the records lie apart in time, and the moment from which that one's is counted is not known.
    """

    __slots__ = ("disagreeing", "is_undated", "record", "records", "unset")

    def __init__(self) -> None:
        self.record = 0
        self.records = 1
        self.is_undated = False
        self.unset = 0
        self.disagreeing = 0


def compile_clock(
    sources: Sequence[tuple[int, ReadTime]], disagree_ns: int | None, clocks: Clocks
) -> Callable[[Row], int | None]:
    """Return what reads the device time of a row: the first of ``sources`` (slot, reader) that is there and set.

    With ``disagree_ns`` None is said, and counted, for a message whose set clocks are further apart than that.
    """

    def first(row: Row) -> int | None:
        for slot, read in sources:
            raw = row[slot]
            if raw is not None:
                moment = read(raw)
                if moment is not None:
                    return moment
                clocks.unset += 1
        return None

    def agreed(row: Row) -> int | None:
        moments = [read(row[slot]) for slot, read in sources if row[slot] is not None]
        found = [moment for moment in moments if moment is not None]
        clocks.unset += len(moments) - len(found)
        if not found:
            return None
        if max(found) - min(found) > (disagree_ns or 0):
            clocks.disagreeing += 1
            return None
        return found[0]

    return first if disagree_ns is None else agreed


def stepped(
    read: Callable[[Row], int | None], step_ns: int, clocks: Clocks, *, from_last: bool
) -> Callable[[Row], int | None]:
    """Return what reads the time of a record where the message says that of the first, or of the last, alone."""

    def moment(row: Row) -> int | None:
        told = read(row)
        behind = clocks.record - (clocks.records - 1 if from_last else 0)
        found = None if told is None else set_clock(told + behind * step_ns)
        clocks.is_undated = found is None
        return found

    return moment
