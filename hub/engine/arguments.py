"""What a command says to its device: arguments of the types that its kind knows, a hold never without its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from hub.catalogue import CommandKind, Type, is_member
from hub.durations import read_duration
from hub.errors import PoisonError
from hub.model.values import Scalar
from hub.rules.rule import DEFAULT_TTL


def settled(command: str, kind: CommandKind, args: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return ``args`` as they go to a device, durations in ms; PoisonError ``bad_args`` says what is wrong.

    A hold lasts as long as the hub counts with, also where nobody said so; its ttl is a duration whatever its kind is.
    """
    known = kind.args
    if kind.is_hold and known["ttl"].type is Type.DURATION:
        args = {"ttl": DEFAULT_TTL, **args}
    found: dict[str, Scalar] = {}
    for name, value in sorted(args.items()):
        typed = known.get(name)
        if typed is None:
            raise PoisonError("bad_args", f"{command} takes: {', '.join(sorted(known)) or 'nothing'}")
        if typed.type is Type.DURATION or (kind.is_hold and name == "ttl"):
            found[name] = _milliseconds(name, value)
        elif is_member(typed, value):
            found[name] = value
        else:
            raise PoisonError("bad_args", f"{name} is {typed.type.value}, not {value!r}")
    return found


def _milliseconds(name: str, value: Scalar) -> int:
    try:
        return read_duration(value) // timedelta(milliseconds=1)
    except ValueError as error:
        raise PoisonError("bad_args", f"{name}: {error}") from error
