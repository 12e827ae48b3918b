"""Commands on their way: each is told once, and comes to one honest end, over restarts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hub.catalogue import Label
from hub.commands.arbitration import Claim, Claims, owner_of
from hub.commands.life import (
    ANSWERED_LATE,
    DEFAULT_EXPIRY_NS,
    OPEN,
    Command,
    CommandState,
    Lease,
    after_expiry,
    after_outcome,
    after_response,
)
from hub.commands.patience import URGENT
from hub.engine.device import Device
from hub.engine.encoding import TopicNames, transmission_of
from hub.engine.guards import Guards
from hub.engine.lookout import Lookout
from hub.engine.moment import Moment, Output
from hub.engine.sleepers import Sleepers
from hub.engine.state import State, count
from hub.engine.undoing import Undo
from hub.errors import PoisonError
from hub.model.effects import Event, Transition
from hub.model.records import Outcome
from hub.model.values import Scalar, Severity
from hub.normalize.networks.downlink import network_id
from hub.rules.rule import Do
from hub.rules.timers import TimerClass, Timers

REMEMBER_NS = 600_000_000_000
"""A finished command is kept this long, so that its late or repeated answers find it."""
VERIFY_NS = 30_000_000_000
"""How long after its expiry a command may still be seen to be done: cars drive, barriers move."""
ARRIVED = frozenset({CommandState.DELIVERED, CommandState.EXECUTED, CommandState.VERIFIED})
_MAY_BE_SEEN = OPEN | {CommandState.EXECUTED, CommandState.TIMEOUT}
LET_GO, GIVEN_UP = "let_go", "given_up"
_GRAVE = frozenset({*(CommandState.FAILED, CommandState.REJECTED, CommandState.EXPIRED), LET_GO, GIVEN_UP})
_QUIET = frozenset({CommandState.WAITING.value, CommandState.EXECUTED.value, CommandState.VERIFIED.value, "resumed"})
COMMAND = "command"
UNADDRESSABLE = "unaddressable"
Find = Callable[[str, str], Device | None]


class Cause(NamedTuple):
    """Who wants a command, for how long (ns) it is worth sending, and whether it is only a drill."""

    name: str
    expiry_ns: int = DEFAULT_EXPIRY_NS
    drill: bool = False


class Wish(NamedTuple):
    """What is wanted of which part of a device, by whom; ``lease``: the one that it stands for, ``is_again`` renews.

    ``is_seen``: a person says that nothing is in its way there. ``tries``: how often the same was let go in vain.
    """

    identity: str
    device: Device
    part: str
    action: Do
    cause: Cause
    lease: str = ""
    is_again: bool = False
    is_seen: bool = False
    tries: int = 0


class Sender:
    """Open commands; each is an entry of the state, each transmission an effect. ``when_moved`` hears of every change.

    ``claims`` are all on actuators, those of leases too.
    """

    def __init__(self, state: State, timers: Timers, topics: TopicNames, output: Output) -> None:
        self._state = state
        self._timers = timers
        self._topics = topics
        self._output = output
        self.commands: dict[str, Command] = {}
        self.lookout = Lookout()
        self.claims = Claims()
        self.sleepers = Sleepers(lambda: state.clock)
        self.undo = Undo()
        self.when_moved: Callable[[Command, Moment], None] = lambda _command, _moment: None
        self._called: dict[str, str] = {}

    def find(self, identity: str) -> Command | None:
        """Return the command of an id, or of the UUID that stands for it in a network that wants one."""
        return self.commands.get(identity) or self.commands.get(self._called.get(identity, ""))

    def next_number(self) -> int:
        """Return the number of a new claim: among equals the newest wins."""
        self._state.clock.claims += 1
        return self._state.clock.claims

    def restore(self, command: Command) -> None:
        """Take an entry of a checkpoint, or back what a failed step has changed."""
        self.commands[command.id] = command
        self._called[network_id(command.id)] = command.id
        is_open = command.state in OPEN
        if is_open and not command.lease:
            self.claims.put(command)
        if command.state is CommandState.WAITING:
            self.sleepers.put(command)
        elif command.verify_t and command.state in _MAY_BE_SEEN:
            self.lookout.put(command)
        due = command.expires_t if is_open else (command.ended_t or command.expires_t) + REMEMBER_NS
        self._timers.set(TimerClass.RUNNING, due, COMMAND, command.id)

    def forget(self, command: Command) -> None:
        """Forget a command that is long over, or that a failed step has made."""
        self.commands.pop(command.id, None)
        self.lookout.drop(command)
        self.sleepers.drop(command)
        self._called.pop(network_id(command.id), None)
        self.claims.drop(command)
        self._timers.drop(TimerClass.RUNNING, COMMAND, command.id)
        self._state.remove(f"command/{command.id}")

    def keep(self, command: Command) -> None:
        """Say that ``command`` is about to change."""
        self.undo.note(f"command/{command.id}", command)
        self._state.touch(f"command/{command.id}", command)

    # ------------------------------------------------------------------------------------------------------------- out

    def prepare(self, wish: Wish, moment: Moment) -> Command:
        """Return the command of a wish, accepted; it is known from now on.

        A hold may be of what its device, which is another thing by now, does not know any more: it fails as it leaves,
        or at once when it takes other arguments.
        """
        device, action, cause = wish.device, wish.action, wish.cause
        kind, expiry_ns = device.commands.get(action.command), self.sleepers.expiry_ns(wish)
        args, misfit = dict[str, Scalar](), ""
        try:
            args = {} if kind is None else device.settle_args(action.command, action.args)
        except PoisonError as error:
            if not wish.lease:
                raise
            misfit = f"{error.code}: {error.message}"
        guard = device.outfit.guards.get(action.command)
        is_shown = guard is not None and guard.confirm is not None and not wish.is_again
        command = Command(
            id=wish.identity, site=device.site, device=device.device, part=wish.part, name=action.command,
            args=args, priority=action.priority.value, cause=cause.name, created_at=moment.at,
            expires_t=moment.t + expiry_ns, expires_at=moment.at + expiry_ns, reflex=action.reflex, drill=cause.drill,
            sets="" if kind is None else kind.sets or "", number=self.next_number(), lease=wish.lease,
            verify_t=moment.t + expiry_ns + VERIFY_NS if is_shown else 0, since=self._state.clock.awake(moment.t),
            created_t=moment.t, tries=wish.tries,
        )  # fmt: skip
        self.undo.note(f"command/{command.id}", None)
        count(self._state.ledger.commands, command.state.value)
        self.restore(command)
        self._state.touch(f"command/{command.id}", command)
        if misfit:
            self.become(command, CommandState.FAILED, misfit, moment)
        return command

    def transmit(self, device: Device, command: Command, moment: Moment) -> None:
        """Send ``command``, or let it wait for a device that sleeps; one that cannot be told so fails at once.

        Where a sleeper listens the network may know only when it has spoken.
        """
        if command.state not in OPEN:
            return
        is_asleep = self.sleepers.sleeps(device, moment)
        try:
            transmission = transmission_of(device, command, self._topics)
        except PoisonError as error:
            if not (is_asleep and error.code == UNADDRESSABLE):
                self.become(command, CommandState.FAILED, f"{error.code}: {error.message}", moment)
                return
        else:
            if not is_asleep:
                self._output.effects.transmissions.append(transmission)
                return
        self.become(command, CommandState.WAITING, "it leaves when the device has spoken", moment)
        self.lookout.drop(command)
        self.sleepers.put(command)
        self.tell(command, CommandState.WAITING.value, command.words, moment)

    def leave(self, device: Device, command: Command, moment: Moment) -> None:
        """Send what has waited until ``device`` spoke; only what it reports from now on may show it done."""
        self.keep(command)
        self.sleepers.drop(command)
        command.state, command.detail = CommandState.ACCEPTED, ""
        command.since = self._state.clock.awake(moment.t)
        command.note("uplink_heard", moment.at, "")
        self.restore(command)
        self.transmit(device, command, moment)

    def bar(self, command: Command, because: Label, moment: Moment) -> None:
        """Tell, once, what keeps a command waiting though its device has spoken."""
        if command.detail != because["en"]:
            self.keep(command)
            command.detail = because["en"]
            words: dict[str, Scalar] = {"command": command.name, "id": command.id, "detail": command.detail}
            self.tell(command, "interlocked", words, moment, because)

    # ------------------------------------------------------------------------------------------- what became of them

    def outcome(self, outcome: Outcome, moment: Moment) -> None:
        """Take what the rim saw."""
        command = self.commands.get(outcome.command)
        if command is not None:
            self.become(command, after_outcome(command.state, outcome.kind), outcome.detail, moment)

    def response(self, command: Command, *, ok: bool, detail: str, moment: Moment) -> None:
        """Take the device's own answer; one that comes after the end moves nothing, and is written down."""
        if command.state not in OPEN:
            self.keep(command)
            command.note(ANSWERED_LATE if ok else "refused_late", moment.at, detail)
            if ok and command.state is CommandState.TIMEOUT:
                self.when_moved(command, moment)
        self.become(command, after_response(command.state, ok=ok), detail, moment)

    def become(
        self, command: Command, state: CommandState, detail: str, moment: Moment, because: Label | None = None
    ) -> None:
        """Move a command on; its end is told, and to people ``because`` of what."""
        if state is command.state:
            return
        self.keep(command)
        self.sleepers.drop(command)
        command.state, command.detail = state, detail
        command.note(state.value, moment.at, detail)
        command.is_delivered |= state in ARRIVED
        if state is CommandState.DELIVERED and not command.verify_t:
            self._expire_within(command, DEFAULT_EXPIRY_NS, moment)
        if command.verify_t and state in _MAY_BE_SEEN:  # also one that waited: the network says that it has left
            self.lookout.put(command)
        else:
            self.lookout.drop(command)
        count(self._state.ledger.commands, state.value)
        if state not in OPEN:
            command.ended_t = moment.t
            self.claims.drop(command)
            self._timers.set(TimerClass.RUNNING, moment.t + REMEMBER_NS, COMMAND, command.id)
            self.tell(command, state.value, command.words, moment, because)
        self.when_moved(command, moment)

    def _expire_within(self, command: Command, within_ns: int, moment: Moment) -> None:
        """Let ``command``, of which nothing but an answer can come now, not stay open for as long as it might wait."""
        if command.expires_t > moment.t + within_ns:
            command.expires_t = moment.t + within_ns
            self._timers.set(TimerClass.RUNNING, command.expires_t, COMMAND, command.id)

    def lose(self, claim: Claim, winner: Claim, moment: Moment) -> None:
        """Tell that ``claim`` does not own its actuator (any more): losing is a visible outcome."""
        detail = f"{owner_of(winner)} ({winner.priority}) has it"
        command = self.commands.get(claim.last) if isinstance(claim, Lease) else claim
        if command is not None and command.state in OPEN:
            self.become(command, CommandState.SUPERSEDED, detail, moment)
        elif isinstance(claim, Lease):
            words: dict[str, Scalar] = {"command": claim.command, "id": claim.last or claim.id, "detail": detail}
            self.tell(claim, CommandState.SUPERSEDED.value, words, moment)

    def tell(
        self, claim: Claim, what: str, words: dict[str, Scalar], moment: Moment, because: Label | None = None
    ) -> None:
        """Tell what became of a claim, and to people ``because`` of what: once of all that is tried again."""
        severity = Severity.CRITICAL if what in _GRAVE and claim.priority in URGENT else Severity.MEDIUM
        if what in _QUIET or (isinstance(claim, Command) and claim.tries):
            severity = Severity.INFO
        self._output.event(
            Event(
                id=self._output.event_id("command", f"{words['id']} {what}", moment.t, 1), name=f"command.{what}",
                severity=severity, transition=Transition.OCCURRED, time=moment.at,
                key=f"{claim.site}/{claim.device}", rule=owner_of(claim), rule_version="", site=claim.site,
                device=claim.device, part=claim.part, drill=claim.drill, data=words, causes=(moment.cause,),
                label=because or {},
            )
        )  # fmt: skip

    def look(self, guards: Guards, find: Find, moment: Moment) -> None:
        """Find what devices now show to be done; tell of one that said so, and shows otherwise to the last."""
        for command in self.lookout.take(moment.t):
            device = find(command.site, command.device)
            if device is None or command not in self.lookout or command.state is CommandState.ACCEPTED:
                continue
            is_over, has_spoken = moment.t >= command.verify_t, device.state.heard_awake > command.since
            seen = guards.is_seen(device, command.part, command.name, command.since) if has_spoken or is_over else None
            if seen:
                self.become(command, CommandState.VERIFIED, "", moment)
            elif is_over:
                self._leave_unseen(command, moment, is_otherwise=seen is False)
            else:
                device.is_awaited = True

    def _leave_unseen(self, command: Command, moment: Moment, *, is_otherwise: bool) -> None:
        self.keep(command)
        command.verify_t = 0
        self.lookout.drop(command)
        if is_otherwise and command.state is CommandState.EXECUTED:
            detail = "it says that it is done, and reports otherwise"
            command.note("unverified", moment.at, detail)
            self.tell(command, "unverified", {**command.words, "detail": detail}, moment)

    # ---------------------------------------------------------------------------------------------------------- time

    def ripen(self, identity: str, moment: Moment) -> None:
        """End a command whose time is up; forget one that has long ended."""
        command = self.commands.get(identity)
        if command is not None and command.state in OPEN:
            self.become(command, after_expiry(command.state), "", moment)
        elif command is not None:
            self.forget(command)

    def settle(self, find: Find, moment: Moment) -> None:
        """After a start: wait for what was sent, send again what was not (same id); the expired ended before.

        It leaves ahead of what the start itself sends: an old hold after the release of a lapsed one would hold on.
        """
        newer = self._output.effects.transmissions[:]
        self._output.effects.transmissions.clear()
        for command in sorted(self.commands.values(), key=lambda one: one.number):
            device = find(command.site, command.device)
            if command.state is CommandState.ACCEPTED and command.created_at != moment.at and device is not None:
                self.transmit(device, command, moment)
        self._output.effects.transmissions.extend(newer)
