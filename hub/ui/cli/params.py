"""``hub params``: what a rule's parameters are, where somebody said otherwise, and what holds in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated

import typer

from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.registry import circumstances
from hub.registry.documents import scope_of
from hub.registry.nouns import Params
from hub.registry.registry import Registry
from hub.revisions.files import read_content
from hub.rules.names import suggestion
from hub.rules.rule import Rule, read_rule
from hub.ui.desk.desk import AsJson, Desk, desk_of, pairs_of
from hub.ui.desk.personal import masking
from hub.ui.printing import say_done, say_listing
from hub.ui.scenes.shelf import check_values

app = typer.Typer()

Name = Annotated[str, typer.Argument(metavar="RULE")]
Profile = Annotated[str, typer.Option(help="For devices of vendor/model, at every site.")]
Site = Annotated[str, typer.Option(help="For a site.")]
Place = Annotated[str, typer.Option(metavar="SITE/PLACE", help="For a place and what is below it.")]
Device = Annotated[str, typer.Option(metavar="SITE/DEVICE", help="For one device.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What a parameter is, and who said so: ``rule``, ``profile:v/m``, ``site``, ``place:id`` or ``device:id``."""

    name: str
    value: Scalar
    origin: str


@app.command("set")
def set_values(
    context: typer.Context,
    rule: Name,
    values: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...")],
    *,
    profile: Profile = "",
    site: Site = "",
    place: Place = "",
    device: Device = "",
    as_json: AsJson = False,
) -> None:
    """Say what parameters are somewhere; the hub takes it up within 6 seconds."""
    desk = desk_of(context)
    wanted = replace(_scope(rule, profile, site, place, device), values=pairs_of(values))
    words = _rule(desk, rule)
    _tell(desk.in_registry(lambda registry: _set(registry, wanted, words)), as_json=as_json)


@app.command()
def unset(
    context: typer.Context,
    rule: Name,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Else all of them.")] = None,
    *,
    profile: Profile = "",
    site: Site = "",
    place: Place = "",
    device: Device = "",
    as_json: AsJson = False,
) -> None:
    """Forget what was said there: what is wider holds again."""
    scope = _scope(rule, profile, site, place, device)
    found = desk_of(context).in_registry(lambda registry: circumstances.unset_params(registry, scope, names or ()))
    _tell(found, as_json=as_json)


@app.command()
def show(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Else what is set for any.")] = "",
    *,
    place: Annotated[str, typer.Option(metavar="SITE/PLACE", help="What holds at this place.")] = "",
    device: Annotated[str, typer.Option(metavar="SITE/DEVICE", help="What holds for this device.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what is set; with --place or --device, what every parameter of RULE is there and who said so."""
    desk = desk_of(context)
    veil = masking(desk)
    if place or device:
        if not rule:
            raise ConfigError("option_invalid", "of which rule?", hint="hub params show RULE --device SITE/DEVICE")
        words = _rule(desk, rule)
        told = desk.in_registry(lambda registry: _effective(registry, words, _key(place), _key(device)))
        found = [replace(each, value=veil.scalar(each.name, each.value)) for each in told]
        say_listing(
            map(asdict, found),
            ("parameter", "is", "because of"),
            ((each.name, str(each.value), each.origin) for each in found),
            empty="it has none",
            as_json=as_json,
        )
        return
    kept = desk.in_registry(circumstances.read_params)
    listed = [replace(each, values=veil.data(each.values)) for each in kept if rule in {"", each.rule}]
    say_listing(
        map(asdict, listed),
        ("rule", "site", "for", "parameter", "is"),
        (
            (each.rule, each.site or "every site", scope_of(each), name, str(value))
            for each in listed
            for name, value in each.values.items()
        ),
        empty="nothing is set: every rule is as it is written",
        as_json=as_json,
    )


def effective(rule: Rule, mine: Sequence[Params], way: Sequence[str], target: Params) -> list[Effective]:
    """Return what holds for ``target``, a device (with its profile) or place; ``way``: its places, the outermost first.

    The nearest wins: the rule itself, its profile, its site, places from the outside in, the device.
    """
    ranks = {"site": 2, **{f"place:{place}": 3 + index for index, place in enumerate(way)}}
    if target.profile:
        ranks[f"profile:{target.profile}"] = 1
    if target.device:
        ranks[f"device:{target.device}"] = 3 + len(way)
    here = [
        each for each in mine if each.rule == rule.rule and each.site in {"", target.site} and scope_of(each) in ranks
    ]
    found = {name: Effective(name=name, value=value, origin="rule") for name, value in rule.params.items()}
    for each in sorted(here, key=lambda each: ranks[scope_of(each)]):
        for name, value in each.values.items():
            found[name] = Effective(name=name, value=value, origin=scope_of(each))
    return [found[name] for name in sorted(found)]


def _scope(rule: str, profile: str, site: str, place: str, device: str) -> Params:
    if sum(map(bool, (profile, site, place, device))) != 1:
        raise ConfigError("option_invalid", "say for what: one of --profile, --site, --place and --device")
    named_site, name = _key(place or device)
    return Params(
        rule=rule,
        values={},
        profile=profile,
        site=site or named_site,
        place=name if place else "",
        device=name if device else "",
    )


def _key(text: str) -> tuple[str, str]:
    site, slash, name = text.partition("/")
    if text and not (slash and name):
        raise ConfigError("option_invalid", f"{text!r} is no SITE/NAME")
    return site, name


def _rule(desk: Desk, name: str) -> Rule:
    bodies = read_content(desk.settings)
    rules = {key.removeprefix("rule/"): body for key, body in bodies.items() if key.startswith("rule/")}
    if name not in rules:
        raise ConfigError("rule_unknown", f"there is no rule {name!r}", hint=suggestion(name, rules))
    return read_rule(rules[name])


def _tell(found: Params, *, as_json: bool) -> None:
    values = ", ".join(f"{name}={value}" for name, value in found.values.items())
    where = "/".join(part for part in (found.site, scope_of(found)) if part)
    say_done(f"{found.rule} for {where}: {values or 'nothing of its own'}", asdict(found), as_json=as_json)


async def _set(registry: Registry, wanted: Params, rule: Rule) -> Params:
    scope = replace(wanted, values={})
    known = [each for each in await circumstances.read_params(registry) if replace(each, values={}) == scope]
    check_values(rule, {**(known[0].values if known else {}), **wanted.values})
    return await circumstances.set_params(registry, wanted)


async def _effective(
    registry: Registry, rule: Rule, place: tuple[str, str], device: tuple[str, str]
) -> list[Effective]:
    params = await circumstances.read_params(registry)
    devices = {(each.site, each.id): each for each in await registry.devices()}
    places = {(each.site, each.id): each for each in await registry.places()}
    sites = {each.id for each in await registry.sites()}
    site, at = place
    profile = ""
    if device != ("", ""):
        if device not in devices:
            raise ConfigError("device_unknown", f"site {device[0]!r} has no device {device[1]!r}")
        row = devices[device]
        site, at, profile = row.site, row.place or row.site, row.profile
    elif place not in places and not (site == at and site in sites):
        raise ConfigError("place_unknown", f"site {site!r} has no place {at!r}", hint="`hub places list`")
    target = Params(rule=rule.rule, values={}, profile=profile, site=site, device=device[1])

    def inwards() -> Iterator[str]:
        here = at
        while (site, here) in places:
            yield here
            here = places[site, here].parent
        yield site

    return effective(rule, params, list(inwards())[::-1], target)
