"""Log lines: where they go, and what happens when they cannot."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from hub.ui.process.logs import LogLevel, configure_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_log_whose_disk_is_full_costs_the_line_and_not_the_hub() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        configure_logging(LogLevel.INFO, io.TextIOWrapper(full, write_through=True))
        structlog.get_logger().error("journal_held_up")


def test_a_line_is_one_json_object(tmp_path: Path) -> None:
    with (tmp_path / "hub.log").open("w", encoding="utf-8") as output:
        configure_logging(LogLevel.INFO, output)
        structlog.get_logger().info("partition_claimed", epoch=1)
        assert '"event": "partition_claimed"' in (tmp_path / "hub.log").read_text(encoding="utf-8")
