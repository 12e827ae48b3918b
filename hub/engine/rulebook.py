"""Which rules concern which device and place, each as its parameters, facts and lists make it there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from hub.catalogue import Catalogue
from hub.engine.device import Device
from hub.engine.kind_rules import KindRules
from hub.engine.places import Circumstances, Place, PlaceRow, Settled, rules_at_rest
from hub.engine.rows import DeviceRow
from hub.errors import ConfigError
from hub.rules.names import Scope, inputs_of, scope_of
from hub.rules.rule import Rule, read_rule
from hub.rules.states import CompiledRule


class Rulebook:
    """The rules of the last revision. What all subjects share is compiled once, by ``compiled``."""

    def __init__(
        self, bodies: Mapping[str, bytes], kinds: Catalogue, compiled: Callable[..., CompiledRule] = CompiledRule
    ) -> None:
        self._compile = compiled
        found = [read_rule(bodies[key]) for key in sorted(bodies) if key.startswith("rule/")]
        rules = {rule.rule: rule for rule in found}
        self._scopes: dict[str, Scope] = {name: scope_of(rules[name], kinds) for name in sorted(rules)}
        self.rules = {name: compiled(rules[name], scope) for name, scope in self._scopes.items()}
        self._kinds = kinds
        self._circumstances = Circumstances({})
        self._variants: dict[tuple[object, ...], CompiledRule] = {}
        self._sets: dict[tuple[object, ...], KindRules] = {}
        self._plain: dict[str, KindRules] = {}
        """By kind, where nothing depends on where a device is."""
        self._of_kind: dict[str, list[CompiledRule]] = {name: [] for name in kinds.kinds}
        self._waking: dict[str, list[CompiledRule]] = {name: [] for name in kinds.kinds}
        self._of_places: dict[str, list[CompiledRule]] = {}
        for name, scope in self._scopes.items():
            rule = self.rules[name]
            place = rule.rule.for_each.place
            if place is not None:
                self._of_places.setdefault(place.value, []).append(rule)
            for kind in scope.kinds:
                (self._of_kind if place is None else self._waking)[kind.kind].append(rule)
        self._at_rest: dict[str, frozenset[str]] = {}
        self._circumstantial = frozenset(name for name, rule in self.rules.items() if rule.rule.is_circumstantial)
        self.changes_at: int | None = None

    def learn(self, bodies: Mapping[str, bytes]) -> None:
        """Take places, parameters, lists, and which scenes are switched off where."""
        self._circumstances = Circumstances(bodies)
        self._at_rest = rules_at_rest(bodies)

    @property
    def at_rest(self) -> frozenset[tuple[str, str]]:
        """Return the (site, rule) that are switched off."""
        return frozenset((site, rule) for site, rules in self._at_rest.items() for rule in rules if rule in self.rules)

    def of_device(self, row: DeviceRow, at: int) -> KindRules:
        """Return the rules of a device at wall time ``at``."""
        found = None if row.site in self._at_rest else self._plain.get(row.kind)
        if found is None:
            rules = self._of_kind[row.kind]
            found = self._set(row.kind, rules, row, at, self._waking[row.kind])
            if row.site not in self._at_rest and self._circumstantial.isdisjoint(rule.name for rule in rules):
                self._plain[row.kind] = found
        return found

    def _set(
        self, kind: str, rules: Iterable[CompiledRule], row: DeviceRow | PlaceRow, at: int,
        waking: Iterable[CompiledRule] = (),
    ) -> KindRules:  # fmt: skip
        off = self._at_rest.get(row.site)
        if off is not None:  # no device or place of the site has them: then nothing wakes them, and they cost nothing
            rules = [rule for rule in rules if rule.name not in off]
            waking = [rule for rule in waking if rule.name not in off]
        mine = [self._variant(rule, row, at) if rule.name in self._circumstantial else rule for rule in rules]
        wish = (kind, *map(id, mine), None, *map(id, waking))
        found = self._sets.get(wish)
        if found is None:
            found = self._sets[wish] = KindRules(mine, tuple(waking), kind)
        return found

    def _variant(self, rule: CompiledRule, row: DeviceRow | PlaceRow, at: int) -> CompiledRule:
        settled = self._circumstances.settle(rule.rule, row, at)
        if settled.until is not None:
            self.changes_at = settled.until if self.changes_at is None else min(self.changes_at, settled.until)
        wish = (rule.name, settled.values, settled.lists, settled.is_open)
        found = self._variants.get(wish)
        if found is None:
            found = self._variants[wish] = self._compiled(rule.rule, settled, row)
        return found

    def _compiled(self, rule: Rule, settled: Settled, row: DeviceRow | PlaceRow) -> CompiledRule:
        try:
            mine, lists = rule.settled(dict(settled.values)), dict(settled.lists)
            scope = self._scopes[rule.rule]
            if mine.inputs:  # what a parameter or a list is here holds in them too
                scope = scope._replace(inputs=inputs_of(mine, scope.names, self._kinds, lists))
            return self._compile(mine, scope, lists, is_open=settled.is_open)
        except ValueError as error:
            code = "bad_params"
            raise ConfigError(code, f"{rule.rule} at {row.site}/{row.place}: {error}", rule=rule.rule) from error

    def keep_only(self, subjects: Iterable[Device | Place]) -> None:
        """Forget what no subject works with any more: each list, fact or parameter that changes makes rules of its own.

        Their number is then that of the subjects at most, however often anything changes.
        """
        used = {id(each.rules) for each in subjects}
        self._sets = {wish: found for wish, found in self._sets.items() if id(found) in used}
        named = {number for _, *numbers in self._sets for number in numbers}
        self._variants = {wish: rule for wish, rule in self._variants.items() if id(rule) in named}

    def way_up(self, site: str, place: str) -> list[PlaceRow]:
        """Return the place and those around it, nearest first."""
        return self._circumstances.way_up(site, place)

    def bare_place(self, site: str, place: str) -> Place | None:
        """Return a place without its rules and devices; None when there is none of that name."""
        row = self._circumstances.places.get((site, place))
        return None if row is None else Place(row, KindRules([]), ())

    def places_of(self, devices: Iterable[Device], sites: Iterable[str], at: int) -> list[Place]:
        """Return the places of ``sites`` that rules are for, and tell every device in which of them it stands."""
        here: dict[tuple[str, str], list[Device]] = {}
        for device in devices:
            here.setdefault((device.site, device.row.place), []).append(device)
        ways = [(self._circumstances.way_up(*key), there) for key, there in here.items()]
        inside: dict[tuple[str, str], list[Device]] = {}
        for way, there in ways:
            for row in way:
                inside.setdefault((row.site, row.place), []).extend(there)
        wanted = set(sites)
        rows = [
            row for row in self._circumstances.places.values() if row.site in wanted and row.type in self._of_places
        ]
        made = {
            (row.site, row.place): Place(
                row,
                self._set(f"@{row.type}", self._of_places[row.type], row, at),
                sorted(inside.get((row.site, row.place), ()), key=_key),
            )
            for row in rows
        }
        for way, there in ways:
            places = tuple(made[row.site, row.place] for row in way if (row.site, row.place) in made)
            for device in there:
                device.places = places
        return list(made.values())


def _key(device: Device) -> str:
    return device.key
