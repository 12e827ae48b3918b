"""How people write a span of time: ``250ms``, ``30s``, ``1h30m``, ``2d``, text to timedelta and back."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

LONGEST = timedelta(days=36_500)
"""The ns of a moment so far away still fit into 64 bits: state, journal and Redis have no more."""

_MICROSECOND = timedelta(microseconds=1)
_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)), ("s", timedelta(seconds=1)))


def read_duration(value: object) -> timedelta:
    """Return what ``value`` (text, or a timedelta already) says; ValueError tells how it is written."""
    if isinstance(value, timedelta):
        return value
    found = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if found is not None and found.lastindex is not None:
        days, hours, minutes, seconds, milliseconds = (int(number or 0) for number in found.groups())
        with suppress(OverflowError):
            span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)
            if span <= LONGEST:
                return span
    message = f"{value!r} is no duration; write 250ms, 30s, 5m, 1h30m or 2d, 36500d at most"
    raise ValueError(message)


def read_seconds(text: str) -> timedelta:
    """Return what ``text`` says; a plain number is seconds. For command lines only: files say units."""
    if _NUMBER.fullmatch(text) and float(text) <= LONGEST.total_seconds():
        return timedelta(seconds=float(text))
    return read_duration(text)


def nanoseconds(span: timedelta) -> int:
    """Return ``span`` in ns, exactly."""
    return span // _MICROSECOND * 1_000


def write_duration(value: timedelta) -> str:
    """Return the shortest text that reads back as ``value`` (whole milliseconds)."""
    text = ""
    for unit, length in _UNITS:
        count, value = divmod(value, length)
        text += f"{count}{unit}" if count else ""
    milliseconds = value // timedelta(milliseconds=1)
    return text + f"{milliseconds}ms" if milliseconds or not text else text


Duration = Annotated[timedelta, BeforeValidator(read_duration), PlainSerializer(write_duration)]
