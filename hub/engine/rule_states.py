"""The states of rules, found by rule and by key: each is in two indexes, for most exist for seconds only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from typing_extensions import override

from hub.engine.places import is_at
from hub.engine.woken import About
from hub.rules.states import CompiledRule, Phase, RuleState

Name = tuple[str, str]
"""A rule and a key."""


class RuleStates(Mapping[tuple[str, str], RuleState]):
    """By (rule, key). ``by_key`` and ``by_rule`` are to be read: they hold no key, and no rule, without a state."""

    def __init__(self) -> None:
        self.by_key: dict[str, dict[str, RuleState]] = {}
        self.by_rule: dict[str, dict[str, RuleState]] = {}
        self._parts: dict[str, dict[str, None]] = {}
        """By device or place: the keys of its parts of which there is a state."""

    def of(self, rule: str, key: str) -> RuleState | None:
        """Return the state of ``rule`` for ``key``, if there is one."""
        mine = self.by_key.get(key)
        return None if mine is None else mine.get(rule)

    def is_no_vote(self, rule: CompiledRule, key: str, about: About | None) -> bool:
        """Return whether a step of ``rule``, which counts words about its condition, would count what is none.

        Another word may begin it (a door opens, and an e-bike is in it) and adds nothing; what nobody said is none.
        """
        if rule.quorum is None or (about is not None and rule.name in about.votes):
            return False
        state = self.of(rule.name, key)
        if state is None or state.phase is Phase.IDLE:
            return about is None
        return state.phase is Phase.PENDING and not state.inhibited

    def hold(self, state: RuleState) -> None:
        """Hold ``state`` from now on, in place of any other of its rule and key."""
        rule, key = state.rule, state.key
        mine, others = self.by_key.get(key), self.by_rule.get(rule)
        if mine is None:
            self.by_key[key] = {rule: state}
            if "#" in key:
                self._parts.setdefault(key.partition("#")[0], {})[key] = None
        else:
            mine[rule] = state
        if others is None:
            self.by_rule[rule] = {key: state}
        else:
            others[key] = state

    def drop(self, rule: str, key: str) -> None:
        """Hold it no longer, if it is held."""
        mine = self.by_key.get(key)
        if mine is None or mine.pop(rule, None) is None:
            return
        if not mine:
            del self.by_key[key]
            if "#" in key:
                self._drop_part(key)
        others = self.by_rule[rule]
        del others[key]
        if not others:
            del self.by_rule[rule]

    def _drop_part(self, key: str) -> None:
        whole = key.partition("#")[0]
        del self._parts[whole][key]
        if not self._parts[whole]:
            del self._parts[whole]

    def at(self, keys: Iterable[str]) -> set[Name]:
        """Return the names of which devices or places, or parts of them, have a state."""
        wholes_and_parts = (one for key in keys for one in (key, *self._parts.get(key, ())))
        return {(rule, key) for key in wholes_and_parts for rule in self.by_key.get(key, ())}

    def of_rule(self, rule: str, at: str) -> list[Name]:
        """Return the names of the states of a rule, in the order of keys, at a site ("": at any)."""
        return [(rule, key) for key in sorted(self.by_rule.get(rule, ())) if is_at(key, at)]

    @override
    def __getitem__(self, name: tuple[str, str]) -> RuleState:
        return self.by_key[name[1]][name[0]]

    @override
    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((rule, key) for rule, mine in self.by_rule.items() for key in mine)

    @override
    def __len__(self) -> int:
        return sum(map(len, self.by_rule.values()))


def on_its_shelf(state: RuleState) -> RuleState:
    """Return what is left of a state that is over: its shelf, which is for the next time too."""
    return RuleState(
        rule=state.rule, key=state.key, site=state.site, device=state.device, part=state.part,
        raised_t=state.raised_t, transitions=state.transitions, severity=state.severity,
        shelved_t=state.shelved_t, shelved_until=state.shelved_until, shelved_by=state.shelved_by,
        shelved_as=state.shelved_as, mode=state.mode,
    )  # fmt: skip
