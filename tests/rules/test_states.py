"""The life of a rule: each transition, flapping, the unknown, and the whole against a slow model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.durations import nanoseconds, read_duration
from hub.errors import ConfigError
from hub.rules.states import CompiledRule, Known, Move, Phase, RuleState, ripen, step
from tests.rules.words import compiled, held

SECOND = 1_000_000_000
WHEN = "flag"
CLEAR = "door == 'closed'"
YES, NO, UNKNOWN = Known(True, None), Known(False, None), Known(None, None)  # noqa: FBT003 -- a table of truths
OVER, NOT_OVER = Known(None, True), Known(None, False)  # noqa: FBT003 -- a table of truths


def state(phase: Phase = Phase.IDLE, due: int | None = None) -> RuleState:
    return RuleState(rule="test", key="s1/d1", site="s1", device="d1", part="", phase=phase, due=due)


def after(rule: CompiledRule, phase: Phase, known: Known, now: int = 100 * SECOND) -> tuple[Move, Phase, int | None]:
    it = state(phase, 105 * SECOND if phase in {Phase.PENDING, Phase.CLEARING} else None)
    move = step(rule, it, known, now)
    return move, it.phase, it.due


# --------------------------------------------------------------------------------------------------------- transitions


def test_without_for_a_true_condition_raises_at_once() -> None:
    assert after(compiled(when=WHEN), Phase.IDLE, YES) == (Move.RAISE, Phase.ACTIVE, None)


def test_with_for_a_true_condition_waits() -> None:
    assert after(compiled(when=WHEN, for_="5s"), Phase.IDLE, YES) == (Move.CHANGED, Phase.PENDING, 105 * SECOND)


def test_a_condition_that_stays_true_does_not_wait_longer() -> None:
    rule = compiled(when=WHEN, for_="5s")
    assert after(rule, Phase.PENDING, YES, 103 * SECOND) == (Move.STAY, Phase.PENDING, 105 * SECOND)


def test_a_condition_that_ends_while_pending_raises_nothing() -> None:
    assert after(compiled(when=WHEN, for_="5s"), Phase.PENDING, NO) == (Move.CHANGED, Phase.IDLE, None)


def test_an_active_alarm_is_not_raised_again() -> None:
    assert after(compiled(when=WHEN), Phase.ACTIVE, YES) == (Move.STAY, Phase.ACTIVE, None)


def test_without_clear_an_alarm_clears_when_its_condition_is_no_longer_true() -> None:
    assert after(compiled(when=WHEN), Phase.ACTIVE, NO) == (Move.CHANGED, Phase.CLEARING, 100 * SECOND)


def test_a_clear_span_alone_waits_for_the_end_of_the_condition() -> None:
    rule = compiled(when=WHEN, clear={"for": "5s"})
    assert after(rule, Phase.ACTIVE, NO) == (Move.CHANGED, Phase.CLEARING, 105 * SECOND)


def test_with_a_clear_condition_the_end_of_its_own_is_not_enough() -> None:
    rule = compiled(when=WHEN, clear={"when": CLEAR, "for": "5s"})
    assert after(rule, Phase.ACTIVE, Known(False, False)) == (Move.STAY, Phase.ACTIVE, None)  # noqa: FBT003 -- a truth
    assert after(rule, Phase.ACTIVE, Known(False, True)) == (Move.CHANGED, Phase.CLEARING, 105 * SECOND)  # noqa: FBT003 -- a truth


def test_an_alarm_whose_condition_is_true_does_not_clear_whatever_the_clear_condition_says() -> None:
    rule = compiled(when=WHEN, clear={"when": CLEAR})
    assert after(rule, Phase.ACTIVE, Known(True, True)) == (Move.STAY, Phase.ACTIVE, None)  # noqa: FBT003 -- a truth


def test_what_is_not_known_any_more_is_waited_for_unless_the_clear_condition_says_that_it_is_over() -> None:
    rule = compiled(when=WHEN, for_="5s", clear={"when": CLEAR})
    assert after(rule, Phase.PENDING, Known(None, False)) == (Move.STAY, Phase.PENDING, 105 * SECOND)  # noqa: FBT003 -- a truth
    assert after(rule, Phase.PENDING, UNKNOWN) == (Move.STAY, Phase.PENDING, 105 * SECOND)
    assert after(rule, Phase.PENDING, Known(None, True)) == (Move.CHANGED, Phase.IDLE, None)  # noqa: FBT003 -- a truth
    assert after(rule, Phase.PENDING, Known(True, True)) == (Move.STAY, Phase.PENDING, 105 * SECOND)  # noqa: FBT003 -- a truth


def test_a_relapse_while_clearing_is_the_same_alarm() -> None:
    rule = compiled(when=WHEN, clear={"when": CLEAR, "for": "5s"})
    assert after(rule, Phase.CLEARING, Known(True, True)) == (Move.CHANGED, Phase.ACTIVE, None)  # noqa: FBT003 -- a truth
    assert after(rule, Phase.CLEARING, Known(False, False)) == (Move.CHANGED, Phase.ACTIVE, None)  # noqa: FBT003 -- a truth


def test_a_clear_condition_before_the_raise_does_nothing() -> None:
    rule = compiled(when=WHEN, clear={"when": CLEAR})
    assert after(rule, Phase.IDLE, Known(False, True)) == (Move.STAY, Phase.IDLE, None)  # noqa: FBT003 -- a truth


def test_an_alarm_that_an_operator_clears_never_clears_by_itself() -> None:
    rule = compiled(when=WHEN, clear={"by": "operator"})
    for known in (YES, NO, UNKNOWN, Known(False, True)):  # noqa: FBT003 -- a truth
        assert after(rule, Phase.ACTIVE, known) == (Move.STAY, Phase.ACTIVE, None)


def test_unless_keeps_a_condition_from_being_true() -> None:
    rule = compiled(when=WHEN, unless="mode == 'fire'")
    assert rule.when is not None
    assert rule.when.verdict(held(flag=True, mode="normal"), 0) is True
    assert rule.when.verdict(held(flag=True, mode="fire"), 0) is False
    assert rule.when.verdict(held(mode="fire"), 0) is False
    assert rule.names == {"flag", "mode"}


def test_what_is_not_known_hinders_nothing_unless_the_condition_itself_asks_for_it() -> None:
    hindered = compiled(when=f"{WHEN} and not (mode == 'fire')").when
    free = compiled(when=WHEN, unless="mode == 'fire'").when
    assert hindered is not None
    assert free is not None
    assert (hindered.verdict(held(flag=True), 0), free.verdict(held(flag=True), 0)) == (None, True)
    assert free.verdict(held(), 0) is None


def test_unless_cannot_break_out_of_its_brackets() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        compiled(when=WHEN, unless="flag) or (flag")


@pytest.mark.parametrize(
    ("phase", "move", "then"),
    [
        (Phase.IDLE, Move.STAY, Phase.IDLE),
        (Phase.PENDING, Move.RAISE, Phase.ACTIVE),
        (Phase.ACTIVE, Move.STAY, Phase.ACTIVE),
        (Phase.CLEARING, Move.CLEAR, Phase.IDLE),
    ],
)
def test_what_ripens_is_raised_or_cleared(phase: Phase, move: Move, then: Phase) -> None:
    it = state(phase, 105 * SECOND)
    assert (ripen(it), it.phase, it.due) == (move, then, None)


# -------------------------------------------------------------------------------------------------------------- unknown


@pytest.mark.parametrize(
    ("on_missing", "idle", "pending", "active", "clearing"),
    [
        ("keep", Phase.IDLE, Phase.PENDING, Phase.ACTIVE, Phase.CLEARING),
        ("clear", Phase.IDLE, Phase.IDLE, Phase.CLEARING, Phase.CLEARING),
        ("raise", Phase.PENDING, Phase.PENDING, Phase.ACTIVE, Phase.ACTIVE),
    ],
)
@pytest.mark.parametrize("clear", [{"for": "5s"}, {"when": CLEAR, "for": "5s"}], ids=["own end", "clear condition"])
def test_the_unknown_keeps_clears_or_raises_in_every_phase(
    on_missing: str, idle: Phase, pending: Phase, active: Phase, clearing: Phase, clear: dict[str, object]
) -> None:
    rule = compiled(when=WHEN, for_="5s", clear=clear, on_missing=on_missing)
    actual = [after(rule, phase, UNKNOWN)[1] for phase in Phase]
    assert actual == [idle, pending, active, clearing]


def test_what_keeps_is_not_delayed_by_the_unknown() -> None:
    rule = compiled(when=WHEN, for_="5s", clear={"for": "5s"})
    assert after(rule, Phase.PENDING, UNKNOWN) == (Move.STAY, Phase.PENDING, 105 * SECOND)
    assert after(rule, Phase.CLEARING, UNKNOWN) == (Move.STAY, Phase.CLEARING, 105 * SECOND)


def test_a_missing_condition_that_clears_does_not_overrule_a_clear_condition_that_is_known() -> None:
    rule = compiled(when=WHEN, clear={"when": CLEAR}, on_missing="clear")
    assert after(rule, Phase.ACTIVE, NOT_OVER)[1] is Phase.ACTIVE
    assert after(rule, Phase.ACTIVE, OVER)[1] is Phase.CLEARING


@pytest.mark.parametrize("on_missing", ["keep", "clear", "raise"])
def test_a_signal_alarm_is_never_raised_by_the_unknown(on_missing: str) -> None:
    rule = compiled(on_signal="button.pressed", clear={"when": CLEAR}, on_missing=on_missing)
    assert after(rule, Phase.IDLE, UNKNOWN) == (Move.STAY, Phase.IDLE, None)


@pytest.mark.parametrize("on_missing", ["keep", "clear", "raise"])
def test_a_signal_alarm_clears_when_its_clear_condition_holds(on_missing: str) -> None:
    rule = compiled(on_signal="button.pressed", clear={"when": CLEAR, "for": "5s"}, on_missing=on_missing)
    assert after(rule, Phase.ACTIVE, OVER) == (Move.CHANGED, Phase.CLEARING, 105 * SECOND)
    assert after(rule, Phase.CLEARING, NOT_OVER) == (Move.CHANGED, Phase.ACTIVE, None)


# ---------------------------------------------------------------------------------------------------- against a model


class Heard(NamedTuple):
    """What is known from a moment on."""

    after_s: int
    verdict: bool | None
    cleared: bool | None


@dataclass
class Slow:
    """The same life told as two spans: since when it is true, since when it is over."""

    rule: CompiledRule
    is_active: bool = False
    true_since: int | None = None
    over_since: int | None = None

    def hear(self, heard: Heard, now: int) -> None:
        verdict, cleared = heard.verdict, heard.cleared
        on_missing = self.rule.rule.on_missing.value
        if on_missing != "keep":
            verdict = on_missing == "raise" if verdict is None else verdict
            cleared = on_missing == "clear" if cleared is None else cleared
        begins = False if verdict is None and cleared and self.rule.clear is not None else verdict
        if self.rule.clear is None:
            cleared = None if verdict is None else not verdict
        if self.rule.latched or verdict:
            cleared = False
        self.true_since = self.span(self.true_since, begins, now) if not self.is_active else None
        self.over_since = self.span(self.over_since, cleared, now) if self.is_active else None

    @staticmethod
    def span(since: int | None, truth: bool | None, now: int) -> int | None:  # noqa: FBT001 -- unknown is a truth here
        if truth is None:
            return since
        return (now if since is None else since) if truth else None

    def pass_time(self, now: int) -> list[str]:
        if not self.is_active and self.true_since is not None and now - self.true_since >= self.rule.for_ns:
            self.is_active, self.true_since = True, None
            return ["raise"]
        if self.is_active and self.over_since is not None and now - self.over_since >= self.rule.clear_ns:
            self.is_active, self.over_since = False, None
            return ["clear"]
        return []


def fast_life(rule: CompiledRule, words: list[Heard], end: int) -> list[tuple[int, str]]:
    """Drive the states as the engine does: what is due first, then what was heard."""
    it, told = state(), []
    heard_at = moments(words)
    for now in range(end):
        if it.due is not None and it.due <= now * SECOND:
            told.append((now, ripen(it).value))
        for each in heard_at.get(now, []):
            move = step(rule, it, Known(each.verdict, each.cleared), now * SECOND)
            if move is Move.CHANGED and it.due is not None and it.due <= now * SECOND:
                move = ripen(it)
            told += [(now, move.value)] if move in {Move.RAISE, Move.CLEAR} else []
    return told


def slow_life(rule: CompiledRule, words: list[Heard], end: int) -> list[tuple[int, str]]:
    it, told = Slow(rule), []
    heard_at = moments(words)
    for now in range(end):
        told += [(now, what) for what in it.pass_time(now * SECOND)]
        for each in heard_at.get(now, []):
            it.hear(each, now * SECOND)
            told += [(now, what) for what in it.pass_time(now * SECOND)]
    return told


def moments(words: list[Heard]) -> dict[int, list[Heard]]:
    found: dict[int, list[Heard]] = {}
    now = 0
    for each in words:
        now += each.after_s
        found.setdefault(now, []).append(each)
    return found


TRUTHS = st.sampled_from([True, False, None])
LIVES = st.lists(st.builds(Heard, st.integers(0, 4), TRUTHS, TRUTHS), min_size=1, max_size=30)
SPANS = st.sampled_from(["0s", "1s", "3s", "7s"])
CLEARS = st.one_of(
    st.none(),
    st.just({"by": "operator"}),
    SPANS.map(lambda span: {"for": span}),
    SPANS.map(lambda span: {"when": CLEAR, "for": span}),
)


@settings(max_examples=400)
@given(LIVES, SPANS, CLEARS, st.sampled_from(["keep", "clear", "raise"]))
def test_a_life_is_what_the_slow_model_says(
    words: list[Heard], span: str, clear: dict[str, object] | None, on_missing: str
) -> None:
    rule = compiled(when=WHEN, for_=span, clear=clear, on_missing=on_missing)
    end = sum(each.after_s for each in words) + 10
    assert fast_life(rule, words, end) == slow_life(rule, words, end)


def test_flapping_raises_nothing_before_for_and_clears_nothing_before_the_clear_span() -> None:
    rule = compiled(when=WHEN, for_="3s", clear={"for": "3s"})
    flapping = [Heard(1, verdict, None) for verdict in (True, False) * 20]
    assert fast_life(rule, flapping, 60) == []
    settled = [*[Heard(0, verdict=True, cleared=None)], Heard(3, verdict=True, cleared=None), *flapping]
    assert fast_life(rule, settled, 60) == [(3, "raise"), (46, "clear")]


def test_spans_are_exact_to_the_nanosecond_over_a_year() -> None:
    rule = compiled(when=WHEN, for_="365d1ms")
    assert rule.for_ns == nanoseconds(read_duration("365d1ms")) == 365 * 86_400 * SECOND + 1_000_000
