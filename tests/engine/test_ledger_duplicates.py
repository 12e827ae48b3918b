"""What the broker sends again is known by what has not settled, also behind a checkpoint, and only then."""

from __future__ import annotations

import msgspec
import pytest

from hub.engine.unsettled import Unsettled
from hub.model.heard import Publish
from hub.model.records import SessionConnected, Started
from tests.engine.desk import ALARM, NORMAL, SESSIONS, Desk, smoke
from tests.engine.mixed import WANTED


def redelivered(desk: Desk, *messages: Publish, session_present: bool = True) -> None:
    desk.lose()
    for session in SESSIONS:
        desk.say(SessionConnected(session, 2, session_present=session_present))
    desk.hear(*messages, connection=2)


def test_a_dup_of_an_unsettled_message_is_not_judged() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7))
    redelivered(desk, smoke(ALARM, packet_id=7, duplicate=True))
    assert desk.engine.state.ledger.duplicate == 1
    assert desk.engine.state.ledger.points == 1


def test_a_dup_is_known_after_a_restart_from_a_checkpoint() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7))
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    redelivered(later, smoke(ALARM, packet_id=7, duplicate=True))
    assert later.engine.state.ledger.duplicate == 1


@pytest.mark.parametrize("is_restarted", [False, True])
def test_every_dup_is_known_where_one_packet_id_names_several_unsettled_messages(*, is_restarted: bool) -> None:
    """A backlog of mosquitto 2.0.11 flies in whole; its 65,536th message has the packet id of its first."""
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7), smoke(NORMAL, packet_id=8))
    desk.hear(smoke(NORMAL, packet_id=7))
    desk = desk.restart() if is_restarted else desk
    again = ((ALARM, 7), (NORMAL, 8), (NORMAL, 7))
    redelivered(desk, *(smoke(payload, packet_id=packet_id, duplicate=True) for payload, packet_id in again))
    assert desk.engine.state.ledger.duplicate == 3


def test_a_dup_of_a_settled_message_is_judged() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7))
    desk.hear(smoke(NORMAL, packet_id=8), settled=1)
    redelivered(desk, smoke(ALARM, packet_id=7, duplicate=True))
    assert desk.engine.state.ledger.duplicate == 0


def test_a_dup_with_another_payload_is_another_message() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7))
    redelivered(desk, smoke(NORMAL, packet_id=7, duplicate=True))
    assert desk.engine.state.ledger.duplicate == 0


def test_a_checkpoint_leaves_out_what_settles_while_it_is_made_and_goes_on_as_if_it_had_not() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7))
    state, behind = desk.engine.state, len(desk.records)
    state.begin_checkpoint()
    desk.hear(smoke(NORMAL, packet_id=8), settled=1)
    rows = {key: body for key, body in state.take_checkpoint().items() if body is not None}
    entry = msgspec.msgpack.decode(rows[f"unsettled/events/{behind}"], type=Unsettled)
    assert (entry.last, entry.messages) == (1, [])

    other = desk.revive(rows)
    other.engine.apply(desk.records[-1])
    for each in (state, other.engine.state):
        each.begin_checkpoint()
    assert other.engine.state.take_checkpoint() == state.take_checkpoint()


def test_a_checkpoint_waits_for_what_has_not_settled_but_not_for_ever() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7))
    state, behind = desk.engine.state, len(desk.records)
    state.begin_checkpoint()
    assert not state.encode_some()
    desk.tick(4)
    assert not state.encode_some()
    desk.tick(2)
    assert state.encode_some()
    entry = msgspec.msgpack.decode(state.take_checkpoint()[f"unsettled/events/{behind}"] or b"", type=Unsettled)
    assert [packet_id for packet_id, _ in entry.messages] == [7]


def test_a_checkpoint_is_done_as_soon_as_everything_has_settled() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7))
    state = desk.engine.state
    state.begin_checkpoint()
    assert not state.encode_some()
    desk.hear(smoke(NORMAL, packet_id=8), settled=1)
    assert state.encode_some()


def test_nothing_is_a_duplicate_when_the_broker_has_no_session() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7))
    redelivered(desk, smoke(ALARM, packet_id=7, duplicate=True), session_present=False)
    assert desk.engine.state.ledger.duplicate == 0
