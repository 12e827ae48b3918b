"""An event as CloudEvents 1.0 in structured mode: one JSON document, attributes beside data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b

import msgspec

from hub.clock import Clock
from hub.model.effects import Entry, Event, Transition
from hub.model.values import Scalar, Severity
from hub.outward.parcel import Parcel, gravest, place_of
from hub.sinks.streams import detail_of, rfc3339

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
LOST = "hub.entries_lost"
"""The type of what tells that entries of a stream were removed before they were read."""
LOST_LABEL = {"en": "Events were removed before they were read", "zh": "事件未及读取即被清除"}
CHANNEL = "webhook"
_RANKS = list(Severity)

_encode = msgspec.json.Encoder().encode


def cloud_event(event: Event, source: str) -> bytes:
    """Return an event; ``severity``, ``transition`` and ``site`` are extension attributes, as in its stream."""
    return _encode(_document(event, source, detail_of(event)))


def _document(event: Event, source: str, data: object) -> dict[str, object]:
    named = {"specversion": "1.0", "id": event.id, "source": source, "type": event.name, "time": rfc3339(event.time)}
    ours = {"severity": event.severity, "transition": event.transition, "site": event.site}
    return {**named, "datacontenttype": "application/json", "subject": event.key, **ours, "data": data}


class Packing:
    """Makes parcels of entries that are bad enough; ``veiled`` returns an event as it may leave the house.

    ``name`` is the forwarder's: the source of what it tells of itself; ``mark`` ends the channel of events.
    """

    def __init__(
        self, name: str, worst: Severity, veiled: Callable[[Event], Event], clock: Clock, mark: str = ""
    ) -> None:
        self._source = f"hub/forward/{name}"
        self._wanted: Collection[Severity] = _RANKS[: _RANKS.index(worst) + 1]
        self._veiled = veiled
        self._clock = clock
        self._channel = CHANNEL + mark

    def of_entry(self, entry: Entry) -> Sequence[Parcel]:
        """Return the parcel of an entry; none when it is not wanted."""
        if gravest(entry.event) not in self._wanted:
            return ()
        event = self._veiled(entry.event)
        parcel = Parcel(
            channel=self._channel,
            lane=event.key,
            entry=place_of(entry),
            event=event.id,
            name=event.name,
            kind=event.transition.value,
            body=cloud_event(event, entry.source),
            due=self._clock.wall_ns(),
        )
        return [parcel]

    def forget(self, parcel: Parcel) -> None:
        """Hear that a parcel was dropped, which none of these is: all go through one channel."""

    def of_loss(self, stream: str, read: int, count: int) -> Sequence[Parcel]:
        """Return what tells that ``count`` entries are gone unread; ``read`` entries tell this loss from others.

        It has the shape of any event. What is gone stands in ``data`` itself, too, as it did when that was all of it.
        """
        number = blake2b(f"{self._source} {stream} {read} {count}".encode(), digest_size=16).hexdigest()
        now = self._clock.wall_ns()
        gone: dict[str, Scalar] = {"stream": stream, "entries": count}
        event = Event(
            id=number, name=LOST, severity=Severity.HIGH, transition=Transition.OCCURRED, time=now, key=stream,
            rule="", rule_version="", site="", label=LOST_LABEL, data=gone,
        )  # fmt: skip
        parcel = Parcel(
            channel=CHANNEL,
            lane=stream,
            entry=f"{stream} lost {read}",
            event=number,
            name=LOST,
            kind=event.transition.value,
            body=_encode(_document(event, self._source, {**msgspec.to_builtins(detail_of(event)), **gone})),
            due=now,
        )
        return [parcel]
