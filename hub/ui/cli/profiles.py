"""``hub profiles``: what the device profiles say, whether they can work, and whether their examples hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from hub.authoring.coverage import gaps
from hub.authoring.marks import written
from hub.authoring.trace import Sent, trace
from hub.catalogue import Kind
from hub.durations import write_duration
from hub.normalize.command_examples import CommandExample, check_command
from hub.normalize.compile import compile_downlinks, compile_profile, compile_reply
from hub.normalize.examples import Example, check_example, check_reply, example_bytes, payload_bytes
from hub.normalize.networks.examples import check_example as check_network_example
from hub.normalize.networks.network import Network
from hub.normalize.profile import Profile
from hub.normalize.sources import each_of
from hub.rules.problem import Weight
from hub.ui.cli import profiles_payloads, rules_replay
from hub.ui.desk.desk import EXIT_FAILED, AsJson, desk_of
from hub.ui.findings import EXIT_CONFIG, Finding, tell
from hub.ui.printing import say_json, say_listing, say_table
from hub.ui.profiles.shelf import Shelf, shelf_of, unsaid_of
from hub.ui.schemas import Noun, schema_of
from hub.ui.words import title
from hub.yaml_documents import canonical_json

ZONE = "Asia/Shanghai"
"""Where the devices of examples stand: naive local times in them are Chinese ones."""

app = typer.Typer()
app.command("decode")(profiles_payloads.decode)
app.command("guess")(profiles_payloads.guess)
app.command("new")(profiles_payloads.new)
app.command("replay")(rules_replay.replay_profiles)

Chosen = Annotated[
    str,
    typer.Argument(metavar="[MODEL|PATH]", help="vendor/model, a network, or a file or directory; else all."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tested:
    """What the examples of a profile came to: those that do not hold, and what none of them touches."""

    profile: str
    examples: int
    failed: dict[str, list[str]]
    untouched: list[str]


@app.command("list")
def list_profiles(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List every profile."""
    profiles = sorted(
        shelf_of(desk_of(context).settings).profiles.values(), key=lambda profile: (profile.kind, profile.profile)
    )
    say_listing(
        map(_row, profiles),
        ("profile", "kind", "version", "format", "examples", "label"),
        (
            (
                profile.profile,
                profile.kind,
                profile.version,
                profile.payload.format.value,
                str(len(profile.examples)),
                title("", profile.label),
            )
            for profile in profiles
        ),
        empty="no profiles",
        as_json=as_json,
    )


@app.command()
def show(context: typer.Context, model: str, *, as_json: AsJson = False) -> None:
    """Show what a model says and can be told, and where each of it lies in the payload."""
    shelf = shelf_of(desk_of(context).settings)
    profile = shelf.profile(model)
    if as_json:
        typer.echo(canonical_json(profile))
        return
    kind = shelf.kind(profile)
    say_table(("what", "is"), _facts(profile))
    _say_some(("property", "unit", "range", "where", "label"), list(_properties(profile, kind)))
    _say_some(("signal", "when", "data", "label"), list(_signals(profile, kind)))
    _say_some(("command", "label", "how it is told", "done when"), list(_commands(profile, kind)))
    _say_some(("cannot be told", "because"), [(name, title("", why)) for name, why in profile.cannot.items()])
    typer.echo()
    say_table(
        ("example", "expects", "source"), ((each.name, _expected(each), each.source) for each in profile.examples)
    )
    _say_some(("sends", "as", "source"), [(_asked(each), _sent(each), each.source) for each in profile.sends])


@app.command()
def check(context: typer.Context, chosen: Chosen = "", *, as_json: AsJson = False) -> None:
    """Tell everything that is wrong or undecided, with file and line; exit 2 for what the hub would refuse."""
    shelf = _shelf(context, chosen)
    findings = [finding for finding in (*shelf.findings, *unsaid_of(shelf)) if _is_chosen(finding, chosen)]
    if not findings:
        _chosen(shelf, chosen)  # one that is not there is told as such
    findings.sort(key=lambda finding: (finding.file, finding.line))
    tell(findings, f"{len(shelf.profiles)} profiles", as_json=as_json)


