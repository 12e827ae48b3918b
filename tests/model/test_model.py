"""A hub that may die at any step, as may the broker; a Redis that may not answer: nothing is lost or invented."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from hub.model.values import Scalar
from tests.engine.desk import SESSIONS
from tests.model.broker import PACKET_IDS
from tests.model.disk import Space
from tests.model.ending import complaints
from tests.model.machine import ALL, Refusal, World
from tests.model.still import Way
from tests.model.town import editions

BEFORE = ((), ("bike",), ("bike", "smoke"), ("smoke", "open", "duress"), ("bike", "denied", "denied", "open"))
SMOKE = {"rule": "smoke-alarm", "key": "s1/smoke-1"}
DURESS = {"rule": "access-duress", "key": "s1/door-1"}
REQUESTS: Mapping[str, Mapping[str, Scalar]] = {
    "command": {"site": "s1", "device": "lift-1", "command": "hold_door", "ttl": "20s"},
    "ack": SMOKE,
    "shelve": {**SMOKE, "for": "30m"},
    "comment": {**SMOKE, "text": "seen"},
    "clear": DURESS,
    "dance": {},
}
DAY = 86_400
a_session = st.sampled_from(SESSIONS)
a_few = st.integers(0, 6)
a_start = st.sampled_from((0, 3, ALL, ALL))
a_way = st.sampled_from((*[Way.DONE] * 3, Way.LOST, Way.REFUSED, Way.LATE))


class Hub(RuleBasedStateMachine):
    """The steps; what each of them looks at is told in :class:`tests.model.witness.Witness`."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.warm_up()
        self.is_well = True

    @initialize(words=st.sampled_from(BEFORE), is_restarted=st.booleans(), packet_ids=st.sampled_from((2, PACKET_IDS)))
    def something_goes_on(self, words: Sequence[str], is_restarted: bool, packet_ids: int) -> None:  # noqa: FBT001 -- drawn
        for queue in self.world.around.broker.queues.values():
            queue.packet_ids = packet_ids
        for word in words:
            self.world.publish(self.world.devices.say(word))
        self.everything_moves(SESSIONS[0])
        self.world.tick(1)
        if is_restarted:
            self.world.stop()
            self.world.run(ALL)

    # --------------------------------------------------------------------------------------------- what usually happens

    @rule(words=st.lists(st.sampled_from(sorted(World.vocabulary())), min_size=1, max_size=6))
    def publish(self, words: list[str]) -> None:
        for word in words:
            self.world.publish(self.world.devices.say(word))

    @rule(first=a_session)
    def everything_moves(self, first: str) -> None:
        self.world.run(12)
        self.world.connect()
        for name in sorted(SESSIONS, key=first.__ne__):
            self.world.carry(name, ALL)
        self.world.run(12)

    @rule(name=a_session, most=a_few)
    def some_packets_move(self, name: str, most: int) -> None:
        self.world.connect()
        self.world.carry(name, most)

    @rule(which=st.integers(0, 3), way=a_way)
    def one_request(self, which: int, way: Way) -> None:
        self.world.let(which, way)

    @rule(most=a_few)
    def some_requests(self, most: int) -> None:
        self.world.run(most)

    @rule(words=st.lists(st.sampled_from(sorted(World.vocabulary())), max_size=3))
    def the_state_file_takes_its_time(self, words: list[str]) -> None:
        self.publish(words)
        self.world.connect()
        for name in SESSIONS:
            self.world.carry(name, ALL)
        self.world.run_but_for("state")

    @rule(seconds=st.sampled_from((0.1, 1, 1, 3, 11, 40)))
    def time_passes(self, seconds: float) -> None:
        self.world.tick(seconds)

    @rule()
    def ping(self) -> None:
        self.world.ping()

    @rule(arrives=st.booleans(), is_acked=st.booleans(), answers=st.booleans())
    def a_command_leaves(self, arrives: bool, is_acked: bool, answers: bool) -> None:  # noqa: FBT001 -- drawn
        self.world.command_leaves(arrives=arrives, is_acked=is_acked, answers=answers)

    @rule()
    def late_answers(self) -> None:
        self.world.late_answers()

    @rule(verb=st.sampled_from(sorted(REQUESTS)), again=st.booleans(), seconds=st.sampled_from((-1, 5, 30)))
    def a_person_asks(self, verb: str, again: bool, seconds: float) -> None:  # noqa: FBT001 -- drawn
        self.world.ask(verb, REQUESTS[verb], again=again, seconds=seconds)
        self.world.read_control()

    @rule(edition=st.sampled_from(sorted(editions())))
    def documents_change(self, edition: str) -> None:
        self.world.revise(edition)

    # -------------------------------------------------------------------------------------------------- what goes wrong

    @rule(happened=st.integers(0, 2), taken=st.sampled_from((0, 1, ALL)), begun=a_start)
    def the_hub_is_killed(self, happened: int, taken: int, begun: int) -> None:
        self.world.kill(happened, taken)
        self._begin(begun)

    @rule(begun=a_start)
    def the_hub_is_stopped(self, begun: int) -> None:
        self.world.stop()
        self._begin(begun)

    def _begin(self, begun: int) -> None:
        self.world.run(begun)
        if begun == ALL:
            self.everything_moves(SESSIONS[0])

    @rule(name=a_session, sent=a_few, taken=a_few)
    def a_wire_is_cut(self, name: str, sent: int, taken: int) -> None:
        self.world.lose(name, sent, taken)

    @rule()
    def the_broker_is_killed(self) -> None:
        self.world.kill_broker()

    @rule(name=a_session)
    def a_session_is_lost(self, name: str) -> None:
        self.world.forget_session(name)

    @rule(door=st.sampled_from(("redis", "redis", "store")), way=st.sampled_from((Way.LOST, Way.REFUSED, Way.LATE)))
    def the_next_answer_fails(self, door: str, way: Way) -> None:
        self.world.next_way[door] = way

    @rule()
    def redis_finds_a_copy(self) -> None:
        self.world.redis_finds_a_copy()

    @rule(which=st.integers(0, 3), how=st.sampled_from(Refusal))
    def a_stream_refuses_or_takes_again(self, which: int, how: Refusal) -> None:
        self.world.meddle(which, how)

    @rule(space=st.sampled_from((Space.PLENTY, *Space)))
    def the_disk_has(self, space: Space) -> None:
        self.world.around.disk.space = space

    @precondition(lambda self: self.world.around.disk.space is Space.PLENTY)
    @rule(space=st.sampled_from((Space.NO_STATE, Space.LITTLE)), then=st.sampled_from(Space))
    def no_checkpoint_is_taken(self, space: Space, then: Space) -> None:
        self.world.around.disk.space = space
        self.world.revise_widely()
        self.world.run(12)
        self.world.around.disk.space = then

    @rule(seconds=st.sampled_from((-DAY, -2, 2, DAY)))
    def the_wall_clock_is_set(self, seconds: int) -> None:
        self.world.clock.wall += seconds * 1_000_000_000

    # --------------------------------------------------------------------------------------------------- what must hold

    @invariant()
    def all_is_well(self) -> None:
        self.is_well = False
        self.world.look()
        assert self.world.witness.accusations == []
        self.is_well = True

    @override
    def teardown(self) -> None:
        try:
            if self.is_well:
                self.world.calm_down()
                assert self.world.witness.accusations == []
                assert list(complaints(self.world)) == []
        finally:
            self.world.close()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


