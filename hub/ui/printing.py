"""Standard output: tables for people, one JSON document a line for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import orjson
import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from hub.ui.words import visible

T = TypeVar("T")

WIDEST = 100_000
"""More than any row: one that is wider than its console is broken, and its longest words are cut off."""


def say_json(document: object) -> None:
    """Print one JSON document on a line of its own, at once."""
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, empty: str = "nothing") -> None:
    """Print a table for people, or the word for an empty one; in a pipe nothing is cut off.

    A cell shows its text as it is, whoever wrote it, without what a terminal would obey; colours come as ``Text``.
    """
    shown = [Column(name, overflow="fold") for name in columns]
    table = Table(*shown, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(visible(cell, "\n\u3000") if isinstance(cell, str) else cell for cell in row))
    console = console_of(sys.stdout.isatty)
    console.print(table if table.row_count else empty)


def say_listing(
    documents: Iterable[object],
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    empty: str,
    as_json: bool,
) -> None:
    """Print a listing: ``documents`` as one JSON array for programs, ``rows`` as a table for people."""
    if as_json:
        say_json([*documents])
    else:
        say_table(columns, rows, empty=empty)


def say_done(sentence: str, document: object, *, as_json: bool) -> None:
    """Say what was done: in a sentence to people, as a JSON document to programs."""
    if as_json:
        say_json(document)
    else:
        typer.echo(sentence)


def say_counts(counts: Mapping[T, int], words: Mapping[T, Text]) -> None:
    """Print how many there are of each that there is, in the order of ``words``."""
    told = [Text.assemble(f"{counts[each]} ", word) for each, word in words.items() if counts.get(each)]
    console_of(sys.stdout.isatty).print(Text(", ").join(told))


def console_of(is_terminal: Callable[[], bool]) -> Console:
    """Return a console to which no text is markup; in a pipe it is wide enough for every row.

    What is shown was often written by others: brackets would be eaten, or end the command.
    """
    is_wide = not is_terminal()
    return Console(highlight=False, markup=False, emoji=False, width=WIDEST if is_wide else None, soft_wrap=is_wide)
