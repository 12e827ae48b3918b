"""What is personal is shown masked, unless people say why, which the audit knows before they see it."""

from __future__ import annotations

import asyncio
from typing import Annotated

import orjson
import structlog
import typer

from hub.catalogue import Kind
from hub.errors import ConfigError, HubError
from hub.normalize.payload import Format
from hub.revisions.files import shipped_kinds
from hub.rules.rule import Rule, write_rule
from hub.ui.desk.desk import Desk
from hub.ui.profiles.shelf import Shelf
from hub.veil import Veil

Unmask = Annotated[bool, typer.Option("--unmask", help="Show what is personal whole; the audit tells of it.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]

log = structlog.get_logger(__name__)

LEFT_OUT = "left out: it may tell of persons; --unmask --reason TEXT shows it"


def veil_of(desk: Desk, what: str, subject: str, *, unmask: bool, reason: str) -> Veil:
    """Return what masks; to ``unmask`` it is first written down who looks at which ``subject``, and why.

    ``what`` is the noun that the audit calls it by. ConfigError ``reason_needed`` without a reason; where the audit
    cannot be written, nothing is shown.
    """
    if not unmask:
        return masking(desk)
    if not reason.strip():
        hint = '--unmask --reason "ticket 4711": the audit keeps it'
        raise ConfigError("reason_needed", "what is personal is shown to whoever says why", hint=hint)
    desk.in_registry(lambda registry: registry.look(f"{what}.unmasked", subject, reason))
    return Veil((), lifted=True)


def masking(desk: Desk) -> Veil:
    """Return what masks, for those who have no way to see it whole here."""
    return Veil(_kinds(desk))


async def learn_kinds(desk: Desk, veil: Veil) -> None:
    """Let what runs for weeks mask what the installation's kinds call personal by now; what cannot be read stays."""
    try:
        veil.learn(await asyncio.to_thread(_own_kinds, desk))
    except (HubError, OSError) as error:
        log.warning("kinds_unreadable", reason=str(error))


def as_seen(veil: Veil, rule: Rule) -> Rule:
    """Return a rule in whose words nobody is named."""
    words = orjson.loads(write_rule(rule))
    shown = veil.document(words)
    return rule if shown == words else Rule.model_validate(shown).model_copy(update={"tests": rule.tests})


def looks_like(payload: bytes) -> Format:
    """Return the wire format that a payload which is not to be seen looks like."""
    begin = payload.lstrip()[:1]
    if begin in {b"{", b"["}:
        return Format.JSON
    if begin == b"<":
        return Format.XML
    return Format.TEXT if payload.isascii() and payload.decode().isprintable() else Format.BYTES


def _kinds(desk: Desk) -> list[Kind]:
    """Return the kinds that ship, and those of the installation: whose overlay forgot a mark still gets it."""
    return [*shipped_kinds(), *_own_kinds(desk)]


def _own_kinds(desk: Desk) -> list[Kind]:
    own = desk.settings.profiles_dir
    return [] if own is None else list(Shelf([own]).catalogue.kinds.values())
