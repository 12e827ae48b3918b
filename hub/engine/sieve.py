"""The sieve: which rules the values of a reading leave to be judged, and which inputs only remember them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hub.engine.alarms import Alarms
from hub.engine.device import Part
from hub.engine.moment import Moment
from hub.engine.state import State
from hub.engine.woken import NOTHING_ASKED, Rested, Woken
from hub.rules.inputs import NEVER, Present
from hub.rules.states import CompiledRule

Left = tuple[Sequence[CompiledRule], Mapping[str, bool | None]]
"""The rules that are left, by name, and what those of one part come to, by name, where that is known."""


class Sieve:
    """Keeps from being judged what comes to nothing anyway, as nearly all does."""

    def __init__(self, state: State, alarms: Alarms) -> None:
        self._state = state
        self._views, self._at_rest = alarms.views, alarms.views.at_rest
        self._standing, self._by_rule = alarms.by_key, alarms.by_rule

    def left(self, woken: Woken, part: Part, moment_of: Callable[..., Moment]) -> Left:
        """Return what came just now leaves to be judged; the inputs of the other rules remember it."""
        awake = part.device.state.heard_awake
        if part.awake != awake or (part.woken is not woken and woken.names != tuple(part.values)):
            return woken.rules, NOTHING_ASKED
        try:
            judged = woken.chooser(self._standing.get(part.key, ())).choose(part, awake)
            if judged.rested:
                clock = self._state.clock
                t = awake + clock.blind_total if clock.blind_since is None else NEVER  # while blind time does pass
                known = self._at_rest.get(part.key)
                if known is None or known[0] is not judged.rested or known[1] <= t:
                    self._rest(judged.rested, part, t, moment_of)
        except Exception:  # noqa: BLE001 -- a bug of one rule, or 1 / 0: each is judged alone
            return woken.rules, NOTHING_ASKED
        if judged.there and self._is_heard_there(judged.there, part):
            return judged.rules, judged.verdicts
        return judged.here, judged.verdicts

    def _rest(self, rested: Rested, part: Part, t: int, moment_of: Callable[..., Moment]) -> None:
        """Let the inputs of rules remember what ``part`` says at ``t``, and how long that leaves it as it is."""
        views, key, until = self._views, part.key, NEVER
        for rule, is_so in rested:
            soon = views.rests_until(rule, is_so, key, t)
            if not soon:
                moment = moment_of(is_late=False)
                soon = views.rest(rule, is_so, part, Present(moment.t, moment.at, part.awake))
            until = min(until, soon)
        if until:
            self._at_rest[key] = rested, until

    def _is_heard_there(self, rules: frozenset[str], part: Part) -> bool:
        """Return whether one of ``rules`` may begin, or has a state, at a place in which the device of ``part`` is."""
        if not rules.isdisjoint(self._by_rule):
            return True  # somewhere
        for place in part.device.places:  # noqa: SIM110 -- any() costs 0.2 us more
            if not rules.isdisjoint(place.listening):
                return True
        return False
