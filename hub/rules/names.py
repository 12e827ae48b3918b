"""What a rule may speak of: the kinds that it concerns, and the properties that all of them share."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from hub.catalogue import Catalogue, Kind, Property, Type
from hub.durations import nanoseconds
from hub.errors import ConfigError
from hub.rules.expression import Name, ValueType
from hub.rules.rule import Rule

_VALUE_TYPES = {Type.BOOL: ValueType.BOOL, Type.INT: ValueType.NUMBER, Type.FLOAT: ValueType.NUMBER}


def kinds_of(rule: Rule, catalogue: Catalogue) -> list[Kind]:
    """Return the kinds that ``rule`` concerns: the one it names, or all that report its signal.

    ConfigError ``unknown_kind`` or ``unknown_signal``, with ``path`` saying where in the rule.
    """
    wanted = rule.for_each.kind
    if wanted is not None and wanted not in catalogue.kinds:
        raise ConfigError(
            "unknown_kind",
            f"there is no kind {wanted!r}",
            hint=suggestion(wanted, catalogue.kinds),
            path=("for_each", "kind"),
        )
    named = list(catalogue.kinds.values()) if wanted is None else [catalogue.kinds[wanted]]
    if rule.on_signal is None:
        return named
    reporting = [kind for kind in named if rule.on_signal in kind.signals]
    if not reporting:
        who = "no kind" if wanted is None else f"no {wanted}"
        known = {signal for kind in named for signal in kind.signals}
        raise ConfigError(
            "unknown_signal",
            f"{who} reports {rule.on_signal!r}",
            hint=suggestion(rule.on_signal, known),
            path=("on_signal",),
        )
    return reporting


def names_of(kinds: Sequence[Kind]) -> dict[str, Name]:
    """Return the names that expressions over ``kinds`` may use: the properties that all of them have.

    Where kinds differ, a word of any of them may be said, and a value is unknown as soon as one of them calls it stale.
    """
    shared = sorted(set.intersection(*(set(kind.properties) for kind in kinds)))
    return {name: _name([kind.properties[name] for kind in kinds]) for name in shared}


def _name(properties: Sequence[Property]) -> Name:
    limits = [nanoseconds(each.stale_after) for each in properties if each.stale_after is not None]
    words = frozenset(word for each in properties for word in each.values)
    return Name(_VALUE_TYPES.get(properties[0].type, ValueType.TEXT), min(limits, default=None), words)


def suggestion(word: str, known: Collection[str]) -> str:
    """Return the hint for a word that is none of ``known``."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"
