"""What a broker sends again is known, and an equal message under an old packet id is not taken for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.bridge.line import RECEIVE_MAXIMUM
from hub.engine import redelivery
from hub.engine.redelivery import Redelivery
from hub.engine.state import SessionState, State
from hub.model.heard import Heard, Publish
from hub.model.records import Batch, Record, SessionConnected, Started
from tests.engine.desk import ALARM, NORMAL, SESSIONS, Desk, device, documents, smoke

SHIPPED = documents(device("smoke-1", "smoke_sensor", "milesight/gs524n"))
WANTED = {key: body for key, body in SHIPPED.items() if not key.startswith("rule/")}
WINDOW, PACKET_IDS = 2, 8
"""As 16,384 of 65,535: what may be unacknowledged is a quarter of the packet ids."""
Telling = tuple[str, int]


@pytest.fixture
def orderly(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first message on a packet id may have come round."""
    monkeypatch.setattr(redelivery, "PACKET_IDS", WINDOW)
    monkeypatch.setattr(redelivery, "WINDOW", WINDOW)


def connect(desk: Desk, connection: int) -> None:
    desk.lose()
    for session in SESSIONS:
        desk.say(SessionConnected(session, connection, session_present=True))


def come_again(desk: Desk, connection: int, *messages: Telling) -> int:
    """Let messages come as sent before; return how many of them were known."""
    before = desk.engine.state.ledger.duplicate
    for payload, packet_id in messages:
        desk.hear(smoke(payload, packet_id=packet_id, duplicate=True), connection=connection)
    return desk.engine.state.ledger.duplicate - before


@pytest.mark.usefixtures("orderly")
def test_behind_one_that_was_never_heard_an_equal_of_a_heard_one_is_another_message() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7), smoke(NORMAL, packet_id=8), smoke(NORMAL, packet_id=9))
    connect(desk, 2)
    assert come_again(desk, 2, (NORMAL, 9), (ALARM, 6), (ALARM, 7)) == 1


@pytest.mark.usefixtures("orderly")
def test_where_the_first_that_comes_again_was_never_heard_none_was_though_it_equals_one() -> None:
    """The broker had taken the acks of everything heard."""
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7), smoke(NORMAL, packet_id=8))
    connect(desk, 2)
    assert come_again(desk, 2, (ALARM, 6), (ALARM, 7), (NORMAL, 8)) == 0


@pytest.mark.usefixtures("orderly")
def test_what_comes_behind_its_successors_is_another_message() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7), smoke(NORMAL, packet_id=8), smoke(NORMAL, packet_id=6))
    connect(desk, 2)
    assert come_again(desk, 2, (NORMAL, 6), (ALARM, 7), (NORMAL, 8)) == 1


def test_what_each_of_two_connections_heard_is_known_in_whatever_order_it_comes() -> None:
    """The first has settled in part: a killed broker with an older save begins before it."""
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=4), smoke(NORMAL, packet_id=5))
    connect(desk, 2)
    assert come_again(desk, 2, (NORMAL, 1), (ALARM, 2), (NORMAL, 3)) == 0
    connect(desk, 3)
    assert come_again(desk, 3, (NORMAL, 1), (ALARM, 2), (NORMAL, 3), (ALARM, 4), (NORMAL, 5)) == 5


@pytest.mark.usefixtures("orderly")
def test_behind_what_came_to_a_later_connection_first_nothing_of_an_earlier_one_comes() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=1), smoke(NORMAL, packet_id=2))
    connect(desk, 2)
    desk.hear(smoke(NORMAL, packet_id=3), connection=2)
    connect(desk, 3)
    assert come_again(desk, 3, (NORMAL, 3), (ALARM, 1)) == 1


@pytest.mark.usefixtures("orderly")
def test_a_hub_that_starts_from_a_checkpoint_in_the_middle_goes_on_as_the_one_before() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7), smoke(NORMAL, packet_id=8))
    connect(desk, 2)
    assert come_again(desk, 2, (NORMAL, 8), (ALARM, 6)) == 1
    later = desk.restart()
    assert come_again(later, 2, (ALARM, 7)) == 0


@pytest.mark.usefixtures("orderly")
def test_another_connection_begins_anew() -> None:
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=7))
    for connection in (2, 3):
        connect(desk, connection)
        assert come_again(desk, connection, (ALARM, 7), (NORMAL, 8)) == connection - 1
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    connect(later, 4)
    assert come_again(later, 4, (ALARM, 7), (NORMAL, 8)) == 2


def test_the_window_is_what_our_sessions_ask_of_a_broker() -> None:
    assert redelivery.WINDOW == RECEIVE_MAXIMUM


@pytest.mark.parametrize("packet_ids", [redelivery.PACKET_IDS, redelivery.WINDOW], ids=["no id twice", "orderly"])
def test_a_broker_that_sends_again_by_packet_id_doubles_nothing_across_the_wrap(
    monkeypatch: pytest.MonkeyPatch, packet_ids: int
) -> None:
    """As EMQX does (emqx_session_mem.erl replay/2, emqx_inflight.erl to_list/1), unless its sessions are durable."""
    monkeypatch.setattr(redelivery, "PACKET_IDS", packet_ids)
    desk = Desk(WANTED)
    sent = [*range(65_531, 65_536), *range(1, 6)]
    desk.hear(*(smoke(ALARM, packet_id=packet_id) for packet_id in sent))
    connect(desk, 2)
    assert come_again(desk, 2, *((ALARM, packet_id) for packet_id in sorted(sent))) == len(sent)


