"""What a broker's own answers say about it: the judgements over what was seen live."""

from __future__ import annotations

import re

from hub.ui.doctor.broker_probe import BACKLOG, NEVER_EXPIRES, Seen
from hub.ui.doctor.findings import Verdict, bad, good, unseen, weak

FIXED_IN = (
    ((2, 0, 12), "sessions and $share are mended after a restart / 重启后会话与共享订阅"),
    ((2, 0, 13), "keeps to the receive maximum / 遵守接收上限"),
    ((2, 0, 15), "expired messages no longer block a queue (#2609) / 过期消息不再堵塞队列"),
)
"""Bugs of mosquitto that a hub meets, and the version without them (its ChangeLog; measured with 2.0.11)."""
MANY_IN_FLIGHT = 1_000


def reachable(seen: Seen) -> Verdict:
    """Whether it lets us in."""
    return good(seen.address)


def version(seen: Seen) -> Verdict:
    """Which bugs it has; the hub and `max_inflight_messages 0` work around those of 2.0.11."""
    numbers = re.search(r"mosquitto version (\d+)\.(\d+)\.(\d+)", seen.version)
    if numbers is None:
        return unseen(seen.version or "it does not tell its version")
    found = tuple(int(number) for number in numbers.groups())
    missing = [words for fixed, words in FIXED_IN if found < fixed]
    return weak(f"{seen.version}; later: {'; '.join(missing)}") if missing else good(seen.version)


def anonymous(seen: Seen) -> Verdict:
    """Whether somebody without a name is let in."""
    return bad("a connection without a name was accepted") if seen.lets_strangers_in else good("refused")


def client_id(seen: Seen) -> Verdict:
    """Whether a device can take the session of another, or of the hub."""
    if seen.binds_client_id:
        return good("one user, one client id")
    return bad("one user may connect under any client id")


def session_expiry(seen: Seen) -> Verdict:
    """Whether the session of a hub that is away is kept for as long as it wants."""
    granted = seen.connack.session_expiry_interval
    return good("never") if granted in {None, NEVER_EXPIRES} else bad(f"{granted} s")


def receive_maximum(seen: Seen) -> Verdict:
    """How many messages may be in flight: mosquitto tells its max_inflight_messages so."""
    granted = seen.connack.receive_max
    return good(granted) if granted >= MANY_IN_FLIGHT else weak(granted)


def packet_size(seen: Seen) -> Verdict:
    """Whether what the hub allows gets through."""
    limit = seen.connack.max_packet_size
    if limit is None:
        return good("no limit")
    return good(limit) if limit > seen.payload_bytes else bad(f"{limit}, the hub takes {seen.payload_bytes}")


def quality(seen: Seen) -> Verdict:
    """Whether QoS 1 and retained messages work."""
    found = [] if int(seen.connack.max_qos) else ["QoS 0 only"]
    if not seen.connack.retain_available:
        found.append("no retained messages")
    return bad(", ".join(found)) if found else good("QoS 1 and retained messages")


def dropped(seen: Seen) -> Verdict:
    """Whether it has thrown messages away since it began; whose, it does not tell."""
    if not seen.dropped.isdigit():
        return unseen("it does not tell what it drops")
    return weak(f"{seen.dropped} since it began") if int(seen.dropped) else good("0 since it began")


def backlog(seen: Seen) -> Verdict:
    """Whether all that was queued came out again."""
    found = f"{seen.kept} of {BACKLOG} queued messages came"
    return good(found) if seen.kept == BACKLOG else bad(f"{found}; every one of them was acknowledged")
