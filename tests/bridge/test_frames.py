"""Frames: whatever bytes come, the session and the replay of the journal see the same messages."""

from __future__ import annotations

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.bridge.frames import decode_packets, frame_bytes, pubacks, read_messages
from hub.model.heard import Heard, Publish

_AT_LEAST_ONCE = mqtt5.QoS.AT_LEAST_ONCE


def _publish(payload: bytes, packet_id: int = 1) -> bytes:
    return mqtt5.PublishPacket("hub/s/d/signal", payload, qos=_AT_LEAST_ONCE, packet_id=packet_id).write()


@given(st.lists(st.binary(max_size=300)))
def test_what_was_written_is_read_in_order(payloads: list[bytes]) -> None:
    assert [heard.payload for heard in decode_packets(b"".join(map(_publish, payloads)))] == payloads


@given(st.lists(st.binary(max_size=40), min_size=1), st.data())
def test_a_cut_anywhere_leaves_whole_messages_and_the_place_to_go_on(
    payloads: list[bytes], data: st.DataObject
) -> None:
    frames = list(map(_publish, payloads))
    raw = b"".join(frames)
    cut = data.draw(st.integers(0, len(raw)))
    first: list[Heard] = []
    end, other, after = read_messages(memoryview(raw[:cut]), 0, first, room=100)
    assert (other, after) == (None, end)
    assert end == sum(map(len, frames[: len(first)]))
    assert [heard.payload for heard in (*first, *decode_packets(raw[end:]))] == payloads


# The codec panics on text that is not UTF-8, and Rust reports that on stderr whatever we catch.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@given(st.binary(max_size=60), st.sampled_from([0x30, 0x32, 0x3A, 0x33, 0x36]))
def test_any_publish_frame_is_one_message_and_the_next_one_passes(body: bytes, header: int) -> None:
    frame = bytes([header, len(body)]) + body
    messages = decode_packets(frame + _publish(b"next"))
    assert len(messages) == 2
    assert messages[0].payload == frame or messages[0].topic
    assert messages[1].payload == b"next"


def test_a_refused_publish_keeps_its_flags_and_packet_id() -> None:
    frame = b"\x3b\x06\x00\x00\x01\x02\x00x"  # an empty topic without an alias, DUP, QoS 1, RETAIN, packet id 258
    assert decode_packets(frame) == [Publish("", frame, 258, duplicate=True, retain=True)]


def test_a_refused_publish_too_short_for_a_packet_id_has_none() -> None:
    frame = b"\x32\x03\x00\x01a"
    assert decode_packets(frame) == [Publish("", frame, None)]


@pytest.mark.parametrize("raw", [_publish(b"x")[:-1], b"\xd0\x00", b"\x32\xff\xff\xff\xff\x01", b"\x00\x00"])
def test_a_batch_that_is_not_made_of_publish_packets_is_an_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match="PUBLISH"):
        decode_packets(_publish(b"fine") + raw)


@given(st.integers(0, 268_435_455))
def test_the_length_of_a_frame_is_read_from_its_header(length: int) -> None:
    header = bytearray([0x30])
    rest = length
    while rest > 127:
        header.append(rest & 127 | 128)
        rest >>= 7
    header.append(rest)
    assert frame_bytes(memoryview(header)) == (len(header), len(header) + length)
    assert frame_bytes(memoryview(header[:-1])) == (0, 0)


def test_acks_are_what_the_codec_would_write() -> None:
    packet_ids = [1, 255, 256, 65_535]
    assert pubacks(packet_ids) == b"".join(mqtt5.PubAckPacket(packet_id).write() for packet_id in packet_ids)
    assert pubacks([0, 7, 0]) == mqtt5.PubAckPacket(7).write()
