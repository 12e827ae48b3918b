"""Every key of the hub in Redis, and what an entry says: nouns to packed commands and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
import structlog

from hub.errors import ConfigError, PoisonError
from hub.model.effects import AlarmChange, AlarmState, DeadLetter, Event, Reply, Transition, Twin, Where
from hub.model.values import Scalar, Severity
from hub.sinks.redis_link import pack

DEAD_LETTERS = "hub:dead-letters"
REGISTRY = "hub:registry"
EVENTS = "hub:events:"
DOMAINS = ("fire", "security", "access", "vehicle", "elevator", "care", "utility", "device", "command")
REPLY_SECONDS = 60
WORDS_PER_COMMAND = 2_000
"""A script can call nothing of 8,000 words (Lua's own limit); an even number, of fields and values."""

# What a value can do to an encoder: a lone surrogate, a time beyond the calendar, a type that JSON lacks.
UNWRITABLE = (ValueError, TypeError, OverflowError)

log = structlog.get_logger(__name__)


def domain_key(domain: str) -> str:
    """Return the stream of one domain's events."""
    return EVENTS + domain


@lru_cache(1024)
def events_key(name: str) -> str:
    """Return the stream of an event: the first segment of its name is its domain."""
    return domain_key(name.partition(".")[0])


def twin_key(site: str) -> str:
    """Return the hash of a site's twins."""
    return f"hub:twin:{site}"


def twin_draft_key(site: str, partition: str) -> str:
    """Return the hash in which ``partition`` prepares the whole of ``hub:twin:{site}``."""
    return f"hub:draft:{partition}:twin:{site}"


def alarms_key(site: str) -> str:
    """Return the hash of a site's active alarms."""
    return f"hub:alarms:{site}"


def cursor_key(partition: str) -> str:
    """Return the hash that says which records of which journal have been delivered."""
    return f"hub:cursor:{partition}"


def outbox_key(partition: str) -> str:
    """Return the list of lines that the store has not taken yet, of a partition without an outbox on disk."""
    return f"hub:outbox:{partition}"


def heartbeat_key(partition: str) -> str:
    """Return the key that lives as long as the partition's owner does."""
    return f"hub:heartbeat:{partition}"


def control_key(partition: str) -> str:
    """Return the stream of requests to the partition."""
    return f"hub:control:{partition}"


def reply_key(request: str) -> str:
    """Return the key of the answer to the request with this id."""
    return f"hub:reply:{request}"


def trimmed_keys(partition: str) -> tuple[str, ...]:
    """Return the streams that are kept by age: events, dead letters, and the partition's requests."""
    return (*map(domain_key, DOMAINS), DEAD_LETTERS, control_key(partition))


# ---------------------------------------------------------------------------------------------------------- cursor


class Cursor(msgspec.Struct, frozen=True):
    """How far a journal is delivered, and by which owner; all empty on a server that has never seen the partition."""

    journal: str = ""
    epoch: int = 0
    record: int = 0


def decode_cursor(fields: Mapping[bytes, bytes]) -> Cursor:
    """Return the cursor of a HGETALL; ConfigError ``cursor_unreadable`` for one that we did not write."""
    if not fields:
        return Cursor()
    try:
        return Cursor(fields[b"journal"].decode(), int(fields[b"epoch"]), int(fields[b"record"]))
    except (KeyError, ValueError) as error:
        raise ConfigError(
            "cursor_unreadable", f"{error!r} in {dict(fields)!r}", hint="hub journal adopt writes it anew"
        ) from error


def pack_cursor(partition: str, cursor: Cursor) -> bytes:
    """Return the command that moves the cursor."""
    fields = (b"journal", cursor.journal, b"epoch", cursor.epoch, b"record", cursor.record)
    return pack(b"HSET", cursor_key(partition), *fields)


# ---------------------------------------------------------------------------------------------------------- events


class Detail(msgspec.Struct, omit_defaults=True):
    """The ``data`` field of an event's entry."""

    building: str
    device: str
    part: str
    rule: str
    rule_version: str
    late: bool
    label: dict[str, str]
    data: dict[str, Scalar]
    causes: Sequence[tuple[int, int]]
    age: int = 0
    test: bool = False
    drill: bool = False
    place: Where | None = None


_CLOUD_EVENT = (b"specversion", b"1.0", b"datacontenttype", b"application/json")

_encode = msgspec.json.Encoder().encode
_decode_detail = msgspec.json.Decoder(Detail).decode
_decode_alarm = msgspec.json.Decoder(AlarmState).decode
_decode_reply = msgspec.json.Decoder(Reply).decode
_decode_twin = msgspec.json.Decoder(Twin).decode


def pack_event(event: Event, source: str) -> bytes:
    """Return the XADD of ``event``: CloudEvents 1.0 attributes as fields, ours beside them, details in ``data``."""
    said = (
        b"id",
        event.id,
        b"source",
        source,
        b"type",
        event.name,
        b"subject",
        event.key,
        b"time",
        rfc3339(event.time),
    )
    ours = (
        b"severity",
        event.severity,
        b"transition",
        event.transition,
        b"site",
        event.site,
        b"data",
        _encode(detail_of(event)),
    )
    return pack(b"XADD", events_key(event.name), b"*", *said, *_CLOUD_EVENT, *ours)


def detail_of(event: Event) -> Detail:
    """Return what an event's ``data`` says."""
    return Detail(
        event.building,
        event.device,
        event.part,
        event.rule,
        event.rule_version,
        event.late,
        event.label,
        event.data,
        event.causes,
        event.age,
        event.test,
        event.drill,
        event.place,
    )


def source_of(partition: str) -> str:
    """Return the CloudEvents ``source`` of everything that a partition says."""
    return f"hub/{partition}"


def decode_event(fields: Mapping[bytes, bytes]) -> Event:
    """Return the event of an entry; PoisonError ``bad_entry`` for an entry that no hub wrote."""
    try:
        text = {name.decode(): value.decode() for name, value in fields.items()}
        detail = _decode_detail(fields[b"data"])
        return Event(
            id=text["id"],
            name=text["type"],
            severity=Severity(text["severity"]),
            transition=Transition(text["transition"]),
            time=parse_rfc3339(text["time"]),
            age=detail.age,
            key=text["subject"],
            site=text["site"],
            building=detail.building,
            device=detail.device,
            part=detail.part,
            rule=detail.rule,
            rule_version=detail.rule_version,
            late=detail.late,
            test=detail.test,
            drill=detail.drill,
            place=detail.place,
            label=detail.label,
            data=detail.data,
            causes=detail.causes,
        )
    except (KeyError, ValueError, RecursionError, msgspec.DecodeError) as error:
        raise PoisonError("bad_entry", str(error)) from error


def rfc3339(time: int) -> str:
    """Return a moment in ns UTC as RFC 3339 text with nine decimals."""
    seconds, nanoseconds = divmod(time, 1_000_000_000)
    return f"{_whole_seconds(seconds)}.{nanoseconds:09d}Z"


@lru_cache(64)
def _whole_seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_rfc3339(text: str) -> int:
    """Return the ns UTC of what :func:`rfc3339` wrote; ValueError otherwise."""
    seconds, _, nanoseconds = text.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + int(nanoseconds.ljust(9, "0"))


# ------------------------------------------------------------------------- alarms, twins, replies and dead letters


def alarm_field(rule: str, key: str) -> str:
    """Return the field of an alarm in its site's hash."""
    return f"{rule}/{key}"


def pack_alarm_change(change: AlarmChange) -> bytes:
    """Return the HSET or HDEL of one field of ``hub:alarms:{site}``."""
    key, field = alarms_key(change.site), alarm_field(change.rule, change.key)
    if change.alarm is None:
        return pack(b"HDEL", key, field)
    return pack(b"HSET", key, field, _encode(change.alarm))


def pack_site_alarms(site: str, alarms: Sequence[AlarmState]) -> list[bytes]:
    """Return the commands that make ``hub:alarms:{site}`` exactly ``alarms``; for use inside a transaction."""
    key, fields = alarms_key(site), _fields((alarm_field(alarm.rule, alarm.key), alarm) for alarm in alarms)
    portions = (fields[at : at + WORDS_PER_COMMAND] for at in range(0, len(fields), WORDS_PER_COMMAND))
    return [pack(b"DEL", key), *(pack(b"HSET", key, *portion) for portion in portions)]


def decode_alarm(value: bytes) -> AlarmState:
    """Return an active alarm from its field's value; PoisonError ``bad_entry``."""
    try:
        return _decode_alarm(value)
    except msgspec.DecodeError as error:
        raise PoisonError("bad_entry", str(error)) from error


def twin_fields(twins: Sequence[Twin]) -> list[str | bytes]:
    """Return the fields and values of rows of ``hub:twin:{site}``, without the rows that cannot be encoded."""
    return _fields((twin.name, twin) for twin in twins)


def _fields(nouns: Iterable[tuple[str, Twin | AlarmState]]) -> list[str | bytes]:
    fields: list[str | bytes] = []
    for name, noun in nouns:
        try:
            value = _encode(noun)
        except UNWRITABLE as error:
            log.error("row_rejected", row=name, reason=str(error))  # noqa: TRY400 -- its traceback says nothing more
        else:
            fields += (name, value)
    return fields


def decode_twin(value: bytes) -> Twin:
    """Return a twin from its field's value; PoisonError ``bad_entry``."""
    try:
        return _decode_twin(value)
    except msgspec.DecodeError as error:
        raise PoisonError("bad_entry", str(error)) from error


def pack_reply(reply: Reply) -> bytes:
    """Return the SET of the answer to a request; it lives 60 s."""
    return pack(b"SET", reply_key(reply.id), _encode(reply), b"EX", REPLY_SECONDS)


def pack_first_reply(reply: Reply) -> bytes:
    """Return the SET of an answer that must not replace an earlier one."""
    return pack(b"SET", reply_key(reply.id), _encode(reply), b"EX", REPLY_SECONDS, b"NX")


def decode_reply(value: bytes) -> Reply:
    """Return the answer to a request; PoisonError ``bad_entry``."""
    try:
        return _decode_reply(value)
    except msgspec.DecodeError as error:
        raise PoisonError("bad_entry", str(error)) from error


def pack_dead_letter(letter: DeadLetter) -> bytes:
    """Return the XADD that announces a dead letter; its bytes stay in the state file."""
    said = (b"number", letter.number, b"topic", letter.topic, b"code", letter.code)
    return pack(b"XADD", DEAD_LETTERS, b"*", *said, b"site", letter.site, b"device", letter.device)
