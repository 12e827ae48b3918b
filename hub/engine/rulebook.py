"""Which rules concern which device and place, each as its parameters, facts and lists make it there."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from copy import copy
from functools import cached_property
from weakref import WeakValueDictionary

from hub.catalogue import Catalogue
from hub.engine.circumstances import Circumstances, Settled
from hub.engine.kind_rules import KindRules
from hub.engine.rows import DeviceRow, PlaceRow
from hub.errors import ConfigError
from hub.rules.names import Scope, inputs_of, scope_of
from hub.rules.rule import Rule, read_rule
from hub.rules.states import CompiledRule


class Rulebook:
    """The rules of the last revision, none before the first. What all subjects share is compiled once, by ``compiled``.

    Each list, fact or parameter that changes makes rules of its own: they live as long as a subject has them.
    """

    def __init__(
        self, kinds: Catalogue, circumstances: Circumstances, compiled: Callable[..., CompiledRule] = CompiledRule
    ) -> None:
        self._compile = compiled
        self.kinds = kinds
        self._circumstances = circumstances
        self.bodies: dict[str, bytes] = {}
        self.scopes: dict[str, Scope] = {}
        self.rules: dict[str, CompiledRule] = {}
        self.variants = WeakValueDictionary[tuple[object, ...], CompiledRule]()
        self.sets = WeakValueDictionary[tuple[object, ...], KindRules]()
        self.same = frozenset[str]()
        """The names of the rules that are the same object in the book before."""
        self._plain: dict[str, KindRules] = {}
        """By kind, or type of place behind an @, where nothing depends on where a device or place is."""
        self._of_kind: dict[str, list[CompiledRule]] = {name: [] for name in kinds.kinds}
        self._waking: dict[str, list[CompiledRule]] = {name: [] for name in kinds.kinds}
        self.of_places: dict[str, list[CompiledRule]] = {}
        self._circumstantial = frozenset[str]()
        self.concerned = frozenset[str]()
        """The kinds of devices, and types of places behind an @, that have other rules than in the book before."""
        self._heirs: dict[tuple[KindRules, str, str], KindRules] = {}
        """What follows the rules that somebody has, where it hangs on nothing else: until the revision is done."""
        self._news: dict[KindRules, bool] = {}
        self._turns: dict[tuple[KindRules, KindRules], bool] = {}
        self._has_settled = False
        self.until: int | None = None
        """The wall time until which what :meth:`of` returned last holds, None for ever."""

    def heir(self, bodies: Mapping[str, bytes], kinds: Catalogue) -> Generator[None, None, Rulebook]:
        """Return the rules of ``bodies``, compiled one by one: what is in both, word for word, is the same object."""
        found = Rulebook(kinds, self._circumstances, self._compile)
        found.bodies = {key.partition("/")[2]: bodies[key] for key in sorted(bodies) if key.startswith("rule/")}
        found.same = found._take_over(self)
        for name in sorted(found.bodies.keys() - found.same):
            words = read_rule(found.bodies[name])
            found.scopes[name] = scope_of(words, kinds)
            found.rules[name] = self._compile(words, found.scopes[name])
            yield
        found._index(self)
        return found

    def under(self, circumstances: Circumstances) -> Rulebook:
        """Return the same rules where something else holds; what is compiled for it is there for both."""
        found: Rulebook = copy(self)
        found._circumstances = circumstances
        return found

    def _index(self, former: Rulebook) -> None:
        """Tell whose each rule is, and who has others than by the ``former`` book."""
        self.rules = {name: self.rules[name] for name in self.bodies}
        for name, rule in self.rules.items():
            place = rule.rule.for_each.place
            if place is not None:
                self.of_places.setdefault(place.value, []).append(rule)
            for kind in self.scopes[name].kinds:
                (self._of_kind if place is None else self._waking)[kind.kind].append(rule)
        self._circumstantial = frozenset(name for name, rule in self.rules.items() if rule.rule.is_circumstantial)
        self.concerned = frozenset(self._concerned(former))

    def _take_over(self, former: Rulebook) -> frozenset[str]:
        """Take over from ``former`` what need not be compiled again; return the names of those rules."""
        if former.kinds is not self.kinds:
            return frozenset()
        same = frozenset(name for name, body in self.bodies.items() if former.bodies.get(name) == body)
        for name in same:
            self.scopes[name], self.rules[name] = former.scopes[name], former.rules[name]
        self.variants.update((wish, rule) for wish, rule in former.variants.items() if wish[0] in same)
        self.sets.update(former.sets)
        return same

    def _concerned(self, former: Rulebook) -> Iterator[str]:
        of_places = {*self.of_places, *former.of_places}
        for kind in (*self._of_kind, *(f"@{each}" for each in of_places)):
            if self.kinds is not former.kinds or self.rules_for(kind) != former.rules_for(kind):
                yield kind

    def rules_for(self, kind: str) -> tuple[list[CompiledRule], list[CompiledRule]]:
        """Return the rules for a kind, or a type of places behind an @, and those for places that its words wake."""
        if kind.startswith("@"):
            return self.of_places.get(kind[1:], []), []
        return self._of_kind[kind], self._waking[kind]

    def having(self, name: str) -> frozenset[str]:
        """Return the kinds, or the type of places behind an @, that have a rule; nobody has one that is not there."""
        rule = self.rules.get(name)
        if rule is None:
            return frozenset()
        place = rule.rule.for_each.place
        return (
            frozenset(kind.kind for kind in self.scopes[name].kinds)
            if place is None
            else frozenset({f"@{place.value}"})
        )

    @cached_property
    def listing(self) -> frozenset[str]:
        """The kinds, and types of places behind an @, that have rules in which lists matter."""
        return frozenset().union(*(self.having(name) for name, rule in self.rules.items() if rule.rule.uses_lists))

    @property
    def at_rest(self) -> frozenset[tuple[str, str]]:
        """Return the (site, rule) that are switched off."""
        off = self._circumstances.at_rest
        return frozenset((site, rule) for site, rules in off.items() for rule in rules if rule in self.rules)

    @property
    def place_types(self) -> frozenset[str]:
        """Return the types of places that there are rules for."""
        return frozenset(self.of_places)

    def of(
        self, row: DeviceRow | PlaceRow, at: int, known: KindRules | None = None, *, is_trial: bool = False
    ) -> KindRules:
        """Return the rules of a device, or of a place that there are rules for, at wall time ``at``.

        Of those that are in ``known`` what they come to there is not asked again: nothing but rules has changed.
        ``is_trial``: those that are switched off there too, for they may be switched on again.
        """
        self.until = None
        kind = row.kind if isinstance(row, DeviceRow) else f"@{row.type}"
        off = None if is_trial else self._circumstances.at_rest.get(row.site)
        found = self._plain.get(kind) if off is None else None
        beside = "" if off is None else row.site
        if found is None and known is not None:
            found = self._heirs.get((known, kind, beside))
        if found is None:
            self._has_settled = False
            rules, waking = self.rules_for(kind)
            if off is not None:  # nobody at the site has them: then nothing wakes them, and they cost nothing
                rules, waking = ([rule for rule in each if rule.name not in off] for each in (rules, waking))
            found = self._set(kind, [self._here(rule, row, at, known) for rule in rules], waking)
            if off is None and self._circumstantial.isdisjoint(rule.name for rule in rules):
                self._plain[kind] = found
            if known is not None and not self._has_settled:
                self._heirs[known, kind, beside] = found
        return found

    def has_new_waits(self, rules: KindRules) -> bool:
        """Return whether any of ``rules`` that is new or another one waits for silence, or for what becomes stale."""
        found = self._news.get(rules)
        if found is None:
            new = (rule for name, rule in rules.by_name.items() if name not in self.same)
            found = self._news[rules] = any(rule.absent_ns is not None or rule.minds_missing for rule in new)
        return found

    def has_turned(self, former: KindRules, rules: KindRules) -> bool:
        """Return whether any rule that stayed the same, word for word, is another one in ``rules`` than it was."""
        found = self._turns.get((former, rules))
        if found is None:
            was, same = former.by_name, self.same
            moved = (was.get(name) is not rule for name, rule in rules.by_name.items() if name in same)
            found = self._turns[former, rules] = any(moved)
        return found

    def is_done(self) -> None:
        """Remember no longer who had what: the revision is done."""
        self._heirs, self._news, self._turns = {}, {}, {}

    def _set(self, kind: str, mine: list[CompiledRule], waking: Iterable[CompiledRule]) -> KindRules:
        wish = (kind, *map(id, mine), None, *map(id, waking))
        found = self.sets.get(wish)
        if found is None:
            found = self.sets[wish] = KindRules(mine, tuple(waking), kind)
        return found

    def _here(self, rule: CompiledRule, row: DeviceRow | PlaceRow, at: int, known: KindRules | None) -> CompiledRule:
        """Return a rule as what holds there now makes it."""
        if rule.name not in self._circumstantial:
            return rule
        if known is not None and rule.name in self.same and rule.name in known.by_name:
            return known.by_name[rule.name]
        self._has_settled = True
        settled = self._circumstances.settle(rule.rule, row, at)
        if settled.until is not None:
            self.until = settled.until if self.until is None else min(self.until, settled.until)
        wish = (rule.name, settled.values, settled.lists, settled.is_open)
        found = self.variants.get(wish)
        if found is None:
            found = self.variants[wish] = self._compiled(rule.rule, settled, row)
        if rule.rule.schedule is not None:
            beside = self.variants.get((*wish[:-1], not settled.is_open))
            if beside is not None:  # who has the one keeps the other for when its windows open or close: one way only
                found.beside, beside.beside = beside, None
        return found

    def _compiled(self, rule: Rule, settled: Settled, row: DeviceRow | PlaceRow) -> CompiledRule:
        try:
            mine, lists = rule.settled(dict(settled.values)), dict(settled.lists)
            scope = self.scopes[rule.rule]
            if mine.inputs:  # what a parameter or a list is here holds in them too
                scope = scope._replace(inputs=inputs_of(mine, scope.names, self.kinds, lists))
            return self._compile(mine, scope, lists, is_open=settled.is_open)
        except ValueError as error:
            code = "bad_params"
            raise ConfigError(code, f"{rule.rule} at {row.site}/{row.place}: {error}", rule=rule.rule) from error
