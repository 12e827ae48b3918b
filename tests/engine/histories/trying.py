"""Histories are tried one after the other; of one that is wrong the shortest part that still is."""

from __future__ import annotations

from collections.abc import Sequence

from tests.engine.histories.drawing import draw
from tests.engine.histories.playing import Step, complaint
from tests.engine.histories.shrinking import shrink

STEPS = 100


def try_one(seed: int, steps: int) -> tuple[Sequence[Step], str]:
    """Play the history of a seed; return it, as short as it can be when it is wrong, and what is wrong with it."""
    history: Sequence[Step] = draw(seed, steps)
    wrong = complaint(history)
    if wrong:
        history = shrink(history, lambda shorter: bool(complaint(shorter)))
        wrong = complaint(history)
    return history, wrong


def report(seed: int, history: Sequence[Step], wrong: str) -> str:
    """Return what to read of a history that is wrong: how it goes, and what it comes to."""
    return "\n".join([f"seed {seed}: the shortest wrong history has {len(history)} steps", *map(str, history), wrong])
