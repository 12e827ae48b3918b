"""Dead letters on their way: what Redis is owed of them while it is away, and who holds them while a hub recovers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from hub.app import Hub
from hub.clock import SystemClock
from hub.config.settings import RedisSettings, Settings, TimeseriesSettings
from hub.journal.neighbours import state_path
from hub.journal.outbox import STREAMS, TIMESERIES, Outbox
from hub.journal.state_file import StateFile, read_dead_letters
from hub.model.effects import Effects, LineWork, StreamWork
from hub.model.records import Started, Tick
from hub.parts import make_engine
from hub.pipeline import Applying
from tests.journal.papers import batch, journal, letter, records
from tests.pipeline.limits import LIMITS

JOURNAL = "0a1b"
PICTURE = bytes(256 * 1024)


async def test_redis_is_owed_the_word_of_a_dead_letter_and_not_its_bytes(tmp_path: Path) -> None:
    async with StateFile(tmp_path / "state.sqlite", JOURNAL) as file:
        streams, series = Outbox(STREAMS, file, StreamWork, cursor=0), Outbox(TIMESERIES, file, LineWork, cursor=0)
        applying = Applying(make_engine(JOURNAL), file, streams, series, lambda _: True, SystemClock(), LIMITS)
        for number in (1, 2, 3):
            applying.deliver(Effects(number, [], [], [], [], [letter(number, PICTURE)], []))
        assert streams.waiting_bytes == 3 * 600
        await streams.spill(0)
        assert file.outbox_bytes < 3 * 600
        (_, first), *_ = await streams.take(items=1, linger=timedelta(0))
        assert [each.number for each in first.dead_letters] == [1]


async def test_a_long_recovery_does_not_hold_all_dead_letters_in_memory(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        redis=RedisSettings(url=SecretStr("unix://" + str(tmp_path / "nobody"))),
        timeseries=TimeseriesSettings(store="local"),
    )
    async with journal(tmp_path) as written:
        await written.append(records(1, [Started("0.1.0", ["events", "telemetry"]), batch(b"a", b"b"), Tick()]))
    async with Hub(settings, SystemClock()) as hub:
        assert hub.recovered_records == 3
        buried = read_dead_letters(state_path(tmp_path), limit=9)
        assert [each.payload for each in buried] == [b"b", b"a"]
