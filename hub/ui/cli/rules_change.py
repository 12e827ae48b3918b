"""``hub rules plan`` and ``apply``: what the files on disk would change in the running hub, and changing it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta

import msgspec
import typer

from hub.errors import UnavailableError
from hub.model.effects import Reply
from hub.replay.change import Plan, RuleChange, plan
from hub.replay.present import present
from hub.revisions.files import read_content
from hub.revisions.reloading import RELOAD, digest_of
from hub.sinks.control import Request
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.desk.personal import masking
from hub.ui.desk.reply import Actor, ask, tell_each
from hub.ui.printing import say_json, say_table
from hub.ui.words import SHOWN_ID
from hub.veil import Veil

WAIT = timedelta(seconds=60)


def show_plan(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show what the rules and profiles on disk would change: words, states that stay or end, alarms that are open."""
    desk = desk_of(context)
    found = veiled(masking(desk), plan(present(desk.here.files_dir), read_content(desk.settings)))
    if as_json:
        say_json(_document(found))
    else:
        _say(found)


def apply(context: typer.Context, *, actor: Actor, as_json: AsJson = False) -> None:
    """Let the running hub take the rules and profiles on disk; rules that did not change keep their states.

    Each partition takes them; what one of them refuses is told, and the others go on. JSON: the answer of each by name.
    """
    desk = desk_of(context)
    digest = digest_of(read_content(desk.settings))
    request = Request(actor=actor, verb=RELOAD, args={"digest": digest}, expires_in=WAIT)
    tell_each(asyncio.run(_ask_all(desk.each(), request)), as_json=as_json)


def veiled(veil: Veil, found: Plan) -> Plan:
    """Return a plan as people may see it: the words of rules, and what alarms and events tell."""
    rules = [
        replace(
            each,
            words={word: (veil.document(was), veil.document(would_be)) for word, (was, would_be) in each.words.items()},
            open=[veil.told(alarm) for alarm in each.open],
            closed=[veil.told(event) for event in each.closed],
        )
        for each in found.rules
    ]
    return replace(found, rules=rules)


async def _ask_all(desks: Sequence[Desk], request: Request) -> dict[str, Reply]:
    async with asyncio.TaskGroup() as group:
        asked = {
            desk.partition: group.create_task(_ask_one(desk, request), name=f"hub.rules.apply.{desk.partition}")
            for desk in desks
        }
    return {partition: task.result() for partition, task in asked.items()}


async def _ask_one(desk: Desk, request: Request) -> Reply:
    """Ask the hub of a partition; that it does not answer is an answer too."""
    try:
        return await ask(desk, request, wait=WAIT)
    except UnavailableError as error:
        return Reply("", ok=False, code=error.code, detail=str(error))


def _document(found: Plan) -> dict[str, object]:
    return {
        "rules": [
            {
                **asdict(each),
                "open": [msgspec.to_builtins(alarm) for alarm in each.open],
                "closed": [msgspec.to_builtins(event) for event in each.closed],
            }
            for each in found.rules
        ],
        "others": {noun: list(names) for noun, names in found.others.items()},
        "states_untouched": found.untouched,
    }


def _say(found: Plan) -> None:
    if found.is_empty:
        typer.echo("nothing would change")
        return
    say_table(
        ("rule", "", "what", "states kept", "ended", "open alarms", "would be cleared"),
        (
            (
                each.rule,
                each.change,
                _words(each),
                str(each.kept),
                str(each.ended),
                ", ".join(alarm.id[:SHOWN_ID] for alarm in each.open),
                ", ".join(event.key for event in each.closed),
            )
            for each in found.rules
        ),
        empty="no rule would change",
    )
    for noun, names in found.others.items():
        typer.echo(f"{noun}: {', '.join(names)}")
    typer.echo(f"{found.untouched} states of other rules stay as they are; `hub rules apply` does it")


def _words(change: RuleChange) -> str:
    return "; ".join(f"{word}: {_shown(was)} → {_shown(would_be)}" for word, (was, would_be) in change.words.items())


def _shown(value: object) -> str:
    return "–" if value is None else str(value)
