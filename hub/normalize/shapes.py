"""One shape of message at work: the slots of a row become a reading."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import product
from operator import itemgetter

from hub.errors import PoisonError
from hub.model import Reading, Scalar, Signal, Values
from hub.normalize.codecs.codec import Decode, Row
from hub.normalize.fields import SCALARS, Convert
from hub.normalize.limits import clean_part, is_clean
from hub.normalize.times import ReadTime

Slots = tuple[int, ...]
Field = tuple[str, int, Slots, Convert, float | None, float | None]
"""(name, its slot in the row, further slots when that is empty, conversion, lowest, highest)."""
RaisedSignal = tuple[str, Sequence[Field], bool]
"""(name, its data, whether it is critical)."""
Entries = tuple[tuple[Field, ...], tuple[RaisedSignal, ...]]

_KeyOf = Callable[[Row], object]
_CACHED_PARTS = 256


class ProfileHandler:
    """What a profile became. ``clocks_unset`` counts the messages whose device clock was not set."""

    __slots__ = ("_decode", "_shapes", "_times", "clocks_unset")

    def __init__(self, decode: Decode, shapes: Sequence[CompiledShape], times: Sequence[tuple[int, ReadTime]]) -> None:
        self._decode = decode
        self._shapes = tuple((shape.fits, shape.read) for shape in shapes)
        self._times = times
        self.clocks_unset = 0

    def __call__(self, payload: bytes, /) -> Sequence[Reading]:
        """Return the one reading of a payload."""
        row = self._decode(payload)
        for fits, read in self._shapes:
            if fits is None or look(fits, row) is not None:
                reading = read(row, self._measured_at)
                if reading is not None:
                    return (reading,)
        raise PoisonError("unmatched", "no shape of the profile fits, or it holds nothing that the profile knows")

    def _measured_at(self, row: Row) -> int | None:
        for slot, read in self._times:
            raw = row[slot]
            if raw is not None:
                measured_at = read(raw)
                if measured_at is not None:
                    return measured_at
                self.clocks_unset += 1
        return None


class Decision:
    """What applies when certain slots hold certain values: one look-up instead of a condition per property."""

    __slots__ = ("key_of", "table")

    def __init__(self, slots: Slots) -> None:
        self.key_of: _KeyOf = itemgetter(*slots)
        self.table: dict[object, Entries] = {}

    def add(
        self, allowed: Sequence[Collection[Scalar]], fields: Sequence[Field], signals: Sequence[RaisedSignal]
    ) -> None:
        for values in product(*allowed):
            key = values if len(values) > 1 else values[0]
            known_fields, known_signals = self.table.get(key, ((), ()))
            self.table[key] = ((*known_fields, *fields), (*known_signals, *signals))


def look(decision: Decision, row: Row) -> Entries | None:
    """Return what applies to a row; None for nothing."""
    try:
        return decision.table.get(decision.key_of(row))
    except TypeError:  # a list or an object where the profile compares a value
        return None


class CompiledShape:
    """One shape of message over the slots of a row."""

    __slots__ = ("always", "backfill", "critical", "critical_values", "decisions", "ends", "fits", "identity", "part")

    def __init__(self, *, critical: bool, ends: bool) -> None:
        self.fits: Decision | None = None
        self.always: Entries = ((), ())
        self.decisions: list[Decision] = []
        self.identity: Callable[[Row], str | None] | None = None
        self.part: Callable[[Row], str | None] | None = None
        self.backfill: Callable[[Row], bool] | None = None
        self.critical = critical
        self.critical_values: Sequence[tuple[str, Collection[Scalar]]] = ()
        self.ends = ends

    def read(self, row: Row, measured_at: Callable[[Row], int | None]) -> Reading | None:
        """Return the reading; None when the shape fits and yet has nothing to say."""
        values: Values = {}
        bad: list[str] = []
        fields, raised = self.always
        if fields:
            _take(row, fields, values, bad)
        for decision in self.decisions:
            entries = look(decision, row)
            if entries is not None:
                _take(row, entries[0], values, bad)
                raised += entries[1]
        signals = [Signal(name, _data(row, data)) for name, data, _ in raised] if raised else ()
        if not (values or signals or self.ends or self._is_heard(row)):
            return None
        return Reading(
            values,
            signals,
            None if self.part is None else self.part(row),
            measured_at(row),
            None if self.identity is None else self.identity(row),
            self.backfill is not None and self.backfill(row),
            self.critical or self._is_critical(values, raised),
            None,
            None,
            bad,
        )

    def _is_critical(self, values: Values, raised: Sequence[RaisedSignal]) -> bool:
        for name, members in self.critical_values:
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


def _take(row: Row, fields: Sequence[Field], values: Values, bad: list[str]) -> None:
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
        if lowest is not None and not lowest <= value <= highest:  # type: ignore[operator]
            bad.append(name)


def _first(row: Row, slots: Sequence[int]) -> object:
    for slot in slots:
        if row[slot] is not None:
            return row[slot]
    return None


def _data(row: Row, fields: Sequence[Field]) -> Values:
    data: Values = {}
    _take(row, fields, data, [])
    return data


def compile_identity(slots: Slots) -> Callable[[Row], str | None]:
    """Return what reads the identity of a row: the values of all slots; None when one is missing."""

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
        return text

    return read


def compile_backfill(slots: Slots, members: Collection[Scalar]) -> Callable[[Row], bool]:
    """Return what recognises a message that is uploaded again."""

    def is_backfill(row: Row) -> bool:
        raw = _first(row, slots)
        return raw.__class__ in SCALARS and raw in members

    return is_backfill


def compile_part(form: str, slots: Slots) -> Callable[[Row], str | None]:
    """Return what names the part of a row, by a form such as ``door-{}``; PoisonError ``bad_part``."""
    known: dict[object, str] = {}
    slot, *others = slots

    def read(row: Row) -> str | None:
        raw = row[slot]
        if raw is None:
            raw = _first(row, others)
        if raw is None:
            return None
        if raw.__class__ is not str and raw.__class__ is not int:
            raise PoisonError("bad_part", "a part is a text or a number")
        part = known.get(raw)
        if part is None:
            part = clean_part(form.format(raw))
            if len(known) < _CACHED_PARTS:
                known[raw] = part
        return part

    return read
