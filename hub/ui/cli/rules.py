"""``hub rules``: what the rules say, whether they can work, and whether their own tests hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from hub.catalogue import Catalogue
from hub.config.settings import Settings
from hub.errors import ConfigError
from hub.normalize.load import load_profiles
from hub.normalize.profile import Profile
from hub.revisions.files import RULE_NOUNS, profile_layers, rule_layers, scenes_of
from hub.rules.check import problems
from hub.rules.coverage import Grain
from hub.rules.names import suggestion
from hub.rules.problem import Weight
from hub.rules.rule import Rule
from hub.rules.sentence import sentence, subject
from hub.rules.sentence_zh import sentence_zh
from hub.ui.cli import rules_change, rules_explain, rules_replay, rules_stats
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, desk_of
from hub.ui.desk.personal import as_seen, masking
from hub.ui.findings import CaseResult, Finding, finding_of, tell
from hub.ui.printing import say_json, say_listing
from hub.ui.progress import steps
from hub.ui.rules.bench import run_case
from hub.ui.rules.coverage import Covered, coverage
from hub.ui.rules.explained import Language
from hub.ui.rules.world import world_of
from hub.ui.words import title
from hub.yaml_documents import Document, Tree, load_tree, validate

app = typer.Typer()
app.command("replay")(rules_replay.replay_rules)
app.command("plan")(rules_change.show_plan)
app.command("apply")(rules_change.apply)
app.command("explain")(rules_explain.explain)
app.command("stats")(rules_stats.stats)
R = TypeVar("R")
Names = Annotated[list[str] | None, typer.Argument(metavar="[RULE|FILE]…", help="Only these; else all.")]


@app.command("list")
def list_rules(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List every rule: what it raises, for what, and what it says as a sentence in Chinese and English."""
    desk = desk_of(context)
    catalogue = _catalogue(desk)
    veil = masking(desk)
    rules = [as_seen(veil, validate(document, Rule)) for document in _documents(desk.settings)]
    say_listing(
        (_row(rule, catalogue) for rule in rules),
        ("rule", "event", "severity", "for each", "label", "sentence"),
        (
            (
                rule.rule,
                rule.raise_.event,
                rule.raise_.severity.value,
                subject(rule.for_each),
                title("", rule.label),
                f"{sentence_zh(rule, catalogue)} / {sentence(rule)}",
            )
            for rule in rules
        ),
        empty="no rules",
        as_json=as_json,
    )


