"""How often a function is called while a test runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest


def counted(patch: pytest.MonkeyPatch, owner: object, name: str, counts: Counter[str]) -> None:
    """Count the calls of one function."""
    whole: Callable[..., Any] = getattr(owner, name)

    def counting(*words: Any, **named: Any) -> Any:  # noqa: ANN401 -- handed through as it came
        counts[name] += 1
        return whole(*words, **named)

    patch.setattr(owner, name, counting)
