"""``hub devices pending`` and ``adopt``: what spoke without being registered, what it may be, and taking it in."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from typing import Annotated

import orjson
import typer

from hub.authoring.guess import Guess, guesses, sentence
from hub.authoring.trace import Sent
from hub.errors import ConfigError
from hub.model.effects import DeadLetter
from hub.registry import many
from hub.registry.nouns import Device, DeviceState
from hub.registry.registry import Registry
from hub.ui.cli.dead_letters import strangers_letters
from hub.ui.desk.desk import AsJson, Desk, desk_of, pairs_of
from hub.ui.desk.personal import LEFT_OUT, Reason, Unmask, looks_like, veil_of
from hub.ui.desk.whose import heard_by, names_of
from hub.ui.fitness import add_fitting, change_fitting
from hub.ui.printing import say_done, say_json, say_table
from hub.ui.profiles.shelf import Shelf, shelf_of
from hub.ui.words import moment
from hub.veil import Veil

BEST = 3
SHOWN_BYTES = 64
NATIVE = "the native payload"
_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A device that nobody registered: ``site/id``, or ``@source/name`` of a foreign network.

    ``last`` is its last message with values, where it sent any.
    """

    name: str
    messages: int
    lately: int
    last: DeadLetter


def pending(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, help="So many, the last heard first.")] = 50,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """List devices that spoke and are not registered, with their last payload and the profiles that understand it.

    A payload that may tell of persons is shown only with --unmask: what no profile, or one of such a kind, understands.
    """
    desk = desk_of(context)
    veil = veil_of(desk, "pending", "pending/list", unmask=unmask, reason=reason)
    found = list(_pending(desk).values())[:limit]
    shelf = shelf_of(desk.settings)
    guessed = {each.name: _guesses(shelf, each) for each in found}
    hidden = {name for name, mine in guessed.items() if may_tell_of_persons(veil, mine)}
    if as_json:
        say_json([_document(each, guessed[each.name][:BEST], is_hidden=each.name in hidden) for each in found])
        return
    say_table(
        ("device", "messages", "last heard", "topic", "last payload", "it may be"),
        (
            (
                each.name,
                str(each.messages),
                moment(each.last.received_at),
                each.last.topic,
                looks_like(each.last.payload) if each.name in hidden else _shown(each.last.payload),
                _may_be(each, guessed[each.name][:BEST]),
            )
            for each in found
        ),
        empty="nothing unregistered was heard",
    )
    if hidden:
        typer.echo(f"the payloads of {len(hidden)} are {LEFT_OUT}")


