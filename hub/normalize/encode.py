"""Commands to the bytes that a device is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from hub.model.values import Scalar


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
