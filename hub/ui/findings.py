"""What a check of files found, as people and programs read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import typer
from typing_extensions import override

from hub.errors import ConfigError
from hub.rules.problem import Weight
from hub.ui.printing import say_json

EXIT_CONFIG = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem where it stands; ``noun`` and ``name`` are of the document: rule smoke-alarm, profile acme/wl7."""

    file: str
    line: int
    noun: str
    name: str
    weight: Weight
    code: str
    message: str
    hint: str = ""

    @override
    def __str__(self) -> str:
        hint = f" -- {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}: {self.weight}: {self.name}: {self.message}{hint}  [{self.code}]"

    def plain(self) -> dict[str, object]:
        """Return it for a program."""
        return {
            "file": self.file,
            "line": self.line,
            self.noun: self.name,
            "weight": self.weight,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }


def finding_of(noun: str, name: str, weight: Weight, error: ConfigError) -> Finding:
    """Return what an error says of a document."""
    return Finding(
        file=error.file or "", line=error.line or 1, noun=noun, name=name, weight=weight, code=error.code,
        message=error.message, hint=error.hint,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What a test inside a rule's file came to; without ``differences`` it holds."""

    rule: str
    test: str
    differences: list[str]

    @override
    def __str__(self) -> str:
        return "\n  ".join([f"{self.rule}: {self.test}", *self.differences])


def tell(findings: Sequence[Finding], looked_at: str, *, as_json: bool, beside: str = "") -> None:
    """Print what was found in ``looked_at`` (such as ``28 profiles``); leave with 2 for what the hub would refuse.

    ``beside`` is what the last line tells of that is not shown.
    """
    if as_json:
        say_json([finding.plain() for finding in findings])
    else:
        for finding in findings:
            typer.echo(str(finding))
        notes = sum(finding.weight is Weight.NOTE for finding in findings)
        typer.echo(f"{looked_at}, {len(findings) - notes} findings{f', {notes} notes' if notes else ''}{beside}")
    if any(finding.weight is Weight.ERROR for finding in findings):
        raise typer.Exit(EXIT_CONFIG)
