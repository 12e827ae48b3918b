"""Device clocks: how a model writes a moment, to nanoseconds UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub.errors import ConfigError, PoisonError
from hub.normalize.limits import CLOCK_HIGH_NS, CLOCK_LOW_NS
from hub.normalize.profile import TimeWords

ReadTime = Callable[[object], int | None]
"""A raw value (never None) to ns UTC; None = the clock is not set. Raises PoisonError ``bad_time``."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST = len("2025-10-22T13:43")
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
            pass
        raise PoisonError("bad_time", "not a number of seconds or milliseconds")

    return read


def _iso8601(text: str) -> datetime:
    if len(text) < _SHORTEST:
        raise ValueError
    return datetime.fromisoformat(text)


def _formatted(words: str) -> Callable[[str], datetime]:
    def parse(text: str) -> datetime:
        return datetime.strptime(text, words)  # noqa: DTZ007 -- the zone is put on by the caller

    return parse


def _text(parse: Callable[[str], datetime], zone: tzinfo) -> ReadTime:
    def read(raw: object) -> int | None:
        if raw.__class__ is not str:
            raise PoisonError("bad_time", "not a text")
        try:
            moment = parse(raw)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=zone)
            since = moment - _EPOCH
        except (ValueError, OverflowError):
            raise PoisonError("bad_time", "not written as the profile says") from None
        # Exact, and 0.3 us faster than dividing a timedelta.
        return set_clock((since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000)

    return read
