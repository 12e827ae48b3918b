"""What a rule may speak of: the kinds that it concerns, and the properties that all of them share."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from hub.catalogue import Catalogue, Kind, Property, Type, Typed
from hub.durations import nanoseconds
from hub.errors import ConfigError
from hub.rules.expression import Lists, Name, ValueType
from hub.rules.held import OF_WITNESSES
from hub.rules.inputs import CompiledInput
from hub.rules.rule import Rule

Sources = Mapping[str, Sequence[tuple[str, str]]]
"""Which properties of which kinds a name of a rule of places is."""
NOTHING: Sources = {}
_VALUE_TYPES = {Type.BOOL: ValueType.BOOL, Type.INT: ValueType.NUMBER, Type.FLOAT: ValueType.NUMBER}


def kinds_of(rule: Rule, catalogue: Catalogue) -> list[Kind]:
    """Return the kinds that ``rule`` concerns: those it names, or all that report its signal.

    ConfigError ``unknown_kind`` or ``unknown_signal``, with ``path`` saying where in the rule.
    """
    wanted = rule.for_each.kinds
    for each in wanted:
        if each not in catalogue.kinds:
            hint = suggestion(each, catalogue.kinds)
            raise ConfigError("unknown_kind", f"there is no kind {each!r}", hint=hint, path=("for_each", "kind"))
    named = [catalogue.kinds[each] for each in wanted] or list(catalogue.kinds.values())
    if rule.on_value is not None and rule.on_value not in named[0].properties:
        raise ConfigError(
            "unknown_property",
            f"a {named[0].kind} has no property {rule.on_value!r}",
            hint=suggestion(rule.on_value, named[0].properties),
            path=("on_value",),
        )
    if rule.on_signal is None:
        return named
    reporting = [kind for kind in named if rule.on_signal in kind.signals]
    if not reporting:
        who = f"no {' or '.join(wanted) or 'kind'}"
        known = {signal for kind in named for signal in kind.signals}
        raise ConfigError(
            "unknown_signal",
            f"{who} reports {rule.on_signal!r}",
            hint=suggestion(rule.on_signal, known),
            path=("on_signal",),
        )
    return reporting


class Scope(NamedTuple):
    """What a rule may speak of: ``names``, and for a rule of places which properties of which kinds they are.

    ``kinds`` are those whose words wake it. ``said`` is what ``where`` may speak of: the data of the signal, or what is
    said together with the value.
    """

    kinds: Sequence[Kind]
    names: Mapping[str, Name]
    sources: Sources = NOTHING
    inputs: Mapping[str, CompiledInput] = {}
    said: Mapping[str, Name] = {}


def scope_of(rule: Rule, catalogue: Catalogue) -> Scope:
    """Return what ``rule`` may speak of; ConfigError with ``path`` saying where in the rule it speaks of nothing."""
    concerned = kinds_of(rule, catalogue)
    value, signal = rule.for_each.value, rule.on_signal
    carrying = [kind.properties if signal is None else kind.signals[signal].data for kind in concerned]
    if value is not None and not any(value in each for each in carrying):
        known = sorted({name for each in carrying for name in each})
        what = f"nothing that is {'said' if signal is None else signal} carries {value!r}"
        raise ConfigError("unknown_data", what, hint=suggestion(value, known), path=("for_each", "value"))
    names, sources = (names_of(concerned), NOTHING) if rule.for_each.place is None else _of_places(tuple(concerned))
    inputs = inputs_of(rule, names, catalogue)
    for name in sorted(names.keys() & inputs.keys()):
        raise ConfigError("taken_name", f"{name!r} is a property already", path=("inputs", name))
    made = {name: Name(ValueType.BOOL if rule.inputs[name].is_truth else ValueType.NUMBER) for name in inputs}
    said = names if rule.on_signal is None else _common([kind.signals[rule.on_signal].data for kind in concerned])
    return Scope(concerned, {**names, **made}, sources, inputs, said)


@lru_cache(128)
def _of_places(kinds: tuple[Kind, ...]) -> tuple[Mapping[str, Name], Sources]:
    """Return the names that a rule of places may use, and what they are: found once."""
    sources = _sources(kinds)
    properties = {kind.kind: kind.properties for kind in kinds}
    return {name: _name([properties[kind][word] for kind, word in pairs]) for name, pairs in sources.items()}, sources


def _sources(kinds: Sequence[Kind]) -> dict[str, list[tuple[str, str]]]:
    """Return every property, alone for all kinds that have it, and as ``kind__property`` of one of them."""
    found: dict[str, list[tuple[str, str]]] = {}
    for kind in kinds:
        for name in kind.properties:
            found.setdefault(name, []).append((kind.kind, name))
            found[f"{kind.kind}__{name}"] = [(kind.kind, name)]
    return found


def inputs_of(
    rule: Rule, names: Mapping[str, Name], catalogue: Catalogue, lists: Lists | None = None
) -> dict[str, CompiledInput]:
    """Return the inputs of ``rule`` at work; ConfigError with ``path`` saying which of them makes no sense."""
    return {name: _input(rule, name, names, catalogue, lists) for name in sorted(rule.inputs)}


def _input(
    rule: Rule, name: str, names: Mapping[str, Name], catalogue: Catalogue, lists: Lists | None
) -> CompiledInput:
    words = rule.inputs[name]
    for index, kind in enumerate(words.of):
        if kind not in catalogue.kinds:
            hint = suggestion(kind, catalogue.kinds)
            raise ConfigError("unknown_kind", f"no kind {kind!r}", hint=hint, path=("inputs", name, "of", index))
    known = names_of_witnesses([catalogue.kinds[kind] for kind in words.of]) if words.of else names
    if words.fresh is not None:
        limit = nanoseconds(words.fresh)
        known = {word: each._replace(stale_after=min(limit, each.stale_after or limit)) for word, each in known.items()}
    try:
        return CompiledInput(words, known, lists)
    except ConfigError as error:
        raise ConfigError(error.code, error.message, hint=error.hint, path=("inputs", name)) from error


def names_of(kinds: Sequence[Kind]) -> Mapping[str, Name]:
    """Return the names that expressions over ``kinds`` may use: their properties, where they are of one type.

    What a kind does not have is unknown of it. A word of any of them may be said, and a value is unknown as soon as one
    of them calls it stale.
    """
    return _names_of(tuple(kinds))


@lru_cache(512)
def _names_of(kinds: tuple[Kind, ...]) -> Mapping[str, Name]:
    found: dict[str, list[Property]] = {}
    for kind in kinds:
        for word, each in kind.properties.items():
            found.setdefault(word, []).append(each)
    return {word: _name(found[word]) for word in sorted(found) if len({_type(each) for each in found[word]}) == 1}


def names_of_witnesses(kinds: Sequence[Kind]) -> dict[str, Name]:
    """Return the names that an input may use of the kinds that it looks at; the hub itself knows some of any."""
    return {**names_of(kinds), **dict.fromkeys(sorted(OF_WITNESSES), Name(ValueType.BOOL))}


def _common(said: Sequence[Mapping[str, Typed]]) -> dict[str, Name]:
    shared = sorted(set.intersection(*map(set, said)))
    return {name: _name([each[name] for each in said]) for name in shared}


def _name(properties: Sequence[Typed]) -> Name:
    spans = [each.stale_after for each in properties if isinstance(each, Property)]
    limits = [nanoseconds(span) for span in spans if span is not None]
    words = frozenset(word for each in properties for word in each.values)
    return Name(_type(properties[0]), min(limits, default=None), words)


def _type(said: Typed) -> ValueType:
    return _VALUE_TYPES.get(said.type, ValueType.TEXT)


def suggestion(word: str, known: Collection[str]) -> str:
    """Return the hint for a word that is none of ``known``."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"
