"""The rooms of the house, read from the tree: each module's sign, and the map that the README must show."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parent.parent.parent
ROOMS = ("hub", "simulators", "tests", "benchmarks")
START, END = "<!-- map -->", "<!-- end of map -->"
MAPPED = ("hub", "simulators")
ROW = re.compile(r"\| `(?P<room>[\w./]+)` \| (?P<sign>.+) \|")


def modules(*rooms: str) -> Iterator[Path]:
    """Yield every Python module below ``rooms``, as paths from the top of the tree, sorted."""
    for room in rooms:
        yield from sorted(path.relative_to(HOUSE) for path in (HOUSE / room).rglob("*.py"))


def sign(module: Path) -> str:
    """Return line 1 of ``module`` as its docstring says it; empty when it is not a docstring."""
    text = (HOUSE / module).read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text), clean=False) or ""
    first = docstring.partition("\n")[0].strip()
    return first if text.startswith(f'"""{first}') else ""


def the_map() -> dict[str, str]:
    """Return room to sign: every package, and the modules at the top of ``hub``."""
    found: dict[str, str] = {}
    for module in modules(*MAPPED):
        if module.name == "__init__.py":
            found[f"{module.parent.as_posix()}/"] = sign(module)
        elif module.parent == Path("hub"):
            found[module.as_posix()] = sign(module)
    return found


def readme_map() -> dict[str, str]:
    """Return the map that the README shows."""
    text = (HOUSE / "README.md").read_text(encoding="utf-8")
    return {row["room"]: row["sign"] for row in ROW.finditer(text)}


def rendered(rows: dict[str, str]) -> str:
    """Return ``rows`` as the table of the README."""
    lines = ["| Room | What lives there |", "|---|---|", *(f"| `{room}` | {text} |" for room, text in rows.items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Put the map into the README, and print it."""
    readme = HOUSE / "README.md"
    before, start, rest = readme.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    table = rendered(the_map())
    readme.write_text(f"{before}{start}\n{table}{end}{after}", encoding="utf-8")
    sys.stdout.write(table)


if __name__ == "__main__":
    main()
