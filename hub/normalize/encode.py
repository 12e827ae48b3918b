"""Commands to the bytes that a device is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from xml.sax.saxutils import escape

import msgspec

from hub.errors import PoisonError
from hub.model.values import Scalar

_BREAK = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_ALONE = re.compile(r"\{[^{}]*\}")
_QUOTES = {'"': "&quot;", "'": "&apos;"}


class _Command(msgspec.Struct, omit_defaults=True):
    id: str
    command: str
    expires_at: int
    part: str = ""
    args: dict[str, Scalar] = {}
    drill: bool = False


_encode = msgspec.json.Encoder().encode


def encode_command(  # noqa: PLR0913 -- each is a word on the wire
    *,
    id: str,  # noqa: A002 -- the word on the wire
    command: str,
    part: str,
    args: Mapping[str, Scalar | timedelta],
    expires_at: int,
    drill: bool = False,
) -> bytes:
    """Return ``{"id", "command", "expires_at": ms, "part", "args", "drill"}``; what is empty or false is left out.

    ``expires_at`` is wall-clock ms, as the native ``t`` is. Durations travel as whole milliseconds.
    """
    plain = {name: _plain(value) for name, value in args.items()}
    return _encode(_Command(id, command, expires_at, part, plain, drill))


def _plain(value: Scalar | timedelta) -> Scalar:
    return value // timedelta(milliseconds=1) if isinstance(value, timedelta) else value


def written(value: object) -> str:
    """Return a value in a text, as JSON says it: true, and not True."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def writer_into(template: str) -> Callable[[object], str]:
    """Return how a value is written into a text command: what somebody says in it is never a command of its own.

    In XML it is no markup. Where anything stands beside it, what would end a line is refused: PoisonError ``bad_args``.
    """
    if _ALONE.fullmatch(template):
        return written
    return _in_xml if template.lstrip().startswith("<") else _in_a_line


def _in_xml(value: object) -> str:
    return escape(written(value), _QUOTES)


def _in_a_line(value: object) -> str:
    text = written(value)
    if found := _BREAK.search(text):
        raise PoisonError("bad_args", f"{found[0]!r} in {text[:40]!r} would end a line of the command")
    return text
