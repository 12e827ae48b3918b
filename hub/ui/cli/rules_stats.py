"""``hub rules stats``: how often each rule was asked, what it answered, what held it back, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from hub.errors import ConfigError
from hub.replay.beginning import Fidelity, beginning, checkpoints
from hub.replay.ledgers import Ledger, ledgers_of
from hub.replay.tape import tape_of
from hub.rules.names import suggestion
from hub.ui.cli.rules_replay import From, To, as_moment
from hub.ui.desk.desk import AsJson, desk_of
from hub.ui.printing import say_listing
from hub.ui.progress import bar
from hub.ui.words import moment

HOUR = "1h"
APPROXIMATE = (
    "日志前段已清除：此前已在报警的，可能计为重新触发 /"
    " the journal has lost its front: what was active before it may be counted as raised anew"
)


def stats(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="[RULE]…", help="Only these; else all.")] = None,
    *,
    since: From = HOUR,
    until: To = None,
    as_json: AsJson = False,
) -> None:
    """Tell what each rule did: conditions asked, true, unknown; raised, cleared; held back by which word; time.

    What the journal heard is done again beside the hub, which pays nothing for it. Times are of this machine, now.
    """
    desk = desk_of(context)
    files = desk.here.files_dir
    tape = tape_of(files)
    after = tape.first - 1 if since is None else tape.before(as_moment(desk, since))
    last = tape.last if until is None else tape.before(as_moment(desk, until))
    begin = beginning(tape, checkpoints(files, tape)(after + 1), after + 1)
    with bar("doing it again", tape.begins_at, tape.ends_at) as progress:
        found = ledgers_of(tape, begin, after, last, progress)
    told = {name: found[name] for name in _chosen(found, names or [])}
    say_listing(
        (document(name, ledger) for name, ledger in told.items()),
        ("rule", "asked", "true", "unknown", "raised", "cleared", "last", "held back", "µs each", "ms"),
        (row(name, ledger) for name, ledger in told.items()),
        empty="no rules",
        as_json=as_json,
    )
    if begin.fidelity is Fidelity.APPROXIMATE:
        typer.echo(APPROXIMATE, err=True)


def _chosen(found: Mapping[str, Ledger], names: list[str]) -> list[str]:
    for name in names:
        if name not in found:
            raise ConfigError("unknown_rule", f"the hub works without a rule {name!r}", hint=suggestion(name, found))
    return names or list(found)


def document(name: str, ledger: Ledger) -> dict[str, object]:
    """Return a ledger for programs; ``asdict`` would count the pairs of a Counter anew."""
    return {"rule": name, **asdict(ledger), "suppressed": dict(ledger.suppressed), "each_ns": ledger.each}


def row(name: str, ledger: Ledger) -> tuple[str, ...]:
    """Return a ledger as people read it."""
    counts = (ledger.evaluated, ledger.true, ledger.unknown, ledger.fired, ledger.cleared)
    return (
        name,
        *(str(count) if count else "–" for count in counts),
        "–" if ledger.last is None else moment(ledger.last),
        ", ".join(f"{word} {count}" for word, count in sorted(ledger.suppressed.items())) or "–",
        "–" if ledger.each is None else f"{ledger.each / 1_000:.2f}",
        f"{ledger.spent / 1e6:.1f}",
    )