@app.command("test")
def run_examples(context: typer.Context, chosen: Chosen = "", *, as_json: AsJson = False) -> None:
    """Run the examples of profiles and networks, and tell what none touches; exit 1 when one does not hold.

    Exit 2 for a file that the hub would refuse: what its examples are nobody knows.
    """
    shelf = _shelf(context, chosen)
    profiles, networks = _chosen(shelf, chosen)
    results = [_tested(profile, shelf.kind(profile)) for profile in profiles]
    results += [_tested_network(network) for network in networks]
    if as_json:
        say_json([asdict(result) for result in results])
    else:
        for result in results:
            for name, differences in result.failed.items():
                typer.echo("\n  ".join([f"{result.profile}: {name}", *differences]))
        say_table(
            ("profile", "examples", "hold", "no example touches"),
            (
                (
                    result.profile,
                    str(result.examples),
                    str(result.examples - len(result.failed)),
                    "; ".join(result.untouched) if chosen else str(len(result.untouched) or ""),
                )
                for result in results
            ),
            empty="no profiles",
        )
    wrong = [each for each in shelf.findings if each.weight is Weight.ERROR and _is_chosen(each, chosen)]
    for finding in wrong:
        typer.echo(str(finding), err=True)
    if wrong or any(result.failed for result in results):
        raise typer.Exit(EXIT_CONFIG if wrong else EXIT_FAILED)


@app.command()
def schema(noun: Annotated[Noun, typer.Argument(help="Of what.")] = Noun.PROFILE) -> None:
    """Print the JSON Schema by which editors complete and check these files."""
    typer.echo(schema_of(noun), nl=False)


def _shelf(context: typer.Context, chosen: str) -> Shelf:
    """Return the shelf, with a file or directory that was named over it."""
    path = Path(chosen)
    return shelf_of(desk_of(context).settings, *([path] if chosen and path.exists() else []))


def _is_chosen(finding: Finding, chosen: str) -> bool:
    if not chosen or finding.name == chosen:
        return True
    path = Path(chosen)
    return path.exists() and Path(finding.file).is_relative_to(path)


def _chosen(shelf: Shelf, chosen: str) -> tuple[list[Profile], list[Network]]:
    """Return the profiles and networks that are meant: by name, by their file or directory, or all that are sound."""
    if not chosen:
        return [*shelf.profiles.values()], [*shelf.networks.values()]
    path = Path(chosen)
    named = [
        (noun, name)
        for (noun, name), document in shelf.documents.items()
        if (Path(document.file).is_relative_to(path) if path.exists() else name == chosen)
    ]
    networks = [shelf.network(name) for noun, name in named if noun == "network"]
    models = [name for noun, name in named if noun == "profile"]
    if not (models or networks or path.exists()):
        models = [chosen]
    return [shelf.profile(name) for name in models], networks


def _tested_network(network: Network) -> _Tested:
    differences = {example.name: check_network_example(network, example) for example in network.examples}
    failed = {name: told for name, told in differences.items() if told}
    return _Tested(profile=network.network, examples=len(network.examples), failed=failed, untouched=[])


def _tested(profile: Profile, kind: Kind) -> _Tested:
    failed = {}
    read_reply = compile_reply(profile)
    for example in profile.examples:
        differences = check_example(compile_profile(profile, kind, example.params, ZONE), example)
        differences += check_reply(read_reply, example)
        if differences:
            failed[example.name] = differences
    for sent in profile.sends:
        differences = check_command(kind.commands, compile_downlinks(profile, kind, sent.params), sent)
        if differences:
            failed[sent.name] = differences
    traces = [
        trace(profile, kind, Sent(payload=example_bytes(each), port=each.port, params=each.params, zone=ZONE))
        for each in profile.examples
    ]
    untouched = [gap.what for gap in gaps(profile, traces)]
    examples = len(profile.examples) + len(profile.sends)
    return _Tested(profile=profile.profile, examples=examples, failed=failed, untouched=untouched)


