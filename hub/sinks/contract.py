"""What programs may rely on in Redis: the JSON Schema of each thing that readers see there and of what they may ask."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from hub.model.effects import AlarmState, Event, Reply, Transition, Twin
from hub.model.values import Severity
from hub.sinks.streams import Detail

VERSION = 1
"""Goes up when a name or a type changes or a field goes; what is added leaves it as it is."""

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: Mapping[str, Any] = {"type": "string"}


class Message(StrEnum):
    """What there are schemas of."""

    EVENT = "event"
    """An entry of ``hub:events:{domain}``; every field is a text, ``data`` is JSON."""
    CLOUD_EVENT = "cloud_event"
    """The same as `hub events forward` posts it: one JSON document."""
    LISTED_EVENT = "listed_event"
    """An event as `hub events list --json` and `tail --json` have it; moments are ns."""
    ALARM = "alarm"
    """A value of the hash ``hub:alarms:{site}``, and of `hub alarms list --json`."""
    TWIN = "twin"
    """A value of the hash ``hub:twin:{site}``."""
    REQUEST = "request"
    """An entry that somebody adds to ``hub:control:{partition}``; every field is a text, ``args`` is JSON."""
    REPLY = "reply"
    """``hub:reply:{id}``: what the hub answered, for 60 seconds."""
    DEAD_LETTER = "dead_letter"
    """An entry of ``hub:dead-letters``: that there is one; its bytes are at the hub."""


def schema_of(message: Message) -> dict[str, Any]:
    """Return the JSON Schema of a message; a reader must pass over properties that it does not know."""
    return {"$schema": _DRAFT, "$id": f"urn:hub:streams:{VERSION}:{message}", **_bodies()[message]}


def _bodies() -> Mapping[Message, dict[str, Any]]:
    detail, below = _noun(Detail)
    return {
        Message.EVENT: {**_object(_attributes(_json(detail))), **below},
        Message.CLOUD_EVENT: {**_object(_attributes(detail)), **below},
        **{
            message: {**body, **defs} for message, (body, defs) in zip(_NOUNS, map(_noun, _NOUNS.values()), strict=True)
        },
        Message.REQUEST: _object(_REQUEST, optional=("args",)),
        Message.DEAD_LETTER: _object(dict.fromkeys(("number", "topic", "code", "site", "device"), _TEXT)),
    }


_NOUNS: Mapping[Message, type[msgspec.Struct]] = {
    Message.LISTED_EVENT: Event, Message.ALARM: AlarmState, Message.TWIN: Twin, Message.REPLY: Reply
}  # fmt: skip


def _noun(noun: type[msgspec.Struct]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of a noun of ours, and what it refers to."""
    (body,), definitions = msgspec.json.schema_components((noun,), ref_template="#/$defs/{name}")
    return body, {"$defs": definitions}


def _attributes(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the CloudEvents 1.0 attributes of an event, with ours."""
    return {
        "id": {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "the same each time it is said again"},
        "source": {"type": "string", "description": "hub/PARTITION; hub/city of what crosses sites"},
        "type": {"type": "string", "description": "domain.name"},
        "subject": {"type": "string", "description": "site/device, site/device#part, or site/place"},
        "time": {"type": "string", "format": "date-time", "description": "RFC 3339, UTC, nine decimals"},
        "specversion": {"const": "1.0"},
        "datacontenttype": {"const": "application/json"},
        "severity": {"enum": [each.value for each in Severity]},
        "transition": {"enum": [each.value for each in Transition]},
        "site": _TEXT,
        "data": data,
    }


_REQUEST = {
    "id": {"type": "string", "format": "uuid", "description": "yours: the same id is done once, and answered again"},
    "actor": {"type": "string", "minLength": 1, "description": "who asks; it is in the journal and the event"},
    "verb": {"type": "string", "minLength": 1, "description": "command, ack, clear, comment, shelve, cancel …"},
    "expires_at": {"type": "string", "pattern": "^[0-9]+$", "description": "ms UTC; within 5 min, of a command 60 s"},
    "args": {
        "type": "string", "contentMediaType": "application/json",
        "contentSchema": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    },
}  # fmt: skip


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": dict(schema)}


def _object(properties: Mapping[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}
