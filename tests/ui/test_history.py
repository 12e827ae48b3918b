"""The story of an alarm, of events that lie in streams and in the store: all of it, and of no other alarm."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hub.clock import SystemClock
from hub.errors import ConfigError
from hub.model.effects import Event, Transition
from hub.registry.nouns import Site
from hub.services.child import free_port
from hub.sinks.redis_link import Link
from hub.sinks.streams import pack_event
from hub.sinks.timeseries.lines import event_line
from hub.sinks.timeseries.local import LocalStore
from hub.ui.atlas import Atlas
from hub.ui.desk.desk import Desk
from hub.ui.history import History, Wanted, story
from tests.servers.valkey import ValkeyServer
from tests.sinks.streams.rig import NOON, event

SECOND = 1_000_000_000
TURNS = (Transition.RAISED, Transition.ACKNOWLEDGED, Transition.CLEARED)


def alarms(count: int, **facts: Any) -> list[Event]:  # noqa: ANN401 -- any fact of an event
    """Return the events of so many alarms of one rule, one after the other."""
    return [
        event(number, transition=TURNS[number % 3], time=NOON - NOON % 1_000_000 + number * SECOND, **facts)
        for number in range(3 * count)
    ]


def written_then(told: Event) -> bytes:
    """Return the command that writes an event as if that were its moment."""
    return pack_event(told, "hub/main").replace(b"$1\r\n*\r\n", b"$13\r\n%d\r\n" % (told.time // 1_000_000))


@pytest.fixture
async def link(valkey: ValkeyServer) -> AsyncIterator[Link]:
    async with valkey.link() as link:
        yield link


@pytest.fixture
def history(tmp_path: Path, link: Link) -> History:
    (tmp_path / "hub.toml").write_text(f'data_dir = "{tmp_path}"\n', encoding="utf-8")
    return History(Desk(config=tmp_path / "hub.toml"), link, Atlas())


async def stories(history: History, of: Sequence[Event]) -> list[list[str]]:
    """Return the ids of the story of each."""
    return [[found.id for found in await story(history, each)] for each in of]


def own(told: Sequence[Event], each: Event) -> list[str]:
    """Return the ids of the three events of the alarm that ``each`` is of."""
    begins = told.index(each) // 3 * 3
    return [one.id for one in told[begins : begins + 3]]


@pytest.mark.parametrize("about", [{"key": "north/@b3", "device": "", "part": ""}, {"key": "north/smoke-17#zone-2"}])
async def test_the_store_alone_tells_the_story_of_a_place_as_that_of_a_device(
    about: dict[str, object], history: History, tmp_path: Path
) -> None:
    told = alarms(2, **about)
    async with LocalStore(tmp_path / "timeseries.sqlite", SystemClock()) as store:
        await store.write([event_line(each) for each in told])
    assert await stories(history, told) == [own(told, each) for each in told]


async def test_of_an_alarm_that_comes_and_goes_all_the_time_each_has_its_own_story(
    history: History, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.ui.history.MOST", 10)
    monkeypatch.setattr("hub.ui.history.CLOCKS_NS", 2 * SECOND)
    told = alarms(20)
    await link.exchange([written_then(each) for each in told], len(told))
    assert await stories(history, told[-6:]) == [own(told, each) for each in told[-6:]]


async def test_what_is_wanted_is_found_in_the_store_however_much_else_lies_before_it(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.ui.history.LIMIT_MAX", 10)
    others = [event(number, "access.passage", time=NOON + number * SECOND) for number in range(35)]
    fires = [event(100 + number, time=NOON + (34 + number) * SECOND) for number in range(3)]
    async with LocalStore(tmp_path / "timeseries.sqlite", SystemClock()) as store:
        await store.write([event_line(each) for each in (*others, *fires)])
    found = await history.find(Wanted(types=("fire",)), since=NOON - SECOND, limit=100)
    assert [each.id for each in found] == [each.id for each in fires]
    assert len(await history.find(Wanted(), since=NOON - SECOND, limit=100)) == 38


@pytest.fixture
def elsewhere(history: History, tmp_path: Path, link: Link) -> History:
    """The same, with a registry that knows another site and nothing of what is told."""
    del history
    site = Site(id="harbour", zone="Asia/Shanghai")
    return History(Desk(config=tmp_path / "hub.toml"), link, Atlas([site]))


async def test_what_was_removed_since_is_known_by_its_events_in_the_streams_or_the_store(
    elsewhere: History, link: Link, tmp_path: Path
) -> None:
    streamed, older = event(1, device="gate-1"), event(2, device="gate-2", building="b2", time=NOON - SECOND)
    await link.exchange([written_then(streamed)], 1)
    async with LocalStore(tmp_path / "timeseries.sqlite", SystemClock()) as store:
        await store.write([event_line(older)])
    for known in (
        Wanted(places=("north", "b2", "harbour")),
        Wanted(devices=("gate-1", "north/gate-1", "north/gate-2"), types=("water",)),
    ):
        await elsewhere.refuse_unknown(known)
    for unknown in (Wanted(places=("north", "b4")), Wanted(devices=("harbour/gate-1",)), Wanted(devices=("gate-3",))):
        with pytest.raises(ConfigError, match="neither the registry nor any event knows"):
            await elsewhere.refuse_unknown(unknown)


async def test_a_registry_that_is_not_there_denies_no_name(history: History) -> None:
    await history.refuse_unknown(Wanted(places=("north",), devices=("gate-1",)))


async def test_while_the_store_is_away_no_name_is_denied(elsewhere: History, tmp_path: Path) -> None:
    config = tmp_path / "hub.toml"
    away = f'timeseries = {{store = "influxdb", url = "http://127.0.0.1:{free_port()}"}}\n'
    config.write_text(away + config.read_text(encoding="utf-8"), encoding="utf-8")
    await elsewhere.refuse_unknown(Wanted(places=("north",)))