def adopt(
    context: typer.Context,
    device: Annotated[str, typer.Argument(metavar="SITE/ID", help="As pending lists it; for a network's: a new name.")],
    *,
    profile: Annotated[str, typer.Option(help="vendor/model; none for the native payload.")] = "",
    kind: Annotated[str, typer.Option(help="What it is; else what its profile says.")] = "",
    place: Annotated[str, typer.Option(help="Where it is; else the site.")] = "",
    param: Annotated[list[str] | None, typer.Option(help="name=value of its profile; may be repeated.")] = None,
    serial: Annotated[str | None, typer.Option(help="Its serial number.")] = None,
    source: Annotated[str, typer.Option(help="The foreign network that it is in.")] = "",
    network_id: Annotated[str, typer.Option(help="What that network calls it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Register a device that spoke; what it said in the last hour is taken within 6 seconds, as late."""
    site, _, name = device.partition("/")
    desk = asyncio.run(heard_by(desk_of(context), device))
    known = _pending(desk)
    mine = known.get(f"@{source}/{network_id}" if source else device)
    if mine is None:
        hint = f"waiting: {', '.join(known)}" if known else "nothing unregistered was heard: `hub devices add`"
        raise ConfigError("pending_unknown", f"nothing is known of {device!r}", hint=hint)
    noun = Device(
        site=site,
        id=name,
        kind=kind or _kind_of(desk, profile),
        profile=profile,
        place=place,
        params=pairs_of(param or ()),
        serial=serial,
        source=source,
        network_id=network_id,
    )
    noun = desk.in_registry(lambda registry: _adopt(desk, registry, noun))
    said = f"adopted {device} as {noun.kind}; of the last hour {mine.lately} messages wait to be taken"
    say_done(said, {**asdict(noun), "waiting": mine.lately}, as_json=as_json)


def _kind_of(desk: Desk, profile: str) -> str:
    if not profile:
        raise ConfigError("option_invalid", "--profile, or --kind for the native payload")
    return shelf_of(desk.settings).profile(profile).kind


def _guesses(shelf: Shelf, each: Pending) -> list[Guess]:
    """Return those that decode, the best first; what stands in a foreign envelope only its source could tell."""
    if each.name.startswith("@"):
        return []
    return understood(shelf, each.last)


def understood(shelf: Shelf, letter: DeadLetter) -> list[Guess]:
    """Return which profiles decode the payload of a letter, the best first."""
    found = guesses(shelf.profiles.values(), shelf.catalogue, Sent(payload=letter.payload))
    return [guess for guess in found if guess.error is None]


def may_tell_of_persons(veil: Veil, found: list[Guess]) -> bool:
    """Return whether a payload is not to be seen: unless it is surely understood, and by no profile of such a kind."""
    is_known = any(guess.frame or guess.read == guess.size for guess in found)
    return veil.hides(None) and (not is_known or any(veil.hides(guess.kind) for guess in found))


def _may_be(each: Pending, found: list[Guess]) -> str:
    if each.name.startswith("@"):
        return "nothing is guessed of what stands in the envelope of its source: adopt it with --profile"
    if _is_native(each.last.payload):
        return f"{NATIVE}: adopt it with --kind"
    return "\n".join(f"{guess.profile} ({sentence(guess)})" for guess in found) or "no profile decodes it"


def _is_native(payload: bytes) -> bool:
    try:
        said = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    first = said[0] if isinstance(said, list) and said else said
    return isinstance(first, dict) and (isinstance(first.get("values"), dict) or isinstance(first.get("signals"), list))


def _shown(payload: bytes) -> str:
    text = payload[:SHOWN_BYTES]
    more = "…" if len(payload) > SHOWN_BYTES else ""
    return (text.decode() if text.isascii() and text.decode().isprintable() else text.hex(" ")) + more


def _document(each: Pending, found: list[Guess], *, is_hidden: bool) -> dict[str, object]:
    return {
        "device": each.name,
        "messages": each.messages,
        "last_heard": each.last.received_at,
        "topic": each.last.topic,
        "payload": None if is_hidden else each.last.payload.hex(),
        "payload_bytes": each.last.payload_bytes,
        "format": looks_like(each.last.payload),
        "left_out": is_hidden,
        "native": _is_native(each.last.payload),
        "guesses": [
            {"profile": guess.profile, "kind": guess.kind, "score": round(guess.score, 3), "why": sentence(guess)}
            for guess in found
        ],
    }


def _pending(desk: Desk) -> dict[str, Pending]:
    """Return who is not registered, by name, the last heard first."""
    letters = strangers_letters(desk)
    heard = [device for device in desk.in_registry(Registry.devices) if device.state is not DeviceState.PENDING]
    known = {name for device in heard for name in names_of(device)}
    by_name: dict[str, list[DeadLetter]] = {}
    for letter in letters:
        name = letter.whose
        if name not in known:
            by_name.setdefault(name, []).append(letter)
    lately = desk.clock.wall_ns() - _HOUR_NS
    return {
        name: Pending(
            name=name,
            messages=len(said),
            lately=sum(letter.received_at >= lately for letter in said),
            last=next((letter for letter in said if _has_values(letter)), said[0]),
        )
        for name, said in by_name.items()
    }


def _has_values(letter: DeadLetter) -> bool:
    return not letter.topic.endswith(("/availability", "/response"))


async def _adopt(desk: Desk, registry: Registry, device: Device) -> Device:
    """Add ``device``; one that is registered as pending becomes active, with what is said of it now on top."""
    known = next((each for each in await registry.devices() if many.key_of(each) == many.key_of(device)), None)
    if known is None or known.state is not DeviceState.PENDING:
        return await add_fitting(desk.settings, registry, device)
    usual = Device(site=device.site, id=device.id, kind="")
    said = {name: value for name, value in asdict(device).items() if value != getattr(usual, name)}
    return await change_fitting(desk.settings, registry, replace(known, **said, state=DeviceState.ACTIVE))
