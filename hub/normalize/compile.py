"""A device profile to its handler: closures prepared once, so that a message only walks its row."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from hub.catalogue import Kind, Property, Typed
from hub.errors import ConfigError
from hub.model import Handler, Scalar
from hub.normalize.codecs.byte_fields import compile_bytes
from hub.normalize.codecs.codec import Codec, Decode
from hub.normalize.codecs.json_object import compile_json
from hub.normalize.fields import both_forms, compile_field
from hub.normalize.native import compile_native
from hub.normalize.profile import (
    ByteSource,
    Condition,
    Format,
    PathSource,
    Place,
    Profile,
    Shape,
    SignalSource,
)
from hub.normalize.shapes import (
    CompiledShape,
    Decision,
    Entries,
    Field,
    ProfileHandler,
    RaisedSignal,
    Slots,
    compile_backfill,
    compile_identity,
    compile_part,
)
from hub.normalize.times import ReadTime, compile_time

CODECS: Mapping[Format, Codec] = {
    Format.BYTES: compile_bytes,
    Format.JSON: compile_json,
}
"""Every wire format; a new one is a file in ``codecs/`` and a row here."""

T = TypeVar("T")
_Step = str | int


def compile_profile(profile: Profile, kind: Kind, params: Mapping[str, Scalar], zone: str) -> Handler:
    """Return the handler of a profile on one device: ``params`` as installed there, ``zone`` of its site.

    Raises ConfigError whose field ``path`` is the place in the profile. The handler raises PoisonError only, with
    the codes of its codec or ``unmatched``, ``bad_value``, ``bad_time``, ``bad_part``.
    """
    if profile.kind != kind.kind:
        raise ConfigError("wrong_kind", f"the profile is of kind {profile.kind}, not {kind.kind}", path=("kind",))
    unknown = sorted(params.keys() - profile.params.keys())
    if unknown:
        raise ConfigError("unknown_param", f"{profile.profile} has no parameter {unknown[0]!r}", path=("params",))
    if profile.payload.format is Format.NATIVE:
        return compile_native(kind)
    return _Compiler(kind, {**profile.params, **params}).compile(profile, zone)


class _Compiler:
    """Everything of one profile; places become slots of the row as they are met."""

    def __init__(self, kind: Kind, params: Mapping[str, Scalar]) -> None:
        self._kind = kind
        self._params = params
        self._slots: dict[Place, int] = {}
        self._paths: dict[Place, tuple[_Step, ...]] = {}
        self._path: tuple[_Step, ...] = ()

    def compile(self, profile: Profile, zone: str) -> ProfileHandler:
        times: list[tuple[int, ReadTime]] = []
        for index, source in enumerate(profile.time.sources if profile.time else ()):
            with self._at("time", "from", index):
                read = compile_time(source, zone)
                times.extend((slot, read) for slot in self._places(source.places))
        shapes = []
        for index, words in enumerate(profile.shapes):
            with self._at(*(("messages", index) if profile.messages else ())):
                shapes.append(self._shape(words))
        if profile.backfill is not None:
            with self._at("backfill"):
                is_backfill = compile_backfill(self._places(profile.backfill.path), both_forms(profile.backfill.is_))
            for shape in shapes:
                shape.backfill = is_backfill
        return ProfileHandler(self._decode(profile), shapes, times)

    def _decode(self, profile: Profile) -> Decode:
        try:
            return CODECS[profile.payload.format](profile.payload, tuple(self._slots))
        except ConfigError as error:
            error.fields["path"] = next(
                (at for place, at in self._paths.items() if place == error.fields.get("place")), ()
            )
            raise

    @contextmanager
    def _at(self, *steps: _Step) -> Iterator[None]:
        """Errors within name this place of the profile."""
        before, self._path = self._path, (*self._path, *steps)
        try:
            yield
        except ConfigError as error:
            error.fields.setdefault("path", self._path)
            raise
        finally:
            self._path = before

    def _places(self, places: Sequence[Place]) -> Slots:
        for place in places:
            self._paths.setdefault(place, self._path)
        return tuple(self._slots.setdefault(place, len(self._slots)) for place in places)

    def _shape(self, words: Shape) -> CompiledShape:
        shape = CompiledShape(critical=words.critical, ends=words.ends is not None)
        decisions: dict[Slots, Decision] = {}
        if words.match is not None:
            with self._at("match"):
                shape.fits = Decision(self._places(tuple(words.match)))
                shape.fits.add(_allowed(words.match), (), ())
        for name, source in words.properties.items():
            with self._at("properties", name):
                field = self._field(name, source, _known(name, self._kind.properties, "property", self._kind))
                self._put(shape, decisions, source.only, ((field,), ()))
        for name, raised in words.signals.items():
            with self._at("signals", name):
                self._put(shape, decisions, raised.only, ((), (self._signal(name, raised),)))
        if words.identity is not None:
            with self._at("identity"):
                shape.identity = compile_identity(self._places(words.identity))
        if words.part is not None:
            with self._at("part"):
                shape.part = compile_part(words.part.name, self._places(words.part.path))
        shape.decisions = list(decisions.values())
        shape.critical_values = [
            (name, frozenset(prop.critical)) for name, prop in self._kind.properties.items()
            if prop.critical and name in words.properties
        ]  # fmt: skip
        return shape

    def _put(
        self, shape: CompiledShape, decisions: dict[Slots, Decision], only: Condition | None, entries: Entries
    ) -> None:
        if only is None:
            shape.always = (shape.always[0] + entries[0], shape.always[1] + entries[1])
            return
        ordered = {place: only[place] for place in sorted(only)}
        with self._at("only"):
            slots = self._places(tuple(ordered))
        decisions.setdefault(slots, Decision(slots)).add(_allowed(ordered), *entries)

    def _field(self, name: str, source: ByteSource | PathSource, target: Typed) -> Field:
        slots = self._places(source.places)
        bounds = source.range or (target.range if isinstance(target, Property) else None)
        lowest, highest = bounds or (None, None)
        return name, slots[0], slots[1:], compile_field(name, source, target, self._params), lowest, highest

    def _signal(self, name: str, words: SignalSource) -> RaisedSignal:
        signal = _known(name, self._kind.signals, "signal", self._kind)
        fields = []
        for key, source in words.data.items():
            with self._at("data", key):
                if source.only is not None:
                    raise ConfigError("misplaced_only", "a signal is conditional, its data is not")
                fields.append(self._field(key, source, _known(key, signal.data, f"field of {name}", self._kind)))
        return name, fields, signal.critical


def _allowed(condition: Condition) -> list[Collection[Scalar]]:
    return [both_forms(values) for values in condition.values()]


def _known(name: str, known: Mapping[str, T], what: str, kind: Kind) -> T:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
        code = f"unknown_{what.partition(' ')[0]}"
        raise ConfigError(code, f"{name!r} is no {what} of kind {kind.kind}", hint=hint)
    return known[name]
