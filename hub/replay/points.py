"""What other profiles would have made of the same payloads: points and dead letters, property by property."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from hub.model.effects import DeadLetter, Point
from hub.model.values import Scalar
from hub.replay.lockstep import Pair

MOST_EXAMPLES = 3

Place = tuple[str, str]
"""(kind, property)"""
Key = tuple[str, str, str, str, int, str]
"""(kind, site, device, part, time, property)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One value that would be another; None for one that is only on the other side. ``position`` is its record's."""

    device: str
    time: int
    position: int
    was: Scalar | None
    would_be: Scalar | None


@dataclass(slots=True, kw_only=True)
class Tally:
    """What would become of one property of a kind: values that appear, vanish, or differ; a few of them shown."""

    same: int = 0
    appeared: int = 0
    vanished: int = 0
    changed: int = 0
    examples: list[Example] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """True when anything would be different."""
        return bool(self.appeared or self.vanished or self.changed)


@dataclass(slots=True)
class Points:
    """Takes pairs; counts by (kind, property). ``understood`` and ``refused``: dead letters that would go or come.

    Each has its bytes: of those that come only the first ``refusals`` are kept.
    """

    tallies: dict[Place, Tally] = field(default_factory=dict)
    letters: int = 0
    understood: int = 0
    refused: int = 0
    refusals: list[DeadLetter] = field(default_factory=list)

    def take(self, pair: Pair) -> None:
        """Compare what one record came to."""
        self._letters(pair)
        before, after = dict(_values(pair.was.points)), dict(_values(pair.would_be.points))
        for key in sorted({*before, *after}):
            self._compare(key, pair.record.position, before.get(key), after.get(key))

    def _compare(self, key: Key, position: int, was: Scalar | None, would_be: Scalar | None) -> None:
        kind, site, name, part, time, word = key
        tally = self._tally((kind, word))
        if was == would_be and type(was) is type(would_be):
            tally.same += 1
            return
        if was is None:
            tally.appeared += 1
        elif would_be is None:
            tally.vanished += 1
        else:
            tally.changed += 1
        if len(tally.examples) < MOST_EXAMPLES:
            device = f"{site}/{name}{f'#{part}' if part else ''}"
            example = Example(device=device, time=time, position=position, was=was, would_be=would_be)
            tally.examples.append(example)

    def _letters(self, pair: Pair) -> None:
        was, would_be = _places(pair.was.dead_letters), _places(pair.would_be.dead_letters)
        self.letters += len(was)
        self.understood += len(was - would_be)
        self.refused += len(would_be - was)
        new = (letter for letter in pair.would_be.dead_letters if (letter.position, letter.index) not in was)
        self.refusals += islice(new, MOST_EXAMPLES - len(self.refusals))

    def _tally(self, place: Place) -> Tally:
        tally = self.tallies.get(place)
        if tally is None:
            tally = self.tallies[place] = Tally()
        return tally


def _values(points: list[Point]) -> Iterator[tuple[Key, Scalar]]:
    for series, time, values in points:
        for name, value in values.items():
            yield (series.kind, series.site, series.device, series.part, time, name), value


def _places(letters: Sequence[DeadLetter]) -> set[tuple[int, int]]:
    return {(letter.position, letter.index) for letter in letters}
