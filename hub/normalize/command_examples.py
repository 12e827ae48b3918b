"""Examples of what a profile sends: a command, where its bytes come from, and whether that is what it encodes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from hub.catalogue import CommandKind, Name, Type, Words, is_member
from hub.durations import read_duration
from hub.errors import PoisonError
from hub.model.values import Scalar
from hub.normalize.downlinks import CompiledCommand
from hub.normalize.examples import ExamplePayload, payload_bytes

SENT_AT, EXPIRES_AT = 1_691_807_055_250, 1_691_807_065_250
"""When an example is sent and expires, in wall-clock ms: 2023-08-12T02:24:15.250Z, 10 s later; unless it says so."""


class CommandExample(Words):
    """A command as the engine asks for it, where its bytes come from, and exactly these bytes.

    ``args`` are written as people write them, ``ttl: 30s``; ``params`` are those of the installation, the times
    wall-clock ms. What the network puts around it is an example of the network.
    """

    name: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    command: Name
    args: dict[Name, Scalar] = Field(default_factory=dict)
    part: str = ""
    id: Annotated[str, Field(min_length=1)] = "c-1"
    sent_at: int = SENT_AT
    expires_at: int = EXPIRES_AT
    params: dict[Name, Scalar] = Field(default_factory=dict)
    payload: ExamplePayload


def check_command(
    commands: Mapping[str, CommandKind], encode: Mapping[str, CompiledCommand], example: CommandExample
) -> list[str]:
    """Return what differs, a sentence each; nothing when the example holds. ``encode`` knows its params."""
    if example.command not in encode:
        known = ", ".join(encode) or "none"
        return [f"command: the profile does not say how {example.command!r} is told; it says: {known}"]
    try:
        args = _settled(commands[example.command], example.args)
    except ValueError as error:
        return [f"args: {error}"]
    try:
        sent = encode[example.command](
            id=example.id, part=example.part, args=args, sent_at=example.sent_at, expires_at=example.expires_at
        )
    except PoisonError as error:
        return [f"args: {error}"]
    wanted = payload_bytes(example.payload)
    return [] if sent == wanted else [f"payload: expected {_shown(wanted)}, got {_shown(sent)}"]


def _shown(data: bytes) -> str:
    return repr(data) if data.isascii() and data.decode().isprintable() else data.hex(" ")


def _settled(kind: CommandKind, written: Mapping[str, Scalar]) -> dict[str, Scalar | timedelta]:
    """Return the arguments as the engine hands them on; ValueError for one that the kind does not take so."""
    args: dict[str, Scalar | timedelta] = {}
    for name, value in written.items():
        typed = kind.args.get(name)
        if typed is None:
            message = f"there is no {name!r}; it takes: {', '.join(kind.args) or 'nothing'}"
            raise ValueError(message)
        if typed.type is Type.DURATION:
            args[name] = read_duration(value)
        elif is_member(typed, value):
            args[name] = value
        else:
            message = f"{name} is {typed.type.value}, not {value!r}"
            raise ValueError(message)
    return args
