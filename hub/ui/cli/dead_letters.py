"""``hub dead-letters``: messages that will never work, with their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hub.errors import ConfigError
from hub.journal.neighbours import state_path
from hub.journal.state_file import read_dead_letters
from hub.model.effects import DeadLetter
from hub.ui.atlas import Atlas
from hub.ui.cli.dead_letters_retry import retry
from hub.ui.desk.desk import MOST_ROWS, AsJson, Desk, desk_of
from hub.ui.desk.personal import LEFT_OUT, Reason, Unmask, looks_like, veil_of
from hub.ui.printing import say_json, say_table
from hub.ui.words import moment
from hub.veil import Veil

app = typer.Typer()
app.command("retry")(retry)

SEARCHED_LETTERS = 10_000
MOST_NUMBER = 2**62
LISTED_BYTES = 4 * 1024
SHOWN_BYTES = 48
BYTES_PER_LINE = 16


@app.command("list")
def list_dead_letters(
    context: typer.Context,
    *,
    code: Annotated[str, typer.Option(help="Only with this code.")] = "",
    before: Annotated[int | None, typer.Option(max=MOST_NUMBER, help="Only older than this number.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_ROWS)] = 50,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """List them, the newest first; the bytes of what may tell of persons only with --unmask."""
    desk = desk_of(context)
    veil = veil_of(desk, "dead_letter", "dead_letter/list", unmask=unmask, reason=reason)
    letters = read_dead_letters(state_file_of(desk), limit=limit, before=before, code=code)
    hidden = hidden_of(desk, veil, letters)
    if as_json:
        say_json([_document(letter, LISTED_BYTES, is_hidden=letter.number in hidden) for letter in letters])
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
                looks_like(letter.payload) if letter.number in hidden else repr(letter.payload[:SHOWN_BYTES])[2:-1],
            )
            for letter in letters
        ),
        empty="no dead letters",
    )
    if hidden:
        typer.echo(f"the payloads of {len(hidden)} are {LEFT_OUT}")


@app.command()
def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(max=MOST_NUMBER)],
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Only its bytes, as they came.")] = False,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Show one with all bytes that were kept, as a hex dump; of what may tell of persons only with --unmask."""
    desk = desk_of(context)
    veil = veil_of(desk, "dead_letter", f"dead_letter/{number}", unmask=unmask, reason=reason)
    letter = letter_of(desk, number)
    is_hidden = bool(hidden_of(desk, veil, [letter]))
    if raw and is_hidden:
        raise ConfigError("unmask_needed", f"the payload of dead letter {number} is {LEFT_OUT}")
    if raw:
        typer.get_binary_stream("stdout").write(letter.payload)
    elif as_json:
        say_json(_document(letter, len(letter.payload), is_hidden=is_hidden))
    else:
        facts = (*msgspec.structs.asdict(letter).items(), ("received_at", moment(letter.received_at)))
        say_table(("what", "is"), ((name, str(value)) for name, value in dict(facts).items() if name != "payload"))
        lines = [f"{looks_like(letter.payload)}, {LEFT_OUT}"] if is_hidden else hex_dump(letter.payload)
        typer.echo("\n".join(lines))


def hex_dump(payload: bytes) -> list[str]:
    """Return lines of offset, bytes in hex, and the printable ones."""
    lines = []
    for start in range(0, len(payload), BYTES_PER_LINE):
        part = payload[start : start + BYTES_PER_LINE]
        text = "".join(chr(byte) if chr(byte).isascii() and chr(byte).isprintable() else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):{BYTES_PER_LINE * 3}} {text}")
    return lines


def letter_of(desk: Desk, number: int) -> DeadLetter:
    """Return one dead letter; ConfigError ``dead_letter_unknown``."""
    found = read_dead_letters(state_file_of(desk), limit=1, before=number + 1)
    if not found or found[0].number != number:
        raise ConfigError("dead_letter_unknown", f"there is no dead letter {number}", hint="`hub dead-letters list`")
    return found[0]


def strangers_letters(desk: Desk) -> list[DeadLetter]:
    """Return the newest letters of devices that are not registered, the newest first."""
    return read_dead_letters(state_file_of(desk), limit=SEARCHED_LETTERS, code="unknown_device")


def state_file_of(desk: Desk) -> Path:
    """Return where the state of the partition lies; ConfigError ``state_missing``."""
    path = state_path(desk.here.files_dir)
    if not path.exists():
        raise ConfigError("state_missing", "no hub has worked in this data_dir yet", file=str(path))
    return path


def hidden_of(desk: Desk, veil: Veil, letters: Sequence[DeadLetter]) -> set[int]:
    """Return the numbers of those whose bytes may tell of persons: by the kind of who sent them, if it is known."""
    atlas = asyncio.run(Atlas.open(desk))
    return {letter.number for letter in letters if veil.hides(atlas.kind(letter.site, letter.device))}


def _document(letter: DeadLetter, most_bytes: int, *, is_hidden: bool) -> object:
    facts = msgspec.structs.asdict(letter)
    facts["payload"] = None if is_hidden else letter.payload[:most_bytes].hex()
    return {**facts, "format": looks_like(letter.payload), "left_out": is_hidden}
