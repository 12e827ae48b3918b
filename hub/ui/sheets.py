"""Sheets: CSV and JSON files that people fill in, each row with its line, and every mistake in them at once."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import typer

from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.rules.names import suggestion
from hub.ui.printing import say_json

_SEPARATORS = re.compile(r"[\s,]*")
# What a spreadsheet makes of a long number: its last digits are gone for good.
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?[eE]\+\d+")
# What a spreadsheet takes for a formula, and what looks as if we had put an apostrophe before one.
_COMPUTED = re.compile(r"'*[=+\-@]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: its cells by column; text in a CSV, whatever JSON has otherwise."""

    line: int
    cells: Mapping[str, object]


@dataclass(slots=True)
class Sheet:
    """The rows of a file, and what is wrong with them: :meth:`settle` before anything is changed."""

    path: Path
    rows: list[Row] = field(default_factory=list)
    mistakes: list[tuple[int, str]] = field(default_factory=list)

    def blame(self, line: int, text: str) -> None:
        """Note a mistake, once."""
        if (line, text) not in self.mistakes[-3:]:
            self.mistakes.append((line, text))

    def text(self, row: Row, column: str, default: str = "") -> str:
        """Return a cell as text; ``default`` where the row has no such cell."""
        cell = row.cells.get(column, default)
        if cell is None:
            return ""
        if not isinstance(cell, str):
            self.blame(row.line, f"{column} is {json.dumps(cell)}, which is no text: put it in quotes")
            return default
        if _ROUNDED.fullmatch(cell.strip()):
            self.blame(row.line, f"{column} is {cell.strip()!r}: a spreadsheet rounded it; format the column as text")
        return cell.strip()

    def scalars(self, row: Row, column: str, default: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return a cell that is a JSON object of plain values."""
        cell = row.cells.get(column, dict(default))
        if isinstance(cell, str):
            try:
                cell = _read(json.loads, cell) if cell.strip() else {}
            except ValueError as error:
                self.blame(row.line, f'{column} is no JSON object such as {{"doors": 2}}: {error}')
                return {}
        if not isinstance(cell, dict) or any(
            isinstance(value, (dict, list)) or value is None for value in cell.values()
        ):
            self.blame(row.line, f'{column} is no object of plain values, such as {{"doors": 2}}')
            return {}
        return cell

    def number(self, row: Row, column: str, kind: type[float], default: float | None) -> Any:  # noqa: ANN401 -- a ``kind``
        """Return a cell that is a number, or nothing: None."""
        cell = row.cells.get(column, default)
        if isinstance(cell, str):
            cell = cell.strip()
        if cell is None or cell == "":
            return None
        try:
            return kind("" if isinstance(cell, (bool, dict, list)) else str(cell))
        except ValueError:
            self.blame(row.line, f"{column} is {cell!r}, which is no {'whole ' if kind is int else ''}number")
            return default

    def document(self, row: Row, column: str, default: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return a cell that is a JSON object, or nothing: None."""
        cell = row.cells.get(column, default)
        if isinstance(cell, str):
            try:
                cell = _read(json.loads, cell) if cell.strip() else None
            except ValueError as error:
                self.blame(row.line, f"{column} is no JSON: {error}")
                return default
        if cell is None or isinstance(cell, dict):
            return cell or None
        self.blame(row.line, f"{column} is no JSON object")
        return default

    def settle(self, *, as_json: bool) -> None:
        """Tell every mistake and raise ConfigError ``import_refused``; nothing happens when there is none."""
        if not self.mistakes:
            return
        found = sorted(self.mistakes)
        if as_json:
            say_json({"mistakes": [{"line": line, "message": text} for line, text in found]})
        else:
            for line, text in found:
                typer.echo(f"{self.path}:{line}: {text}", err=True)
        raise ConfigError("import_refused", f"{len(found)} mistakes; nothing was changed", file=str(self.path))


def read_sheet(path: Path, columns: Sequence[str]) -> Sheet:
    """Return the rows of a file with some of ``columns``: a JSON array or JSON lines, else CSV with a header.

    UTF-8, or GB 18030 as Chinese spreadsheets write it. ConfigError ``file_unreadable``.
    """
    try:
        data = path.read_bytes()
        text = _decoded(data)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("file_unreadable", str(error), file=str(path), hint="save it as CSV in UTF-8") from error
    sheet = Sheet(path)
    is_json = path.suffix.lower() in {".json", ".jsonl"} or text.lstrip()[:1] in {"[", "{"}
    unknown: set[str] = set()
    for line, cells in _json_rows(sheet, text) if is_json else _csv_rows(sheet, text):
        for column in sorted(cells.keys() - set(columns) - unknown):
            unknown.add(column)
            sheet.blame(line if is_json else 1, f"there is no column {column!r}; {suggestion(column, columns)}")
        sheet.rows.append(Row(line=line, cells=cells))
    if unknown and not is_json:
        sheet.rows.clear()  # what stands in a column that nobody knows is missing in each row: it is told once
    if not sheet.rows and not sheet.mistakes:
        sheet.blame(1, "there are no rows")
    return sheet


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Print rows as CSV that :func:`read_sheet` reads back; mappings as JSON.

    A text with which a spreadsheet would compute (a network may call a device ``=1+1``) gets the apostrophe that tells
    it to leave that, and loses it when it comes in again.
    """
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(row[name]) for name in columns})


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False) if value else ""
    return f"'{value}" if isinstance(value, str) and _COMPUTED.match(value) else value


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030")


def _csv_rows(sheet: Sheet, text: str) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.reader(io.StringIO(text, newline=None), strict=True)
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            if not header:
                header = [cell.strip() for cell in cells]
                for name in {name for name in header if header.count(name) > 1}:
                    sheet.blame(line, f"the column {name!r} stands twice")
            elif len(cells) > len(header):
                sheet.blame(line, f"{len(cells)} cells under {len(header)} columns")
            elif any(cell.strip() for cell in cells):
                plain = [cell[1:] if cell[:1] == "'" and _COMPUTED.match(cell) else cell for cell in cells]
                padded = [*plain, *[""] * (len(header) - len(cells))]
                yield line, dict(zip(header, padded, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        sheet.blame(line, f"no CSV: {error}")


def _json_rows(sheet: Sheet, text: str) -> Iterator[tuple[int, dict[str, object]]]:
    decoder, at, line, told = json.JSONDecoder(), 0, 1, 0
    body = text.rstrip()
    if body.lstrip().startswith("["):
        at = body.index("[") + 1
        body = body.removesuffix("]")
    while (at := _skipped(body, at)) < len(body):
        line, told = line + body.count("\n", told, at), at
        try:
            row, at = _read(decoder.raw_decode, body, at)
        except ValueError as error:
            sheet.blame(line, f"no JSON: {error}")
            return
        if isinstance(row, dict):
            yield line, row
        else:
            sheet.blame(line, 'a row is an object such as {"site": "garden"}')


def _read(decode: Callable[..., Any], *words: object) -> Any:  # noqa: ANN401 -- JSON is anything
    """Return what ``decode`` makes of JSON; ValueError also for what nobody could keep.

    That is levels without end, half a character, an integer beyond 64 bits, and what is no number (NaN, 1e999).
    """
    try:
        found = decode(*words)
        orjson.dumps(found)
        json.dumps(found, allow_nan=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return found


def _skipped(text: str, at: int) -> int:
    found = _SEPARATORS.match(text, at)
    return at if found is None else found.end()
