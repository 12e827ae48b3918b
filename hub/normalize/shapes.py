"""One shape of message at work: the slots of a row become a reading."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
from operator import itemgetter

from hub.errors import PoisonError
from hub.model.heard import Reading, Signal
from hub.model.values import Scalar, Values
from hub.normalize.codecs.codec import Row
from hub.normalize.fields import SCALARS, Convert
from hub.normalize.flags import SetFlags
from hub.normalize.limits import clean_part, is_clean

Slots = tuple[int, ...]
Field = tuple[str, int, Slots, Convert, float | None, float | None]
"""(name, its slot in the row, further slots when that is empty, conversion, lowest, highest)."""
RaisedSignal = tuple[str, Sequence[Field], bool]
"""(name, its data, whether it is critical)."""
Entries = tuple[tuple[Field, ...], tuple[RaisedSignal, ...], tuple[SetFlags, ...]]
NOTHING: Entries = ((), (), ())

_KeyOf = Callable[[Row], object]
_CACHED_PARTS = _CACHED_FITS = 1_024
_LONG_FIT = 1_024


class Decision:
    """What applies when certain slots hold certain values: one look-up instead of a condition per property."""

    __slots__ = ("key_of", "slots", "table")

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.key_of: _KeyOf = itemgetter(*slots)
        self.table: dict[object, Entries] = {}

    def add(self, allowed: Sequence[Collection[Scalar]], entries: Entries) -> None:
        for values in product(*allowed):
            key = values if len(values) > 1 else values[0]
            known = self.table.get(key, NOTHING)
            self.table[key] = (known[0] + entries[0], known[1] + entries[1], known[2] + entries[2])


def look(decision: Decision, row: Row) -> Entries | None:
    """Return what applies to a row; None for nothing."""
    try:
        return decision.table.get(decision.key_of(row))
    except TypeError:  # a list or an object where the profile compares a value
        return None


class Fitting:
    """Which of some shapes fit a row, in their order: remembered for the values that came before."""

    __slots__ = ("_fits", "_key_of", "_known")

    def __init__(self, fits: Sequence[Decision | None]) -> None:
        self._fits = fits
        slots = dict.fromkeys(slot for each in fits if each is not None for slot in each.slots)
        self._key_of: _KeyOf | None = itemgetter(*slots) if slots else None
        self._known: dict[object, Sequence[int]] = {}

    def of(self, row: Row) -> Sequence[int]:
        """Return the numbers of those that fit."""
        key = None if self._key_of is None else self._key_of(row)
        try:
            known = self._known.get(key)
        except TypeError:  # a list or an object where the profile compares a value
            return self._look(row)
        if known is None:
            known = self._look(row)
            if len(self._known) < _CACHED_FITS and len(str(key)) < _LONG_FIT:  # 1,024 texts of 256 KB would be 256 MB
                self._known[key] = known
        return known

    def _look(self, row: Row) -> Sequence[int]:
        return [number for number, fits in enumerate(self._fits) if fits is None or look(fits, row) is not None]


class CompiledShape:
    """One shape of message over the slots of a row."""

    __slots__ = (
        "always", "backfill", "clock", "critical", "critical_values", "decisions", "ends", "fits", "identity", "part",
        "ports",
    )  # fmt: skip

    def __init__(self, *, critical: bool, ends: bool, clock: Callable[[Row], int | None]) -> None:
        self.fits: Decision | None = None
        self.ports: Collection[Scalar] = ()
        self.always: Entries = NOTHING
        self.decisions: list[Decision] = []
        self.identity: Callable[[Row], str | None] | None = None
        self.part: Callable[[Row], str | None] | None = None
        self.backfill: Callable[[Row], bool] | None = None
        self.clock = clock
        self.critical = critical
        self.critical_values: Mapping[str, Collection[Scalar]] = {}
        self.ends = ends

    def read(self, row: Row) -> Reading | None:
        """Return the reading; None when the shape fits and yet has nothing to say."""
        values: Values = {}
        bad: list[str] = []
        fields, raised, flags = self.always
        if raised and self.fits is None and all(raw is None for raw in row):
            return None  # a payload without anything in it is no signal
        if fields:
            take(row, fields, values, bad)
        for decision in self.decisions:
            entries = look(decision, row)
            if entries is not None:
                take(row, entries[0], values, bad)
                raised += entries[1]
                flags += entries[2]
        for set_flags in flags:
            set_flags(row, values)
        signals = [Signal(name, _data(row, data)) for name, data, _ in raised] if raised else ()
        if not (values or signals or self.ends or self._is_heard(row)):
            return None
        return Reading(
            values,
            signals,
            None if self.part is None else self.part(row),
            self.clock(row),
            None if self.identity is None else self.identity(row),
            self.backfill is not None and self.backfill(row),
            self.critical or self.is_critical(values, raised),
            None,
            None,
            bad,
        )

    def is_critical(self, values: Values, raised: Sequence[RaisedSignal]) -> bool:
        """Return whether a value or a signal declares an alarm."""
        if not self.critical_values.keys().isdisjoint(values):
            for name, members in self.critical_values.items():
                if values.get(name) in members:
                    return True
        for signal in raised:  # noqa: SIM110 -- any() costs 0.2 us more
            if signal[2]:
                return True
        return False

    def _is_heard(self, row: Row) -> bool:
        """Return whether a property was there at all and only said "no value"."""
        entries = (self.always, *(look(decision, row) for decision in self.decisions))
        fields = (field for entry in entries if entry is not None for field in entry[0])
        return any(_first(row, (slot, *others)) is not None for _, slot, others, *_ in fields)


def take(row: Row, fields: Sequence[Field], values: Values, bad: list[str]) -> None:
    """Take the fields in their order: of two for one property the later counts."""
    for name, slot, others, convert, lowest, highest in fields:
        raw = row[slot]
        if raw is None:
            raw = _first(row, others)
            if raw is None:
                continue
        value = convert(raw)
        if value is None:
            continue
        values[name] = value
        if bad and name in bad:
            bad.remove(name)
        if lowest is not None and not lowest <= value <= highest:  # type: ignore[operator]
            bad.append(name)


def _first(row: Row, slots: Sequence[int]) -> object:
    for slot in slots:
        if row[slot] is not None:
            return row[slot]
    return None


def _data(row: Row, fields: Sequence[Field]) -> Values:
    data: Values = {}
    take(row, fields, data, [])
    return data


def compile_identity(slots: Slots) -> Callable[[Row], str | None]:
    """Return what reads the identity of a row: the values of all slots; None when one is missing, or not read."""

    def read(row: Row) -> str | None:
        parts = []
        for slot in slots:
            part = row[slot]
            if part is None:
                return None
            if part.__class__ is not str and part.__class__ is not int:
                raise PoisonError("bad_value", "an identity is a text or a number")
            parts.append(part if part.__class__ is str else str(part))
        text = "/".join(parts)
        if not is_clean(text):
            raise PoisonError("bad_value", "the identity is no text without control characters")
        return None if "\ufffd" in text else text  # what is no character might be another one in the next event

    return read


def told_apart(identity: Callable[[Row], str | None], number: Callable[[], int]) -> Callable[[Row], str | None]:
    """Return what tells readings of one message apart that all have its identity: else the first alone is judged."""

    def read(row: Row) -> str | None:
        found, at = identity(row), number()
        return f"{found}#{at}" if found is not None and at else found

    return read


def compile_backfill(slots: Slots, members: Collection[Scalar] | None) -> Callable[[Row], bool]:
    """Return what recognises a message that is uploaded again: by a value, or by its mere presence."""

    def is_backfill(row: Row) -> bool:
        raw = _first(row, slots)
        if members is None:
            return raw is not None
        return raw.__class__ in SCALARS and raw in members

    return is_backfill


class PartNames:
    """Names the part of a row; PoisonError ``bad_part``. The names of values that came before are remembered."""

    __slots__ = ("_absent", "_form", "_known", "_plus")

    def __init__(self, form: str, absent: Collection[Scalar], plus: int) -> None:
        self._form = form
        self._absent = absent
        self._plus = plus
        self._known: dict[object, str | None] = {}

    def named(self, *raws: object) -> str | None:
        """Return the part that these values stand for; None for the device itself."""
        for raw in raws:  # first: true and 1.0 are equal to the 1 that may be known
            if raw.__class__ is not int and raw.__class__ is not str:
                raise PoisonError("bad_part", "a part is a text or a number")
        try:
            return self._known[raws]
        except KeyError:
            part = self._part(raws)
        if len(self._known) < _CACHED_PARTS:
            self._known[raws] = part
        return part

    def _part(self, raws: Sequence[object]) -> str | None:
        if all(raw in self._absent for raw in raws):
            return None
        return clean_part(self._form.format(*(self._counted(raw) for raw in raws)))

    def _counted(self, raw: object) -> object:
        if not self._plus:
            return raw
        if isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) < _MOST_DIGITS:
            raw = int(raw)
        if not isinstance(raw, int):
            raise PoisonError("bad_part", "not the number that plus is added to")
        return raw + self._plus


_MOST_DIGITS = 10


def compile_part(names: PartNames, slots: Slots, *, needs_all: bool) -> Callable[[Row], str | None]:
    """Return what names the part of a row: by the first of ``slots`` that is there, or by all of them together."""
    slot, *others = slots

    def by_first(row: Row) -> str | None:
        raw = row[slot]
        if raw is None:
            raw = _first(row, others)
        return None if raw is None else names.named(raw)

    def by_all(row: Row) -> str | None:
        raws = [row[each] for each in slots]
        return None if None in raws else names.named(*raws)

    return by_all if needs_all else by_first
