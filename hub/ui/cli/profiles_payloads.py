"""``hub profiles decode``, ``guess`` and ``new``: from a captured payload to a profile that understands it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from hub.authoring.guess import Guess, guesses, sentence
from hub.authoring.skeleton import Captured, skeleton
from hub.authoring.trace import Sent, Trace, trace
from hub.errors import ConfigError, PoisonError
from hub.model.effects import DeadLetter
from hub.normalize.compile import compile_reply
from hub.normalize.payload import Format
from hub.normalize.profile import Profile
from hub.normalize.responses import Response
from hub.ui.cli.dead_letters import hidden_of, letter_of, strangers_letters
from hub.ui.cli.devices_pending import may_tell_of_persons, understood
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, desk_of, pairs_of
from hub.ui.desk.personal import LEFT_OUT, Reason, Unmask, veil_of
from hub.ui.desk.whose import heard_by
from hub.ui.printing import console_of, say_json, say_listing
from hub.ui.profiles.dump import document, dump, spoken, where
from hub.ui.profiles.shelf import Shelf, shelf_of
from hub.veil import Veil

MOST_EXAMPLES = 12
_HEX = re.compile(r"(?:0[xX])?[0-9A-Fa-f]{2}(?:[ :,-]*(?:0[xX])?[0-9A-Fa-f]{2})*")
_NOT_HEX = re.compile(r"0[xX]|[ :,-]")
_MODEL = re.compile(r"[a-z0-9_-]+/[a-z0-9_-]+")


class Writing(StrEnum):
    """How a payload is written."""

    AUTO = "auto"
    HEX = "hex"
    TEXT = "text"
    BASE64 = "base64"


Payload = Annotated[str, typer.Argument(help="Hexadecimal, text, @FILE, or - for standard input.")]
As = Annotated[Writing, typer.Option("--as", help="How it is written; auto: hexadecimal when it looks so, else text.")]
Port = Annotated[int | None, typer.Option(help="What the network says beside it (fPort).")]
Zone = Annotated[str, typer.Option(help="The time zone of the site.")]


def decode(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="vendor/model, or the file of a profile.")],
    payload: Payload,
    *,
    writing: As = Writing.AUTO,
    port: Port = None,
    param: Annotated[list[str] | None, typer.Option(help="name=value of the profile; may be repeated.")] = None,
    zone: Zone = "Asia/Shanghai",
    as_json: AsJson = False,
) -> None:
    """Show which bytes or paths of a payload became which value; exit 1 when it is a dead letter."""
    shelf, name = _with_file(desk_of(context), model)
    profile = shelf.profile(name)
    is_bytes = profile.payload.format in {Format.BYTES, Format.CHANNELS}
    if writing is Writing.AUTO and is_bytes and not payload.startswith(("@", "-")):
        writing = Writing.HEX
    sent = Sent(payload=read_payload(payload, writing), port=port, params=pairs_of(param or ()), zone=zone)
    seen = trace(profile, shelf.kind(profile), sent)
    answer = _answer(profile, sent.payload, seen)
    is_lost = seen.error is not None and (answer is None or seen.error.code != "unmatched")
    if as_json:
        say_json({"profile": name, **document(seen), "answer": None if answer is None else msgspec.to_builtins(answer)})
    else:
        console = console_of(sys.stdout.isatty)
        for piece in dump(seen):
            console.print(piece)
        _tell(console, [spoken(reading, zone) for reading in seen.readings], is_wrong=seen.error is not None)
        if seen.is_partial or seen.tail is not None:
            console.print(
                f"{'partial' if seen.is_partial else 'not shown'}: {seen.tail or 'a value could not be read'}"
            )
        if answer is not None and not is_lost:
            _tell_answer(console, answer, seen)
        if is_lost:
            place = where(seen)
            console.print(f"dead letter: {seen.error}{f' -- {place}' if place else ''}", style="red")
    if is_lost:
        raise typer.Exit(EXIT_FAILED)


def _tell_answer(console: Console, answer: Response, seen: Trace) -> None:
    if seen.error is not None:
        console.print(f"as a measurement it would be a dead letter: {seen.error}")
    done = "done" if answer.ok else f"not done{f', code {answer.code}' if answer.code else ''}"
    console.print(f"answer to command {answer.id}: {done}")


def _answer(profile: Profile, payload: bytes, seen: Trace) -> Response | None:
    """Return what a payload says of a command, if its profile reads answers, it is one, and it measures nothing."""
    has_measured = seen.error is None and any(reading.values or reading.signals for reading in seen.readings)
    read = None if has_measured else compile_reply(profile)
    try:
        return None if read is None else read(payload)
    except PoisonError:
        return None


def guess(
    context: typer.Context,
    payload: Payload,
    *,
    writing: As = Writing.AUTO,
    port: Port = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that do not decode it, and why.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell which profiles understand a payload, best first; exit 1 when none does."""
    shelf = shelf_of(desk_of(context).settings)
    found = guesses(shelf.profiles.values(), shelf.catalogue, Sent(payload=read_payload(payload, writing), port=port))
    decoding = [each for each in found if each.error is None]
    shown = found if every else decoding
    say_listing(
        map(_document, shown),
        ("profile", "kind", "why"),
        ((each.profile, each.kind, sentence(each)) for each in shown),
        empty="no profile decodes it; begin one: hub profiles new vendor/model --kind KIND --from FILE",
        as_json=as_json,
    )
    if not decoding:
        raise typer.Exit(EXIT_FAILED)


