"""One shape of message under the lens: what becomes of a row when single values of it are others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hub.authoring.anatomy import Extent
from hub.authoring.marks import Mark, Use, written
from hub.catalogue import Kind, Typed
from hub.errors import PoisonError
from hub.model.heard import Reading
from hub.model.values import Scalar
from hub.normalize.codecs.codec import Row
from hub.normalize.handler import ProfileHandler
from hub.normalize.places import Place
from hub.normalize.profile import Shape
from hub.normalize.slots import Path

Role = tuple[Use, str]
"""Something that a reading says: a property, a flag, ``signal`` or ``signal.key``, its part, its time …"""
Roles = Mapping[Role, Scalar | None]
Placed = tuple[Place, Mark]

_POISONED: Mapping[str, Use] = {"bad_time": Use.TIME, "bad_part": Use.PART}
_ALWAYS = {Use.TIME, Use.PART, Use.IDENTITY, Use.BACKFILL}
"""What every message of a shape is asked for, so that it was read even where it said nothing."""


_FAR = 2**40
"""Added to a number it is in no table."""


class Look:
    """A handler of one shape alone; rows are those of ``places``, with more than this shape wants."""

    def __init__(self, made: ProfileHandler, kind: Kind, shape: Shape, places: Sequence[Place]) -> None:
        self._read = made.read
        self.at_record = made.at_record
        self._uses = made.uses
        self._slots = [places.index(place) for place in made.uses]
        self._kind = kind
        self._shape = shape

    def at(self, whole: Row, port: int | None, is_there: Callable[[Place], bool]) -> tuple[list[Placed], int | None]:
        """Return the marks of a row and how many readings it is; None when the shape has nothing to say.

        ``is_there`` tells of a place without a value whether the payload has it at all: an empty text, a null.
        """
        row = [whole[slot] for slot in self._slots]
        here = [row[slot] is not None or is_there(place) for slot, place in enumerate(self._uses)]
        try:
            base = self._read(row, port)
        except PoisonError as error:
            return list(self._declared(row, here, error)), 0
        if not base:
            return [pair for pair in self._declared(row, here, None) if pair[1].name == "match"], None
        said = [_roles(reading) for reading in base]
        bad = [set(reading.bad) for reading in base]
        distinct: list[Placed] = []
        for slot, (place, paths) in enumerate(self._uses.items()):
            for mark in self._confirmed(paths, row, slot, said, port) if here[slot] else ():
                judged = _judged(replace(mark, where=written(place)), bad)
                if (place, judged) not in distinct:
                    distinct.append((place, judged))
        return _settled(distinct, said), len(base)

    def _confirmed(
        self, paths: Sequence[Path], row: Row, slot: int, said: Sequence[Roles], port: int | None
    ) -> Iterator[Mark]:
        others = self._others(row, slot, port)
        for path in dict.fromkeys(paths):
            for use, name in self._promised(path):
                mark = Mark(extent=NOWHERE, where="", use=use, name=name, raw=row[slot], path=path)
                if use is Use.CONDITION:
                    yield _condition(mark, said)
                    continue
                role = (Use.PROPERTY, name) if use is Use.FLAG else (use, name)
                readings = _changed(others, said, role)
                for number in sorted(readings):
                    if use is not Use.FLAG or role in said[number]:
                        yield replace(mark, value=said[number].get(role), unit=self._unit(use, name), reading=number)
                if not readings and (use in _ALWAYS or _is_refused(others, role)):
                    yield replace(mark, use=Use.UNUSED)

    def _others(self, row: Row, slot: int, port: int | None) -> list[Sequence[Roles] | PoisonError]:
        """Return what the row says with other values in a slot, or that it is poison then."""
        found: list[Sequence[Roles] | PoisonError] = []
        for other in _other_values(row[slot]):
            altered = [*row]
            altered[slot] = other
            try:
                found.append([_roles(reading) for reading in self._read(altered, port)])
            except PoisonError as error:
                found.append(error)
        return found

    def _declared(self, row: Row, here: Sequence[bool], error: PoisonError | None) -> Iterator[Placed]:
        """Yield what a row that says nothing, or is poison, should have been."""
        for slot, (place, paths) in enumerate(self._uses.items()):
            for path in dict.fromkeys(paths) if here[slot] else ():
                for use, name in self._promised(path):
                    yield place, Mark(
                        extent=NOWHERE, where=written(place), use=use, name=name, raw=row[slot], path=path,
                        unit=self._unit(use, name), is_wrong=error is not None and _is_about(error, use, name),
                    )  # fmt: skip

    def _promised(self, path: Path) -> list[Role]:
        steps = path[2:] if path[:1] == ("messages",) else path
        match steps:
            case (first, *_, said, "only"):
                return [(Use.CONDITION, "flags" if first == "flags" else str(said))]
            case ("properties", str() as name) | ("channels", _, str() as name):
                return [(Use.PROPERTY, name)]
            case ("flags", int() as number):
                return [(Use.FLAG, name) for name in self._shape.flags[number].properties]
            case ("signals", str() as name, "data", str() as key):
                return [(Use.SIGNAL, f"{name}.{key}")]
            case _:
                word = str(steps[0])
                return [(Use.CONDITION if word == "match" else Use(word), word)]

    def _unit(self, use: Use, name: str) -> str | None:
        if use is Use.PROPERTY:
            return self._kind.properties[name].unit
        if use is Use.SIGNAL:
            signal, _, key = name.rpartition(".")
            typed: Typed | None = self._kind.signals[signal].data.get(key)
            return None if typed is None else typed.unit
        return None


NOWHERE = Extent("", ())


def _other_values(raw: object) -> Sequence[object]:
    """Return what might have stood there instead, as its codec would say it: first of all nothing."""
    match raw:
        case None:
            return ("?", 1, True)
        case bool():
            return (None, not raw, "?")
        case int() | float():
            return (None, raw + 1, raw - 1, raw + _FAR)
        case str():
            return (None, f"{raw}0", "?")
        case bytes():
            return (None, bytes(len(raw)))
        case _:
            return (None, [])


def _roles(reading: Reading) -> dict[Role, Scalar | None]:
    """Return everything that a reading says."""
    time = reading.measured_at
    said: dict[Role, Scalar | None] = {(Use.PROPERTY, name): value for name, value in reading.values.items()}
    for signal in reading.signals:
        said[Use.SIGNAL, signal.name] = True
        said |= {(Use.SIGNAL, f"{signal.name}.{key}"): value for key, value in signal.data.items()}
    said[Use.PART, "part"] = reading.part
    said[Use.TIME, "time"] = None if time is None else datetime.fromtimestamp(time / 1e9, UTC).isoformat()
    said[Use.IDENTITY, "identity"] = reading.identity
    said[Use.BACKFILL, "backfill"] = reading.backfill
    return said


def _changed(others: Sequence[Sequence[Roles] | PoisonError], said: Sequence[Roles], role: Role) -> set[int]:
    """Return the numbers of the readings in which ``role`` depends on the value that was changed."""
    for number, now in enumerate(others):
        if isinstance(now, PoisonError):
            found = _holding(said, role) or {0} if number == 0 else set()
        else:
            found = {reading for reading, changed in _difference(said, now, all_of=number == 0) if changed == role}
        if found:
            return found
    return set()


def _is_refused(others: Sequence[Sequence[Roles] | PoisonError], role: Role) -> bool:
    """Return whether another value would have been refused for the sake of ``role``: so it was read."""
    return any(isinstance(now, PoisonError) and _is_about(now, *role) for now in others)


def _settled(marks: Sequence[Placed], said: Sequence[Roles]) -> list[Placed]:
    """Return the marks where, of places that say the same, the first counts: none of them alone makes a difference."""
    known = {(mark.use, mark.name) for _, mark in marks}
    found: list[Placed] = []
    for place, mark in marks:
        role = next((role for role in said[0] if role[1] == mark.name and said[0][role] is not None), None)
        if mark.use is Use.UNUSED and role is not None and role not in known:
            known.add(role)
            found.append((place, replace(mark, use=role[0], value=said[0][role], reading=0)))
        else:
            found.append((place, mark))
    return found


def _holding(said: Sequence[Roles], role: Role) -> set[int]:
    return {number for number, roles in enumerate(said) if role in roles}


def _difference(said: Sequence[Roles], now: Sequence[Roles], *, all_of: bool) -> Iterator[tuple[int, Role]]:
    """Yield what became another; of readings that are gone only when ``all_of`` them count.

    A value that is refused may cost other readings of the message, which do not depend on it.
    """
    part: Role = (Use.PART, "part")
    for number, before in enumerate(said):
        if len(now) == len(said):
            after: Roles = now[number]
        else:
            after = next((roles for roles in now if roles[part] == before[part]), {})
        if after or all_of:
            yield from ((number, role) for role in before.keys() | after.keys() if before.get(role) != after.get(role))


def _condition(mark: Mark, said: Sequence[Roles]) -> Mark:
    """Return the mark of a condition: for the whole message, for something that is said, or for what is not said."""
    if mark.name == "match" or any(role == mark.name for roles in said for _, role in roles):
        return mark
    return mark if mark.name == "flags" else replace(mark, name="not said", path=())


def _is_about(error: PoisonError, use: Use, name: str) -> bool:
    about = error.fields.get("property")
    if about is not None:
        return about == name.rpartition(".")[2] or (use is Use.FLAG and about == "flags")
    if error.code in _POISONED:
        return _POISONED[error.code] is use
    return error.code == "bad_value" and use is Use.IDENTITY


def _judged(mark: Mark, bad: Sequence[set[str]]) -> Mark:
    is_bad = mark.use is Use.PROPERTY and mark.reading is not None and mark.name in bad[mark.reading]
    return replace(mark, is_wrong=True) if is_bad else mark
