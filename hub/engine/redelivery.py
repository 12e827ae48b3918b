"""Redelivery: which messages a broker sends again because it never took their ack (engine.md, Redelivery)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from hub.engine.state import State
from hub.engine.unsettled import Unsettled, digest_of
from hub.model.heard import Heard
from hub.model.records import Batch, Record

Decode = Callable[[bytes], Sequence[Heard]]
"""The packets of a batch to the messages that the record carried, in number and order."""


class Redelivery:
    """The unsettled messages of every session, a batch an entry.

    A broker sends again only on a new connection, so the table that answers "was this one heard?" is made of the
    entries of older connections, once, when the first DUP of a connection comes: a message that is not sent again
    costs nothing.

    One packet id may name several of them. Behind a backlog each ack makes mosquitto 2.0.11 send as many again as the
    receive maximum allows at all (its issue 2301): of 100,000 queued messages all were on their way after 20 acks, and
    of 65,535 the packet ids begin anew. So the table holds every pair of packet id and digest.

    What a killed broker brings back cannot be told for certain by anybody who sees only packets. Say m went out under
    packet id 101, and the broker dies with an older save. *It had m queued*: m comes again under 101, without DUP. *It
    had not heard m*: m is gone with it, its last id is back at 100, and an equal message m' goes out under 101. The
    same bytes. So without DUP a message is judged: m twice, rather than m' never. With DUP it is a duplicate, which is
    wrong in one case: m' was cut off on its first connection after the kill, before that one caught up, and comes again
    while m is still unsettled. (Or without a kill, when 65,535 others came between the two.) Then m' is lost: a count,
    or the second of two equal alarms. A device that numbers its messages, or tells their time, is safe: none is equal.

    A broker sends again in order, so a match could be looked for only behind the last one. That would tell m' without a
    kill apart, as m comes again first; not after one, where m is gone. And what two connections heard is in no one
    order once the first has settled in part (it heard 4 and 5 and a killed broker begins again at 1), so that a
    repeat in front of the last match would be judged twice; how far we are would have to be in every checkpoint.
    """

    def __init__(self, state: State, decode: Decode) -> None:
        self._state = state
        self._decode = decode
        self._kept: dict[str, deque[tuple[str, Unsettled]]] = {}
        self._counted: dict[str, tuple[int, int]] = {}
        self._tables: dict[str, tuple[int, set[tuple[int, bytes]]]] = {}

    def restore(self, key: str, entry: Unsettled) -> None:
        """Take an entry of a checkpoint; they come in any order and are sorted by :meth:`restored`."""
        self._kept.setdefault(entry.session, deque()).append((key, entry))

    def restored(self) -> None:
        """Put the restored entries in journal order and count on from the last."""
        for session, kept in self._kept.items():
            ordered = sorted(kept, key=lambda pair: int(pair[0].rpartition("/")[2]))
            self._kept[session] = deque(ordered)
            last = ordered[-1][1]
            self._counted[session] = (last.connection, last.last)

    def expects(self, batch: Batch) -> bool:
        """Return whether anything that an older connection left unsettled could come again in ``batch``."""
        kept = self._kept.get(batch.session)
        return batch.session in self._tables or bool(kept and kept[0][1].connection != batch.connection)

    def known(self, batch: Batch) -> Callable[[Heard], bool]:
        """Return the question whether a DUP message of ``batch`` is unsettled: same packet id, topic and payload."""
        session, connection = batch.session, batch.connection
        table = self._tables.get(session)
        if table is None or table[0] != connection:
            unsettled: set[tuple[int, bytes]] = set()
            for _, entry in self._kept.get(session, ()):
                if entry.connection != connection:
                    unsettled.update(entry.fill())
            table = self._tables[session] = (connection, unsettled)
        unsettled = table[1]

        def is_known(message: Heard) -> bool:
            packet_id = message.packet_id
            return packet_id is not None and (packet_id, digest_of(message)) in unsettled

        return is_known

    def heard(self, record: Record, batch: Batch) -> None:
        """Keep the messages of ``batch`` until the broker has surely taken their acks."""
        session, connection = batch.session, batch.connection
        before, count = self._counted.get(session, (connection, 0))
        count = len(record.messages) + (count if before == connection else 0)
        self._counted[session] = (connection, count)
        entry = Unsettled(session=session, connection=connection, last=count, messages=[])
        entry.__dict__["heard"] = partial(self._decode, batch.packets)
        kept = self._kept.setdefault(session, deque())
        key = f"unsettled/{session}/{record.position}"
        kept.append((key, entry))
        self._state.touch(key, entry)
        while kept and kept[0][1].connection == connection and kept[0][1].last <= batch.settled:
            key, settled = kept.popleft()
            settled.settle()  # before its removal makes a checkpoint encode it
            self._state.remove(key)

    def caught_up(self, session: str, connection: int) -> None:
        """Forget what older connections left unsettled: it has come again by now, or was taken."""
        kept = self._kept.get(session, deque())
        while kept and kept[0][1].connection != connection:
            self._state.remove(kept.popleft()[0])
        self._tables.pop(session, None)

    def forget(self, session: str) -> None:
        """Forget everything: the broker has no session, nothing of it can come again."""
        for key, _ in self._kept.pop(session, ()):
            self._state.remove(key)
        self._tables.pop(session, None)
