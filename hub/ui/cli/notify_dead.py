"""``hub notify retry`` and ``drop``: what becomes of messages that were given up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer

from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.desk.outgoing import Every, Numbers, WhyDropped, give_up, let_again
from hub.ui.printing import say_done

FOLDER = "notify"


def retry(context: typer.Context, numbers: Numbers = None, *, every: Every = False, as_json: AsJson = False) -> None:
    """Let dead messages wait again; the notifier takes them up within seconds."""
    desk = desk_of(context)
    retried = asyncio.run(let_again(desk, directory_of(desk), numbers or (), every=every))
    say_done(f"{retried} wait again", {"retried": retried}, as_json=as_json)


def drop(
    context: typer.Context,
    numbers: Numbers = None,
    *,
    every: Every = False,
    reason: WhyDropped = "",
    as_json: AsJson = False,
) -> None:
    """Send dead messages never: they are counted as dropped, say why, and are forgotten as what was delivered is."""
    desk = desk_of(context)
    dropped = asyncio.run(give_up(desk, directory_of(desk), numbers or (), every=every, why=reason))
    say_done(f"{dropped} dropped", {"dropped": dropped}, as_json=as_json)


def directory_of(desk: Desk) -> Path:
    """Return where the notifier keeps its ledger."""
    return desk.settings.data_dir / FOLDER
