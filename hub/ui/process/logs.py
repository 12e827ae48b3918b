"""Where log lines go and how they look."""

from __future__ import annotations

import logging
from contextlib import suppress
from enum import StrEnum
from typing import TextIO, cast

import structlog


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ForgivingOutput:
    """Where lines go: one that cannot be written now (its disk is full, its reader gone) is not an error of the hub."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def write(self, text: str) -> None:
        """Write if possible."""
        with suppress(OSError):
            self._output.write(text)

    def flush(self) -> None:
        """Let it out if possible."""
        with suppress(OSError):
            self._output.flush()


def configure_logging(level: LogLevel, output: TextIO) -> None:
    """Log to ``output``: coloured lines on a terminal, else one JSON object a line."""
    renderer: structlog.typing.Processor
    shown: list[structlog.typing.Processor]
    if output.isatty():
        renderer, shown = structlog.dev.ConsoleRenderer(), []
    else:
        renderer, shown = structlog.processors.JSONRenderer(), [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,  # the partition, where one process runs several
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *shown,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", ForgivingOutput(output))),
        cache_logger_on_first_use=False,
    )
