"""Messages that carry a number which appears once: what was stored and what was told can be held against them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import cast

import redis.asyncio

from benchmarks.stage import Stage
from benchmarks.traffic import BUILDING, KIND, SITE
from hub.model.values import PlaceType
from hub.registry.nouns import Device, Place
from hub.sinks.streams import DOMAINS, decode_event, domain_key

SENSORS, DOORS = 200, 10
CARD_EVERY = 100
CARD_KIND, CARD_EVENT = "access_controller", "access.card_seen"
RULES = f"""\
rule: soak-card-seen
label: {{en: Card seen, zh: 刷卡}}
for_each: {CARD_KIND}
on_signal: access.granted
raise: {{event: {CARD_EVENT}, severity: info}}
"""
WINDOW_NS = 10_000_000_000


class Numbered:
    """Sensors whose CO2 is the message's number, and doors at which, every hundredth message, its card is shown."""

    def places(self) -> list[Place]:
        """Return the one building."""
        return [Place(site=SITE, id=BUILDING, type=PlaceType.BUILDING)]

    def devices(self) -> list[Device]:
        """Return sensors, then doors."""
        sensors = [Device(site=SITE, id=f"env-{n:03}", kind=KIND, place=BUILDING) for n in range(SENSORS)]
        return sensors + [Device(site=SITE, id=f"door-{n}", kind=CARD_KIND, place=BUILDING) for n in range(DOORS)]

    def say(self, number: int, _now_ns: int) -> tuple[int, str, bytes]:
        """Return who says ``number``, its topic and its payload."""
        if is_card(number):
            door = number // CARD_EVERY % DOORS
            payload = b'{"part":"door-1","signals":[{"name":"access.granted","card":"%d"}]}' % number
            return SENSORS + door, f"hub/{SITE}/door-{door}/signal", payload
        sensor = number % SENSORS
        return sensor, f"hub/{SITE}/env-{sensor:03}/telemetry", b'{"values":{"co2":%d}}' % number


def is_card(number: int) -> bool:
    """Whether message ``number`` is a card."""
    return number % CARD_EVERY == 0


def card_of(fields: dict[bytes, bytes]) -> int | None:
    """Return the number on the card that an entry of a stream tells of; None for another event."""
    event = decode_event(fields)
    return int(str(event.data["card"])) if event.name == CARD_EVENT else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What became of the numbers that the broker took, and of the others; ids and numbers, most of them none."""

    lost_points: list[int]
    doubled_points: list[int]
    lost_events: list[int]
    doubled_events: list[int]
    doubled_ids: int

    @property
    def wrong(self) -> int:
        """How many are lost or doubled."""
        lost = len(self.lost_points) + len(self.lost_events)
        return lost + len(self.doubled_points) + len(self.doubled_events) + self.doubled_ids


async def close(stage: Stage, taken: bytearray, began_ns: int, until_ns: int) -> Books:
    """Hold stores and streams against ``taken``: 1 for each number that the broker took."""
    found = await stored(stage, len(taken), began_ns, until_ns)
    return held_against(taken, found, *await _told(stage))


def held_against(taken: bytearray, stored: bytearray, told: Counter[int], ids: Counter[bytes]) -> Books:
    """Return what is missing of ``taken``, and what is there twice, taken or not."""
    points = [number for number in range(len(taken)) if not is_card(number)]
    cards = [number for number in range(len(taken)) if is_card(number)]
    return Books(
        lost_points=[number for number in points if taken[number] and not stored[number]],
        doubled_points=[number for number in points if stored[number] > 1],
        lost_events=[number for number in cards if taken[number] and not told[number]],
        doubled_events=[number for number in cards if told[number] > 1],
        doubled_ids=ids.total() - len(ids),
    )


async def stored(stage: Stage, count: int, began_ns: int, until_ns: int) -> bytearray:
    """Return how often each number is in InfluxDB, asked for a few seconds at a time."""
    found = bytearray(count)
    for since in range(began_ns, until_ns + WINDOW_NS, WINDOW_NS):
        where = f"time >= {since} AND time < {since + WINDOW_NS}"
        for _, number in await stage.influx.ask(f"SELECT co2 FROM {KIND} WHERE {where}"):  # noqa: S608 -- our own names
            found[int(float(str(number)))] += 1
    return found


async def _told(stage: Stage) -> tuple[Counter[int], Counter[bytes]]:
    """Return how often each card, and each id of an event, is in the streams."""
    cards, ids = Counter[int](), Counter[bytes]()
    async with redis.asyncio.Redis.from_url(stage.redis_url) as client:
        for domain in DOMAINS:
            entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await client.xrange(domain_key(domain)))
            for _, fields in entries:
                ids[fields[b"id"]] += 1
                card = card_of(fields)
                if card is not None:
                    cards[card] += 1
    return cards, ids
