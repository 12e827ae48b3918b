"""The states of rules, found by rule and by key: each is in two indexes, for most exist for seconds only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from typing_extensions import override

from hub.rules.states import RuleState


class RuleStates(Mapping[tuple[str, str], RuleState]):
    """By (rule, key). ``by_key`` and ``by_rule`` are to be read: they hold no key, and no rule, without a state."""

    def __init__(self) -> None:
        self.by_key: dict[str, dict[str, RuleState]] = {}
        self.by_rule: dict[str, dict[str, RuleState]] = {}

    def of(self, rule: str, key: str) -> RuleState | None:
        """Return the state of ``rule`` for ``key``, if there is one."""
        mine = self.by_key.get(key)
        return None if mine is None else mine.get(rule)

    def hold(self, state: RuleState) -> None:
        """Hold ``state`` from now on, in place of any other of its rule and key."""
        rule, key = state.rule, state.key
        mine, others = self.by_key.get(key), self.by_rule.get(rule)
        if mine is None:
            self.by_key[key] = {rule: state}
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
        others = self.by_rule[rule]
        del others[key]
        if not others:
            del self.by_rule[rule]

    @override
    def __getitem__(self, name: tuple[str, str]) -> RuleState:
        return self.by_key[name[1]][name[0]]

    @override
    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((rule, key) for rule, mine in self.by_rule.items() for key in mine)

    @override
    def __len__(self) -> int:
        return sum(map(len, self.by_rule.values()))
