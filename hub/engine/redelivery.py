"""Redelivery: which messages a broker sends again because it never took their ack (engine.md, Redelivery)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from hub.engine.state import SessionState, State
from hub.engine.unsettled import Unsettled, digest_of
from hub.model.heard import Heard
from hub.model.records import Batch, Record

PACKET_IDS = 65_535
WINDOW = 16_384
"""So many messages a broker may have on their way unacknowledged: what our sessions ask of it."""
Decode = Callable[[bytes], Sequence[Heard]]
"""The packets of a batch to the messages that the record carried, in number and order."""


class Place(NamedTuple):
    """Where a message was heard: on which connection, as which of its unsettled ones, and whether it was known then."""

    connection: int
    at: int
    was_known: bool


Places = dict[tuple[int, bytes], list[Place]]
"""By packet id and digest."""


class Table(NamedTuple):
    """What connections before ``connection`` left unsettled: how many ``messages``, and where each was heard."""

    connection: int
    messages: int
    places: Places


class Redelivery:
    """The unsettled messages of every session, a batch an entry.

    A broker sends again only on a new connection, so the table that answers "was this one heard?" is made of the
    entries of older connections, once, when the first DUP of a connection comes: a message that is not sent again
    costs nothing.

    One packet id may name several of them. Behind a backlog each ack makes mosquitto 2.0.11 send as many again as the
    receive maximum allows at all (its issue 2301): of 100,000 queued messages all were on their way after 20 acks, and
    of 65,535 the packet ids begin anew. So the table holds every pair of packet id and digest.

    A packet id comes round after 65,535 messages. Where the older connections left fewer than that unsettled, together
    with what has come on this one, and less a window, none has: what equals one of them under its packet id is that
    one. From there on order tells an equal message from the one 65,535 before it. A broker sends again in order (MQTT
    3.1.1: 4.6.0-6), and what we heard of a connection is the beginning of what it sent. So what comes again goes forth
    in each of the older connections; behind what was new to one of them follows nothing of those before it, and nothing
    at all behind what none of them heard. It is taken for the older one, and lost, only where all that came again on
    its connection, from the first on, equals to the byte what was heard 65,535 before it and has not settled since,
    which takes 13,500 messages a second or a backlog. Where one of D messages says the same thing at the same place,
    that is a matter of 1/D for the first, of its square for the second.

    An EMQX whose sessions are not durable sends again by packet id, 1 before 65,535: so a step back is no farther than
    a window. It may still bring what we never heard before what we did: that is then judged twice, as is all that
    follows where a broker was killed with a save from before what has settled, and begins with what we have forgotten.
    Both only where an id may have come round.

    What a killed broker brings back cannot be told for certain by anybody who sees only packets. Say m went out under
    packet id 101, and the broker dies with an older save. *It had m queued*: m comes again under 101, without DUP. *It
    had not heard m*: m is gone with it, its last id is back at 100, and an equal message m' goes out under 101. The
    same bytes. So without DUP a message is judged: m twice, rather than m' never. With DUP it is a duplicate, which is
    wrong in one case: m' was cut off on its first connection after the kill, before that one caught up, and comes again
    while m is still unsettled. Then m' is lost: a count, or the second of two equal alarms. A device that numbers its
    messages, or tells their time, is safe: none is equal.
    """

    def __init__(self, state: State, decode: Decode) -> None:
        self._state = state
        self._decode = decode
        self._kept: dict[str, deque[tuple[str, Unsettled]]] = {}
        self._counted: dict[str, tuple[int, int]] = {}
        self._tables: dict[str, Table] = {}

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
        """Return the question whether a DUP message of ``batch`` was heard; to be asked of each, in order."""
        session, connection = batch.session, batch.connection
        table = self._tables.get(session)
        if table is None or table.connection != connection:
            table = self._tables[session] = self._table(session, connection)
        again = self._state.clock.sessions.setdefault(session, SessionState())
        counted, count = self._counted.get(session, (connection, 0))
        may_repeat = table.messages + (count if counted == connection else 0) >= PACKET_IDS - WINDOW

        def is_known(message: Heard) -> bool:
            packet_id = message.packet_id
            if packet_id is None or (may_repeat and again.brings_new):
                return False
            places = table.places.get((packet_id, digest_of(message)), ())
            found = {place.connection: place for place in reversed(places) if not may_repeat or _follows(place, again)}
            for older, place in found.items():
                again.reheard[older] = max(place.at, again.reheard.get(older, -1))
            again.brings_new = not found
            if found and not (first := found[min(found)]).was_known:
                again.reheard_from = first.connection
            return bool(found)

        return is_known

    def _table(self, session: str, connection: int) -> Table:
        """Return where what older connections left unsettled was heard."""
        places: Places = {}
        counts: dict[int, int] = {}
        for _, entry in self._kept.get(session, ()):
            if entry.connection != connection:
                before = counts.get(entry.connection, 0)
                for at, key in enumerate(entry.fill()):
                    place = Place(entry.connection, before + at, at < entry.again)
                    places.setdefault(key, []).append(place)
                counts[entry.connection] = before + len(entry.messages)
        return Table(connection, sum(counts.values()), places)

    def heard(self, record: Record, batch: Batch, again: int = 0) -> None:
        """Keep the messages of ``batch``, ``again`` of them known, until the broker has surely taken their acks."""
        session, connection = batch.session, batch.connection
        before, count = self._counted.get(session, (connection, 0))
        count = len(record.messages) + (count if before == connection else 0)
        self._counted[session] = (connection, count)
        entry = Unsettled(session=session, connection=connection, last=count, again=again, messages=[])
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


def _follows(place: Place, again: SessionState) -> bool:
    """Return whether what was heard there may come now, by what has come again before."""
    return place.connection >= again.reheard_from and place.at > again.reheard.get(place.connection, -1) - WINDOW
