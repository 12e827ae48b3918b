"""What a hub drops on purpose is in its metrics."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from hub.app import Hub
from hub.bridge import uplink
from hub.clock import SystemClock
from hub.config.settings import MqttSettings, RedisSettings, Settings, TimeseriesSettings
from hub.metrics import Metrics
from hub.ui.pages.observing import observe


async def test_what_is_dropped_on_its_way_to_the_journal_is_in_the_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker and Redis are never asked here: the hub is open and does not run."""
    settings = Settings(
        data_dir=tmp_path / "data",
        mqtt=MqttSettings(port=1),
        redis=RedisSettings(url=SecretStr("redis://127.0.0.1:1/0")),
        timeseries=TimeseriesSettings(store="local"),
    )
    monkeypatch.setattr(uplink, "MAX_NOTES", 0)
    async with Hub(settings, SystemClock()) as hub:
        metrics = Metrics()
        observe(hub, metrics)
        hub.inbox.put_note("one too many")
        hub.sessions[0].counts.malformed_packets += 2
        hub.control_reader.malformed += 3
        values = metrics.values()
        names = ("hub_notes_refused_total", "hub_requests_malformed_total")
        assert [values[name] for name in names] == [1, 3]
        assert values[f'hub_packets_malformed_total{{session="{hub.sessions[0].name}"}}'] == 2
