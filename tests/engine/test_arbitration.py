"""Commands and leases of one gate under everything that may happen to them: laws that hold after each step."""

from __future__ import annotations

from copy import deepcopy
from itertools import combinations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from hub.bridge import topics
from hub.commands.arbitration import Claim
from hub.commands.life import OPEN, Command, CommandState, Lease, Standing
from hub.engine.acting import Hands
from hub.engine.device import Device
from hub.engine.known import DeviceState
from hub.engine.moment import Moment, Output
from hub.engine.outfits import Outfits
from hub.engine.rows import DeviceRow
from hub.engine.sending import Cause, Wish
from hub.engine.state import State, decode_entries
from hub.model.records import Outcome, OutcomeKind
from hub.rules.rule import Do, Priority
from hub.rules.states import RuleState
from hub.rules.timers import TimerClass, Timers
from tests.engine.desk import SECOND
from tests.engine.last_words import DOORS, GATE, HOLDS, LETS_GO, RANKS, SETS, LastWords, Way, is_owner, overlap, word_of

parts = st.sampled_from(["", *DOORS])
priorities = st.sampled_from(RANKS)
alarms = st.integers(0, 3)
seconds = st.integers(1, 40)


class Gate(RuleBasedStateMachine):
    """Rules, people, time, the broker and restarts, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.t = SECOND
        self.step = self._seen = 0
        self.device = Device(DeviceRow("s1", "gate-1", "gate"), DeviceState())
        Outfits({"gate": GATE}, {}).equip(self.device)
        self.entries: dict[str, bytes] = {}
        self.way: list[Way] = []
        self.doors = dict.fromkeys(DOORS, "lock")
        self.standing: dict[int, RuleState] = {}
        self.last_words = LastWords()
        self._begin(State())

    @initialize(knows=st.booleans())
    def the_gate_has_spoken_of_its_doors(self, knows: bool) -> None:  # noqa: FBT001 -- drawn
        self.last_words.knows = knows
        for door in DOORS if knows else ():
            self.device.part(door).values = {"lock": "locked"}

    def _begin(self, state: State) -> None:
        self.state, self.timers = state, Timers()
        self.output = Output(state, None)
        self.hands = Hands(state, self.timers, topics, self.output, lambda *_: self.device, lambda _device: [])

    def _open(self) -> Moment:
        """Begin a record; what is due comes first."""
        self.step += 1
        self.t += 1
        self.output.begin(self.step)
        moment = Moment(self.t, self.t, late=False, cause=(self.step, 0))
        for_life = self._owners_for_life()
        for _, owner, key in self.timers.due(TimerClass.RUNNING, self.t):
            self.hands.ripen(owner, key, moment)
        assert for_life <= self._owners_for_life(), "time alone, with the hub or without it, lets go no escape door"
        return moment

    def _owners_for_life(self) -> set[str]:
        """Return the leases of alarms that hold for the safety of life, but for those whose longest time is over."""
        return {
            one.id
            for one in self.hands.leases.values()
            if one.priority == Priority.LIFE_SAFETY and one.is_of_an_alarm and is_owner(one)
            if one.ends_t is None or self.t < one.ends_t
        }

    def _close(self) -> None:
        """Put on its way what the record sends."""
        for each in self.output.effects.transmissions:
            command = self.hands.commands[each.command]
            is_open = command.state in OPEN or command.id in self._superseded()  # then what won leaves after it
            assert is_open, "nothing executes after its expiry, or after it has lost"
            assert self.t < command.expires_t, "nothing executes after its expiry"
            assert each.expires_at == command.expires_at
            self.way.append(Way(each, command.part, command.name))
            self.last_words.left(command)
        self.last_words.check()
        of_alarms = self.hands._holds._wanted.items()  # noqa: SLF001 -- what is missing there shows as a hold without end
        found = {(*key, identity) for key, leases in of_alarms for identity in leases}
        assert found == {(one.rule, one.key, one.id) for one in self.hands.leases.values()}
        self.state.clock.t = self._seen = self.t

    def _superseded(self) -> set[str]:
        """Return the ids of what the record told to have lost; a lease's are those of its commands."""
        return {str(each.data["id"]) for each in self.output.effects.events if each.name == "command.superseded"}

    def _claims(self) -> list[Claim]:
        commands = [one for one in self.hands.commands.values() if one.state in OPEN and one.sets and not one.lease]
        leases = [one for one in self.hands.leases.values() if one.standing is not Standing.RELEASES]
        return [*leases, *commands]

    def _wish(self, number: int, name: str, part: str, priority: Priority) -> Wish:
        action = Do(command=name, args={"ttl": "20s"} if name in HOLDS else {}, priority=priority)
        return Wish(f"c{self.step}-{number}", self.device, part, action, Cause(f"person {number}"))

    def _with_losers_told(self, before: list[Claim], spared: str = "") -> None:
        """Losing is an event: whoever owned an actuator and does not any more, but for ``spared`` that has ended."""
        now = {one.id: one for one in self._claims()}
        told = self._superseded()
        for one in before:
            if not is_owner(one) or one.id == spared or (isinstance(one, Lease) and one.rule == spared):
                continue
            later = now.get(one.id)
            ended = isinstance(one, Command) or (one.ends_t is not None and one.ends_t <= self.t)
            if (later is None and not ended) or (later is not None and not is_owner(later)):
                names = {one.id, one.last} if isinstance(one, Lease) else {one.id}
                assert names & told, f"losing is an event: {one}"

    def _with_nobody_above(self, before: list[Claim], identity: str) -> None:
        """The higher priority always wins: a command that was sent had nobody above it who wants something else."""
        command = self.hands.commands.get(identity)
        if command is None or identity not in {each.command for each in self.output.effects.transmissions}:
            return
        against = [one for one in before if overlap(one, command)]
        if any(is_owner(one) and word_of(one) == command.name for one in against):
            return  # it sets what the owner sets: that is in nobody's way
        for other in against:
            is_above = RANKS.index(Priority(other.priority)) < RANKS.index(Priority(command.priority))
            assert not (is_above and word_of(other) != command.name), f"the higher priority always wins: {other}"

    # ------------------------------------------------------------------------------------------------------------ rules

    @rule(
        number=alarms,
        part=parts,
        name=st.sampled_from(HOLDS),
        priority=priorities,
        bound=st.sampled_from([None, "40s"]),
    )
    def an_alarm_holds(self, number: int, part: str, name: str, priority: Priority, bound: str | None) -> None:
        if number in self.standing:
            return
        moment, before = self._open(), deepcopy(self._claims())
        state = RuleState(rule=f"r{number}", key="s1/x", site="s1", device="x", part=part, alarm=f"a{self.step}")
        action = Do.model_validate(
            {"command": name, "args": {"ttl": "20s"}, "priority": priority, "until": "cleared", "at_most": bound}
        )
        self.hands.act([action], state, lambda _action: [self.device], moment)
        self.standing[number] = state
        (made,) = self.hands.held_by(state)
        assert made.standing is Standing.HOLDS or {made.id, made.last} & self._superseded(), "losing is an event"
        self._with_losers_told(before)
        self._close()

    @rule(number=alarms)
    def an_alarm_ends(self, number: int) -> None:
        if number in self.standing:
            moment, state = self._open(), self.standing.pop(number)
            self.hands.release(state.rule, state.key, moment)
            assert self.hands.held_by(state) == [], "every hold ends"
            self._close()

    @rule(name=st.sampled_from([*LETS_GO, *SETS]), part=parts, priority=priorities)
    def a_rule_sends(self, name: str, part: str, priority: Priority) -> None:
        moment, before = self._open(), deepcopy(self._claims())
        state = RuleState(rule="momentary", key="s1/x", site="s1", device="x", part=part, alarm=f"a{self.step}")
        self.hands.act([Do(command=name, priority=priority)], state, lambda _action: [self.device], moment)
        identity = f"a{self.step}-1"
        has_left = identity in {each.command for each in self.output.effects.transmissions}
        self._with_nobody_above(before, identity)
        assert has_left is not (identity in self._superseded()), "losing is an event"
        self._with_losers_told(before)
        self._close()

    @rule(name=st.sampled_from([*HOLDS, *LETS_GO, *SETS]), part=parts)
    def a_person_asks(self, name: str, part: str) -> None:
        moment, before = self._open(), deepcopy(self._claims())
        wish = self._wish(1, name, part, Priority.OPERATOR)
        above = self.hands.request(wish, moment)
        has_left = wish.identity in {each.command for each in self.output.effects.transmissions}
        assert has_left is (above is None), "a person is told at once"
        if above is not None:
            assert above.code == "outranked"
        self._with_nobody_above(before, wish.identity)
        self._with_losers_told(before)
        self._close()

    @rule(number=alarms, priority=priorities)
    def a_step_of_a_rule_fails(self, number: int, priority: Priority) -> None:
        moment = self._open()
        before = deepcopy((self.hands.leases, self.hands.commands, self.state.ledger.commands))
        marks = self.output.marks()
        self.hands.mark()
        state = RuleState(rule="broken", key="s1/x", site="s1", device="x", part="", alarm=f"a{self.step}")
        hold = Do(command="hold_door", args={"ttl": "20s"}, priority=priority, until="cleared")
        self.hands.act([hold, Do(command="lock", priority=priority)], state, lambda _action: [self.device], moment)
        if number in self.standing:
            self.hands.release(self.standing[number].rule, "s1/x", moment)
        self.output.roll_back(marks)
        self.hands.roll_back()
        self._close()
        after = (self.hands.leases, self.hands.commands, {k: n for k, n in self.state.ledger.commands.items() if n})
        assert after == (before[0], before[1], before[2]), "a step that fails leaves nothing behind"

    # --------------------------------------------------------------------------------------------- time and the broker

    @rule(passing=seconds)
    def time_passes(self, passing: int) -> None:
        end = self.t + passing * SECOND
        while (due := self.timers.next_due(TimerClass.RUNNING)) is not None and due <= end:
            self.t = max(self.t, due)
            self._open()
            self._close()
        self.t = max(self.t, end)

    @precondition(lambda self: self.way)
    @rule(answers=st.sampled_from([None, True, False]))
    def the_next_is_delivered(self, answers: bool | None) -> None:  # noqa: FBT001 -- drawn
        way = self.way.pop(0)
        moment = self._open()
        if self.t < way.transmission.expires_at:
            for door in DOORS if not way.part else (way.part,):
                self.doors[door] = way.name
            for kind in (OutcomeKind.SENT, OutcomeKind.DELIVERED):
                self.hands.outcome(Outcome(way.transmission.command, kind), moment)
            command = self.hands.find(way.transmission.command)
            if answers is not None and command is not None:
                self.hands.response(command, ok=answers, detail="", moment=moment)
        else:
            self.hands.outcome(Outcome(way.transmission.command, OutcomeKind.FAILED, "expired"), moment)
        self._close()

    @precondition(lambda self: self.way)
    @rule()
    def the_next_is_lost(self) -> None:
        way = self.way.pop(0)
        moment = self._open()
        self.hands.outcome(Outcome(way.transmission.command, OutcomeKind.FAILED, "queue_full"), moment)
        self._close()

    @rule(down=seconds)
    def the_hub_starts_again(self, down: int) -> None:
        before = {one.id: one for one in self.hands.commands.values()}, dict(self.hands.leases)
        self.state.begin_checkpoint()
        for key, body in self.state.take_checkpoint().items():
            self.entries.pop(key, None)
            if body is not None:
                self.entries[key] = body
        self._begin(State())
        for _key, entry in decode_entries(sorted(self.entries.items())):
            if isinstance(entry, Command | Lease):
                self.hands.restore(entry)
            elif not isinstance(entry, RuleState | DeviceState):
                self.state.restore(entry)  # type: ignore[arg-type] # clock, ledger, answers
        assert (dict(self.hands.commands), dict(self.hands.leases)) == before, "restart loses no open command"
        self.last_words.started(self.hands.commands)
        self.way = []  # what the downlink had was in memory
        self.t += down * SECOND
        moment = self._open()
        self.hands.settle(moment)
        again = {each.command for each in self.output.effects.transmissions}
        unsent = {one.id for one in self.hands.commands.values() if one.state is CommandState.ACCEPTED}
        assert unsent <= again, "restart loses no open command"
        self._close()

    # ------------------------------------------------------------------------------------------------------------- laws

    @invariant()
    def no_two_own_one_actuator(self) -> None:
        owners = [one for one in self._claims() if is_owner(one)]
        assert not [pair for pair in combinations(owners, 2) if overlap(*pair)], "no two owners of one actuator"

    @invariant()
    def the_higher_priority_always_wins(self) -> None:
        claims = self._claims()
        for waiting in claims:
            others = [one for one in claims if one is not waiting and overlap(one, waiting)]
            mine = RANKS.index(Priority(waiting.priority))
            if all(mine < RANKS.index(Priority(other.priority)) for other in others):
                assert is_owner(waiting), "the higher priority always wins"

    @invariant()
    def every_hold_ends_when_it_must(self) -> None:
        ends = [one.ends_t for one in self._claims() if isinstance(one, Lease)]
        assert not [end for end in ends if end is not None and end + SECOND < self._seen], "every hold ends"

    @invariant()
    def a_door_that_is_held_has_somebody_who_holds_it_or_a_release_on_its_way(self) -> None:
        for door in DOORS:
            last = next((each.name for each in reversed(self.way) if each.part in {"", door}), self.doors[door])
            mine = [one for one in self.hands.leases.values() if one.part in {"", door}]
            owed = [one for one in mine if one.standing is not Standing.WAITS or one.owes_release]
            assert last not in HOLDS or owed, f"a release always goes out: {door} {last}"

    @override
    def teardown(self) -> None:
        """Every alarm ends, the broker is there again, the gate does and answers everything, time passes."""
        for number in list(self.standing):
            self.an_alarm_ends(number)
        for _ in range(100):
            while self.way:
                self.the_next_is_delivered(answers=True)
            due = self.timers.next_due(TimerClass.RUNNING)
            if due is not None:
                self.t = max(self.t, due)
                self._open()
                self._close()
        assert not self.hands.leases, f"every hold ends: {list(self.hands.leases.values())}"
        assert set(self.doors.values()) <= {*LETS_GO, *SETS}, "a release always goes out"
        assert not [one for one in self.hands.commands.values() if one.state in OPEN]


TestGate = Gate.TestCase
TestGate.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_what_waited_beneath_a_hold_that_is_forgotten_after_a_stop_has_its_turn() -> None:
    gate = Gate()
    for number, part in enumerate(("", *DOORS)):
        urgency = Priority.INSPECTION if part == "door-2" else Priority.ENTRAPMENT
        gate.an_alarm_holds(number=number, part=part, name="hold_door", priority=urgency, bound=None)
    gate.the_hub_starts_again(down=20)
    assert [
        (one.part, one.standing) for one in gate.hands.leases.values() if one.standing is not Standing.RELEASES
    ] == [("door-2", Standing.HOLDS)]
