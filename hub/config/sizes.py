"""How people write an amount of bytes: ``20GiB``, or a number."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def _size(value: object) -> object:
    if not isinstance(value, str) or value.isdigit():
        return value
    match = _AMOUNT.fullmatch(value.strip())
    if match is None or match[2] not in _BYTES:
        message = f"{value!r} is no size; write a number of bytes, or one with a unit of {', '.join(_BYTES)}"
        raise ValueError(message)
    return int(float(match[1]) * _BYTES[match[2]])


Bytes = Annotated[int, BeforeValidator(_size), Field(ge=1)]
"""``"20GiB"``, or a number of bytes."""
