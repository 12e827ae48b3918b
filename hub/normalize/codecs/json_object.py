"""Payloads of JSON: objects, their values by dotted path; only what the profile asks for is decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from hub.errors import ConfigError, PoisonError
from hub.normalize.codecs.codec import Decode, DecodeMany, Row, Unread
from hub.normalize.limits import MANY_KEYS, MAX_ELEMENTS, check_json, json_error, loosely
from hub.normalize.payload import Payload
from hub.normalize.places import ELEMENT, Place, are_names, path_steps

_Steps = tuple[str, ...]


def compile_json(_payload: Payload, places: Sequence[Place], unread: Unread) -> Decode:
    """Prepare decoding; PoisonErrors are ``bad_json``, ``bad_value``, ``too_deep`` and ``too_many_keys``.

    What the decoder refuses is read loosely, and the refusal told to ``unread``.

    The paths become one msgspec struct, so that a message of 600 bytes costs 0.6 us instead of the 2.1 us of a
    dict of everything (orjson: 1.3 us, and it would turn 2^64 silently into a float).
    """
    paths = [_steps(place) for place in places]
    model, read = _model(paths)
    read_json, walk = msgspec.json.Decoder(model).decode, _walking(paths)

    def decode(data: bytes) -> Row:
        check_json(data)
        try:
            document = read_json(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return walk(_object(data, json_error(error), unread))
        return read(document)

    return decode


def compile_json_each(
    payload: Payload, outside: Sequence[Place], places: Sequence[Place], unread: Unread
) -> DecodeMany:
    """Prepare decoding of an array at the path ``each`` whose objects are records; ``too_many_elements`` beyond 1,000.

    An array that is empty or not there is one row with what stands outside.
    """
    element, read_element = _element(places)
    paths = [*map(_steps, outside), _steps(payload.each or "")]
    model, read_outside = _model(paths, list[element] | None)  # type: ignore[valid-type]
    read_json, walk = msgspec.json.Decoder(model).decode, _walking(paths)
    walk_element = _walking([() if place == ELEMENT else _steps(place) for place in places])
    nothing: Row = (None,) * len(places)
    width = len(outside)

    def decode(data: bytes) -> Sequence[Row]:
        check_json(data, MANY_KEYS)
        try:
            row, read_each = read_outside(read_json(data)), read_element
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            row, read_each = walk(_object(data, json_error(error), unread)), walk_element
            if not isinstance(row[width], list | None):
                raise json_error(error) from None
        common, elements = row[:width], row[width]
        if not elements:
            return ([*common, *nothing],)
        if len(elements) > MAX_ELEMENTS:  # type: ignore[arg-type]
            raise PoisonError("too_many_elements", f"more than {MAX_ELEMENTS} records")
        return [[*common, *read_each(each)] for each in elements]  # type: ignore[attr-defined]

    return decode


def _object(data: bytes, refusal: PoisonError, unread: Unread) -> dict[str, object]:
    """Return an object that the decoder refused, loosely read; raises ``refusal`` for what is none."""
    unread.refuse(refusal)
    document = loosely(data, refusal)
    if not isinstance(document, dict):
        raise refusal
    return document


def _walking(paths: Sequence[_Steps]) -> Callable[[object], Row]:
    return lambda document: [_walk(document, path) for path in paths]


def _element(places: Sequence[Place]) -> tuple[Any, Callable[[Any], Row]]:
    """Return what an element is decoded to, and its row: an object, or what stands there itself (``@``)."""
    if ELEMENT not in places:
        return _model([_steps(place) for place in places])
    others = [place for place in places if place != ELEMENT]
    if others:
        raise ConfigError("bad_place", f"an element that is {ELEMENT} is no object", hint="path: $.…", place=others[0])
    return Any, lambda each: (each,)


def _model(paths: Sequence[_Steps], last: Any = Any) -> tuple[type[msgspec.Struct], Callable[[object], Row]]:  # noqa: ANN401 -- a type
    """Return a struct that holds ``paths``, and what makes the row of them; the last of them is of type ``last``."""
    leaves = _leaves(paths)
    order = {leaf: index for index, leaf in enumerate(leaves)}
    typed = {paths[-1]: last} if paths else {}
    model, getters = _struct(leaves, typed)
    get = attrgetter(*getters, getters[0])  # of a single name it would not return a tuple
    arrange = _arrangement([(order[_leaf(path, order)], path[len(_leaf(path, order)) :]) for path in paths])

    def read(document: object) -> Row:
        try:
            row = get(document)
        except AttributeError:  # an object on the way is null
            row = tuple(_reach(document, getter) for getter in getters)
        return row if arrange is None else arrange(row)

    return model, read


def _steps(place: Place) -> _Steps:
    steps = path_steps(place) if isinstance(place, str) else ()
    if not steps or not are_names(steps):
        hint = "write path: outer.inner, and a dot of a name twice: PM2..5; a name has no quote and no backslash"
        raise ConfigError("bad_place", f"{place!r} is no path of a JSON object", hint=hint, place=place)
    return steps


def _leaves(paths: Sequence[_Steps]) -> list[_Steps]:
    """Return what the struct holds as it is: every path, cut where it enters an array or another path."""
    until_array = [
        path[: next((i for i, step in enumerate(path) if i and (step.isdigit() or step == "*")), len(path))]
        for path in paths
    ]
    kept = {path for path in until_array if not any(path[:i] in until_array for i in range(1, len(path)))}
    return list(dict.fromkeys(path for path in until_array if path in kept)) or [("?",)]


def _leaf(path: _Steps, leaves: dict[_Steps, int]) -> _Steps:
    return next(path[:i] for i in range(1, len(path) + 1) if path[:i] in leaves)


def _struct(leaves: Sequence[_Steps], typed: dict[_Steps, Any]) -> tuple[type[msgspec.Struct], list[str]]:
    """Return a nested struct of ``leaves`` and, for each, the dotted attribute that reads it; ``typed`` of some."""
    children: dict[str, list[_Steps]] = {}
    for leaf in leaves:
        children.setdefault(leaf[0], []).append(leaf[1:])
    fields: list[tuple[str, Any, Any]] = []
    getters: dict[_Steps, str] = {}
    for index, (step, inner) in enumerate(children.items()):
        name = f"f{index}"
        if inner == [()]:
            fields.append((name, typed.get((step,), Any), None))
            getters[(step,)] = name
            continue
        model, below = _struct(inner, {leaf[1:]: kind for leaf, kind in typed.items() if leaf[0] == step})
        fields.append((name, model | None, None))
        getters |= {(step, *leaf): f"{name}.{getter}" for leaf, getter in zip(inner, below, strict=True)}
    names = {f"f{index}": step for index, step in enumerate(children)}
    return msgspec.defstruct("Wanted", fields, rename=names, gc=False), [getters[leaf] for leaf in leaves]


def _reach(document: object, getter: str) -> object:
    for name in getter.split("."):
        document = getattr(document, name, None)
    return document


def _arrangement(columns: Sequence[tuple[int, _Steps]]) -> Callable[[Row], Row] | None:
    """Return how a row of leaves becomes the row of places; None when they are the same."""
    if [index for index, _ in columns] == list(range(len(columns))) and not any(rest for _, rest in columns):
        return None

    def arrange(row: Row) -> Row:
        return [_walk(row[index], rest) if rest else row[index] for index, rest in columns]

    return arrange


def _walk(value: object, steps: _Steps) -> object:
    for index, step in enumerate(steps):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, list) and step == "*":
            found = [_walk(each, steps[index + 1 :]) for each in value[:MAX_ELEMENTS]]
            return [each for each in found if each is not None] or None
        else:
            return None
    return value
