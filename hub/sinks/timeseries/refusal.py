"""What a 400 says: which lines of a refused write to suspect, so that few requests find the bad ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

_UNPARSED: Final = "unable to parse '"
_DROPPED: Final = re.compile(r" dropped=(\d+)")
_CONFLICT: Final = re.compile(r'input field "([^"]+)" on measurement "([^"]+)" is type (string|boolean|integer|float)')
_SPELLED: Final = {"string": rb'"', "boolean": rb"[tf]", "integer": rb"-?\d+i", "float": rb"-?[\d.e+-]+[, ]"}

_SENT: Final = re.compile("['\"=`]")
_REASON_CHARACTERS: Final = 200

Halves = tuple[list[bytes], list[bytes]]


class _Named(msgspec.Struct):
    line_number: int = 0


class _Body(msgspec.Struct):
    """InfluxDB 1 says ``error``, 2 ``message``; 3 says ``error`` and numbers the lines in ``data``."""

    error: str = ""
    message: str = ""
    data: list[_Named] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that blames the lines: the whole text, and the reasons and numbers of the lines that it names.

    Who is bad is only a guess: servers name lines in their own ways. The next request proves it.
    """

    text: str
    reasons: Mapping[bytes, str]
    numbers: frozenset[int]

    def condemns(self, lines: Sequence[bytes]) -> bool:
        """Tell whether the server said that none of ``lines`` is any good."""
        dropped = _DROPPED.search(self.text)
        return (dropped is not None and int(dropped[1]) == len(lines)) or all(self._named(lines))

    def split(self, lines: Sequence[bytes]) -> Halves:
        """Return the lines that are more likely bad, and the others; neither is empty when there are two.

        Suspect is what the server names; else what has the field that it names in the type that it names; else the
        elder half, for what is beyond the retention lies together in time.
        """
        for guess in (self._named(lines), self._conflicting(lines)):
            if any(guess) and not all(guess):
                return _apart(lines, guess)
        by_time, middle = sorted(lines, key=_time), len(lines) // 2
        return by_time[:middle], by_time[middle:]

    def reason(self, line: bytes) -> str:
        """Return why ``line`` is refused, without the values that the server repeats."""
        return self.reasons.get(line) or self.text.partition(_UNPARSED)[0][:_REASON_CHARACTERS] or "unable to parse"

    def _named(self, lines: Sequence[bytes]) -> list[bool]:
        return [line in self.reasons or number in self.numbers for number, line in enumerate(lines, 1)]

    def _conflicting(self, lines: Sequence[bytes]) -> list[bool]:
        found = _CONFLICT.search(self.text)
        if found is None:
            return []
        field, measurement, sort = found.groups()
        bad = re.compile(
            rb"%b[, ].*[, ]%b=%b" % (re.escape(measurement.encode()), re.escape(field.encode()), _SPELLED[sort])
        )
        return [bad.match(line) is not None for line in lines]


def read_refusal(body: bytes) -> Refusal | None:
    """Return what ``body`` blames the lines for; None when it is not the answer of a time series store."""
    try:
        said = msgspec.json.decode(body, type=_Body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    text = said.message or said.error
    quoted = (part.partition(_UNPARSED)[2].rpartition("': ") for part in text.splitlines())
    reasons = {line.encode("utf-8", "replace"): reason for line, found, reason in quoted if found}
    numbers = frozenset(named.line_number for named in said.data or ())
    return Refusal(text=text, reasons=reasons, numbers=numbers) if text else None


def words_of(body: bytes) -> str:
    """Return the first words of any answer, up to where they may repeat what was sent: behind a quote or ``=``."""
    try:
        said = msgspec.json.decode(body, type=_Body)
        text = said.message or said.error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = body.decode("utf-8", "replace")
    return _SENT.split(text, maxsplit=1)[0][:_REASON_CHARACTERS].strip()


TOO_LARGE: Final = Refusal(text="too large for the server", reasons={}, numbers=frozenset())
"""The answer 413: smaller bodies may pass."""


def _apart(lines: Sequence[bytes], suspected: Sequence[bool]) -> Halves:
    marked = list(zip(lines, suspected, strict=True))
    return [line for line, suspect in marked if suspect], [line for line, suspect in marked if not suspect]


def _time(line: bytes) -> int:
    time = line.rpartition(b" ")[2]
    return int(time) if time.isdigit() else 0
