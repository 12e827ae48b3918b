"""What is personal in what people are shown: masked, unless they say why, which the audit knows before they see it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Annotated, TypeVar

import msgspec
import typer

from hub.catalogue import Kind
from hub.config import packaged
from hub.errors import ConfigError
from hub.model import AlarmState, Event, Reading, Scalar
from hub.normalize.payload import Format
from hub.registry.author import masked, masked_plates
from hub.rules.intervals import Between
from hub.ui.cli.desk import Desk
from hub.ui.profile_shelf import Shelf

Unmask = Annotated[bool, typer.Option("--unmask", help="Show what is personal whole; the audit tells of it.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]

LEFT_OUT = "left out: it may tell of persons; --unmask --reason TEXT shows it"

Value = Scalar | Between | None
Noun = TypeVar("Noun", Event, AlarmState)


class Veil:
    """Masks what ``kinds`` call personal, under whatever name of theirs it comes; ``lifted`` shows all as it is."""

    def __init__(self, kinds: Iterable[Kind], *, lifted: bool) -> None:
        known = list(kinds)
        self._lifted = lifted
        self._names = frozenset[str]().union(*(kind.personal for kind in known))
        self._kinds = {kind.kind for kind in known}
        self._telling = {kind.kind for kind in known if any(name in self._names for name, _ in kind.scalars())}

    def hides(self, kind: str | None) -> bool:
        """Return whether a payload of a kind is not to be seen: it may tell of persons, as may one of no known kind."""
        return not self._lifted and (kind not in self._kinds or kind in self._telling)

    def scalar(self, name: str, said: Scalar) -> Scalar:
        """Return what is said under a name (``plate``, or a rule's ``plate_reader__plate``) as it may be seen."""
        if self._lifted:
            return said
        if name.rpartition("__")[2] in self._names:
            return masked(str(said))
        return masked_plates(said) if isinstance(said, str) else said

    def value(self, name: str, said: Value) -> Value:
        """Return the same of what a rule knows, which may be nothing, or between two numbers."""
        return said if said is None or isinstance(said, Between) else self.scalar(name, said)

    def data(self, said: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return values by name as they may be seen."""
        return {name: self.scalar(name, each) for name, each in said.items()}

    def told(self, noun: Noun) -> Noun:
        """Return an event or alarm as it may be seen; what stands in its key is a pseudonym already."""
        key = noun.key.replace("#", "/").split("/")
        data = {name: said if said in key else self.scalar(name, said) for name, said in noun.data.items()}
        return msgspec.structs.replace(noun, data=data)

    def reading(self, reading: Reading) -> Reading:
        """Return what a message came to as it may be seen; its identity may be made of what is personal."""
        if self._lifted:
            return reading
        signals = [msgspec.structs.replace(each, data=self.data(each.data)) for each in reading.signals]
        return msgspec.structs.replace(reading, values=self.data(reading.values), signals=signals, identity=None)


def veil_of(desk: Desk, what: str, subject: str, *, unmask: bool, reason: str) -> Veil:
    """Return what masks; to ``unmask`` it is first written down who looks at which ``subject``, and why.

    ``what`` is the noun that the audit calls it by. ConfigError ``reason_needed`` without a reason; where the audit
    cannot be written, nothing is shown.
    """
    if not unmask:
        return Veil(_kinds(desk), lifted=False)
    if not reason.strip():
        hint = '--unmask --reason "ticket 4711": the audit keeps it'
        raise ConfigError("reason_needed", "what is personal is shown to whoever says why", hint=hint)
    asyncio.run(_look(desk, f"{what}.unmasked", masked_plates(subject), masked_plates(reason)))
    return Veil((), lifted=True)


def looks_like(payload: bytes) -> Format:
    """Return the wire format that a payload which is not to be seen looks like."""
    begin = payload.lstrip()[:1]
    if begin in {b"{", b"["}:
        return Format.JSON
    if begin == b"<":
        return Format.XML
    return Format.TEXT if payload.isascii() and payload.decode().isprintable() else Format.BYTES


async def _look(desk: Desk, what: str, subject: str, reason: str) -> None:
    async with desk.registry() as registry:
        await registry.look(what, subject, reason)


def _kinds(desk: Desk) -> list[Kind]:
    """Return the kinds that ship, and those of the installation: whose overlay forgot a mark still gets it."""
    shipped, own = packaged("device_profiles") / "kinds", desk.settings.profiles_dir
    layers = [[shipped]] if own is None else [[shipped], [own]]
    return [kind for layer in layers for kind in Shelf(layer).catalogue.kinds.values()]
