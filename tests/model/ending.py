"""What must be so when all is over: everything that was heard is where it belongs, once, and nothing else is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import msgspec

from hub.model.effects import AlarmState, DeadLetter, Reply
from hub.sinks.streams import DEAD_LETTERS, alarms_key, events_key, reply_key
from hub.sinks.timeseries.lines import split_line
from tests.model.devices import REFUSED
from tests.model.fake_redis import Stream
from tests.model.machine import World


def complaints(world: World) -> Iterator[str]:
    """Yield what is not so."""
    yield from _broker(world)
    yield from _hub(world)
    yield from _store(world)
    yield from _redis(world)
    yield from _devices(world)


def _broker(world: World) -> Iterator[str]:
    for name, queue in world.around.broker.queues.items():
        if queue.waiting or queue.inflight:
            yield f"{name}: the broker still has {queue}"
    unheard = set(world.published) - set(world.witness.journaled) - world.lost_by_broker
    if unheard:
        yield f"never heard, though the broker took them: {[world.published[number] for number in sorted(unheard)]}"


def _hub(world: World) -> Iterator[str]:
    engine, process = world.witness.reference.engine, world.process.engine
    if process.state.ledger != engine.state.ledger:
        yield f"the ledger is {process.state.ledger}, and should be {engine.state.ledger}"
    if engine.state.ledger.heard != sum(world.witness.journaled.values()):
        yield f"heard {engine.state.ledger.heard}, journaled {sum(world.witness.journaled.values())}"
    if engine.is_blind:
        yield "the hub is still blind"
    if engine.has_leases:
        yield "a hold has no end"
    if not (world.process.streams_box.is_empty and world.process.timeseries_box.is_empty):
        yield "an outbox is not empty"
    rows = world.around.disk.connections["state"].execute("SELECT sink, record FROM outbox").fetchall()
    if rows:
        yield f"in the outbox there is still {rows}"


def _store(world: World) -> Iterator[str]:
    wanted: dict[tuple[bytes, int], bytes] = {}
    refused = 0
    for line in world.witness.reference.lines():
        parts = split_line(line)
        assert parts is not None
        series, fields, time = parts
        if REFUSED in fields:
            refused += 1
        elif wanted.setdefault((series, time), fields) != fields:
            yield f"two points fell on one: {line!r}"
    if world.around.lines.points != wanted:
        lost = [point for point in wanted if point not in world.around.lines.points]
        yield f"{len(world.around.lines.points)} points stored of {len(wanted)}; lost: {lost}"
    _, tally = world.around.disk.confirmed("timeseries")
    if tally.get("rejected", 0) != refused:
        yield f"{tally} where {refused} were refused"
    yield from _temperatures(world)


def _temperatures(world: World) -> Iterator[str]:
    """Yield temperatures that were heard and not stored once; of a stranger they may have come too early."""
    stored = Counter(fields for (series, _), fields in world.around.lines.points.items() if b"device=room-1" in series)
    for number, heard in world.witness.journaled.items():
        word = world.published[number]
        most = heard if number in world.around.broker.revived | world.witness.forgotten else 1
        if word.value is not None and "room-1" in word.topic:
            times = stored[b"temperature=%r" % word.value]
            if not 1 <= times <= most:
                yield f"{word} was stored {times} times"


def _redis(world: World) -> Iterator[str]:
    redis, reference = world.around.redis, world.witness.reference
    wanted: dict[bytes, list[bytes]] = defaultdict(list)
    letters: list[DeadLetter] = []
    settled: set[int] = set()
    replies: dict[str, Reply] = {}
    for came in reference.came:
        for event in came.effects.events:
            wanted[events_key(event.name).encode()].append(event.id.encode())
        letters += came.effects.dead_letters
        settled |= {each.number for each in came.effects.settled}
        replies |= {reply.id: reply for reply in came.effects.replies}
    announced = redis.streams.pop(DEAD_LETTERS.encode(), Stream())
    found = {key: [entry[b"id"] for entry in entries] for key, entries in redis.streams.items()}
    if found != wanted:
        yield f"events: {found}, and should be {dict(wanted)}"
    if [int(entry[b"number"]) for entry in announced] != [letter.number for letter in letters]:
        yield f"dead letters announced: {announced}, and should be {letters}"
    buried = world.around.disk.connections["state"].execute("SELECT body FROM dead_letters ORDER BY number")
    kept = [letter for letter in letters if letter.number not in settled]
    if [msgspec.msgpack.decode(body, type=DeadLetter) for (body,) in buried] != kept:
        yield "dead letters are missing on the disk"
    yield from _answers(world, replies)
    shown = redis.hashes.get(alarms_key("s1").encode(), {}).values()
    alarms = sorted(reference.engine.alarms(), key=lambda alarm: alarm.id)
    if sorted((msgspec.json.decode(alarm, type=AlarmState) for alarm in shown), key=lambda alarm: alarm.id) != alarms:
        yield f"alarms shown: {list(shown)}, and should be {alarms}"


def _answers(world: World, replies: Mapping[str, Reply]) -> Iterator[str]:
    redis = world.around.redis
    for control in world.control:
        answer = redis.strings.get(reply_key(control.id).encode())
        if answer is None or msgspec.json.decode(answer, type=Reply) != replies.get(control.id):
            yield f"{control} was answered {answer!r}"


def _devices(world: World) -> Iterator[str]:
    for device, until in world.devices.held.items():
        if until > world.clock.monotonic:
            yield f"{device} is still held"
    twin = world.witness.reference.twin("s1", "room-1")
    last = [word for word in world.published.values() if "room-1" in word.topic and word.value is not None]
    if last and twin.get("temperature") != last[-1].value:
        yield f"room-1 has {twin}, its last word was {last[-1]}"
