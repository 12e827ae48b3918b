"""``hub dead-letters``: messages that will never work, with their bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hub.errors import ConfigError
from hub.journal.state_file import read_dead_letters
from hub.model import DeadLetter
from hub.ui.cli.desk import AsJson, Desk, desk_of
from hub.ui.printing import say_json, say_table
from hub.ui.words import moment

app = typer.Typer()

LISTED_BYTES = 4 * 1024
SHOWN_BYTES = 48
BYTES_PER_LINE = 16


@app.command("list")
def list_dead_letters(
    context: typer.Context,
    *,
    code: Annotated[str, typer.Option(help="Only with this code.")] = "",
    before: Annotated[int | None, typer.Option(help="Only older than this number.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 50,
    as_json: AsJson = False,
) -> None:
    """List them, the newest first."""
    letters = read_dead_letters(_state_file(desk_of(context)), limit=limit, before=before, code=code)
    if as_json:
        say_json([_document(letter, LISTED_BYTES) for letter in letters])
        return
    say_table(
        ("number", "time", "code", "topic", "bytes", "why", "payload"),
        (
            (
                str(letter.number),
                moment(letter.received_at),
                letter.code,
                letter.topic,
                str(letter.payload_bytes),
                letter.detail,
                repr(letter.payload[:SHOWN_BYTES])[2:-1],
            )
            for letter in letters
        ),
        empty="no dead letters",
    )


@app.command()
def show(
    context: typer.Context,
    number: int,
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Only its bytes, as they came.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one with all bytes that were kept, as a hex dump."""
    found = read_dead_letters(_state_file(desk_of(context)), limit=1, before=number + 1)
    if not found or found[0].number != number:
        raise ConfigError("dead_letter_unknown", f"there is no dead letter {number}", hint="`hub dead-letters list`")
    letter = found[0]
    if raw:
        typer.get_binary_stream("stdout").write(letter.payload)
    elif as_json:
        say_json(_document(letter, len(letter.payload)))
    else:
        facts = (*msgspec.structs.asdict(letter).items(), ("received_at", moment(letter.received_at)))
        say_table(("what", "is"), ((name, str(value)) for name, value in dict(facts).items() if name != "payload"))
        typer.echo("\n".join(hex_dump(letter.payload)))


def hex_dump(payload: bytes) -> list[str]:
    """Return lines of offset, bytes in hex, and the printable ones."""
    lines = []
    for start in range(0, len(payload), BYTES_PER_LINE):
        part = payload[start : start + BYTES_PER_LINE]
        text = "".join(chr(byte) if chr(byte).isascii() and chr(byte).isprintable() else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):{BYTES_PER_LINE * 3}} {text}")
    return lines


def _state_file(desk: Desk) -> Path:
    path = desk.here.files_dir / "state.sqlite"
    if not path.exists():
        raise ConfigError("state_missing", "no hub has worked in this data_dir yet", file=str(path))
    return path


def _document(letter: DeadLetter, most_bytes: int) -> object:
    facts = msgspec.structs.asdict(letter)
    facts["payload"] = letter.payload[:most_bytes].hex()
    return facts
