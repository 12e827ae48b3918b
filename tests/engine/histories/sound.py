"""What must be so of an engine between any two records: what waits for time has its timer, nothing waits for ever."""
# ruff: noqa: SLF001 -- what must be so nobody else asks it

from __future__ import annotations

from collections.abc import Iterator

from hub.commands.life import OPEN, Lease, Standing
from hub.engine import standing
from hub.engine.apply import Engine
from hub.engine.kept_leases import LEASE_RENEWS
from hub.engine.sending import COMMAND
from hub.engine.standing import ALARMING, Case
from hub.rules.states import Phase
from hub.rules.timers import TimerClass

MILLISECOND = 1_000_000
"""What is late is due at once, which is not the same ns at every look."""


def unsound(engine: Engine) -> Iterator[str]:
    """Yield in words what is wrong with ``engine``."""
    for rule, key in sorted(engine.rule_states):
        case = engine._alarms.find(rule, key)
        if case is None:
            yield f"a state of {rule} for {key}, which is not there"
        else:
            yield from (f"{what} of {rule} for {key}" for what in _of_state(engine, case))
    for lease in engine._hands.leases.values():
        yield from (f"{what}: {lease.command} on {lease.device} for {lease.rule}" for what in _of_lease(engine, lease))
    for command in engine._hands.commands.values():
        if command.state in OPEN and engine._timers.due_of(TimerClass.RUNNING, COMMAND, command.id) is None:
            yield f"an open command that never ends: {command.name} to {command.device}"
    yield from _of_memories(engine)


def _of_state(engine: Engine, case: Case) -> Iterator[str]:
    rule, state, subject = case
    if not subject.rules.has(rule.name, state.part):
        yield "a state that nobody judges"
    if state.due is not None and engine._timers.due_of(TimerClass.JUDGED, rule.name, state.key) != state.due:
        yield "a state that waits without a timer"
    if state.phase is Phase.CLEARING and state.due is None:
        yield "an alarm that clears for ever"
    if state.phase is Phase.PENDING and state.due is None:
        yield from _of_pending(engine, case)
    if state.phase in ALARMING:
        yield from _of_alarm(engine, case)


def _of_pending(engine: Engine, case: Case) -> Iterator[str]:
    if case.state.inhibited and not engine._alarms.inhibition.explains(case):
        yield "a state that nobody holds back any more"
    if not case.state.inhibited and case.rule.settle_ns is None:
        yield "a state that is pending for ever"


def _of_alarm(engine: Engine, case: Case) -> Iterator[str]:
    now = engine.state.clock.t
    soonest = min((due for due in standing._dues(case, now) if due > now), default=None)
    timer = engine._timers.due_of(TimerClass.ALARM, case.rule.name, case.state.key)
    if soonest is not None and (timer is None or timer > soonest + MILLISECOND):
        yield "an alarm whose next step has no timer"


def _of_lease(engine: Engine, lease: Lease) -> Iterator[str]:
    timer = engine._timers.due_of(TimerClass.RUNNING, LEASE_RENEWS, lease.id)
    if lease.standing is Standing.RELEASES:
        last = engine._hands.commands.get(lease.last)
        if lease.renews_t and timer is None:
            yield "a release that is never tried again"
        if not lease.renews_t and (last is None or last.state not in OPEN):
            yield "a release that is neither on its way nor to be tried again"
        return
    state = engine.rule_states.of(lease.rule, lease.key)
    if lease.is_of_an_alarm and (state is None or state.phase is Phase.IDLE):
        yield "a hold of no alarm"
    if timer is None and (lease.standing is Standing.HOLDS or lease.ends_t is not None):
        yield "a hold without end"
    if engine.content.find(lease.site, lease.device) is None:
        yield "a hold on a device that is gone"
    is_kept = lease.barred or lease.asleep or engine._hands._sender.claims.above(lease) is not None
    if lease.standing is Standing.WAITS and not is_kept:
        yield "a hold that waits beneath nobody"


def _of_memories(engine: Engine) -> Iterator[str]:
    for (rule, key), memory in engine._alarms.views._memories.items():
        subject = engine.content.subject(key)
        is_judged = subject is not None and rule in subject[0].rules.by_name
        if is_judged and memory.due is not None and engine._timers.due_of(TimerClass.WINDOW, rule, key) != memory.due:
            yield f"a memory of {rule} for {key} that waits without a timer"
