"""Poison in front of good messages, on the wire: the good ones pass, the bad ones are kept, the books add up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from tests.bridge.device import publish
from tests.chaos.poisons import DOOR, ENV, POISONS
from tests.chaos.town import Town, open_town
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

WHY = ("--unmask", "--reason", "which bytes were kept")


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    async for each in open_town(tmp_path, mosquitto, valkey):
        each.hub.start()
        await each.hub.until_connected()
        yield each


async def ledger(town: Town) -> dict[str, float]:
    """Return the terms of the ledger."""
    metrics = await town.hub.metrics()
    terms = ("heard", "applied", "deduplicated", "dead_lettered", "refused")
    return {term: metrics.get(f"hub_messages_{term}_total", 0) for term in terms}


async def until_heard(town: Town, count: int) -> None:
    """Wait until the hub has judged ``count`` messages."""

    async def is_heard() -> bool:
        return (await ledger(town))["heard"] >= count

    await wait_until(is_heard)


async def test_poison_in_front_of_good_messages_passes_them_and_is_kept_with_its_bytes(town: Town) -> None:
    for number, poison in enumerate(POISONS):
        card = orjson.dumps({"part": "door-1", "signals": [{"name": "access.granted", "card": f"card-{number}"}]})
        value = orjson.dumps({"values": {"co2": float(number)}})
        await publish(town.mosquitto.port, [poison.payload], topic=poison.topic)
        await publish(town.mosquitto.port, [card], topic=f"{DOOR}/signal")
        await publish(town.mosquitto.port, [value], topic=f"{ENV}/telemetry")
        town.sent.cards.append(f"card-{number}")
        town.sent.temperatures.append(float(number))
    await town.until_settled()
    dead = [poison for poison in POISONS if not poison.is_refused]
    refused = len(POISONS) - len(dead)
    good = 2 * len(POISONS)
    assert await ledger(town) == {
        "heard": good + len(POISONS),
        "applied": good,
        "deduplicated": 0,
        "dead_lettered": len(dead),
        "refused": refused,
    }
    assert town.hub.stop() == 0
    await town.check_once()
    letters = orjson.loads((await town.hub.cli("dead-letters", "list", *WHY, "--json")).out)
    kept = [(one["topic"], one["code"], one["payload_bytes"], bytes.fromhex(one["payload"])) for one in letters]
    assert sorted(kept) == sorted((one.topic, one.code, len(one.payload), one.payload[:4_096]) for one in dead)


async def test_the_whole_bytes_of_a_dead_letter_can_be_had_back(town: Town) -> None:
    payload = bytes(range(256)) * 512
    await publish(town.mosquitto.port, [payload], topic=f"{ENV}/telemetry")
    await until_heard(town, 1)
    assert town.hub.stop() == 0
    (letter,) = orjson.loads((await town.hub.cli("dead-letters", "list", "--json")).out)
    assert (await town.hub.cli("dead-letters", "show", str(letter["number"]), "--raw")).out == payload


async def test_a_kill_in_the_middle_of_much_poison_loses_no_good_message_and_the_books_still_add_up(town: Town) -> None:
    for poison in POISONS:
        await publish(town.mosquitto.port, [poison.payload] * 20, topic=poison.topic)
    await town.publish(300)
    town.hub.kill()
    town.hub.start()
    await town.hub.until_connected()
    await town.until_settled()
    await until_heard(town, 300 + 20 * len(POISONS))
    terms = await ledger(town)
    assert terms["heard"] == sum(terms.values()) - terms["heard"]
    assert terms["applied"] == 300
    assert town.hub.stop() == 0
    await town.check_once()