def test_behind_one_that_we_have_forgotten_all_that_was_heard_is_known_while_no_packet_id_can_have_come_round() -> None:
    """A broker that was killed comes back with a save from before what has settled."""
    desk = Desk(WANTED)
    heard = range(10, 30)
    desk.hear(*(smoke(ALARM, packet_id=packet_id) for packet_id in heard))
    connect(desk, 2)
    assert come_again(desk, 2, (ALARM, 9), *((ALARM, packet_id) for packet_id in heard)) == len(heard)


def test_what_came_again_counts_to_when_a_packet_id_comes_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backlog of mosquitto 2.0.11 flies in whole: of all that is on its way we heard the first."""
    monkeypatch.setattr(redelivery, "PACKET_IDS", PACKET_IDS)
    monkeypatch.setattr(redelivery, "WINDOW", WINDOW)
    desk = Desk(WANTED)
    desk.hear(smoke(ALARM, packet_id=1))
    connect(desk, 2)
    unheard = [(NORMAL, packet_id) for packet_id in range(2, PACKET_IDS + 1)]
    assert come_again(desk, 2, *unheard, (ALARM, 1)) == 0


class Sent(NamedTuple):
    """A message on its way: which one it is, as what it looks, and whether it was sent before."""

    number: int
    packet_id: int
    payload: bytes
    duplicate: bool


class Broker:
    """One that keeps to MQTT 5: never more unacknowledged than the window, sent again in order, on reconnect alone.

    Or not to the window: mosquitto 2.0.11 behind a backlog.
    """

    def __init__(self, payloads: Sequence[bytes], window: int) -> None:
        self._window = window
        self.wire: list[Sent] = []
        self._waiting = list(enumerate(payloads))
        self._in_flight: list[Sent] = []
        self._last_id = 0

    def send(self) -> None:
        """Send what the window allows."""
        while self._waiting and len(self._in_flight) < self._window:
            number, payload = self._waiting.pop(0)
            self._last_id = self._last_id % PACKET_IDS + 1
            sent = Sent(number, self._last_id, payload, duplicate=False)
            self._in_flight.append(sent)
            self.wire.append(sent)

    def take_acks(self, up_to: int) -> None:
        """Take the acks of all messages up to one."""
        self._in_flight = [sent for sent in self._in_flight if sent.number > up_to]

    def reconnect(self) -> None:
        """Forget what was on its way, and send again what is unacknowledged."""
        self.wire = [sent._replace(duplicate=True) for sent in self._in_flight]


class Hub:
    """Hears, journals and asks Redelivery; ``lost`` and ``doubled`` are the numbers of what it took for another.

    Not of what may be: all that has come again on a connection was equal to what it heard under the same packet id.
    """

    def __init__(self) -> None:
        self._payloads: dict[int, bytes] = {}
        self.lost: list[int] = []
        self.doubled: list[int] = []
        self.connection = 1
        self.acked = -1
        self._position = 0
        self._batches: dict[bytes, list[Heard]] = {}
        self._state = State()
        self._redelivery = Redelivery(self._state, self._batches.__getitem__)
        self._is_mistakable = True

    def hear(self, sent: Sent) -> None:
        """Hear one message, and acknowledge it."""
        self._position += 1
        packets = b"%d" % self._position
        message = Publish("t", sent.payload, packet_id=sent.packet_id, duplicate=sent.duplicate)
        self._batches[packets] = [message]
        batch = Batch("events", self.connection, session_present=True, settled=0, packets=packets)
        is_known = False
        if sent.duplicate:
            is_known = self._redelivery.expects(batch) and self._redelivery.known(batch)(message)
            was_heard = sent.number in self._payloads
            self._is_mistakable &= self._payloads.get(sent.number - PACKET_IDS) == sent.payload
            if is_known and not was_heard and not self._is_mistakable:
                self.lost.append(sent.number)
            if was_heard and not is_known:
                self.doubled.append(sent.number)
        self._payloads[sent.number] = sent.payload
        self.acked = sent.number
        self._redelivery.heard(Record(self._position, 0, 0, batch, [message]), batch, int(is_known))

    def reconnect(self) -> None:
        """Begin a connection."""
        self.connection += 1
        self.acked = -1
        self._is_mistakable = True
        self._state.clock.sessions["events"] = SessionState()


a_step = st.tuples(st.integers(0, 3), st.integers(0, WINDOW), st.sampled_from((False, False, False, True)))


@pytest.mark.parametrize("window", [WINDOW, 40])
@given(
    payloads=st.lists(st.sampled_from((b"a", b"a", b"b")), min_size=20, max_size=40),
    steps=st.lists(a_step, max_size=60),
)
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_nothing_is_doubled_or_lost_but_where_everything_so_far_equals_what_had_its_packet_id_before(
    monkeypatch: pytest.MonkeyPatch, window: int, payloads: list[bytes], steps: list[tuple[int, int, bool]]
) -> None:
    """As in a flood nothing ever settles, and about half of all are equal to the one before under their packet id."""
    monkeypatch.setattr(redelivery, "PACKET_IDS", PACKET_IDS)
    monkeypatch.setattr(redelivery, "WINDOW", WINDOW)
    broker, hub = Broker(payloads, window), Hub()
    for read, late, is_cut in steps:
        broker.send()
        for _ in range(min(read, len(broker.wire))):
            hub.hear(broker.wire.pop(0))
        broker.take_acks(hub.acked - late)
        if is_cut:
            broker.reconnect()
            hub.reconnect()
    assert (hub.lost, hub.doubled) == ([], [])
