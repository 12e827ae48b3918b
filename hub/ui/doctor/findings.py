"""What a check is, what it may come to, and how a table of them is worked through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

from hub.clock import Clock
from hub.config.settings import Settings
from hub.errors import HubError
from hub.ui.words import Text

F = TypeVar("F")


class Grade(StrEnum):
    """How a check came out. Only ``bad`` makes `hub doctor` fail."""

    GOOD = "good"
    WEAK = "weak"
    """Worth mending; by itself it loses nothing."""
    BAD = "bad"
    """Data is lost, or others can make it up, without a word; or nothing works at all."""
    UNSEEN = "unseen"
    """It could not be looked at, and ``found`` says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check came to, and what it saw."""

    grade: Grade
    found: str


def good(found: object) -> Verdict:
    """Return that all is well."""
    return Verdict(Grade.GOOD, str(found))


def weak(found: object) -> Verdict:
    """Return that it should be mended."""
    return Verdict(Grade.WEAK, str(found))


def bad(found: object) -> Verdict:
    """Return that data is lost or forged."""
    return Verdict(Grade.BAD, str(found))


def unseen(why: object) -> Verdict:
    """Return that nobody could look."""
    return Verdict(Grade.UNSEEN, str(why))


@dataclass(frozen=True, slots=True)
class Words:
    """What a check is about, why that matters, and how it is mended."""

    what: Text
    why: Text
    mend: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the doctor was told: the settings, their file, the broker's file where that is known, and the time."""

    settings: Settings
    settings_file: Path | None
    mosquitto_conf: Path | None
    clock: Clock


@dataclass(frozen=True, slots=True)
class Check(Generic[F]):
    """One row of the table: a stable name, and the judgement over what was seen of its area."""

    name: str
    judge: Callable[[F], Verdict]


@dataclass(frozen=True, slots=True)
class Area(Generic[F]):
    """Checks that look at one thing together. When ``look`` fails, the first is ``blind`` and no other can be seen."""

    name: str
    look: Callable[[Scene], Awaitable[F]]
    checks: Sequence[Check[F]]
    blind: Grade = Grade.BAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One check done; one that ``follows`` could not be looked at because of the first of its area."""

    name: str
    verdict: Verdict
    follows: bool = False


async def examine(area: Area[Any], scene: Scene) -> list[Examined]:
    """Return what every check of an area came to."""
    try:
        seen = await area.look(scene)
    except HubError as error:
        return list(_unseen(area, str(error)))
    return [Examined(name=check.name, verdict=check.judge(seen)) for check in area.checks]


def _unseen(area: Area[Any], reason: str) -> Iterator[Examined]:
    first, *others = area.checks
    yield Examined(name=first.name, verdict=Verdict(area.blind, reason))
    for check in others:
        yield Examined(name=check.name, verdict=unseen(f"see {first.name}"), follows=True)


def plain(done: Examined, words: Mapping[str, Words]) -> dict[str, object]:
    """Return it for a program."""
    said = words[done.name]
    texts = {name: text.plain() for name, text in (("what", said.what), ("why", said.why), ("mend", said.mend))}
    return {"check": done.name, "grade": done.verdict.grade.value, "found": done.verdict.found, **texts}
