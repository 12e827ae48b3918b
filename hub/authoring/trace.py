"""Which bytes or paths of one payload became which value: what the profile says, confirmed by changing it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from hub.authoring.anatomy import Anatomy, Section
from hub.authoring.looks import Look
from hub.authoring.marks import FRAME_CODES, Mark, Use, frame_marks, native_marks
from hub.catalogue import Kind
from hub.errors import PoisonError
from hub.model.heard import Handler, Reading
from hub.model.values import Scalar
from hub.normalize.codecs.codec import Row, Unread
from hub.normalize.codecs.formats import compile_many, compile_one
from hub.normalize.compile import compile_profile
from hub.normalize.handler import ProfileHandler
from hub.normalize.places import LAST, Place
from hub.normalize.profile import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A payload as one device sent it."""

    payload: bytes
    port: int | None = None
    params: Mapping[str, Scalar] = field(default_factory=dict)
    zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What became of one payload.

    Bytes and leaves of ``sections`` that no mark covers became nothing. ``error`` is what makes the payload a dead
    letter; a frame that is wrong is looked at as if it were right, and ``readings`` are what it would say then.
    ``tail`` is what made it partial, ``shapes`` are the numbers of the messages that fitted.
    """

    sections: Sequence[Section]
    marks: Sequence[Mark]
    readings: Sequence[Reading]
    error: PoisonError | None = None
    is_partial: bool = False
    tail: PoisonError | None = None
    shapes: Collection[int] = ()


def trace(profile: Profile, kind: Kind, sent: Sent) -> Trace:
    """Return what became of a payload. Raises ConfigError for a profile that cannot work."""
    handler = compile_profile(profile, kind, sent.params, sent.zone)
    if not isinstance(handler, ProfileHandler):
        return _native(profile, kind, handler, sent.payload)
    try:
        readings: Sequence[Reading] = handler(sent.payload, sent.port)
    except PoisonError as error:
        if error.code in FRAME_CODES and _frameless(profile) != profile:
            unframed = trace(_frameless(profile), kind, sent)
            anatomy = Anatomy(profile.payload, sent.payload, list(handler.uses))
            frame = list(frame_marks(profile.payload, anatomy, error.code))
            return replace(unframed, marks=[*frame, *_without_frame(unframed.marks)], error=error)
        return _poisoned(profile, kind, sent, error)
    try:
        whole = _Whole(profile, kind, sent, handler)
    except PoisonError as tail:  # it cannot be opened as a whole, only where the profile looks
        return Trace(
            sections=[Section("", sent.payload)],
            marks=[],
            readings=readings,
            is_partial=handler.partials > 0,
            tail=tail,
        )
    marks = [*frame_marks(profile.payload, whole.anatomy, ""), *whole.marks()]
    return Trace(
        sections=whole.anatomy.sections, marks=marks, readings=readings, is_partial=handler.partials > 0,
        tail=whole.tail, shapes=whole.shapes,
    )  # fmt: skip


def _native(profile: Profile, kind: Kind, handler: Handler, payload: bytes) -> Trace:
    """Return what became of the hub's own payload, whose names say it all."""
    try:
        readings = handler(payload)
    except PoisonError as error:
        return Trace(sections=[Section("", payload)], marks=[], readings=[], error=error)
    if getattr(handler, "partials", 0):  # an alarm was rescued of what cannot be opened as a whole
        return Trace(sections=[Section("", payload)], marks=[], readings=readings, is_partial=True)
    anatomy = Anatomy(profile.payload, payload, ())
    return Trace(sections=anatomy.sections, marks=list(native_marks(anatomy.whole, readings, kind)), readings=readings)


def _poisoned(profile: Profile, kind: Kind, sent: Sent, error: PoisonError) -> Trace:
    """Return what can still be told of a payload that is a dead letter."""
    handler = compile_profile(profile, kind, sent.params, sent.zone)
    try:
        whole = _Whole(profile, kind, sent, handler)  # type: ignore[arg-type] # a native one is not looked at this way
    except PoisonError:
        return Trace(sections=[Section("", sent.payload)], marks=[], readings=[], error=error)
    marks = [*frame_marks(profile.payload, whole.anatomy, error.code), *whole.marks()]
    return Trace(sections=whole.anatomy.sections, marks=marks, readings=[], error=error)


def _frameless(profile: Profile) -> Profile:
    nothing = {"check": None, "length": None, "starts": None, "ends": None}
    return profile.model_copy(update={"payload": profile.payload.model_copy(update=nothing)})


def _without_frame(marks: Sequence[Mark]) -> list[Mark]:
    return [mark for mark in marks if mark.use is not Use.FRAME]


class _Whole:
    """A payload that can be opened: its rows, and each shape that could read them. Raises PoisonError otherwise."""

    def __init__(self, profile: Profile, kind: Kind, sent: Sent, handler: ProfileHandler) -> None:
        places, unread = tuple(handler.uses), Unread()
        if profile.payload.has_records:
            self._rows: Sequence[Row] = compile_many(profile.payload, places, unread)(sent.payload)
        else:
            self._rows = (compile_one(profile.payload, places, unread)(sent.payload),)
        self.tail = unread.error
        self.anatomy = Anatomy(profile.payload, sent.payload, places)
        self.anatomy.open_blocks(len(self._rows))
        self._port = sent.port
        self._looks = []
        for single in _singles(profile):
            made = compile_profile(single, kind, sent.params, sent.zone)
            self._looks.append(Look(made, kind, single.shapes[0], places))  # type: ignore[arg-type] # no native ones here
        self.shapes: set[int] = set()

    def marks(self) -> Iterator[Mark]:
        """Yield what each row became, by the first shape that has something to say about it."""
        said = 0
        for number, row in enumerate(self._rows):
            for index, look in enumerate(self._looks):
                look.at_record(number, len(self._rows))
                marks, readings = look.at(row, self._port, partial(self._is_there, number))
                for place, mark in ((place, mark) for place, mark in marks if place != LAST):
                    at = None if mark.reading is None else mark.reading + said
                    path = ("messages", index, *mark.path[2:]) if mark.path[:1] == ("messages",) else mark.path
                    yield replace(mark, extent=self.anatomy.find(place, number), reading=at, path=path)
                if readings is not None:
                    said += readings
                    self.shapes.add(index)
                    break

    def _is_there(self, number: int, place: Place) -> bool:
        return bool(self.anatomy.find(place, number).found)


def _singles(profile: Profile) -> list[Profile]:
    """Return the profile once for each of its shapes, with that one alone."""
    if not profile.messages:
        return [profile]
    return [profile.model_copy(update={"messages": (shape,)}) for shape in profile.messages]
