"""The witness: what is heard, journaled, saved and sent is looked at as it happens; what is wrong is an accusation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hub.model.records import Batch, Control, Outcome, OutcomeKind, Record, SessionCaughtUp
from hub.sinks.fence import MOVE, TELL
from tests.model.broker import Post, Sent
from tests.model.fake_redis import Command, moving
from tests.model.process import Process, Surroundings
from tests.model.reference import Reference, Repeated, differences

EMPTY_UNSETTLED = b"\xa8messages\x90"


class Witness:
    """Looks at every step of whichever process lives; what it does not like becomes a sentence in ``accusations``."""

    process: Process

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.accusations: list[str] = []
        self.reference = Reference(self.accuse)
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
        around.disk.on_journaled = self.look_at_journal
        around.disk.on_saved = self.look_at_state
        around.redis.on_entry = self.look_at_entry
        around.redis.on_transaction = self.look_at_transaction
        around.broker.on_acked = self.look_at_ack

    def begin(self, process: Process) -> None:
        """Look at ``process`` from now on: the next life of the hub."""
        self._lives += 1
        self.process = process

    def accuse(self, sentence: str) -> None:
        """Say what is wrong."""
        self.accusations.append(sentence)

    def look_at_journal(self, records: list[Record]) -> None:
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
                surely = number not in self._around.broker.revived | self.forgotten
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

    def look_at_effects(self, record: Record, encoded: bytes) -> None:
        if self.reference.came[record.position - 1].encoded != encoded:
            self.accuse(f"record {record.position} ({type(record.body).__name__}) came to something else this time")

    def look_at_state(self) -> None:
        disk, reference = self._around.disk, self.reference
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

    def look_at_entry(self, key: bytes, fields: dict[bytes, bytes]) -> None:
        if key.startswith(b"hub:events:"):
            self._entries[fields[b"id"]] += 1
            if self._entries[fields[b"id"]] > 1:
                self.accuse(f"{fields[b'type'].decode()} was delivered twice")

    def look_at_transaction(self, commands: Sequence[Command]) -> None:
        """No record is sent that the cursor covers, but what a key has refused, once it is noted.

        What does not move the cursor shows whole alarms on a new connection, or writes notes beside it.
        """
        told = [command[4] for command in commands if command[:2] == [b"EVAL", TELL.encode()]]
        moved = [each for _, *words in commands if words[0] == MOVE.encode() for each in moving(words[3:])[1]]
        (_, key, *fields), *others = moved or reversed([command for command in commands if command[0] != b"EVAL"])
        known = self._around.redis.hashes.get(key, {})
        if unnoted := [each for each in told if b"untold:" + each not in known]:
            self.accuse(f"{unnoted} is told again, and no note says that it has refused anything")
        work = [command for command in others if command[1] != key]
        if not work or work[0][0] == b"DEL" or not key.startswith(b"hub:cursor:"):  # a claim ends with its heartbeat
            return
        before = int(known.get(b"record", b"0"))
        record = int(dict(zip(fields[::2], fields[1::2], strict=True))[b"record"])
        if record <= before:
            names = sorted({name.decode() for name, *_ in work})
            self.accuse(f"what record {record} wants ({names}) was sent, and the cursor at {before} covers it")

    def look_at_ack(self, post: Post) -> None:
        if post.number > 0 and not self.journaled[post.number]:  # others are markers
            self.accuse(f"the broker took an ack of {post}, which is in no journal")

    def look_at_sending(self, command: str) -> None:
        """No command is sent again that a former life of the hub has journaled as sent."""
        if self._sent_in.get(command, self._lives) < self._lives:
            self.accuse(f"{command} is sent again, and the journal knows that it was sent")