def _document(each: Guess) -> dict[str, object]:
    return {
        "profile": each.profile, "kind": each.kind, "score": round(each.score, 3), "why": sentence(each),
        "fits": each.fits, "says": each.says, "read": each.read, "size": each.size, "frame": each.frame,
        "likeness": round(each.likeness, 3), "error": None if each.error is None else each.error.code,
    }  # fmt: skip


def new(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="vendor/model")],
    *,
    kind: Annotated[str, typer.Option(help="What it is: smoke_sensor, manhole …; see device_profiles/kinds.")],
    origin: Annotated[
        str,
        typer.Option(
            "--from",
            help="FILE (lines of hex or JSON, one XML, or bytes), pending:DEVICE (what an unregistered one said), "
            "or dead-letter:NUMBER.",
        ),
    ],
    to: Annotated[
        Path | None, typer.Option(help="The file; else profiles_dir/vendor/model.yaml: no file counts till it is done.")
    ] = None,
    unmask: Unmask = False,
    reason: Reason = "",
) -> None:
    """Begin a profile from what a device sent; `hub profiles check` then lists what is undecided.

    The payloads become its examples. What the hub heard and may tell of persons is taken only with --unmask.
    """
    desk = desk_of(context)
    if _MODEL.fullmatch(model) is None:
        raise ConfigError("model_invalid", f"{model!r} is no vendor/model", hint="lower case: acme/th-100")
    path = to or _own_file(desk, model)
    shelf = shelf_of(desk.settings)
    text = skeleton(model, shelf.catalogue.kind(kind), _captured(desk, shelf, origin, unmask=unmask, reason=reason))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError("file_exists", "it is not overwritten", file=str(path), hint="another --to") from error
    typer.echo(f"wrote {path}; what is undecided: hub profiles check {path}")
    if to is None:
        typer.echo("a hub that is started before that is decided refuses it; --to FILE begins it elsewhere", err=True)


def read_payload(text: str, writing: Writing) -> bytes:
    """Return the bytes that were typed, or stand in a file; ConfigError ``payload_invalid``."""
    if text == "-":
        return _as_bytes(sys.stdin.buffer.read(), writing)
    if text.startswith("@"):
        try:
            return _as_bytes(Path(text[1:]).read_bytes(), writing)
        except OSError as error:
            raise ConfigError("payload_unreadable", str(error.strerror), file=text[1:]) from error
    return _as_bytes(text.encode(), writing)


def _as_bytes(data: bytes, writing: Writing) -> bytes:
    text = data.strip()
    match writing:
        case Writing.TEXT:
            return data
        case Writing.BASE64:
            try:
                return base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise ConfigError("payload_invalid", f"no base64: {error}") from error
        case Writing.HEX:
            found = _hex(text)
            if found is None:
                raise ConfigError("payload_invalid", "no hexadecimal: two digits a byte", hint="--as text or base64")
            return found
        case Writing.AUTO:
            found = _hex(text)
            return data if found is None else found


def _hex(data: bytes) -> bytes | None:
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return None
    return bytes.fromhex(_NOT_HEX.sub("", text)) if _HEX.fullmatch(text) else None


