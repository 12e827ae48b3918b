"""What devices answer to commands: the bytes of a response to a typed one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated

import msgspec

from hub.catalogue import Kind
from hub.model.values import Values
from hub.normalize.limits import check_json, json_error
from hub.normalize.native import compile_state

_ID = r"^[ -~]{1,128}\Z"
_CODE = r"^[a-z0-9_.]{0,64}\Z"


class Response(msgspec.Struct, frozen=True):
    """A device's answer: ``ok`` says that it executed command ``id``, ``state`` what it is like since then.

    ``bad`` names what of that is out of range.
    """

    id: str
    ok: bool
    code: str = ""
    state: Values = {}
    bad: Sequence[str] = ()


class _Response(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(pattern=_ID)]
    ok: bool
    code: Annotated[str, msgspec.Meta(pattern=_CODE)] = ""
    state: dict[str, bool | int | float | str | None] = {}


@lru_cache(256)
def compile_response(kind: Kind) -> Callable[[bytes], Response]:
    """Return the decoding of ``{"id", "ok", "code", "state"}``; the state is typed against ``kind``.

    It raises PoisonError ``bad_json``, ``bad_value``, ``too_deep`` or ``too_many_keys``.
    """
    read_json = msgspec.json.Decoder(_Response).decode
    read_state = compile_state(kind)

    def decode(payload: bytes) -> Response:
        check_json(payload)
        try:
            heard = read_json(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise json_error(error) from None
        return Response(heard.id, heard.ok, heard.code, *read_state(heard.state))

    return decode
