"""What an engine weighs, every object that can be reached from it, and what it does, call by call; no clock."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType

import msgspec

from hub.rules import timers
from tests.engine.desk import Desk

SHARED = (type, ModuleType, CodeType, BuiltinFunctionType)
"""What all engines share, and the way from there to everything else."""


def weight(desk: Desk) -> Counter[str]:
    """Return how many objects of which class the engine of ``desk`` holds; what the desk keeps for tests is not in."""
    seen = {id(each) for each in (desk, desk.records, desk.effects, desk._heard, desk.checkpoint)}  # noqa: SLF001 -- its own
    found: Counter[str] = Counter()
    waiting: list[object] = [desk.engine]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, SHARED):
            continue
        seen.add(id(each))
        found[type(each).__name__] += 1
        waiting += beyond(each)
    return found


def beyond(each: object) -> list[object]:
    """Return what ``each`` holds: of a function what it closes over, and not the module that it is of."""
    if isinstance(each, timers._Heap):  # noqa: SLF001 -- what it no longer wants goes when that is most of it, and 64 more
        return [each.wanted]
    if isinstance(each, FunctionType):
        return [*(each.__closure__ or ()), each.__defaults__, each.__kwdefaults__]
    if isinstance(each, msgspec.Struct):  # some are none of the collector's business, and it would not look inside
        return [getattr(each, name) for name in each.__struct_fields__] + [getattr(each, "__dict__", None)]
    return gc.get_referents(each)


def calls(work: Callable[[], object]) -> int:
    """Return how many functions are called, C's among them, while ``work`` is done."""
    count = 0

    def note(_frame: FrameType, what: str, _of: object) -> None:
        nonlocal count
        count += what in {"call", "c_call"}

    gc.disable()  # what others have left does not end meanwhile
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count
