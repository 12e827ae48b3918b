"""What is held of one part of a device: its newest reading under one stamp, and older values beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hub.model.values import Quality, Scalar, Values

Stamped = tuple[Scalar, int, int, Quality]
"""One value: (value, measured_at ns, engine time awake when it came, quality)."""

TESTING, SILENT = "testing", "silent"
"""What an input may ask of any witness: is it being tried, because the hub was told so or because it says so itself?
Has one of its rules with ``absent_for`` found that it says nothing?"""
OF_WITNESSES = frozenset({TESTING, SILENT})

NOTHING_OLDER: dict[str, Stamped] = {}
"""Of nearly every part: one for all, for an empty dict takes 80 bytes. Nobody changes it."""

# An attribute of an enum class costs 40 ns each time.
GOOD, BAD = Quality.GOOD, Quality.BAD


@dataclass(slots=True)
class Held:
    """Devices say the same few names again and again, so a reading replaces the one before it as a whole.

    A stamp for each value instead cost 0.9 us a message of three values, and twice the memory; a msgspec struct instead
    of a dataclass costs 40 ns for each attribute that is set.

    ``values`` were measured ``at`` (ns) and came when the engine had been ``awake`` so long; ``bad`` names those out of
    range. ``older`` holds values of other names, none of them measured after ``at`` except those that a broker
    remembered. ``values`` belong to the reading: nobody changes them.
    """

    values: Values = field(default_factory=dict)
    at: int = 0
    awake: int = 0
    quality: Quality = GOOD
    bad: Sequence[str] = ()
    older: dict[str, Stamped] = field(default_factory=lambda: NOTHING_OLDER)

    def take(self, values: Values, at: int, awake: int, quality: Quality, bad: Sequence[str]) -> bool:
        """Take the values of a reading, except where what is held was measured after it; False when all of it was."""
        if at < self.at:
            return self._fill(values, at, awake, quality, bad)
        self.follow(values, at, awake, quality, bad)
        return True

    def follow(self, values: Values, at: int, awake: int, quality: Quality, bad: Sequence[str]) -> None:
        """Take the values of a reading that comes after what is held, whatever our clock said then."""
        if self.values.keys() != values.keys():
            self._retire(values)
        self.values, self.at, self.awake, self.quality, self.bad = values, at, awake, quality, bad

    def fill_gaps(self, values: Values, at: int, awake: int, quality: Quality, bad: Sequence[str]) -> None:
        """Take only what nothing is held of; any reading that comes replaces it."""
        for name, value in values.items():
            if self.get(name) is None:
                self._put(name, (value, at, awake, BAD if name in bad else quality))

    def shift(self, by: int) -> None:
        """Count all moments (ns) from another clock."""
        self.at += by
        if self.older:
            older = self.older.items()
            self.older = {name: (value, at + by, awake, quality) for name, (value, at, awake, quality) in older}

    def _retire(self, values: Values) -> None:
        """Keep what is held under names that ``values`` lacks."""
        for name in values if self.older else ():
            self.older.pop(name, None)
        for name, value in self.values.items():
            if name not in values:
                self._put(name, (value, self.at, self.awake, self._quality_of(name)))

    def _fill(self, values: Values, at: int, awake: int, quality: Quality, bad: Sequence[str]) -> bool:
        """Take the values of a reading that is older than the newest; False when it says nothing new."""
        says_something = False
        for name, value in values.items():
            known = self.older.get(name)
            if name not in self.values and (known is None or at >= known[1]):
                self._put(name, (value, at, awake, BAD if name in bad else quality))
                says_something = True
        return says_something

    def _put(self, name: str, stamped: Stamped) -> None:
        if self.older is NOTHING_OLDER:
            self.older = {}
        self.older[name] = stamped

    def _quality_of(self, name: str) -> Quality:
        return BAD if name in self.bad else self.quality

    # --------------------------------------------------------------------------------------------------------- readers

    def get(self, name: str) -> Stamped | None:
        """Return the value of ``name`` and its stamp."""
        value = self.values.get(name)
        return self.older.get(name) if value is None else (value, self.at, self.awake, self._quality_of(name))

    def value(self, name: str) -> Scalar | None:
        """Return the value of ``name``, however old."""
        value = self.values.get(name)
        if value is None and name in self.older:
            return self.older[name][0]
        return value

    def fresh(self, name: str, since: int) -> Scalar | None:
        """Return the value of ``name`` that came at ``since`` (engine time awake) or later."""
        value = self.values.get(name)
        if value is not None:
            return value if self.awake >= since else None
        known = self.older.get(name)
        return known[0] if known is not None and known[2] >= since else None

    def shown(self) -> dict[str, tuple[Scalar, int, Quality]]:
        """Return the value, moment and quality of every name, in the order of names, as a twin shows them."""
        if self.older or self.bad:
            return {name: (value, at, quality) for name, (value, at, _, quality) in self.items()}
        at, quality = self.at, self.quality
        return {name: (value, at, quality) for name, value in sorted(self.values.items())}

    def items(self) -> Iterator[tuple[str, Stamped]]:
        """Return every name with its value and stamp, in the order of names."""
        if not self.older and not self.bad:  # nearly always, and a twin is shown once a second
            at, awake, quality = self.at, self.awake, self.quality
            for name, value in sorted(self.values.items()):
                yield name, (value, at, awake, quality)
            return
        for name in sorted((*self.values, *self.older)):
            stamped = self.get(name)
            if stamped is not None:
                yield name, stamped


NOTHING = Held()
"""Of a part that has said nothing; nobody changes it."""