LONG = int(os.environ.get("HUB_MODEL_EXAMPLES", "0"))  # noqa: TID251 -- how long a run is, says who starts it
pytestmark = pytest.mark.timeout(0 if LONG else 1_800)
TestHub = Hub.TestCase
TestHub.settings = settings(
    max_examples=LONG or 80,
    stateful_step_count=60,
    derandomize=not LONG,
    deadline=None,
    phases=(Phase.generate,),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def test_a_full_disk_does_not_keep_the_hub_from_stopping() -> None:
    world = World()
    world.warm_up()
    world.publish(world.devices.say("warm"))
    world.carry("telemetry", ALL)
    world.run(ALL)
    world.around.disk.space = Space.LITTLE
    world.revise("a device is added")
    world.tick(1)
    world.run(ALL)
    world.stop()
    assert world.witness.accusations == []
    world.calm_down()
    assert world.witness.accusations == []
    assert list(complaints(world)) == []
    world.close()


def test_what_looks_like_something_older_is_heard_though_the_hub_was_killed_as_a_session_was_lost() -> None:
    world = _with_a_session_that_the_broker_lost()
    world.connect()
    world.carry("telemetry", 1)
    _say_open_unheard(world)
    _kill_before_it_is_journaled(world)
    _expect_everything_to_be_heard(world)


def test_what_looks_like_something_older_is_heard_though_the_journal_knows_nothing_of_the_new_session() -> None:
    world = _with_a_session_that_the_broker_lost()
    world.connect()
    _kill_before_it_is_journaled(world)
    for _ in range(2):
        world.connect()
        world.carry("telemetry", 1)
        world.run(ALL)
    _say_open_unheard(world)
    _expect_everything_to_be_heard(world)


def _with_a_session_that_the_broker_lost() -> World:
    """Return a world that heard four words whose acks nobody is sure of; in the new session packet ids begin anew."""
    world = World()
    world.warm_up()
    for _ in range(4):
        world.publish(world.devices.say("open"))
    world.carry("telemetry", ALL)
    world.run(ALL)
    world.forget_session("telemetry")
    return world


def _say_open_unheard(world: World) -> None:
    """Say the same words again; they get lost on the wire and come again, marked as sent before."""
    for _ in range(4):
        world.publish(world.devices.say("open"))
    world.lose("telemetry", sent=ALL, taken=ALL)


def _kill_before_it_is_journaled(world: World) -> None:
    world.kill(0, ALL)
    world.run(ALL)


def _expect_everything_to_be_heard(world: World) -> None:
    world.calm_down()
    assert world.witness.accusations == []
    assert list(complaints(world)) == []
    world.close()
