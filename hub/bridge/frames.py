"""MQTT 5 frames: bytes to messages, packet ids to acks, and what becomes of a frame that the codec refuses."""

from __future__ import annotations

from collections.abc import Container, Iterable

import mqtt5
import msgspec

from hub.model.heard import Heard, Publish

_PUBLISH, _EXACTLY_ONCE = 3, 0x04
_MAX_HEADER_BYTES = 5

_PUBACKS = [b"", *(b"\x40\x02" + packet_id.to_bytes(2, "big") for packet_id in range(1, 65536))]
"""PUBACK with reason success by packet id; 0 stands for QoS 0. Packing them anew costs 0.02 us a message more."""


_PUBREC, _PUBCOMP = b"\x50\x02", b"\x70\x02"


class Malformed(msgspec.Struct, frozen=True):
    """A frame after which the connection cannot be understood any more."""

    reason: str


def decode_packets(raw: bytes) -> list[Heard]:
    """Decode the concatenated PUBLISH packets of a journaled batch; ValueError when they are anything else.

    The same messages, in number and order, as the session delivered with these bytes.
    """
    messages: list[Heard] = []
    view, start = memoryview(raw), 0
    while start < len(raw):
        _, other, start = read_messages(view, start, messages, room=len(raw))
        if isinstance(other, (Publish, mqtt5.PublishPacket)):
            messages.append(other)
        elif other is not None or start < len(raw):
            message = f"byte {start} of {len(raw)} does not end a PUBLISH packet"
            raise ValueError(message)
    return messages


def read_messages(
    view: memoryview, offset: int, into: list[Heard], *, room: int, reserved: Container[str] = frozenset()
) -> tuple[int, mqtt5.Packet | Publish | Malformed | None, int]:
    """Append up to ``room`` messages found from ``offset`` on, until something else comes. The hot loop of hearing.

    Return ``(end, other, after)``: the messages end at ``end``, reading goes on at ``after``; ``other`` is what lies
    between: a packet that is no PUBLISH or whose topic is ``reserved``, one of QoS 2, which nobody asked for, a
    complete PUBLISH that the codec refuses (as a message without a topic whose payload is the whole frame), or None
    when bytes or room ran out. To look for QoS 2 costs 40 ns a message; a broker without its PUBREC falls silent.
    """
    read, append, publish = mqtt5.read, into.append, mqtt5.PublishPacket
    for _ in range(room):
        try:
            packet, size = read(view[offset:])
        except IndexError:
            break
        except BaseException as error:
            if not _is_refusal(error):
                raise
            return offset, *_refused(view, offset, error)
        if type(packet) is not publish or packet.topic in reserved or view[offset] & _EXACTLY_ONCE:
            return offset, packet, offset + size
        append(packet)
        offset += size
    return offset, None, offset


def frame_bytes(view: memoryview) -> tuple[int, int]:
    """Return (header, whole frame) in bytes of the frame that begins here; (0, 0) while its header is incomplete.

    ValueError when the length has more than the four bytes that MQTT 5 section 1.5.5 allows.
    """
    length = 0
    for index in range(1, min(len(view), _MAX_HEADER_BYTES)):
        length |= (view[index] & 0x7F) << (7 * (index - 1))
        if view[index] < 0x80:  # noqa: PLR2004 -- the continuation bit
            return index + 1, index + 1 + length
    if len(view) >= _MAX_HEADER_BYTES:
        message = "the remaining length has no end"
        raise ValueError(message)
    return 0, 0


def pubacks(packet_ids: Iterable[int], exactly_once: Container[int] = ()) -> bytes:
    """Return the PUBACKs of these packets in this order, PUBRECs of those of QoS 2; a packet id of 0 has none."""
    if not exactly_once:
        return b"".join([_PUBACKS[packet_id] for packet_id in packet_ids])
    return b"".join(
        [_PUBREC + each.to_bytes(2, "big") if each in exactly_once else _PUBACKS[each] for each in packet_ids]
    )


def pubcomp(packet_id: int) -> bytes:
    """Return the answer to PUBREL: what was received exactly once is over."""
    return _PUBCOMP + packet_id.to_bytes(2, "big")


def _is_refusal(error: BaseException) -> bool:
    # A string that is not UTF-8 makes mqtt5 0.8 panic, and its panic is no Exception; its class has no importable name.
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _refused(view: memoryview, offset: int, error: BaseException) -> tuple[Publish | Malformed | None, int]:
    """Read with our own eyes just enough of a frame to journal and ack it; with where to go on."""
    try:
        header, size = frame_bytes(view[offset:])
    except ValueError as unreadable:
        return Malformed(str(unreadable)), len(view)
    if not size or len(view) < offset + size:
        return None, offset
    if view[offset] >> 4 != _PUBLISH:
        return Malformed(f"packet type {view[offset] >> 4}: {error}"), len(view)
    frame = bytes(view[offset : offset + size])
    topic_end = header + 2 + int.from_bytes(frame[header : header + 2], "big")
    packet_id = int.from_bytes(frame[topic_end : topic_end + 2], "big") if frame[0] & 0x06 else 0
    message = Publish("", frame, packet_id or None, duplicate=bool(frame[0] & 0x08), retain=bool(frame[0] & 0x01))
    return message, offset + size