def _row(profile: Profile) -> dict[str, object]:
    return {
        "profile": profile.profile,
        "kind": profile.kind,
        "version": profile.version,
        "format": profile.payload.format.value,
        "label": profile.label,
        "examples": len(profile.examples),
    }


def _say_some(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        typer.echo()
        say_table(columns, rows)


def _facts(profile: Profile) -> Iterator[tuple[str, str]]:
    yield "profile", f"{profile.profile} {profile.version}"
    yield "label", title("", profile.label)
    yield "kind", profile.kind
    yield "payload", _words(profile.payload)
    if profile.time is not None:
        yield "time", _words(profile.time)
    if profile.liveness is not None:
        every, after = profile.liveness.report_every, profile.liveness.offline_after
        yield "liveness", f"reports every {write_duration(every)}, offline after {write_duration(after)}"
    for name, value in profile.params.items():
        yield f"param {name}", str(value)
    for shape in profile.shapes:
        if shape.part is not None or shape.repeat is not None:
            yield "part", _words(shape.part or shape.repeat)


def _properties(profile: Profile, kind: Kind) -> Iterator[tuple[str, ...]]:
    for name, places in _places(profile).items():
        prop = kind.properties[name]
        bounds = "" if prop.range is None else f"{prop.range[0]} … {prop.range[1]}"
        members = ", ".join(prop.values)
        yield (
            name,
            prop.unit or prop.type.value,
            bounds or members,
            "; ".join(dict.fromkeys(places)),
            title("", prop.label or {}),
        )


def _places(profile: Profile) -> dict[str, list[str]]:
    """Return where each property may come from, as a condition would write it."""
    found: dict[str, list[str]] = {}
    for shape in profile.shapes:
        for name, sources in shape.properties.items():
            places = [written(place) for source in each_of(sources) for place in source.places()]
            found.setdefault(name, []).extend(places)
        for key, fields in shape.channels.items():
            for name, field in fields.items():
                found.setdefault(name, []).append(key if field.at is None else f"{key}@{field.at}")
        for flags in shape.flags:
            for name in flags.properties:
                found.setdefault(name, []).append(f"flags of {', '.join(map(written, flags.table.places()))}")
    return found


def _signals(profile: Profile, kind: Kind) -> Iterator[tuple[str, ...]]:
    for shape in profile.shapes:
        for name, words in shape.signals.items():
            when = _condition(words.only) or _condition(shape.match) or "always"
            yield name, when, ", ".join(words.data), title("", kind.signals[name].label)


def _commands(profile: Profile, kind: Kind) -> Iterator[tuple[str, ...]]:
    for name, words in profile.commands.items():
        known = kind.commands[name]
        seen = known.confirm if words.confirm is None else words.confirm
        told = _words(words.model_copy(update={"confirm": None}))
        yield name, title("", known.label), told, seen or "nothing that it reports shows it"


def _asked(example: CommandExample) -> str:
    """Return what is asked of which part, with its arguments: ``unlock door-1 ttl=5s``."""
    return " ".join([example.command, *filter(None, [example.part]), *(f"{n}={v}" for n, v in example.args.items())])


def _sent(example: CommandExample) -> str:
    payload, is_text = payload_bytes(example.payload), example.payload.hex is None and example.payload.b64 is None
    return payload.decode() if is_text else payload.hex(" ")


def _condition(words: object) -> str:
    if not isinstance(words, dict):
        return ""
    return ", ".join(f"{place}: {_some(values)}" for place, values in words.items())


def _some(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:4])) + (" …" if len(values) > 4 else "")  # noqa: PLR2004 -- as many as a cell holds


def _words(model: BaseModel | None) -> str:
    """Return what is written in a part of a profile."""
    said = {} if model is None else model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return " ".join(f"{name}: {value}" for name, value in said.items())


def _expected(example: Example) -> str:
    if example.expect_error is not None:
        return f"error {example.expect_error}"
    readings = example.readings or (example,)
    said = [
        *(name for reading in readings for name in reading.expect),
        *(s.name for r in readings for s in r.expect_signals),
    ]
    return ", ".join(dict.fromkeys(said)) or "nothing but that it was heard"
