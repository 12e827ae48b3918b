"""What a campaign came to: by fault, for people, for programs, and as the table of the README."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import orjson
from rich.table import Table

from tests.chaos.faults.fault import Fault
from tests.chaos.outcome import Outcome

README = Path(__file__).parent.parent.parent / "README.md"
START, END = "<!-- chaos -->", "<!-- end of chaos -->"
COLUMNS = ("Fault", "Lost", "may lose", "Doubled", "may double", "Recovery")

Row = tuple[str, ...]


def rows(faults: Iterable[Fault], outcomes: Sequence[Outcome]) -> list[Row]:
    """Return a row for each fault that was done: the most that was lost or doubled, the median of its recovery."""
    found: list[Row] = []
    for fault in faults:
        mine = [outcome for outcome in outcomes if outcome.fault == fault.name]
        if mine:
            lost, doubled = max(each.lost for each in mine), max(each.doubled for each in mine)
            seconds = median(each.recovery for each in mine)
            recovery = "; ".join(filter(None, (f"{seconds:.1f} s", mine[-1].measured)))
            found.append((fault.name, str(lost), fault.loss.value, str(doubled), fault.copies.value, recovery))
    return found


def table(faults: Iterable[Fault], outcomes: Sequence[Outcome]) -> Table:
    """Return the rows as a table for a terminal."""
    shown = Table(*COLUMNS)
    for row in rows(faults, outcomes):
        shown.add_row(*row)
    return shown


def as_json(seed: int, outcomes: Sequence[Outcome], logs: Sequence[str]) -> bytes:
    """Return everything, for programs; ``logs`` are the fault logs of towns in which something was wrong."""
    return orjson.dumps({"seed": seed, "outcomes": [asdict(each) for each in outcomes], "logs": list(logs)})


def markdown(found: Sequence[Row]) -> str:
    """Return rows as the README shows them."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in found)])


def write_readme(faults: Iterable[Fault], found: Sequence[Row], sentence: str) -> None:
    """Put the rows into the README, with a sentence about where they come from; rows of other faults stay."""
    text = README.read_text(encoding="utf-8")
    known = {row[0]: row for row in (*readme_rows(), *found)}
    shown = [known[fault.name] for fault in faults if fault.name in known]
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    sentence = textwrap.fill(sentence, 120)
    README.write_text(f"{before}{START}\n{sentence}\n\n{markdown(shown)}\n{END}{after}", encoding="utf-8")


def readme_rows() -> list[Row]:
    """Return the rows of the README's table."""
    text = README.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    return [tuple(line.strip("| ").split(" | ")) for line in text.splitlines() if line.startswith("| ")][1:]