@app.command("sentence")
def tell_rules(
    context: typer.Context,
    names: Names = None,
    *,
    language: Annotated[Language | None, typer.Option(help="Only in this language.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell rules as sentences, for people who did not write them."""
    desk = desk_of(context)
    catalogue = _catalogue(desk)
    documents = {document.name: document for document in _documents(desk.settings)}
    rules = {name: validate(document, Rule) for name, document in documents.items()}
    veil = masking(desk)
    chosen = _chosen(rules, [*_named(documents.values(), names or ())])
    told = [(rule, _sentences(as_seen(veil, rule), catalogue)) for rule in chosen]
    if as_json:
        say_json([{"rule": rule.rule, **said} for rule, said in told])
        return
    for rule, said in told:
        typer.echo(f"{rule.rule}  {title('', rule.label)}")
        for each in Language if language is None else (language,):
            typer.echo(f"  {said[each.value]}")


@app.command()
def check(
    context: typer.Context,
    names: Names = None,
    *,
    with_all: Annotated[bool, typer.Option("--all", help="Also the notes on rules that ship.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what is wrong or doubtful in the rules, with file and line; exit 2 for what the hub would refuse.

    That is told whatever was named: with it the hub takes up no file, and a new one does not start.
    """
    settings = desk_of(context).settings
    count, found = rule_findings(settings)
    if names:
        documents = _documents(settings)
        chosen = _chosen({document.name: document for document in documents}, [*_named(documents, names)])
        meant = {document.name for document in chosen}
        count, found = len(chosen), [each for each in found if each.weight is Weight.ERROR or each.name in meant]
    ours = frozenset[Finding]() if with_all or names or as_json else _notes_of_ours(settings)
    hidden = [each for each in found if each in ours]
    beside = f"; {len(hidden)} notes on rules that ship: --all" if hidden else ""
    tell([each for each in found if each not in hidden], f"{count} rules", as_json=as_json, beside=beside)


@app.command("test")
def run_tests(
    context: typer.Context,
    names: Names = None,
    *,
    with_coverage: Annotated[bool, typer.Option("--coverage/--no-coverage", help="Tell what no test shows.")] = True,
    as_json: AsJson = False,
) -> None:
    """Run the tests inside the rules' files on a virtual clock, and tell what of the rules none of them shows.

    A word is covered when some test fails once it is taken away. Exit 1 when a test does not hold.
    """
    desk = desk_of(context)
    catalogue = _catalogue(desk)
    documents = {document.name: document for document in _documents(desk.settings)}
    rules = {name: validate(document, Rule) for name, document in documents.items()}
    chosen = _chosen(rules, [*_named(documents.values(), names or ())])
    results = [
        CaseResult(rule=rule.rule, test=case.name, differences=run_case(rule, case, catalogue, others=rules))
        for rule in chosen
        for case in rule.tests
    ]
    points = [
        (rule, covered)
        for rule in (steps("taking words away", chosen) if with_coverage else ())
        for covered in coverage(rule, catalogue, rules)
    ]
    failed = [result for result in results if result.differences]
    if as_json:
        told = [_point(documents[rule.rule], covered) for rule, covered in points]
        say_json({"tests": [asdict(result) for result in results], "coverage": told})
    else:
        for result in failed:
            typer.echo(str(result))
        _say_coverage(documents, points)
        typer.echo(f"{len(results) - len(failed)} tests hold, {len(failed)} do not")
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _say_coverage(documents: Mapping[str, Document], points: Sequence[tuple[Rule, Covered]]) -> None:
    for rule, (point, test) in points:
        if test is None:
            here = documents[rule.rule].error("not_covered", f"no test shows {point.name}", path=point.path)
            typer.echo(str(finding_of("rule", rule.rule, Weight.WARNING, here)))
    told = []
    for grain in Grain:
        mine = [test for _, (point, test) in points if point.grain is grain]
        told.append(f"{len(mine) - mine.count(None)} of {len(mine)} {grain.value}s")
    if points:
        typer.echo(f"shown: {', '.join(told)}")


def _point(document: Document, covered: Covered) -> dict[str, object]:
    point, test = covered
    here = document.error("not_covered", "", path=point.path)
    return {
        "rule": document.name, "point": point.name, "grain": point.grain.value, "test": test,
        "file": here.file, "line": here.line,
    }  # fmt: skip


def _catalogue(desk: Desk) -> Catalogue:
    catalogue, _ = load_profiles(profile_layers(desk.settings.profiles_dir))
    return catalogue


def _documents(settings: Settings) -> list[Document]:
    return _rules_of(load_tree(rule_layers(settings.rules_dir), RULE_NOUNS))


def _rules_of(tree: Tree) -> list[Document]:
    return [document for document in tree.values() if document.noun == "rule"]


def rule_findings(settings: Settings) -> tuple[int, list[Finding]]:
    """Return how many rules there are, and what is wrong or doubtful in them and in scenes.

    ConfigError for unreadable files. What scenes say is looked at when every rule can be read.
    """
    tree = load_tree(rule_layers(settings.rules_dir), RULE_NOUNS)
    catalogue, profiles = load_profiles(profile_layers(settings.profiles_dir))
    return len(_rules_of(tree)), list(_findings(tree, catalogue, profiles))


def _findings(tree: Tree, catalogue: Catalogue, profiles: Mapping[str, Profile]) -> Iterator[Finding]:
    rules: dict[str, Rule] = {}
    refused: dict[str, ConfigError] = {}
    documents = _rules_of(tree)
    for document in documents:
        try:
            rules[document.name] = validate(document, Rule)
        except ConfigError as error:
            refused[document.name] = error
    world = world_of(profiles.values(), rules)
    for document in documents:
        name = document.name
        if name in refused:
            yield finding_of("rule", name, Weight.ERROR, refused[name])
        for problem in problems(rules[name], catalogue, world) if name in rules else ():
            here = document.error(problem.code, problem.message, path=problem.path, hint=problem.hint)
            yield finding_of("rule", name, problem.weight, here)
    if not refused:
        _, wrong = scenes_of(tree, rules)
        yield from (finding_of("scene", name, Weight.ERROR, why) for name, why in wrong.items())


def _notes_of_ours(settings: Settings) -> frozenset[Finding]:
    """Return the notes on what ships alone: nothing that who wrote rules or profiles of their own has to look at."""
    _, found = rule_findings(settings.model_copy(update={"rules_dir": None, "profiles_dir": None}))
    return frozenset(each for each in found if each.weight is Weight.NOTE)


def _named(documents: Collection[Document], names: Collection[str]) -> Iterator[str]:
    """Yield the names of rules, those of a file where one was named."""
    for name in names:
        if not name.endswith(".yaml"):
            yield name
            continue
        found = [document.name for document in documents if Path(document.file).resolve() == Path(name).resolve()]
        if not found:
            raise ConfigError(
                "unknown_rule", f"no rule that the hub loads stands in {name!r}", hint="is it in rules_dir?"
            )
        yield from found


def _chosen(rules: Mapping[str, R], names: Collection[str]) -> list[R]:
    for name in names:
        if name not in rules:
            raise ConfigError("unknown_rule", f"there is no rule {name!r}", hint=suggestion(name, rules))
    return [rules[name] for name in (names or rules)]


def _sentences(rule: Rule, catalogue: Catalogue) -> dict[str, str]:
    return {Language.ZH.value: sentence_zh(rule, catalogue), Language.EN.value: sentence(rule)}


def _row(rule: Rule, catalogue: Catalogue) -> dict[str, object]:
    return {
        "rule": rule.rule,
        "version": rule.version,
        "event": rule.raise_.event,
        "severity": rule.raise_.severity.value,
        "for_each": rule.for_each.model_dump(exclude_defaults=True),
        "label": rule.label,
        "sentence": _sentences(rule, catalogue),
        "tests": len(rule.tests),
    }
