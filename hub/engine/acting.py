"""Commands and leases: from a wish to an honest end, over restarts; the engine's hands."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hub.catalogue import Label
from hub.commands.arbitration import agrees, is_for_life, owner_of
from hub.commands.life import Command, CommandState, Lease
from hub.durations import nanoseconds
from hub.engine.change import Change
from hub.engine.clearing import Refusal, in_both
from hub.engine.device import Device
from hub.engine.encoding import TopicNames
from hub.engine.guards import Beside, Guards
from hub.engine.holding import Holds
from hub.engine.kept_leases import LEASE_LAPSES, LEASE_RENEWS
from hub.engine.leasing import numbered
from hub.engine.moment import Moment, Output
from hub.engine.sending import COMMAND, Cause, Find, Sender, Wish
from hub.engine.sleepers import seen_too_soon, whenever_it_speaks
from hub.engine.state import State
from hub.model.effects import Event, Transition
from hub.model.values import Scalar, Severity
from hub.rules.rule import Do
from hub.rules.states import RuleState
from hub.rules.timers import Timers

SHORTEST_NS = 1_000_000_000


class Hands:
    """Open commands and leases; every change is an entry of the state, every transmission an effect."""

    def __init__(  # noqa: PLR0913, PLR0917 -- the parts of the engine that a command passes
        self, state: State, timers: Timers, topics: TopicNames, output: Output, find: Find, beside: Beside
    ) -> None:
        self._state = state
        self._output = output
        self._find = find
        self._sender = Sender(state, timers, topics, output)
        self._guards = Guards(lambda: state.clock, beside)
        self._holds = Holds(state, timers, self._sender, find, self._guards)
        self.commands, self.leases = self._sender.commands, self._holds.leases
        self.find, self.outcome, self.response = self._sender.find, self._sender.outcome, self._sender.response
        self.spoke = self._sender.lookout.spoke
        self._counts: dict[str, int] = {}
        self._sent: list[Command] = []
        self._taken_back: list[Command] = []

    def restore(self, entry: Command | Lease) -> None:
        """Take an entry of a checkpoint."""
        if isinstance(entry, Command):
            self._sender.restore(entry)
        else:
            self._holds.restore(entry)

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
            key = state.key if action.until is not None else ""
            part = state.part if action.to is None else ""
            for device, each in [(one, each) for one in targets(action) for each in one.told_as(action.command, part)]:
                if state.lapsed and (device.device, each, action.command) not in state.lapsed:
                    continue
                state.steps += 1
                identity = numbered(f"{state.alarm}-", state.steps, self._state.clock)
                wish = Wish(identity, device, each, action, Cause(state.rule, drill=state.mode.drill))
                if not state.mode.acts:
                    self._rehearse(wish, key, moment)
                else:
                    self._wish(wish, key, moment)

    def _wish(self, wish: Wish, key: str, moment: Moment) -> Refusal | None:
        """Hold what is a hold, as long as the alarm of ``key`` lasts if it is one's; send what is a command."""
        name = wish.action.command
        if not wish.device.can(name) or not (key or wish.device.is_hold(name)):
            return self._send(wish, moment)
        late = self._sender.sleepers.why_late(wish, moment)
        lease = _lease_of(wish, key, self._sender.next_number(), moment)
        if late is not None and not is_for_life(lease):
            return self._refusal(wish, self._sender.prepare(wish, moment), moment)
        if late is not None:
            because = whenever_it_speaks(late)
            self._refuse(self._sender.prepare(wish, moment), CommandState.REJECTED, "device_asleep", because, moment)
            lease.number, lease.asleep = self._sender.next_number(), True
        self._holds.take(lease, wish.device, moment)
        return None

    def _send(self, wish: Wish, moment: Moment) -> Refusal | None:
        command = self._sender.prepare(wish, moment)
        refusal = self._refusal(wish, command, moment)
        if refusal is None:
            self._holds.make_way(command, moment, lets_go=wish.device.lets_go(command.name))
            if command.number != self._state.clock.claims:  # it leaves after the release of what gave way
                command.number = self._sender.next_number()
            self._sender.transmit(wish.device, command, moment)
            self._sent.append(command)
        return refusal

    def _refusal(self, wish: Wish, command: Command, moment: Moment) -> Refusal | None:
        """Refuse, and tell so, what an interlock bars or what somebody stands above."""
        if not wish.device.can(command.name):
            why = wish.device.why_not(command.name)
            return self._refuse(command, CommandState.FAILED, "unknown_command", why, moment)
        late = self._sender.sleepers.why_late(wish, moment)
        if late is not None:
            return self._refuse(command, CommandState.REJECTED, "device_asleep", late, moment)
        above = self._sender.claims.above(command)
        because = self._bar(wish, command, moment)
        if because is not None:
            return self._refuse(command, CommandState.REJECTED, "interlocked", because, moment)
        is_hold = wish.device.is_hold(command.name)
        if above is not None and agrees(command, above) and not is_hold:  # it sets what is set: in nobody's way
            self._sender.claims.drop(command)
            command.sets = ""
        elif above is not None:
            self._sender.lose(command, above, moment)
            return Refusal("outranked", f"{owner_of(above)} has it, with priority {above.priority}")
        return None

    def _bar(self, wish: Wish, command: Command, moment: Moment) -> Label | None:
        """Return why an interlock bars it; what a person saw is of now, not of when one that sleeps will listen."""
        is_too_soon = wish.is_seen and self._sender.sleepers.sleeps(wish.device, moment)
        is_seen = wish.is_seen and not is_too_soon
        because = self._guards.bar(wish.device, command.part, command.name, moment, is_seen=is_seen)
        return seen_too_soon(because) if because is not None and is_too_soon else because

    def _refuse(self, command: Command, state: CommandState, code: str, because: Label, moment: Moment) -> Refusal:
        self._sender.become(command, state, f"{code}: {because['en']}", moment, because)
        return Refusal(code, in_both(because))

    def _rehearse(self, wish: Wish, key: str, moment: Moment) -> None:
        """Tell what would become of a command: of everything that is asked before it leaves."""
        device, identity = wish.device, wish.identity
        lease = _lease_of(wish, key, self._state.clock.claims + 1, moment)
        would, detail = "sent", "a drill without commands: not sent"
        above = self._sender.claims.above(lease)
        if not device.can(wish.action.command):
            would, detail = "failed", f"unknown_command: {in_both(device.why_not(wish.action.command))}"
        elif late := self._sender.sleepers.why_late(wish, moment):
            would, detail = "rejected", f"device_asleep: {in_both(late)}"
        elif because := self._guards.bar(device, wish.part, wish.action.command, moment):
            would, detail = "rejected", f"interlocked: {in_both(because)}"
        elif above is not None and not agrees(lease, above):
            would, detail = "superseded", f"{owner_of(above)} ({above.priority}) has it"
        self._output.event(
            Event(
                id=self._output.event_id("command", identity, moment.t, 1), name="command.rehearsed",
                severity=Severity.INFO, transition=Transition.OCCURRED, time=moment.at, key=device.key,
                rule=wish.cause.name, rule_version="", site=device.site, building=device.building,
                device=device.device, part=wish.part, drill=wish.cause.drill, causes=(moment.cause,),
                data={"command": wish.action.command, "id": identity, "would": would, "detail": detail},
            )
        )  # fmt: skip

    def release(self, rule: str, key: str, moment: Moment) -> None:
        """End every lease that ``rule`` holds for ``key``: its release goes out."""
        for lease in self._holds.of(rule, key):
            self._holds.end(lease, moment)

    def release_device(self, device: Device, moment: Moment) -> None:
        """End every lease on a device that is being taken away, while it can still be told."""
        self._holds.end_all(device, moment)

    def held_by(self, state: RuleState) -> list[Lease]:
        """Return the leases that a rule holds for a key."""
        return self._holds.of(state.rule, state.key)

    def hand_over(self, before: Sequence[Lease], moment: Moment) -> None:
        """End the leases that a pending raise held; one that the alarm holds on with is not released in between."""
        for lease in before:
            self._holds.end(lease, moment)

    # ------------------------------------------------------------------------------------------------- from operators

    def request(self, wish: Wish, moment: Moment) -> Refusal | None:
        """Send a person's command under the id of its control entry; return why not.

        A person is told at once, and does not wait: a rule's hold waits for its turn.
        """
        if wish.identity in self.commands:
            return None
        if not wish.device.is_hold(wish.action.command):
            return self._send(wish, moment)
        lease = _lease_of(wish, "", self._sender.next_number(), moment)
        because = self._guards.bar(wish.device, wish.part, wish.action.command, moment, is_seen=wish.is_seen)
        because = because or self._sender.sleepers.why_late(wish, moment)
        if self._sender.claims.above(lease) is not None or because is not None:
            return self._refusal(wish, self._sender.prepare(wish, moment), moment)
        self._holds.take(lease, wish.device, moment)
        return None

    def take_back(self, command: Command, detail: str, moment: Moment) -> None:
        """End a command that waits for its device to speak: nobody wants it any more."""
        self._sender.become(command, CommandState.CANCELLED, detail, moment)
        self._taken_back.append(command)

    def standing(self, identity: str) -> str:
        """Return what a person is told of a command just asked for: that it is accepted, and if so that it waits."""
        command = self.commands.get(identity)
        is_waiting = command is not None and command.state is CommandState.WAITING
        return CommandState.WAITING.value if is_waiting else CommandState.ACCEPTED.value

    def heard(self, device: Device, moment: Moment) -> None:
        """Send what waited for ``device`` to speak, in its order; what an interlock bars now waits on.

        What keeps people alive comes first: what it takes the place of does not leave.
        """
        if self._holds.asleep:
            self._holds.heard(device, moment)
        for command in self._sender.sleepers.of(device):
            because = self._guards.bar(device, command.part, command.name, moment)
            if because is not None:
                self._sender.bar(command, because, moment)
            elif moment.t < command.expires_t:
                self._sender.leave(device, command, moment)

    def cancel(self, lease: Lease, actor: str, detail: str, moment: Moment) -> None:
        """End a hold because a person says so: who that is has caused its release."""
        words: dict[str, Scalar] = {"command": lease.command, "id": lease.id, "detail": detail, "by": actor}
        self._sender.tell(lease, CommandState.CANCELLED.value, words, moment)
        self._holds.ascribe(lease, actor)
        self._holds.end(lease, moment)

    def hindrance(self, device: Device, part: str, command: str, moment: Moment) -> str:
        """Return what keeps ``command`` from leaving for somebody who gives way to everybody; nothing when it may."""
        if not device.can(command):
            return in_both(device.why_not(command))
        holders = self._sender.claims.on(device.identity, device.commands[command].sets or "", part)
        if holders:
            return f"{owner_of(holders[0])} has it, with priority {holders[0].priority}"
        because = self._guards.bar(device, part, command, moment)
        return "" if because is None else f"interlocked: {in_both(because)}"

    def take_sent(self) -> list[Command]:
        """Return the commands of no hold that were sent since the last call; one that a failing rule sent was not."""
        if not self._sent:
            return []
        sent, self._sent = self._sent, []
        return [command for command in sent if command.id in self.commands]

    def take_taken_back(self) -> list[Command]:
        """Return the commands that were taken back since the last call."""
        found, self._taken_back = self._taken_back, []
        return found

    # ------------------------------------------------------------------------------------------- what is seen of them

    def revised(self, change: Change) -> None:
        """Look again at the commands of devices that are others now: what shows one done may be another thing."""
        for device in () if self._sender.lookout.is_empty else (*change.touched, *change.concerned):
            self.spoke(device)

    def look(self, moment: Moment) -> None:
        """Let go what an interlock has come to bar; find what is seen to be done. Seldom anything is."""
        if self._holds.watched:
            self._holds.look(moment)
        if self._sender.lookout.is_due(moment.t):
            self._sender.look(self._guards, self._find, moment)

    # ------------------------------------------------------------------------------------------------ steps that fail

    def mark(self) -> None:
        """Remember how things are, for :meth:`roll_back`."""
        self._counts = self._state.ledger.commands
        self._state.ledger.commands = dict(self._counts)
        self._sender.undo.mark()

    def confirm(self) -> None:
        """Keep what was done since the mark."""
        self._sender.undo.take()

    def roll_back(self) -> None:
        """Take back what was done to claims since the mark; their transmissions are discarded elsewhere."""
        self._state.ledger.commands = self._counts
        for entry, before in self._sender.undo.take().items():
            noun, _, identity = entry.partition("/")
            command, lease = self.commands.get(identity), self.leases.get(identity)
            if noun == "lease" and lease is not None:
                self._holds.forget(lease)
            elif noun == "command" and command is not None:
                self._sender.forget(command)
            if before is not None:
                self._state.touch(entry, before)
                self.restore(before)

    # ---------------------------------------------------------------------------------------------------------- time

    def ripen(self, owner: str, key: str, moment: Moment) -> list[Lease]:
        """Judge a command or lease whose time has come; return leases that lapsed though they may still be wanted."""
        if owner in {LEASE_RENEWS, LEASE_LAPSES}:
            return self._holds.ripen(key, moment)
        if owner == COMMAND:
            self._sender.ripen(key, moment)
        return []

    def settle(self, moment: Moment) -> None:
        """After a start: wait for what was sent, send again what was not (same id); the expired ended before."""
        self._sender.settle(self._find, moment)


def _lease_of(wish: Wish, key: str, number: int, moment: Moment) -> Lease:
    """Return the lease of a wish; one of no alarm lasts its ttl. It is renewed as its device can be told to hold."""
    device, action = wish.device, wish.action
    asked = nanoseconds(action.ttl)
    ttl = max(SHORTEST_NS, min(asked, nanoseconds(device.longest_of(action.command))))
    at_most = None if action.at_most is None else nanoseconds(action.at_most)
    if not key:
        at_most = max(ttl, asked) if at_most is None else min(max(ttl, asked), at_most)
    return Lease(
        id=wish.identity, rule=wish.cause.name, key=key or wish.identity, site=device.site, device=device.device,
        part=wish.part, command=action.command, release=device.release_of(action.command), args=dict(action.args),
        priority=action.priority.value, ttl_ns=ttl, renews_t=0, lapses_t=0,
        ends_t=None if at_most is None else moment.t + at_most, reflex=action.reflex, drill=wish.cause.drill,
        sets=device.commands[action.command].sets or "", number=number, expiry_ns=wish.cause.expiry_ns,
        made_at=moment.at,
    )  # fmt: skip
