"""Commands and leases: from a wish to an honest end, over restarts; the engine's hands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from hub.commands.life import (
    DEFAULT_EXPIRY_NS,
    OPEN,
    Command,
    CommandState,
    Lease,
    after_expiry,
    after_outcome,
    after_response,
)
from hub.durations import nanoseconds
from hub.engine.device import Device
from hub.engine.encoding import TopicNames, transmission_of
from hub.engine.moment import Moment, Output
from hub.engine.state import State, count
from hub.errors import PoisonError
from hub.model import Event, Outcome, Scalar, Severity, Transition
from hub.normalize.networks.downlink import network_id
from hub.rules.rule import Do, Priority
from hub.rules.states import RuleState
from hub.rules.timers import TimerClass, Timers

REMEMBER_NS = 600_000_000_000
"""A finished command is kept this long, so that its late or repeated answers find it."""

SHORTEST_NS = 1_000_000_000

COMMAND, LEASE_RENEWS, LEASE_LAPSES = "command", "lease renews", "lease lapses"


class Cause(NamedTuple):
    """Who wants a command, for how long (ns) it is worth sending, and whether it is only a drill."""

    name: str
    expiry_ns: int = DEFAULT_EXPIRY_NS
    drill: bool = False


class Hands:
    """Open commands and leases; every change is an entry of the state, every transmission an effect."""

    def __init__(self, state: State, timers: Timers, topics: TopicNames, output: Output) -> None:
        self._state = state
        self._timers = timers
        self._topics = topics
        self._output = output
        self.commands: dict[str, Command] = {}
        self.leases: dict[str, Lease] = {}
        self._called: dict[str, str] = {}

    def find(self, identity: str) -> Command | None:
        """Return the command of an id, or of the UUID that stands for it in a network that wants one."""
        return self.commands.get(identity) or self.commands.get(self._called.get(identity, ""))

    def _remember(self, command: Command) -> None:
        self.commands[command.id] = command
        self._called[network_id(command.id)] = command.id

    def restore(self, entry: Command | Lease) -> None:
        """Take an entry of a checkpoint."""
        if isinstance(entry, Command):
            self._remember(entry)
            due = entry.expires_t if entry.state in OPEN else (entry.ended_t or entry.expires_t) + REMEMBER_NS
            self._timers.set(TimerClass.RUNNING, due, COMMAND, entry.id)
        else:
            self.leases[entry.id] = entry
            self._time_lease(entry)

    # ------------------------------------------------------------------------------------------------ from rules

    def act(
        self, actions: Sequence[Do], state: RuleState, targets: Callable[[Do], list[Device]], moment: Moment
    ) -> None:
        """Send what a rule does on a raise; late ones only what stays wanted until cleared.

        In a test nothing is sent; in a drill it is told what would be, unless its commands are wanted too.
        """
        if not (state.mode.acts or state.mode.drill):
            return
        for action in actions:
            if moment.late and action.until is None:
                continue
            for device in targets(action):
                part = state.part if action.to is None else ""
                state.steps += 1
                identity = f"{state.alarm}-{state.steps}"
                cause = Cause(state.rule, drill=state.mode.drill)
                if not state.mode.acts:
                    self._rehearse(device, part, identity, action, cause, moment)
                elif action.until is None:
                    self._send(device, part, identity, action, cause, moment)
                else:
                    self._lease(device, part, identity, action, state, moment)

    def _rehearse(  # noqa: PLR0913, PLR0917 -- as _send
        self, device: Device, part: str, identity: str, action: Do, cause: Cause, moment: Moment
    ) -> None:
        self._output.event(
            Event(
                id=self._output.event_id("command", identity, moment.t, 1), name="command.rehearsed",
                severity=Severity.INFO, transition=Transition.OCCURRED, time=moment.at, key=device.key,
                rule=cause.name, rule_version="", site=device.site, building=device.building, device=device.device,
                part=part, drill=cause.drill, causes=(moment.cause,),
                data={"command": action.command, "id": identity, "detail": "a drill without commands: not sent"},
            )
        )  # fmt: skip

    def _lease(  # noqa: PLR0913, PLR0917 -- one call; each is a fact of the lease
        self, device: Device, part: str, identity: str, action: Do, state: RuleState, moment: Moment
    ) -> None:
        ttl = max(SHORTEST_NS, nanoseconds(action.ttl))
        ends = None if action.at_most is None else moment.t + nanoseconds(action.at_most)
        lease = Lease(
            id=identity, rule=state.rule, key=state.key, site=device.site, device=device.device, part=part,
            command=action.command, release=device.release_of(action.command), args=dict(action.args),
            priority=action.priority.value, ttl_ns=ttl, renews_t=moment.t + ttl // 2, lapses_t=moment.t + ttl,
            ends_t=ends, reflex=action.reflex, drill=state.mode.drill,
        )  # fmt: skip
        self.leases[identity] = lease
        self._keep_lease(lease)
        self._transmit_step(device, lease, lease.command, lease.args, moment)

    def release(self, rule: str, key: str, find: Callable[[str, str], Device | None], moment: Moment) -> None:
        """End every lease that ``rule`` holds for ``key``: its release goes out."""
        for lease in [one for one in self.leases.values() if one.rule == rule and one.key == key]:
            self._end_lease(lease, find(lease.site, lease.device), moment)

    def held_by(self, state: RuleState) -> list[Lease]:
        """Return the leases that a rule holds for a key."""
        return [one for one in self.leases.values() if (one.rule, one.key) == (state.rule, state.key)]

    def hand_over(
        self, before: Sequence[Lease], state: RuleState, find: Callable[[str, str], Device | None], moment: Moment
    ) -> None:
        """End the leases that a pending raise held; one that the alarm holds on with is not released in between."""
        if not before:
            return
        after = {(one.site, one.device, one.part, one.command) for one in self.held_by(state) if one not in before}
        for lease in before:
            is_held_on = (lease.site, lease.device, lease.part, lease.command) in after
            self._end_lease(lease, None if is_held_on else find(lease.site, lease.device), moment)

    def _end_lease(self, lease: Lease, device: Device | None, moment: Moment) -> None:
        del self.leases[lease.id]
        self._state.remove(f"lease/{lease.id}")
        self._timers.drop(TimerClass.RUNNING, LEASE_RENEWS, lease.id)
        self._timers.drop(TimerClass.RUNNING, LEASE_LAPSES, lease.id)
        if device is not None and lease.release:
            self._transmit_step(device, lease, lease.release, {}, moment)

    def _transmit_step(self, device: Device, lease: Lease, name: str, args: dict[str, Scalar], moment: Moment) -> None:
        lease.steps += 1
        action = Do(command=name, args=args, priority=Priority(lease.priority), reflex=lease.reflex)
        self._send(
            device, lease.part, f"{lease.id}.{lease.steps}", action, Cause(lease.rule, drill=lease.drill), moment
        )

    def _keep_lease(self, lease: Lease) -> None:
        self._state.touch(f"lease/{lease.id}", lease)
        self._time_lease(lease)

    def _time_lease(self, lease: Lease) -> None:
        renews = lease.renews_t if lease.ends_t is None else min(lease.renews_t, lease.ends_t)
        self._timers.set(TimerClass.RUNNING, renews, LEASE_RENEWS, lease.id)
        self._timers.set(TimerClass.RUNNING, lease.lapses_t, LEASE_LAPSES, lease.id)

    # ------------------------------------------------------------------------------------- from operators and rules

    def _send(  # noqa: PLR0913, PLR0917 -- one call; each is a fact of the command
        self, device: Device, part: str, identity: str, action: Do, cause: Cause, moment: Moment
    ) -> Command:
        command = Command(
            id=identity, site=device.site, device=device.device, part=part, name=action.command,
            args=device.settle_args(action.command, action.args), priority=action.priority.value, cause=cause.name,
            created_at=moment.at, expires_t=moment.t + cause.expiry_ns, expires_at=moment.at + cause.expiry_ns,
            reflex=action.reflex, drill=cause.drill,
        )  # fmt: skip
        self._remember(command)
        count(self._state.ledger.commands, command.state.value)
        self._keep(command)
        self._timers.set(TimerClass.RUNNING, command.expires_t, COMMAND, identity)
        self._transmit(device, command, moment)
        return command

    def request(  # noqa: PLR0913, PLR0917 -- as _send
        self, device: Device, part: str, identity: str, action: Do, cause: Cause, moment: Moment
    ) -> None:
        """Send an operator's command under the id of its control entry."""
        if identity not in self.commands:
            self._send(device, part, identity, action, cause, moment)

    def _transmit(self, device: Device, command: Command, moment: Moment) -> None:
        """Send ``command``; one that its device or the network around it cannot be told fails at once."""
        try:
            transmission = transmission_of(device, command, self._topics)
        except PoisonError as error:
            self._become(command, CommandState.FAILED, f"{error.code}: {error.message}", moment)
        else:
            self._output.effects.transmissions.append(transmission)

    def mark(self) -> tuple[int, int]:
        """Return how many commands and leases there are, for :meth:`roll_back`."""
        return len(self.commands), len(self.leases)

    def roll_back(self, mark: tuple[int, int]) -> None:
        """Forget the commands and leases that came since ``mark``; their transmissions are discarded elsewhere."""
        while len(self.commands) > mark[0]:
            identity, command = self.commands.popitem()
            for state in dict.fromkeys((CommandState.ACCEPTED, command.state)):  # or it has failed at once
                count(self._state.ledger.commands, state.value, -1)
            self._called.pop(network_id(identity), None)
            self._timers.drop(TimerClass.RUNNING, COMMAND, identity)
            self._state.remove(f"command/{identity}")
        while len(self.leases) > mark[1]:
            identity, _ = self.leases.popitem()
            self._timers.drop(TimerClass.RUNNING, LEASE_RENEWS, identity)
            self._timers.drop(TimerClass.RUNNING, LEASE_LAPSES, identity)
            self._state.remove(f"lease/{identity}")

    # ------------------------------------------------------------------------------------------- what became of them

    def outcome(self, outcome: Outcome, moment: Moment) -> None:
        """Take what the rim saw."""
        command = self.commands.get(outcome.command)
        if command is not None:
            self._become(command, after_outcome(command.state, outcome.kind), outcome.detail, moment)

    def response(self, command: Command, *, ok: bool, detail: str, moment: Moment) -> None:
        """Take the device's own answer."""
        self._become(command, after_response(command.state, ok=ok), detail, moment)

    def _become(self, command: Command, state: CommandState, detail: str, moment: Moment) -> None:
        if state is command.state:
            return
        self._keep(command)
        command.state, command.detail = state, detail
        count(self._state.ledger.commands, state.value)
        if state in OPEN:
            return
        command.ended_t = moment.t
        self._timers.set(TimerClass.RUNNING, moment.t + REMEMBER_NS, COMMAND, command.id)
        self._output.event(
            Event(
                id=self._output.event_id("command", command.id, moment.t, 1),
                name=f"command.{state.value}",
                severity=Severity.INFO if state is CommandState.EXECUTED else Severity.MEDIUM,
                transition=Transition.OCCURRED,
                time=moment.at,
                key=f"{command.site}/{command.device}",
                rule=command.cause,
                rule_version="",
                site=command.site,
                device=command.device,
                part=command.part,
                drill=command.drill,
                data={"command": command.name, "id": command.id, "detail": detail},
                causes=(moment.cause,),
            ),
        )

    def _keep(self, command: Command) -> None:
        self._state.touch(f"command/{command.id}", command)

    # ---------------------------------------------------------------------------------------------------------- time

    def ripen(self, owner: str, key: str, find: Callable[[str, str], Device | None], moment: Moment) -> Lease | None:
        """Judge a command or lease whose time has come; return a lease that lapsed though it may still be wanted."""
        if owner == COMMAND:
            self._ripen_command(key, moment)
            return None
        lease = self.leases.get(key)
        if lease is None:
            return None
        device = find(lease.site, lease.device)
        is_over = lease.ends_t is not None and moment.t >= lease.ends_t
        has_lapsed = moment.t >= lease.lapses_t
        if has_lapsed or is_over or device is None:
            self._end_lease(lease, device, moment)
            return lease if has_lapsed and not is_over else None
        self._renew(lease, device, moment)
        return None

    def _ripen_command(self, key: str, moment: Moment) -> None:
        command = self.commands.get(key)
        if command is not None and command.state in OPEN:
            self._become(command, after_expiry(command.state), "", moment)
        elif command is not None:
            del self.commands[key]
            self._called.pop(network_id(key), None)
            self._state.remove(f"command/{key}")

    def _renew(self, lease: Lease, device: Device, moment: Moment) -> None:
        self._state.touch(f"lease/{lease.id}", lease)
        lease.renews_t, lease.lapses_t = moment.t + lease.ttl_ns // 2, moment.t + lease.ttl_ns
        self._time_lease(lease)
        self._transmit_step(device, lease, lease.command, lease.args, moment)

    def settle(self, find: Callable[[str, str], Device | None], moment: Moment) -> None:
        """After a start: wait for what was sent, send again what was not (same id); the expired ended before."""
        for command in sorted(self.commands.values(), key=lambda one: (one.expires_t, one.id)):
            device = find(command.site, command.device)
            if command.state is CommandState.ACCEPTED and command.created_at != moment.at and device is not None:
                self._transmit(device, command, moment)
