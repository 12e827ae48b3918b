"""``hub city``: the engine that judges what no single site can see, its rules, and how it stands."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import msgspec
import typer

from hub.city.load import chosen, city_documents, problems
from hub.city.rule import CityRule
from hub.city.sentence import sentence
from hub.city.testing import run_case
from hub.citywide.keeping import Standing, read_standing
from hub.citywide.process import CityProcess
from hub.citywide.rules import directories_of, rules_of
from hub.errors import ConfigError
from hub.metrics import Metrics
from hub.revisions.files import read_content
from hub.rules.problem import Weight
from hub.rules.rule import read_rule
from hub.ui.cli.run import spare_the_collector
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, desk_of
from hub.ui.findings import CaseResult, Finding, finding_of, tell
from hub.ui.pages.city import missing_of, observe_city
from hub.ui.pages.http import pages_of, serve
from hub.ui.printing import say_json, say_listing, say_table
from hub.ui.process.signals import on_signals
from hub.ui.words import moment, title
from hub.yaml_documents import validate

_MILLISECOND_NS = 1_000_000

app = typer.Typer()
Names = Annotated[list[str] | None, typer.Argument(metavar="[RULE]…", help="Only these; else all.")]


@app.command()
def run(context: typer.Context) -> None:
    """Compare the events of all sites until SIGTERM or Ctrl-C; health and metrics at city.http.host:city.http.port."""
    asyncio.run(_run(desk_of(context)))


@app.command()
def status(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Tell whether a city engine runs, how far it has judged, and what it has counted."""
    desk = desk_of(context)
    standing = asyncio.run(_standing(desk))
    if as_json:
        say_json(msgspec.to_builtins(standing))
        return
    kept = standing.kept
    facts = [
        ("running", "yes" if standing.is_running else "no: `hub city run`"),
        ("judged until", moment(kept.judged_until * _MILLISECOND_NS) if kept.judged_until else "never"),
        *((stream, f"{unread:,} entries not read yet") for stream, unread in standing.unread.items()),
        *((name, f"{count:,}") for name, count in sorted(kept.counts.items())),
    ]
    say_table(("what", "is"), facts)


@app.command("list")
def list_rules(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the city rules: what they watch, what they raise, and what cannot be of one card or plate."""
    rules = rules_of(desk_of(context).settings).values()
    say_listing(
        ({**_words(rule), "sentence": sentence(rule), "tests": len(rule.tests)} for rule in rules),
        ("rule", "raises", "severity", "sentence"),
        ((rule.city_rule, rule.raise_.event, rule.raise_.severity.value, title("", sentence(rule))) for rule in rules),
        empty="no city rules",
        as_json=as_json,
    )


@app.command()
def check(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Tell what is wrong or doubtful in the city rules, with file and line; exit 2 for what would be refused."""
    desk = desk_of(context)
    content = read_content(desk.settings)
    raised = {read_rule(body).raise_.event for key, body in content.items() if key.startswith("rule/")}
    documents = city_documents(directories_of(desk.settings))
    findings: list[Finding] = []
    for document in documents:
        try:
            rule = validate(document, CityRule)
        except ConfigError as error:
            findings.append(finding_of("city_rule", document.name, Weight.ERROR, error))
            continue
        for each in problems(rule, raised):
            here = document.error(each.code, each.message, path=each.path, hint=each.hint)
            findings.append(finding_of("city_rule", document.name, each.weight, here))
    tell(findings, f"{len(documents)} city rules", as_json=as_json)


@app.command("test")
def run_tests(context: typer.Context, names: Names = None, *, as_json: AsJson = False) -> None:
    """Run the tests inside the city rules' files; exit 1 when one does not hold."""
    results = [
        CaseResult(rule=rule.city_rule, test=case.name, differences=run_case(rule, case))
        for rule in chosen(rules_of(desk_of(context).settings), names or ())
        for case in rule.tests
    ]
    failed = [result for result in results if result.differences]
    if as_json:
        say_json([asdict(result) for result in results])
    else:
        for result in failed:
            typer.echo(str(result))
        typer.echo(f"{len(results) - len(failed)} tests hold, {len(failed)} do not")
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _words(rule: CityRule) -> dict[str, object]:
    return rule.model_dump(mode="json", by_alias=True, exclude={"tests"}, exclude_none=True)


async def _run(desk: Desk) -> None:
    settings = desk.settings
    async with CityProcess(settings, desk.clock) as city:
        metrics = Metrics()
        observe_city(city, metrics, desk.clock)
        spare_the_collector()
        with on_signals(city.stop):
            async with serve(pages_of(metrics, lambda: missing_of(city)), settings.city.http):
                await city.run()


async def _standing(desk: Desk) -> Standing:
    async with desk.redis() as link:
        return await read_standing(link)
