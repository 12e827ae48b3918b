"""A town, a hub and everything that may go wrong between them, one step at a time; every step is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from uuid import UUID

from hub.model.records import Control, Outcome, OutcomeKind, Tick
from hub.model.values import Scalar
from hub.rules.pseudonyms import DOCUMENT
from hub.sinks.redis_link import pack
from tests.engine.desk import SESSIONS, START
from tests.model.devices import REFUSED, Devices, Word
from tests.model.disk import Space
from tests.model.fake_redis import LAST_ID, Client
from tests.model.process import Process, Surroundings
from tests.model.still import SECOND, StillClock, StillLoop, Way
from tests.model.town import WIDE, editions
from tests.model.witness import Witness

ALL = 1_000_000
ASIDE = b"aside"
Said = dict[str, Scalar]


class Refusal(Enum):
    """Why a stream refuses: somebody else's key is in its place, no id is left in it, an ACL forbids it to the hub."""

    TAKEN = auto()
    FULL = auto()
    FORBIDDEN = auto()


class World:
    """All of it. The ``witness`` looks at each step; what it does not like it puts into its accusations."""

    def __init__(self) -> None:
        self.clock = StillClock(START)
        self.loop = StillLoop(self.clock)
        self.around = Surroundings(self.clock, REFUSED)
        self.devices = Devices(self.clock, START)
        self.witness = Witness(self.around)
        self.published: dict[int, Word] = {}
        self.control: list[Control] = []
        self.answers: list[Word] = []
        self.next_way: dict[str, Way] = {}
        self._meddled = b""
        self._sent: set[str] = set()
        self.lost_by_broker: set[int] = set()
        self.begin()

    @staticmethod
    def vocabulary() -> list[str]:
        """Return everything that devices may say."""
        clock = StillClock(START)
        return Devices(clock, START).vocabulary

    def look(self) -> None:
        """Look at what the process did since the last look, and at whether it lives."""
        for session in self.process.sessions.values():
            acked, session.acked = session.acked, []
            for connection, number in acked:
                if not self.witness.journaled[number]:
                    word = self.published[number]
                    self.witness.accuse(f"{word} was acked on connection {connection} and is in no journal")
        if self.task.done() and not self.task.cancelled() and (error := self.task.exception()) is not None:
            raise error

    # ---------------------------------------------------------------------------------------------- life of the process

    def begin(self) -> None:
        """Start a process; it waits at its first door."""
        self.process = Process(self.around, self.witness.look_at_effects)
        self.witness.begin(self.process)
        self.task = self.loop.create_task(self.process.live(), name="live")
        self.loop.settle()

    def kill(self, happened: int, taken: int) -> None:
        """Kill the process: of what waits at each door the first ``happened`` take place, but nobody is told."""
        self.process.doors.is_dead = True
        for door in self.process.doors.open_ones:
            waiting = self.process.doors.waiting[door]
            for _ in range(min(happened, len(waiting))):
                waiting.popleft().happen_unheard()
        for name in list(self.around.broker.wires):
            self.around.broker.take(name, taken)
            self.around.broker.hang_up(name)
        self.look()
        self._end()
        self.begin()

    def _end(self) -> None:
        self.process.doors.close()
        self.task.cancel()
        self.loop.settle()
        if self.task.done() and not self.task.cancelled():
            self.task.exception()

    def stop(self) -> None:
        """Stop the process in good order, and start the next one."""
        process = self.process
        if not process.is_up:
            return
        for session in process.sessions.values():
            session.pause_reading()
        self.run(ALL, until=lambda: process.is_idle)
        for session in process.sessions.values():
            self.around.broker.take(session.name, ALL) if session.is_connected else None
            session.lose()
        process.stop()
        for _ in range(5):
            self.loop.settle()
            self.run(ALL, until=self.task.done)
            self.clock.pass_by(1)
        self.look()
        if not self.task.done():
            tasks = {task.get_name(): task.get_stack() for task in asyncio.all_tasks(self.loop)}
            self.witness.accuse(f"the hub did not stop: {tasks}, at the doors: {process.doors.waiting}")
        self._end()
        self.begin()

    # ------------------------------------------------------------------------------------------------------ small steps

    def run(self, most: int, until: Callable[[], bool] = bool) -> int:
        """Let up to ``most`` requests through, door after door; return how many. It ends with the first accusation."""
        count = 0
        while count < most and self.process.doors.open_ones and not (until() or self.witness.accusations):
            for door in self.process.doors.open_ones:
                self.process.doors.let(door, self.next_way.pop(door, Way.DONE))
                count += 1
            self.loop.settle()
        return count

    def run_but_for(self, *closed: str) -> None:
        """Let everything through but what waits at some doors."""
        while doors := [door for door in self.process.doors.open_ones if door not in closed]:
            self.process.doors.let(doors[0])
            self.loop.settle()

    def let(self, which: int, way: Way) -> None:
        """Let one request through, or not."""
        doors = self.process.doors.open_ones
        if doors:
            door = doors[which % len(doors)]
            self.process.doors.let(door, Way.DONE if door in {"journal", "state"} else way)
            self.loop.settle()

    def publish(self, word: Word) -> None:
        """Let a device say something."""
        number, is_taken = self.around.broker.publish(word.topic, word.payload)
        self.published[number] = word
        if not is_taken:
            self.lost_by_broker.add(number)

    def redis_finds_a_copy(self) -> None:
        """Let a transaction whose client is gone run after all."""
        if self.around.redis.buffered:
            self.around.redis.buffered.popleft()()

    def meddle(self, which: int, how: Refusal) -> None:
        """Make one of the streams refuse, or mend the one that does."""
        redis = self.around.redis
        if self._meddled:
            self._mend()
        elif redis.streams:
            self._meddled = sorted(redis.streams)[which % len(redis.streams)]
            match how:
                case Refusal.TAKEN:
                    self._ask_redis("RENAME", self._meddled, ASIDE)
                    self._ask_redis("SET", self._meddled, b"somebody's note")
                case Refusal.FULL:
                    self._ask_redis("XSETID", self._meddled, b"%d-%d" % LAST_ID)
                case Refusal.FORBIDDEN:
                    redis.forbidden = frozenset({self._meddled})

    def _mend(self) -> None:
        key, self._meddled = self._meddled, b""
        self.around.redis.forbidden = frozenset()
        if ASIDE in self.around.redis.streams:
            self._ask_redis("RENAME", ASIDE, key)
        elif key:
            self._ask_redis("XSETID", key, b"%d-%d" % self.around.redis.streams[key].top)

    def _ask_redis(self, *words: bytes | str) -> None:
        self.around.redis.run(Client(), [pack(*words)])

    def connect(self) -> None:
        """Connect the sessions that are not."""
        for session in self.process.sessions.values() if self.process.is_up else ():
            if not session.is_connected:
                session.connect()
        self.loop.settle()

    def carry(self, name: str, most: int, taken: int | None = None) -> None:
        """Carry up to ``most`` packets in each direction, or only ``taken`` of ours, and let the hub read them."""
        session = self.process.sessions.get(name)
        if session is not None and session.is_connected:
            self.around.broker.take(name, most if taken is None else taken)
            self.around.broker.send(name, most)
            session.hear(most)
            self.loop.settle()

    def lose(self, name: str, sent: int, taken: int) -> None:
        """Cut a wire: the broker took some of our packets, and sent some that never arrive."""
        session = self.process.sessions.get(name)
        if session is not None and session.is_connected:
            self.around.broker.take(name, taken)
            self.around.broker.send(name, sent)
            session.lose()
            self.loop.settle()

    def kill_broker(self) -> None:
        """Kill the broker: it comes back with what it saved, and what it took since then is gone."""
        self.around.broker.die()
        kept = {post.number for queue in self.around.broker.queues.values() for post in queue.posts}
        self.lost_by_broker |= set(self.published) - kept
        self._hang_up(SESSIONS)

    def forget_session(self, name: str) -> None:
        """Let the broker lose a session."""
        queue = self.around.broker.queues.get(name)
        self.lost_by_broker |= {post.number for post in queue.posts} if queue else set()
        self.around.broker.forget(name)
        self._hang_up([name])

    def _hang_up(self, names: Iterable[str]) -> None:
        for name in names:
            session = self.process.sessions.get(name)
            if session is not None and session.is_connected:
                session.lose()
        self.loop.settle()

    def tick(self, seconds: float) -> None:
        """Let time pass, and tick."""
        self.clock.pass_by(seconds)
        self.around.broker.save_if_due()
        if self.process.is_up:
            self.process.note(Tick())
        self.loop.settle()

    def ping(self) -> None:
        """Let both sessions ping."""
        for session in self.process.sessions.values():
            session.ping()

    def revise(self, edition: str) -> None:
        """Move to other documents."""
        if self.process.is_up:
            self.process.revise(editions()[edition])
            self.loop.settle()

    def revise_widely(self) -> None:
        """Move to other documents, before which the hub makes a whole checkpoint."""
        if self.process.is_up:
            self.revise("as at first" if DOCUMENT in self.process.engine.content.bodies() else WIDE)

    # ----------------------------------------------------------------------------------------------------------- people

    def ask(self, verb: str, args: Mapping[str, Scalar], *, seconds: float, again: bool) -> None:
        """Ask something through the control stream; ``again``: as who had no answer."""
        entry = f"{len(self.control) + 1}-0"
        identity = str(UUID(int=len(self.control) + 1))
        if again and self.control:
            last = self.control[-1]
            identity, verb, args = last.id, last.verb, last.args
        expires_at = self.clock.wall + round(seconds * SECOND)
        self.control.append(Control(entry, identity, "li", verb, expires_at, dict(args)))

    def read_control(self) -> None:
        """Let the hub read what was asked."""
        if self.process.is_up:
            for control in self.control[self.process.read_to :]:
                self.process.note(control)
            self.process.read_to = len(self.control)
            self.loop.settle()

    def command_leaves(self, *, arrives: bool, is_acked: bool, answers: bool) -> None:
        """Let the next command leave, as :class:`hub.bridge.downlink.Downlink` tells of it."""
        process = self.process
        if not process.owed:
            return
        transmission = process.owed.popleft()
        self.witness.look_at_sending(transmission.command)
        if transmission.expires_at <= self.clock.wall:
            if transmission.command not in self._sent:
                process.note(Outcome(transmission.command, OutcomeKind.FAILED, "expired"))
        else:
            self._sent.add(transmission.command)
            process.note(Outcome(transmission.command, OutcomeKind.SENT))
            if arrives:
                answer = self.devices.execute(transmission)
                if answers:
                    self.publish(answer)
                else:
                    self.answers.append(answer)
            if is_acked:
                process.note(Outcome(transmission.command, OutcomeKind.DELIVERED))
            else:
                process.owed.appendleft(transmission)
        self.loop.settle()

    def late_answers(self) -> None:
        """Let devices answer what they had not yet, or answer again."""
        for answer in self.answers:
            self.publish(answer)
        self.answers = []

    # ---------------------------------------------------------------------------------------------------------- the end

    def warm_up(self) -> None:
        """Bring the hub to where it hears."""
        self._go_on(2)

    def calm_down(self) -> None:
        """End all faults, let everything be said, heard, done and delivered."""
        self.around.disk.space = Space.PLENTY
        self._mend()
        self.next_way.clear()
        self._go_on(3)
        self.revise("as at first")
        for what in ("no smoke", "no bike", "closed", "warm"):
            self._go_on(1)
            self.publish(self.devices.say(what))
        self.read_control()
        self._go_on(45)
        self.stop()
        self._go_on(4)
        for _ in range(3):
            self.run(ALL)
            self.clock.pass_by(1)
            self.loop.settle()
        self.look()

    def _go_on(self, seconds: int) -> None:
        """Let time pass in which everything works."""
        for _ in range(seconds):
            self.run(ALL)
            self.connect()
            self.read_control()
            self.late_answers()
            while self.process.owed:
                self.command_leaves(arrives=True, is_acked=True, answers=True)
            for name in SESSIONS:
                self.carry(name, ALL)
                self.carry(name, ALL)
            self.run(ALL)
            self.tick(1)
            self.look()

    def close(self) -> None:
        """Free what it holds."""
        self._end()
        self.loop.close()
        self.around.disk.close()
