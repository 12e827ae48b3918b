"""What is owed on both sides of the cursor: read in portions, followed back, counted once, told in order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hub.sinks import backlog
from hub.sinks.backlog import Ahead, Behind
from hub.sinks.fence import Telling
from hub.sinks.parcels import Parcel
from hub.sinks.streams import domain_key
from tests.sinks.streams.rig import MemoryOutbox, event, work

FIRE, CARE = domain_key("fire"), domain_key("care")
SOURCE = "hub/p1"


@pytest.fixture
def outbox(monkeypatch: pytest.MonkeyPatch) -> MemoryOutbox:
    """Owe records 1 to 9, of fire and care in turns; two are read at once."""
    monkeypatch.setattr(backlog, "PORTION", 2)
    owed = MemoryOutbox()
    owed.put(1, *[work([event(n, "care.fall" if n % 2 else "fire.confirmed")]) for n in range(1, 10)])
    return owed


def positions(parcels: Sequence[Parcel]) -> list[int]:
    return [each.position for each in parcels]


def told(telling: Telling) -> tuple[list[int], bytes]:
    """Return the records that a key is told, and the mark when it takes them."""
    return [int(mark) + 1 for mark, _ in telling.commands], telling.if_told


async def test_what_lies_ahead_is_in_memory_a_portion_at_a_time(outbox: MemoryOutbox) -> None:
    ahead = Ahead(outbox, SOURCE, outbox.owed[:2])
    found = [positions(ahead.beyond(0)), positions(ahead.beyond(1)), positions(ahead.beyond(2))]
    assert found == [[1, 2], [2], []]
    assert positions(await ahead.read_on(2)) == [3, 4]
    assert positions(await ahead.read_on(7)) == [8]
    assert positions(await ahead.read_on(8)) == [9]
    assert (positions(await ahead.read_on(9)), ahead.last) == ([], 9)


async def test_a_cursor_that_goes_back_is_followed_and_nothing_is_counted_twice(outbox: MemoryOutbox) -> None:
    ahead = Ahead(outbox, SOURCE, outbox.owed[:2])
    while await ahead.read_on(9):
        pass
    assert positions(await ahead.read_on(9)) == []
    assert positions(await ahead.read_on(4)) == [5, 6]
    assert positions(await ahead.read_on(9)) == []
    assert (ahead.last, ahead.tally["events"]) == (9, 9)


async def test_a_key_is_told_what_it_lacks_portion_by_portion_to_the_cursor(outbox: MemoryOutbox) -> None:
    behind = Behind(outbox, SOURCE)
    found = []
    above = b"0"
    while above:
        telling = (await behind.telling({FIRE: int(above)}, 7, ()))[FIRE]
        found.append(told(telling))
        above = telling.if_told
    assert found == [([2], b"2"), ([4], b"4"), ([6], b"6"), ([], b"")]


async def test_two_keys_that_stand_at_different_records_each_get_their_own(outbox: MemoryOutbox) -> None:
    behind = Behind(outbox, SOURCE)
    telling = await behind.telling({FIRE: 0, CARE: 6}, 9, ())
    assert {key: told(each) for key, each in telling.items()} == {FIRE: ([2], b"2")}
    telling = await behind.telling({FIRE: 2, CARE: 6}, 9, ())
    assert {key: told(each) for key, each in telling.items()} == {FIRE: ([4], b"4")}
    telling = await behind.telling({CARE: 6}, 9, ())
    assert {key: told(each) for key, each in telling.items()} == {CARE: ([7], b"8")}


async def test_a_key_that_refuses_is_asked_with_one_record_and_gets_the_rest_when_it_takes_that(
    outbox: MemoryOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PORTION", 100)
    behind = Behind(outbox, SOURCE)
    assert told((await behind.telling({FIRE: 0}, 9, ()))[FIRE]) == ([2, 4, 6, 8], b"")
    assert told((await behind.telling({FIRE: 1}, 9, {FIRE}))[FIRE]) == ([2], b"2")
    assert told((await behind.telling({FIRE: 1}, 9, {FIRE}))[FIRE]) == ([2], b"2")
    assert told((await behind.telling({FIRE: 2}, 9, ()))[FIRE]) == ([4, 6, 8], b"")


async def test_what_a_cursor_that_goes_back_no_longer_covers_is_not_told(
    outbox: MemoryOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PORTION", 100)
    behind = Behind(outbox, SOURCE)
    assert told((await behind.telling({FIRE: 0}, 9, ()))[FIRE]) == ([2, 4, 6, 8], b"")
    assert told((await behind.telling({FIRE: 0}, 5, ()))[FIRE]) == ([2, 4], b"")
