"""A payload as people look at it: bytes or paths in the colours of what they became, and the legend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from hub.authoring.anatomy import Extent, Section
from hub.authoring.guess import covered
from hub.authoring.marks import Mark, Use
from hub.authoring.trace import Trace
from hub.model.heard import Reading
from hub.normalize.limits import INT64_HIGH, INT64_LOW
from hub.ui.words import moment_in, visible

Key = tuple[Use, str, int | None]
Colours = Mapping[Key, str]
"""What gets a colour of its own: its use, its name and the number of its reading."""

BYTES_PER_LINE = 16
SHOWN_BYTES = 4 * 1024
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_yellow")
_QUIET = {Use.FRAME: "white", Use.CONDITION: "white", Use.UNUSED: "white"}
_WRONG, _UNREAD = "bold white on red", "dim"
_RAW_LENGTH = 48


def dump(seen: Trace) -> Iterator[Text | Table]:
    """Yield the payload and each block in it, each with its legend."""
    for section in seen.sections:
        marks = [mark for mark in seen.marks if mark.extent.section == section.name]
        colours = _colours(marks)
        if section.name:
            yield Text(f"block {section.name}, {len(section.data)} bytes", style="bold")
        if section.leaves is None:
            yield from _hex(section, marks, colours)
        yield _legend(section, marks, colours)


def document(seen: Trace) -> dict[str, object]:
    """Return the same for programs."""
    return {
        "readings": [_reading(reading) for reading in seen.readings],
        "partial": seen.is_partial,
        "error": None if seen.error is None else {"code": seen.error.code, "message": seen.error.message},
        "marks": [_mark(mark) for mark in seen.marks],
        "unread": [
            {"section": section.name, **unread} for section in seen.sections for unread in _unread(section, seen)
        ],
    }


def where(seen: Trace) -> str:
    """Return which bytes or paths an error is about; empty when nobody can tell."""
    wrong = [mark for mark in seen.marks if mark.is_wrong]
    return "; ".join(dict.fromkeys(f"{mark.name}: {_place_of(mark)}" for mark in wrong))


def spoken(reading: Reading, zone: str = "UTC") -> str:
    """Return a reading in a line, with its moment by the clocks of ``zone`` where the device told one."""
    words = [
        f"{name}={value}{' (out of range)' if name in reading.bad else ''}" for name, value in reading.values.items()
    ]
    for signal in reading.signals:
        data = " ".join(f"{name}={value}" for name, value in signal.data.items())
        words.append(f"{signal.name}({data})")
    marks = {"backfill": reading.backfill, "critical": reading.critical}
    words += [f"[{name}]" for name, is_so in marks.items() if is_so]
    when = "" if reading.measured_at is None else f"  at {moment_in(zone, reading.measured_at)}"
    return f"{reading.part or 'device'}: {' '.join(words) or 'heard'}{when}"


def _colours(marks: Sequence[Mark]) -> Colours:
    """Return a colour for each thing that a reading says; frames and conditions are plain."""
    names = dict.fromkeys(_key(mark) for mark in marks if mark.use not in _QUIET)
    chosen = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}
    return {**{_key(mark): _QUIET.get(mark.use, "") for mark in marks}, **chosen}


def _key(mark: Mark) -> Key:
    return mark.use, "" if mark.use is Use.FLAG else mark.name, mark.reading


def _style(mark: Mark, colours: Colours) -> str:
    return _WRONG if mark.is_wrong else colours[_key(mark)]


def _hex(section: Section, marks: Sequence[Mark], colours: Colours) -> Iterator[Text]:
    """Yield lines of offset, bytes and characters; a byte shows what it became rather than what it decides."""
    styles = [_UNREAD] * len(section.data)
    for mark in sorted(marks, key=lambda mark: (mark.is_wrong, mark.use not in _QUIET)):
        for at in range(*mark.extent.bytes):
            styles[at] = _style(mark, colours)
    for start in range(0, min(SHOWN_BYTES, len(section.data)), BYTES_PER_LINE):
        part = section.data[start : start + BYTES_PER_LINE]
        line = Text().append(f"{start:06x}  ", style="bold")
        for offset, byte in enumerate(part):
            line.append(f"{byte:02x}", style=styles[start + offset])
            line.append(" ")
        line.append("   " * (BYTES_PER_LINE - len(part)) + " ")
        for offset, byte in enumerate(part):
            line.append(chr(byte) if 32 <= byte < 127 else ".", style=styles[start + offset])  # noqa: PLR2004 -- printable ASCII
        yield line


def _legend(section: Section, marks: Sequence[Mark], colours: Colours) -> Table:
    """Return what each byte or path is, in the order of the payload."""
    order = {leaf.path: index for index, leaf in enumerate(section.leaves or ())}
    rows = [
        (
            _position(row[0].extent, order),
            _style(row[0], colours),
            (_place_of(row[0]), _what(row), _raw(row[0].raw), _value(row)),
        )
        for row in _grouped(marks)
    ]
    rows += [
        (_position(extent, order), _UNREAD, (_offsets(extent), "unread", _raw(raw), ""))
        for extent, raw in _left(section, marks)
    ]
    first = "path" if section.leaves is not None else "bytes"
    table = Table(first, "what", "raw", "value", box=None, header_style="bold", pad_edge=False)
    for _, style, cells in sorted(rows, key=lambda row: row[0]):
        table.add_row(*map(Text, cells), style=style)
    return table


def _position(extent: Extent, order: Mapping[str, int]) -> int:
    return order[extent.paths[0]] if extent.paths else extent.bytes[0]


def _place_of(mark: Mark) -> str:
    return _offsets(mark.extent) if mark.extent.found else mark.where


def _grouped(marks: Sequence[Mark]) -> Iterator[list[Mark]]:
    """Yield marks one by one, but the flags of one raw value together: there may be twenty."""
    groups: dict[object, list[Mark]] = {}
    for index, mark in enumerate(marks):
        key = (mark.extent, mark.where, mark.reading) if mark.use is Use.FLAG else index
        groups.setdefault(key, []).append(mark)
    yield from groups.values()


def _what(row: Sequence[Mark]) -> str:
    mark = row[0]
    number = "" if mark.reading is None or mark.reading == 0 else f"  (reading {mark.reading + 1})"
    match mark.use:
        case Use.PROPERTY | Use.SIGNAL | Use.UNUSED:
            return f"{mark.name}{number}"
        case Use.FLAG:
            return f"flags{number}"
        case Use.CONDITION:
            return {"match": "which message", "not said": "decides what is not said"}.get(
                mark.name, f"only for {mark.name}"
            )
        case Use.FRAME:
            return mark.name
        case Use.PART | Use.TIME | Use.IDENTITY | Use.BACKFILL:
            return f"{mark.use.value}{number}"


def _value(row: Sequence[Mark]) -> str:
    mark = row[0]
    if mark.use is Use.FLAG:
        held = [mark.name for mark in row if mark.value is True]
        others = len(row) - len(held)
        return ", ".join([*held, *([f"{others} false"] if others else [])])
    if mark.use is Use.UNUSED:
        return "nothing came of it"
    if mark.use in _QUIET:
        return "wrong" if mark.is_wrong else ("ok" if mark.name == "checksum" else "")
    if mark.value is None:
        return "no value" if not mark.is_wrong else "wrong"
    unit = "" if mark.unit in {None, "1"} else f" {mark.unit}"
    return f"{mark.value}{unit}{'  out of range' if mark.is_wrong else ''}"


def _raw(raw: object) -> str:
    if raw is None:
        return ""
    text = raw.hex(" ") if isinstance(raw, bytes) else visible(str(raw))
    return text if len(text) <= _RAW_LENGTH else f"{text[:_RAW_LENGTH]}…"


def _offsets(extent: Extent) -> str:
    if extent.paths:
        return visible(", ".join(extent.paths))
    begin, end = extent.bytes
    return str(begin) if end - begin <= 1 else f"{begin}-{end - 1}"


def _left(section: Section, marks: Sequence[Mark]) -> Iterator[tuple[Extent, object]]:
    """Yield what became nothing: runs of bytes, or leaves."""
    seen = covered(section, marks)
    if section.leaves is not None:
        for leaf in section.leaves:
            if leaf.path not in seen:
                yield Extent(section.name, (leaf.path,)), leaf.raw
        return
    begin = 0
    for at in range(len(section.data) + 1):
        if at == len(section.data) or at in seen:
            if begin < at:
                yield Extent(section.name, (begin, at)), section.data[begin:at]
            begin = at + 1


def _unread(section: Section, seen: Trace) -> Iterator[dict[str, object]]:
    marks = [mark for mark in seen.marks if mark.extent.section == section.name]
    for extent, raw in _left(section, marks):
        yield {**_place(extent), "raw": _plain(raw)}


def _plain(raw: object) -> object:
    """Return a raw value as JSON can have it; a number beyond 64 bits as a text."""
    if isinstance(raw, bytes):
        return raw.hex()
    return str(raw) if isinstance(raw, int) and not INT64_LOW <= raw <= INT64_HIGH else raw


def _place(extent: Extent) -> dict[str, object]:
    if extent.paths:
        return {"paths": list(extent.paths)}
    begin, end = extent.bytes
    return {"offset": begin, "length": end - begin}


def _mark(mark: Mark) -> dict[str, object]:
    return {
        "section": mark.extent.section,
        **_place(mark.extent),
        "where": mark.where,
        "use": mark.use.value,
        "name": mark.name,
        "raw": _plain(mark.raw),
        "value": mark.value,
        "unit": mark.unit,
        "reading": mark.reading,
        "wrong": mark.is_wrong,
    }


def _reading(reading: Reading) -> dict[str, object]:
    return {
        "part": reading.part,
        "values": reading.values,
        "signals": [{"name": signal.name, "data": signal.data} for signal in reading.signals],
        "measured_at": reading.measured_at,
        "identity": reading.identity,
        "backfill": reading.backfill,
        "critical": reading.critical,
        "bad": list(reading.bad),
    }
