"""The words of one shape of message to the shape at work."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from hub.catalogue import Kind, Property, Typed
from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.normalize.codecs.byte_fields import end_of, spot_of
from hub.normalize.codecs.codec import Row, Unread
from hub.normalize.fields import both_forms, compile_field
from hub.normalize.flags import NAMES, TRUTH, SetFlags, check_flags, compile_bitmap, compile_pair, compile_snapshot
from hub.normalize.handler import Group
from hub.normalize.places import ChannelPlace
from hub.normalize.profile import Shape
from hub.normalize.shapes import (
    NOTHING,
    CompiledShape,
    Decision,
    Entries,
    Field,
    PartNames,
    RaisedSignal,
    compile_identity,
    compile_part,
    told_apart,
)
from hub.normalize.slots import Book, Slots
from hub.normalize.sources import ByteSource, Condition, Flags, PathSource, SignalSource, each_of
from hub.normalize.times import Clocks

T = TypeVar("T")
Clock = Callable[[Row], int | None]


class Shaper:
    """Makes the shapes of one profile; their places become slots of ``book``."""

    def __init__(self, kind: Kind, params: Mapping[str, Scalar], book: Book, unread: Unread, clocks: Clocks) -> None:  # noqa: PLR0913, PLR0917, RUF100 -- what shapes share
        self._clocks = clocks
        self._kind = kind
        self._params = params
        self._book = book
        self._unread = unread

    def group(self, words: Shape, clock: Clock) -> Group:
        """Return the shape, or one for each part that it repeats for. Raises ConfigError."""
        if words.repeat is None:
            shape = self._shape(words, clock, 0)
            if words.part is not None:
                with self._book.at("part"):
                    names = PartNames(words.part.name, both_forms(words.part.absent or ()), words.part.plus)
                    slots = self._book.slots(words.part.places())
                    shape.part = compile_part(names, slots, needs_all=isinstance(words.part.at, tuple))
            return (shape,)
        with self._book.at("repeat"):
            parts = words.repeat.parts(self._params)
        shapes = []
        for index, name in enumerate(parts):
            shape = self._shape(words, clock, index)
            shape.part = _always(name)
            if shape.identity is not None:
                shape.identity = told_apart(shape.identity, lambda index=index: index)  # type: ignore[misc]
            shapes.append(shape)
        return shapes

    def _shape(self, words: Shape, clock: Clock, index: int) -> CompiledShape:
        shape = CompiledShape(critical=words.critical, ends=words.ends is not None, clock=clock)
        shape.ports = both_forms(words.port or ())
        if words.match is not None:
            with self._book.at("match"):
                shape.fits = Decision(self._book.slots(tuple(words.match)))
                shape.fits.add(_allowed(words.match), NOTHING)
        entries = _Entries(self._book)
        self._add_properties(words, entries, index)
        for number, flags in enumerate(words.flags):
            with self._book.at("flags", number):
                entries.put(flags.only, ((), (), (self._flags(flags, index),)))
        for name, raised in words.signals.items():
            with self._book.at("signals", name):
                entries.put(raised.only, ((), (self._signal(name, raised, index),), ()))
        if words.identity is not None:
            with self._book.at("identity"):
                shape.identity = compile_identity(self._book.slots(words.identity))
                if self._book.is_of_message(words.identity):
                    shape.identity = told_apart(shape.identity, lambda: self._clocks.record)
        shape.always, shape.decisions = entries.always, list(entries.decisions.values())
        shape.critical_values = {
            name: frozenset(prop.critical) for name, prop in self._kind.properties.items()
            if prop.critical and name in words.names
        }  # fmt: skip
        return shape

    def _add_properties(self, words: Shape, entries: _Entries, index: int) -> None:
        # The first source of a property wins: it is taken last, over what the others said.
        for name, sources in words.properties.items():
            with self._book.at("properties", name):
                for source in reversed(each_of(sources)):
                    entries.put(source.only, ((self._property(name, source, index),), (), ()))
        for channel, fields in words.channels.items():
            at = 0
            for name, field in fields.items():
                with self._book.at("channels", channel, name):
                    source = field.source(channel, at if field.at is None else field.at)
                    entries.put(source.only, ((self._property(name, source, index),), (), ()))
                    at = _end(source)

    def _property(self, name: str, source: ByteSource | PathSource, index: int) -> Field:
        return self._field(name, source, _known(name, self._kind.properties, "property", self._kind), index)

    def _field(self, name: str, source: ByteSource | PathSource, target: Typed, index: int) -> Field:
        slots = self._book.slots(source.places(index))
        bounds = source.range or (target.range if isinstance(target, Property) else None)
        lowest, highest = bounds or (None, None)
        convert = compile_field(name, source, target, self._params, is_text=self._book.is_text(source.in_))
        return name, slots[0], slots[1:], convert, lowest, highest

    def _signal(self, name: str, words: SignalSource, index: int) -> RaisedSignal:
        signal = _known(name, self._kind.signals, "signal", self._kind)
        fields = []
        for key, source in words.data.items():
            with self._book.at("data", key):
                if source.only is not None:
                    raise ConfigError("misplaced_only", "a signal is conditional, its data is not")
                fields.append(self._field(key, source, _known(key, signal.data, f"field of {name}", self._kind), index))
        return name, fields, signal.critical

    def _flags(self, words: Flags, index: int) -> SetFlags:
        check_flags(words, self._kind.properties)
        slots = self._book.slots(words.table.places(index))
        if words.bitmap is not None:
            return compile_bitmap(words.bitmap, slots)
        if words.list_ is not None:
            return compile_snapshot(words.list_, slots, self._unread)
        if words.to is None:
            raise ConfigError("bad_flags", "a pair needs to")
        name = compile_field("flags", words.table, NAMES, self._params)
        to = compile_field("flags", words.to, TRUTH, self._params, is_text=self._book.is_text(words.to.in_))
        return compile_pair(slots, name, self._book.slots(words.to.places(index)), to)


class _Entries:
    """What a shape says: always, or when certain slots hold certain values."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.always: Entries = NOTHING
        self.decisions: dict[Slots, Decision] = {}

    def put(self, only: Condition | None, entries: Entries) -> None:
        """Add what applies under a condition."""
        if only is None:
            fields, signals, flags = self.always
            self.always = (fields + entries[0], signals + entries[1], flags + entries[2])
            return
        ordered = {place: only[place] for place in sorted(only)}
        with self._book.at("only"):
            slots = self._book.slots(tuple(ordered))
        self.decisions.setdefault(slots, Decision(slots)).add(_allowed(ordered), entries)


def _end(source: ByteSource) -> int:
    place = source.place()
    if not isinstance(place, ChannelPlace):
        raise ConfigError("bad_place", "not a place in a channel")
    end = end_of(spot_of(place.place))
    if end == source.at:
        raise ConfigError("bad_place", "a text in a channel needs its size")
    return end


def _always(part: str) -> Callable[[Row], str]:
    return lambda _: part


def _allowed(condition: Condition) -> list[Collection[Scalar]]:
    return [both_forms(values) for values in condition.values()]


def _known(name: str, known: Mapping[str, T], what: str, kind: Kind) -> T:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
        code = f"unknown_{what.partition(' ')[0]}"
        raise ConfigError(code, f"{name!r} is no {what} of kind {kind.kind}", hint=hint)
    return known[name]
