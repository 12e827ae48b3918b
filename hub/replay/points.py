"""What other profiles would have made of the same payloads: points and dead letters, property by property."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hub.model.effects import DeadLetter, Point
from hub.model.values import Scalar
from hub.replay.lockstep import Pair

MOST_EXAMPLES = 3

Place = tuple[str, str]
"""(kind, property)"""
Key = tuple[str, str, str, int, str]
"""(site, device, part, time, property)"""


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
    """Takes pairs; counts by (kind, property). ``understood`` and ``refused``: dead letters that would go or come."""

    tallies: dict[Place, Tally] = field(default_factory=dict)
    understood: list[DeadLetter] = field(default_factory=list)
    refused: list[DeadLetter] = field(default_factory=list)
    letters: int = 0

    def take(self, pair: Pair) -> None:
        """Compare what one record came to."""
        self._letters(pair)
        was, would_be = pair.was.points, pair.would_be.points
        if [point[1:] for point in was] == [point[1:] for point in would_be]:
            for series, _, values in was:
                for name in values:
                    self._tally((series.kind, name)).same += 1
            return
        before, after = dict(_values(was)), dict(_values(would_be))
        for key in sorted({*before, *after}):
            old, new = before.get(key), after.get(key)
            kind = (old or new or ("", None))[0]
            self._compare(kind, key, pair.record.position, (old and old[1], new and new[1]))

    def _compare(self, kind: str, key: Key, position: int, both: tuple[Scalar | None, Scalar | None]) -> None:
        was, would_be = both
        tally = self._tally((kind, key[-1]))
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
            device = f"{key[0]}/{key[1]}{f'#{key[2]}' if key[2] else ''}"
            example = Example(device=device, time=key[3], position=position, was=was, would_be=would_be)
            tally.examples.append(example)

    def _letters(self, pair: Pair) -> None:
        was = {(letter.position, letter.index): letter for letter in pair.was.dead_letters}
        would_be = {(letter.position, letter.index): letter for letter in pair.would_be.dead_letters}
        self.letters += len(was)
        self.understood += [letter for place, letter in was.items() if place not in would_be]
        self.refused += [letter for place, letter in would_be.items() if place not in was]

    def _tally(self, place: Place) -> Tally:
        tally = self.tallies.get(place)
        if tally is None:
            tally = self.tallies[place] = Tally()
        return tally


def _values(points: list[Point]) -> Iterator[tuple[Key, tuple[str, Scalar]]]:
    for series, time, values in points:
        for name, value in values.items():
            yield (series.site, series.device, series.part, time, name), (series.kind, value)
