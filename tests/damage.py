"""Damages a directory's file, copy after copy: what is left is whole, or its owner refuses it."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hub.errors import CorruptError, UnavailableError

COPIES = int(os.environ.get("HUB_DAMAGE_SEEDS", "12"))  # noqa: TID251 -- how many, says who starts it

Damage = Callable[[Path, random.Random], None]


def flip(file: Path, chance: random.Random) -> None:
    """Change one bit anywhere."""
    content = bytearray(file.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def tear(file: Path, chance: random.Random) -> None:
    """Cut the file anywhere."""
    with file.open("r+b") as it:
        it.truncate(chance.randrange(file.stat().st_size))


def empty(file: Path, _chance: random.Random) -> None:
    file.write_bytes(b"")


def remove(file: Path, _chance: random.Random) -> None:
    file.unlink()


def seeded(*words: object) -> random.Random:
    """Return chance that is the same in every run."""
    return random.Random(repr([getattr(word, "__name__", word) for word in words]))  # noqa: S311 -- not for secrets


async def outcomes_of(
    original: Path, file: str, damage: Damage, survey: Callable[[Path], Awaitable[object]]
) -> Counter[str]:
    """Damage ``COPIES`` copies of ``original``: each is as the original ("whole"), or is refused by a code."""
    chance, outcomes = seeded(file, original.name, damage), Counter[str]()
    copied = original.parent / f"{original.name}-copied"
    whole = await survey(shutil.copytree(original, copied))
    for _ in range(COPIES):
        shutil.rmtree(copied)
        shutil.copytree(original, copied)
        damage(copied / file, chance)
        try:
            assert await survey(copied) == whole
        except (CorruptError, UnavailableError) as error:
            outcomes[error.code] += 1
        else:
            outcomes["whole"] += 1
    shutil.rmtree(copied)
    return outcomes


async def check_missing(directory: Path, survey: Callable[[Path], Awaitable[object]]) -> None:
    """Assert that a directory is refused for a file that is missing, and left as it is."""
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(CorruptError, match="missing_file"):
        await survey(directory)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
