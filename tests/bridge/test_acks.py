"""The order of acks, against a model that is too slow and too simple to be wrong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.bridge.acks import AckOrder
from hub.model.heard import Heard, Publish

_ARRIVALS = st.lists(st.sampled_from(["message", "marker", "silent", "qos0"]), max_size=30)


def _message(packet_id: int | None) -> Heard:
    return Publish("t", b"", packet_id)


@given(_ARRIVALS, st.lists(st.integers(1, 5), max_size=30))
def test_acks_leave_in_the_order_in_which_packets_came(arrivals: list[str], batches: list[int]) -> None:
    acks = AckOrder()
    written: list[int] = []
    waiting: list[tuple[str, int]] = []
    for packet_id, kind in enumerate(arrivals, 1):
        if kind == "silent":
            written += acks.silent(packet_id)
        else:
            acks.hand_out(1)
            waiting.append((kind, packet_id))
        if batches and len(waiting) >= batches[0]:
            batches = batches[1:]
            written += _acknowledge(acks, waiting)
    written += _acknowledge(acks, waiting)
    sent = [packet_id for packet_id in written if packet_id]
    assert sent == [packet_id for packet_id, kind in enumerate(arrivals, 1) if kind != "qos0"]


def test_a_broker_may_wait_for_acks_when_as_much_is_unacked_as_ever_was() -> None:
    acks, window = AckOrder(), [_message(packet_id) for packet_id in range(1, 21)]
    fullness = []
    for count in (20, 20, 19, 20, 30):
        acks.hand_out(count)
        fullness.append(acks.is_full)
        acks.acknowledge(window[:count] if count <= 20 else window + window[:10])
    assert fullness == [True, True, False, True, True]


def _acknowledge(acks: AckOrder, waiting: list[tuple[str, int]]) -> list[int]:
    written: list[int] = []
    run: list[Heard] = []
    for kind, packet_id in waiting:
        if kind == "marker":
            written += acks.acknowledge(run) + acks.acknowledge_marker(packet_id)
            run = []
        else:
            run.append(_message(None if kind == "qos0" else packet_id))
    written += acks.acknowledge(run)
    waiting.clear()
    return written


def test_settled_counts_the_messages_acked_before_a_ping_that_was_answered_three_seconds_ago() -> None:
    acks = AckOrder()
    acks.hand_out(6)
    acks.acknowledge([_message(1), _message(2)])
    acks.pinged()
    acks.acknowledge([_message(3)])
    acks.acknowledge_marker(4)
    acks.pinged()
    acks.acknowledge([_message(5)])
    settled = [acks.settled]
    for now in (0.0, 1.0, 2.9, 3.0, 4.0):
        acks.answered(now)
        settled.append(acks.settled)
    assert settled == [0, 0, 0, 0, 2, 3]
    assert acks.unpinged == 1
