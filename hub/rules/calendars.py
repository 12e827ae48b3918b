"""Windows of the week as people name them: which are open at a moment, and when time that counts has passed; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Self
from zoneinfo import ZoneInfo

import chinese_calendar  # type: ignore[import-untyped] # it ships no types
from pydantic import BeforeValidator, Field, model_validator

from hub.rules.clauses import Clause

_SECOND = 1_000_000_000
_FAR = 400
"""Days that are looked ahead for a window to open: more than a year, for those on holidays only."""
_BY_DATE = {(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)}
"""Holidays of each year by the sun (全国年节及纪念日放假办法, as of 2025); all others wait for an announcement."""
_DAYS_KNOWN = 8_192
"""How many days of which it is known whether a word means them: of the next year all, of former ones none."""


ANNOUNCED_UNTIL = date(max(chinese_calendar.holidays).year, 12, 31)
"""Until when it is known what the State Council announces, of a year towards the end of the one before."""


class Day(StrEnum):
    """Days of the week, and in China: those that are worked (a Sunday may be), and all others."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"
    WORKDAY = "workday"
    HOLIDAY = "holiday"


WEEK = list(Day)[:7]


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


class Window(Clause):
    """From one time of day until another, past midnight if that is not later; it belongs to the day it starts on."""

    days: Annotated[list[Day], BeforeValidator(_listed)] = WEEK
    from_: Annotated[str, Field(alias="from", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "00:00"
    until: Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")] = "24:00"

    @model_validator(mode="after")
    def _is_on_some_day(self) -> Self:
        if not self.days:
            message = "a window is on some day: leave days out for all"
            raise ValueError(message)
        return self

    def on(self, day: date, zone: str) -> tuple[int, int] | None:
        """Return the wall times between which the window of ``day`` is open; None when it has none."""
        if not any(_is(day, each) for each in self.days):
            return None
        last = day if self.until > self.from_ and self.until != "24:00" else day + timedelta(days=1)
        return _wall(day, self.from_, zone), _wall(last, "00:00" if self.until == "24:00" else self.until, zone)


Windows = Annotated[list[Window], BeforeValidator(_listed), Field(min_length=1)]


@lru_cache(_DAYS_KNOWN)
def _is(day: date, wanted: Day) -> bool:
    if wanted not in {Day.WORKDAY, Day.HOLIDAY}:
        return day.weekday() == WEEK.index(wanted)
    try:
        is_workday: bool = chinese_calendar.is_workday(day)
    except NotImplementedError:  # not announced
        is_workday = day.weekday() < WEEK.index(Day.SAT) and (day.month, day.day) not in _BY_DATE
    return is_workday is (wanted is Day.WORKDAY)


def _wall(day: date, clock: str, zone: str) -> int:
    at = datetime.combine(day, time.fromisoformat(clock), ZoneInfo(zone))
    return round(at.timestamp()) * _SECOND


def _spans(windows: Sequence[Window], at: int, zone: str, days: int) -> list[tuple[int, int]]:
    """Return the spans in which a window is open, from the day before ``at`` on, joined and in order."""
    today = datetime.fromtimestamp(at // _SECOND, ZoneInfo(zone)).date()
    found = [window.on(today + timedelta(days=day), zone) for day in range(-1, days) for window in windows]
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(span for span in found if span is not None):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return [span for span in joined if span[1] > at]


def opening(windows: Sequence[Window], at: int, zone: str) -> tuple[bool, int | None]:
    """Return whether a window is open at wall time ``at``, and when that changes next."""
    spans = _spans(windows, at, zone, 9) or _spans(windows, at, zone, _FAR)
    if not spans:
        return False, None
    begin, end = spans[0]
    return begin <= at, end if begin <= at else begin


def after(windows: Sequence[Window], at: int, span: int, zone: str) -> int:
    """Return the wall time at which ``span`` ns of open windows have passed since ``at``."""
    days = 9
    while True:
        left = span
        for begin, end in _spans(windows, at, zone, days):
            begins = max(begin, at)
            if begins + left <= end:
                return begins + left
            left -= end - begins
        if days > 100 * _FAR:
            return at + 10 * 366 * 86_400 * _SECOND
        days *= 4
