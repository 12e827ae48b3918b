"""A town, a hub and everything that may go wrong between them, one step at a time; every step is looked at."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from uuid import UUID

from hub.model.records import Batch, Control, Outcome, OutcomeKind, Record, SessionCaughtUp, Tick
from hub.model.values import Scalar
from hub.sinks.fence import TELL
from hub.sinks.redis_link import pack
from tests.engine.desk import SESSIONS, START
from tests.model.broker import Post, Sent
from tests.model.devices import REFUSED, Devices, Word
from tests.model.disk import Space
from tests.model.fake_redis import LAST_ID, Client, Command
from tests.model.process import Process, Surroundings
from tests.model.reference import Reference, Repeated, differences
from tests.model.still import SECOND, StillClock, StillLoop, Way
from tests.model.town import editions

ALL = 1_000_000
ASIDE = b"aside"
EMPTY_UNSETTLED = b"\xa8messages\x90"
Said = dict[str, Scalar]


class World:
    """All of it. Whoever looks and does not like what it sees puts a sentence into ``accusations``."""

    def __init__(self) -> None:
        self.clock = StillClock(START)
        self.loop = StillLoop(self.clock)
        self.around = Surroundings(self.clock, REFUSED)
        self.devices = Devices(self.clock, START)
        self.accusations: list[str] = []
        self.reference = Reference(self.accuse)
        self.published: dict[int, Word] = {}
        self.control: list[Control] = []
        self.answers: list[Word] = []
        self.next_way: dict[str, Way] = {}
        self.journaled: Counter[int] = Counter()
        self.forgotten: set[int] = set()
        self.mistakable: set[int] = set()
        self._looks: set[tuple[str, int, str, bytes]] = set()
        self._heard_in: dict[int, str] = {}
        self._heard_on: dict[int, tuple[str, int]] = {}
        self._journaled_of: dict[tuple[int, str, int], int] = {}
        self._entries: Counter[bytes] = Counter()
        self._read: set[str] = set()
        self._sent_in: dict[str, int] = {}
        self._saved_to = 0
        self._lives = 0
        self._meddled = b""
        self.around.disk.on_journaled = self._look_at_journal
        self.around.disk.on_saved = self._look_at_state
        self.around.redis.on_entry = self._look_at_entry
        self.around.redis.on_transaction = self._look_at_transaction
        self.around.broker.on_acked = self._look_at_ack
        self.lost_by_broker: set[int] = set()
        self.begin()

    @staticmethod
    def vocabulary() -> list[str]:
        """Return everything that devices may say."""
        clock = StillClock(START)
        return Devices(clock, START).vocabulary

    def accuse(self, sentence: str) -> None:
        """Say what is wrong."""
        self.accusations.append(sentence)

    # ------------------------------------------------------------------------------------------------ what is looked at

    def _look_at_journal(self, records: list[Record]) -> None:
        for record in records:
            said = [] if not isinstance(record.body, Batch) else self._said_again(record, record.body)
            if isinstance(record.body, SessionCaughtUp):
                self._forget(record.body)
            self._look_at_notes(record)
            self.reference.take(record, said)

    def _look_at_notes(self, record: Record) -> None:
        """Nothing that somebody asked is read twice; remember in which life of the hub a command was sent."""
        match record.body:
            case Control(entry=entry) if entry in self._read:
                self.accuse(f"the control entry {entry} was read twice")
            case Control(entry=entry):
                self._read.add(entry)
            case Outcome(command=command, kind=OutcomeKind.SENT):
                self._sent_in.setdefault(command, self._lives)
            case _:
                pass

    def _said_again(self, record: Record, batch: Batch) -> list[Repeated]:
        """Note what a batch holds; return what of it the broker says that it sends again, and that was heard before.

        Or that nobody can tell from what was (hub/engine/redelivery.py): ``mistakable``.
        """
        found: list[Repeated] = []
        for sent in self._posts(record, batch):
            number = sent.post.number
            if number in self._heard_in and sent.duplicate:
                surely = number not in self.around.broker.revived | self.forgotten
                found.append(Repeated(f"{sent.post} (heard in {self._heard_in[number]})", surely=surely))
            looks = batch.session, sent.packet_id, sent.post.topic, sent.post.payload
            if sent.duplicate and number not in self._heard_in and looks in self._looks:
                self.mistakable.add(number)
                found.append(Repeated(f"{sent.post} (looks like one that was heard)", surely=False))
            self._looks.add(looks)
            self._heard_in[number] = f"{batch.session} {batch.connection}, record {record.position}"
            self._heard_on[number] = batch.session, batch.connection
            self.journaled[number] += 1
        return found

    def _forget(self, caught_up: SessionCaughtUp) -> None:
        """Note what the hub forgets now: a broker killed before it has saved the acks sends it once more."""
        for number, (session, connection) in self._heard_on.items():
            if session == caught_up.session and connection != caught_up.connection:
                self.forgotten.add(number)

    def _posts(self, record: Record, batch: Batch) -> list[Sent]:
        """Return what of the broker's a batch holds."""
        key = (self._lives, batch.session, batch.connection)
        start = self._journaled_of.get(key, 0)
        end = self._journaled_of[key] = start + len(record.messages)
        posts = self.process.sessions[batch.session].heard[batch.connection][start:end]
        if len(posts) != len(record.messages):
            self.accuse(f"record {record.position} holds messages that nobody sent")
        return posts

    def _look_at_effects(self, record: Record, encoded: bytes) -> None:
        if self.reference.came[record.position - 1].encoded != encoded:
            self.accuse(f"record {record.position} ({type(record.body).__name__}) came to something else this time")

    def _look_at_state(self) -> None:
        disk, reference = self.around.disk, self.reference
        position, entries = disk.entries()
        if position > self._saved_to:
            self._saved_to = position
            settled = [key for key in entries if key.startswith("unsettled/") and key not in reference.keys]
            emptied = [key for key in settled if entries[key].endswith(EMPTY_UNSETTLED)]
            wrong = differences(entries, reference.at(position), emptied)
            if wrong:
                self.accuse(f"the checkpoint of record {position} is wrong in {wrong}")
        if covered := disk.covered():
            self.accuse(f"the outbox holds what was confirmed: {covered}")
        cursor, tally = disk.confirmed("timeseries")
        if tally.get("written", 0) + tally.get("rejected", 0) != reference.points_to(cursor):
            self.accuse(f"{tally} of {reference.points_to(cursor)} points to record {cursor}")

    def _look_at_entry(self, key: bytes, fields: dict[bytes, bytes]) -> None:
        if key.startswith(b"hub:events:"):
            self._entries[fields[b"id"]] += 1
            if self._entries[fields[b"id"]] > 1:
                self.accuse(f"{fields[b'type'].decode()} was delivered twice")

    def _look_at_transaction(self, commands: Sequence[Command]) -> None:
        """No record is sent that the cursor covers, but what a key has refused, once it is noted.

        What does not move the cursor shows whole alarms on a new connection, or writes notes beside it.
        """
        *others, (_, key, *fields) = [command for command in commands if command[0] != b"EVAL"]
        known = self.around.redis.hashes.get(key, {})
        again = [words[3] for name, *words in commands if name == b"EVAL" and words[0] == TELL.encode()]
        if unnoted := [each for each in again if b"untold:" + each not in known]:
            self.accuse(f"{unnoted} is told again, and no note says that it has refused anything")
        work = [command for command in others if command[1] != key]
        if not work or work[0][0] == b"DEL" or not key.startswith(b"hub:cursor:"):  # a claim ends with its heartbeat
            return
        before = int(known.get(b"record", b"0"))
        record = int(dict(zip(fields[::2], fields[1::2], strict=True))[b"record"])
        if record <= before:
            names = sorted({name.decode() for name, *_ in work})
            self.accuse(f"what record {record} wants ({names}) was sent, and the cursor at {before} covers it")

    def _look_at_ack(self, post: Post) -> None:
        if post.number > 0 and not self.journaled[post.number]:  # others are markers
            self.accuse(f"the broker took an ack of {post}, which is in no journal")

    def look(self) -> None:
        """Look at what the process did since the last look, and at whether it lives."""
        for session in self.process.sessions.values():
            acked, session.acked = session.acked, []
            for connection, number in acked:
                if not self.journaled[number]:
                    self.accuse(f"{self.published[number]} was acked on connection {connection} and is in no journal")
        if self.task.done() and not self.task.cancelled() and (error := self.task.exception()) is not None:
            raise error

    # ---------------------------------------------------------------------------------------------- life of the process

    def begin(self) -> None:
        """Start a process; it waits at its first door."""
        self._lives += 1
        self.process = Process(self.around, self._look_at_effects)
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
            self.accuse(f"the hub did not stop: {tasks}, at the doors: {process.doors.waiting}")
        self._end()
        self.begin()

    # ------------------------------------------------------------------------------------------------------ small steps

    def run(self, most: int, until: Callable[[], bool] = bool) -> int:
        """Let up to ``most`` requests through, door after door; return how many. It ends with the first accusation."""
        count = 0
        while count < most and self.process.doors.open_ones and not (until() or self.accusations):
            for door in self.process.doors.open_ones:
                self.process.doors.let(door, self.next_way.pop(door, Way.DONE))
                count += 1
            self.loop.settle()
        return count

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

    def meddle(self, which: int, *, fills: bool) -> None:
        """Take one of the streams, or leave no id in it; or mend the one that is not ours."""
        redis = self.around.redis
        if self._meddled:
            self._mend()
        elif redis.streams:
            self._meddled = sorted(redis.streams)[which % len(redis.streams)]
            if fills:
                self._ask_redis("XSETID", self._meddled, b"%d-%d" % LAST_ID)
            else:
                self._ask_redis("RENAME", self._meddled, ASIDE)
                self._ask_redis("SET", self._meddled, b"somebody's note")

    def _mend(self) -> None:
        key, self._meddled = self._meddled, b""
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
        if self._sent_in.get(transmission.command, self._lives) < self._lives:
            self.accuse(f"{transmission.command} is sent again, and the journal knows that it was sent")
        if transmission.expires_at <= self.clock.wall:
            process.note(Outcome(transmission.command, OutcomeKind.FAILED, "expired"))
        else:
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
