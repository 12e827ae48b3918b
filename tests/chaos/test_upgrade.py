"""A hub of a version that cannot read what an earlier one knew: it starts with its own documents and loses nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hub.bridge.frames import decode_packets
from hub.engine.rows import Document
from hub.journal.neighbours import opened
from hub.model.records import Revision
from tests.chaos.town import Town, open_town
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer

KIND, RULE = "kind/environment_sensor", "rule/card-seen"
OF_ANOTHER_VERSION = b'{"words": "that nobody of this version knows"}'


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    async for each in open_town(tmp_path, mosquitto, valkey):
        yield each


async def replace(town: Town, *keys: str) -> None:
    """Put documents into the state that this version cannot read."""
    async with opened(town.hub.data, "main", decode_packets) as (_, state_file, saved):
        body = msgspec.msgpack.encode(Document(OF_ANOTHER_VERSION))
        await state_file.checkpoint(saved.position, {f"document/{key}": body for key in keys}, [], [])


async def last_revision(town: Town) -> Revision:
    """Return the last revision in the journal."""
    async with opened(town.hub.data, "main", decode_packets) as (journal, _, _):
        return [record.body async for record in journal.read(0) if isinstance(record.body, Revision)][-1]


async def test_documents_of_another_version_are_replaced_and_the_journal_tells_of_it(town: Town) -> None:
    town.hub.start()
    await town.hub.until_ready()
    await town.publish(300)
    await town.until_settled()
    assert town.hub.stop() == 0
    await replace(town, KIND, RULE, "rule/of-yesterday")
    town.hub.start()
    await town.publish(300)
    await town.hub.until_ready()
    await town.until_settled()
    assert town.hub.stop() == 0
    await town.check_once()
    revision = await last_revision(town)
    assert sorted(revision.put) == [KIND, RULE]
    assert list(revision.removed) == ["rule/of-yesterday"]
    town.hub.start()
    await town.hub.until_ready()
    assert town.hub.stop() == 0
    assert town.hub.log().count("documents_replaced") == 1
