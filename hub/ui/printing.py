"""Standard output: tables for people, one JSON document a line for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

import orjson
from rich.console import Console
from rich.table import Table


def say_json(document: object) -> None:
    """Print one JSON document on a line of its own, at once."""
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str = "nothing") -> None:
    """Print a table for people, or the word for an empty one; in a pipe nothing is cut off."""
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = console_of(sys.stdout.isatty)
    console.print(table if table.row_count else empty)


def console_of(is_terminal: Callable[[], bool]) -> Console:
    """Return a console; in a pipe it is wide enough for every row."""
    return Console(highlight=False) if is_terminal() else Console(highlight=False, width=240, soft_wrap=True)