def _with_file(desk: Desk, model: str) -> tuple[Shelf, str]:
    """Return the shelf and the name of a profile; that of a file lies over the others."""
    path = Path(model)
    if not (path.suffix == ".yaml" and path.is_file()):
        return shelf_of(desk.settings), model
    shelf = shelf_of(desk.settings, path)
    names = [name for (noun, name), document in shelf.documents.items() if noun == "profile" and document.file == model]
    if len(names) != 1:
        for finding in (each for each in shelf.findings if each.file == model):
            raise ConfigError(finding.code, finding.message, file=model, line=finding.line, hint=finding.hint)
        raise ConfigError("no_profile", f"{len(names)} profiles, not one", file=model)
    return shelf, names[0]


def _tell(console: Console, lines: list[str], *, is_wrong: bool) -> None:
    for line in lines:
        console.print(f"{'if its frame were right: ' if is_wrong else ''}{line}")


def _own_file(desk: Desk, model: str) -> Path:
    own = desk.settings.profiles_dir
    if own is None:
        raise ConfigError(
            "no_profiles_dir", "this installation has no profiles of its own", hint="set profiles_dir, or --to FILE"
        )
    return own / f"{model}.yaml"


def _captured(desk: Desk, shelf: Shelf, origin: str, *, unmask: bool, reason: str) -> list[Captured]:
    word, colon, rest = origin.partition(":")
    if colon and word in {"dead-letter", "pending"}:
        what = word.replace("-", "_")
        veil = veil_of(desk, what, f"{what}/{rest}", unmask=unmask, reason=reason)
        letters = _of_letter(desk, rest) if word == "dead-letter" else _of_pending(desk, rest)[:MOST_EXAMPLES]
        is_heard_of = word == "dead-letter" and letters[0].code != "unknown_device"
        if hidden_of(desk, veil, letters) if is_heard_of else _may_any_tell(shelf, veil, letters):
            raise ConfigError("unmask_needed", f"what {origin} says is {LEFT_OUT}")
        return [_from(letter) for letter in letters]
    try:
        data = Path(origin).read_bytes()
    except OSError as error:
        raise ConfigError("payload_unreadable", str(error.strerror), file=origin) from error
    found = payloads_of(data)[:MOST_EXAMPLES]
    return [Captured(payload=payload, source=f"captured, {Path(origin).name}") for payload in found]


def _may_any_tell(shelf: Shelf, veil: Veil, letters: list[DeadLetter]) -> bool:
    """Return whether what nobody registered may tell of persons: by the profiles that understand it, if any does."""
    return veil.hides(None) and any(may_tell_of_persons(veil, understood(shelf, letter)) for letter in letters)


def payloads_of(data: bytes) -> list[bytes]:
    """Return the payloads of a file: lines of hexadecimal or JSON, or one of anything else; none is ConfigError."""
    if not data.strip():
        raise ConfigError("payload_invalid", "there is nothing in it")
    lines = [line.strip() for line in data.splitlines() if line.strip()]
    found = [_hex(line) for line in lines]
    if None not in found:
        return list(dict.fromkeys(payload for payload in found if payload is not None))
    if all(line.startswith(b"{") and line.endswith(b"}") for line in lines):
        return list(dict.fromkeys(lines))
    return [data.strip() if data.lstrip()[:1] in {b"{", b"<"} else data]


def _of_letter(desk: Desk, number: str) -> list[DeadLetter]:
    if not (number.isascii() and number.isdigit()):
        raise ConfigError("dead_letter_unknown", f"{number!r} is no number", hint="`hub dead-letters list`")
    return [letter_of(desk, int(number))]


def _of_pending(desk: Desk, device: str) -> list[DeadLetter]:
    """Return what an unregistered device said, each payload once; it is named as `pending` lists it, or ``device``."""
    letters = strangers_letters(asyncio.run(heard_by(desk, device)) if "/" in device else desk)
    mine = [letter for letter in letters if device in {letter.device, letter.whose}]
    if not mine:
        known = sorted({letter.whose for letter in letters})
        hint = f"waiting: {', '.join(known)}" if known else "nothing unregistered was heard"
        raise ConfigError("pending_unknown", f"nothing is known of {device!r}", hint=hint)
    return list({letter.payload: letter for letter in mine}.values())


def _from(letter: DeadLetter) -> Captured:
    if letter.payload_bytes > len(letter.payload):
        raise ConfigError("payload_cut", f"of dead letter {letter.number} only {len(letter.payload)} bytes were kept")
    return Captured(payload=letter.payload, source=f"captured, dead letter {letter.number} on {letter.topic}")
