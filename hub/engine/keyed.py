"""Values that rules hold states for: under which key a card or plate goes, and how long anything is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice

from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.places import Place, Subject
from hub.engine.state import Seen, State, count
from hub.model.values import Scalar
from hub.rules.pseudonyms import pseudonym
from hub.rules.states import CompiledRule
from hub.rules.timers import TimerClass, Timers

MOST = 20_000
"""How many values of one place a rule knows; another one more and the one that was said longest ago is forgotten."""

LOOKED_AT = 100
"""How many of the oldest may be alarms that only a person ends before there is no room for another."""

Forget = Callable[[str, str], bool]
"""Forget the state of (rule, key); False when it is an alarm that must stay."""


class Keyed:
    """What was said of each value, oldest first. A key is ``site/@place#pseudonym``."""

    def __init__(self, state: State, content: Content, timers: Timers) -> None:
        self._state = state
        self._content = content
        self._timers = timers
        self._known: dict[tuple[str, str], dict[str, Seen]] = {}
        self._number = 0

    def restore(self, seen: Seen) -> None:
        """Take what a checkpoint knew of a value."""
        self._known.setdefault((seen.rule, seen.key.partition("#")[0]), {})[seen.key] = seen
        self._timers.set(TimerClass.FORGET, seen.forget_awake, seen.rule, seen.key)

    def restored(self) -> None:
        """Put what was restored into the order in which it was said."""
        for name, known in self._known.items():
            self._known[name] = dict(sorted(known.items(), key=lambda each: each[1].number))
            self._number = max(self._number, *(seen.number for seen in known.values()))

    def part_of(self, rule: CompiledRule, data: Mapping[str, Scalar]) -> str:
        """Return the part of a place's key that stands for the value in ``data``; nothing when none was said."""
        field = rule.rule.for_each.value or ""
        value = data.get(field, "")
        return "" if value == "" else pseudonym(field, value, self._content.secret)

    def note(self, rule: CompiledRule, place: Subject, part: str, awake: int, forget: Forget) -> bool:
        """Remember that a value was said; False when there are too many and none of the oldest may be forgotten."""
        key = place.key_of(part)
        known = self._known.setdefault((rule.name, place.key), {})
        if key not in known and len(known) >= MOST and not self._makes_room(rule.name, known, forget):
            return False
        seen = known.pop(key, None) or Seen(rule=rule.name, key=key)
        self._state.touch(_entry(rule.name, key), seen)
        self._number += 1
        seen.number, seen.forget_awake = self._number, awake + (rule.forget_ns or 0)
        if not seen.is_timed:  # later sayings set no timer: it looks again when it comes
            seen.is_timed = True
            self._timers.set(TimerClass.FORGET, seen.forget_awake, rule.name, key)
        self._known.setdefault((rule.name, place.key), {})[key] = seen
        return True

    def _makes_room(self, rule: str, known: Mapping[str, Seen], forget: Forget) -> bool:
        """Forget the oldest value that may be, counted, as is the new one when there is none."""
        oldest = next((each for each in islice(known, LOOKED_AT) if forget(rule, each)), None)
        count(self._state.ledger.forgotten, rule)
        if oldest is not None:
            self._drop(rule, oldest)
        return oldest is not None

    def ripen(self, rule: str, key: str, awake: int, forget: Forget) -> None:
        """Forget a value that nobody has said for long enough; an alarm that must stay is asked again later."""
        known = self._known.get((rule, key.partition("#")[0]), {})
        seen, compiled = known.get(key), self._content.rules.get(rule)
        if seen is None or compiled is None:
            return
        if seen.forget_awake > awake:
            self._timers.set(TimerClass.FORGET, seen.forget_awake, rule, key)
        elif forget(rule, key):
            self._drop(rule, key)
        else:
            self._timers.set(TimerClass.FORGET, awake + (compiled.forget_ns or 0), rule, key)

    def prune(self) -> None:
        """Forget the values of rules that are gone, there or everywhere, and of places that are."""
        for rule, place in sorted(self._known):
            found = self._content.subject(place)
            compiled = None if found is None else found[0].rules.by_name.get(rule)
            if compiled is None or compiled.forget_ns is None:
                for key in list(self._known[rule, place]):
                    self._drop(rule, key)

    def _drop(self, rule: str, key: str) -> None:
        name = (rule, key.partition("#")[0])
        self._known[name].pop(key)
        if not self._known[name]:
            del self._known[name]
        self._timers.drop(TimerClass.FORGET, rule, key)
        self._state.remove(_entry(rule, key))


def shown(rule: CompiledRule, data: Mapping[str, Scalar], part: str, device: Device, where: str) -> dict[str, Scalar]:
    """Return what an event tells of a moment of a value: a pseudonym in its place, and which device said it."""
    words = rule.rule.for_each
    told = dict(data) if words.reveal else {**data, str(words.value): part}
    return {**told, "device": device.device, **({"part": where} if where else {})}


def places_for(rule: CompiledRule, device: Device) -> list[tuple[CompiledRule, Place]]:
    """Return ``rule`` as it is at each of its places that ``device`` stands in, where a window of it is open."""
    if device.kind not in rule.kinds:
        return []
    found = ((place.rules.by_name.get(rule.name), place) for place in device.places)
    return [(mine, place) for mine, place in found if mine is not None and mine.is_open]


def _entry(rule: str, key: str) -> str:
    return f"seen/{rule}/{key}"
