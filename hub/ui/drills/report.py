"""The report of a drill on paper: the same sections as Markdown, and as one HTML file that prints on A4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from hub.ui.drills.findings import HOPS, Findings, Row, Verdict
from hub.ui.drills.timeline import timeline
from hub.ui.drills.words import (
    CHECKS,
    COLUMNS,
    FACTS,
    FAILED,
    HOP_WORDS,
    NEVER,
    NOT_SENT,
    PASSED,
    SENT,
    SUPPLEMENT,
    TITLES,
    VERDICTS,
    YES,
    both,
)
from hub.ui.words import moment_in, title

_STYLE = """\
@page{size:A4;margin:16mm}body{font:13px/1.5 sans-serif;max-width:720px;margin:2em auto;color:#111827}
h1{font-size:20px}h2{font-size:15px;margin:1.4em 0 .4em}table{border-collapse:collapse;width:100%;font-size:11px}
th,td{border:1px solid #d1d5db;padding:3px 5px;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{background:#f3f4f6}tr{break-inside:avoid}.pass{color:#15803d}.fail{color:#b91c1c;font-weight:bold}
.open{color:#a16207}.real{border:2px solid #b91c1c;padding:.6em;color:#b91c1c;font-weight:bold}
footer{margin-top:2em;color:#6b7280;font-size:11px}
"""


class Section(NamedTuple):
    """A table under its title."""

    title: tuple[str, str]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def _facts(found: Findings) -> list[tuple[str, str]]:
    where = f"{found.site} › {title(found.place, found.label)}"
    values = {
        "zone": where,
        "started": moment_in(found.time_zone, found.started_at),
        "ended": moment_in(found.time_zone, found.ended_at),
        "actors": found.actors,
        "reason": found.reason,
        "actuators": both(SENT if found.with_actuators else NOT_SENT),
        "rule": found.rule or "-",
        "event": f"{found.event} (hub trace {found.event[:8]})" if found.event else "-",
        "version": found.version,
        "verdict": both(PASSED if found.has_passed else FAILED),
    }
    return [(both(FACTS[name]), value) for name, value in values.items()]


def _sections(found: Findings) -> Iterator[Section]:
    checks = [(both(CHECKS[each.name]), both(VERDICTS[each.verdict]), each.detail) for each in found.checks]
    yield Section(TITLES["checks"], _named("check", "verdict", "detail"), checks)
    yield _of_hops("cause", found.cause)
    fire = [(both(TITLES["fire"]), *_cells(found.fire))] if found.fire else []
    yield Section(TITLES["fire"], (both(COLUMNS["what"]), *_hop_names(found.fire)), fire)
    yield _of_hops("commands", found.commands)
    detectors = [
        (
            each.device,
            each.kind,
            each.profile or "native",
            moment_in(found.time_zone, each.heard_at) if each.heard_at else both(NEVER),
            each.availability,
            both(YES) if each.was_played else "",
        )
        for each in found.detectors
    ]
    columns = _named("device", "kind", "profile", "last", "state", "played")
    yield Section(TITLES["detectors"], columns, detectors)


def _of_hops(name: str, rows: Sequence[Row]) -> Section:
    used = {hop: 0.0 for hop in HOPS if any(hop in row.hops for row in rows)}
    columns = (*_named("device", "what", "outcome"), *_hop_names(used), both(COLUMNS["detail"]))
    cells = [
        (row.device, row.what, row.outcome, *(_cell(row.hops.get(hop)) for hop in used), row.detail) for row in rows
    ]
    return Section(TITLES[name], columns, cells)


def _named(*names: str) -> tuple[str, ...]:
    return tuple(both(COLUMNS[name]) for name in names)


def _hop_names(hops: dict[str, float]) -> tuple[str, ...]:
    return tuple(f"{both(HOP_WORDS[hop])} ms" for hop in hops)


def _cells(hops: dict[str, float]) -> tuple[str, ...]:
    return tuple(_cell(ms) for ms in hops.values())


def _cell(ms: float | None) -> str:
    return "" if ms is None else f"{ms:.1f}"


# ------------------------------------------------------------------------------------------------------------- Markdown


def markdown(found: Findings) -> str:
    """Return the report as Markdown."""
    lines = [f"# {both(TITLES['report'])}", ""]
    if found.overridden_by:
        lines += [f"**{both(TITLES['overridden'])}: {_plain(found.overridden_by)}**", ""]
    lines += [f"- {name}: {_plain(value)}" for name, value in _facts(found)]
    for section in _sections(found):
        lines += ["", f"## {both(section.title)}", "", *_table(section)]
    lines += ["", "---", "", *SUPPLEMENT, ""]
    return "\n".join(lines)


def _table(section: Section) -> Iterator[str]:
    yield f"| {' | '.join(section.columns)} |"
    yield f"|{'---|' * len(section.columns)}"
    for row in section.rows:
        yield f"| {' | '.join(_plain(cell) for cell in row)} |"


def _plain(text: str) -> str:
    """Return ``text`` without what Markdown, or the HTML inside it, would take for its own."""
    return escape(text, quote=False).replace("|", "\\|").replace("\n", " ")


# ----------------------------------------------------------------------------------------------------------------- HTML


def html(found: Findings) -> str:
    """Return the report as one HTML file that needs nothing else."""
    name = escape(both(TITLES["report"]))
    head = f'<!doctype html><html lang="zh"><meta charset="utf-8"><title>{name}</title><style>{_STYLE}</style>'
    body = [f"<h1>{name}</h1>"]
    if found.overridden_by:
        body.append(f'<p class="real">{escape(both(TITLES["overridden"]))}: {escape(found.overridden_by)}</p>')
    facts = (f"<tr><th>{escape(label)}</th><td>{escape(value)}</td></tr>" for label, value in _facts(found))
    body.append(f"<table>{''.join(facts)}</table>")
    checks, *others = _sections(found)
    body += [_html(checks), f"<h2>{escape(both(TITLES['timeline']))}</h2>", timeline(found)]
    body += [_html(section) for section in others]
    footer = "".join(f"<p>{escape(text)}</p>" for text in SUPPLEMENT)
    return f"{head}<body>{''.join(body)}<footer>{footer}</footer></body></html>\n"


def _html(section: Section) -> str:
    columns = "".join(f"<th>{escape(column)}</th>" for column in section.columns)
    rows = "".join(f"<tr>{''.join(map(_td, row))}</tr>" for row in section.rows)
    return f"<h2>{escape(both(section.title))}</h2><table><tr>{columns}</tr>{rows}</table>"


_CLASSES = {both(VERDICTS[verdict]): verdict.value for verdict in Verdict}


def _td(text: str) -> str:
    found = _CLASSES.get(text)
    return f'<td class="{found}">{escape(text)}</td>' if found else f"<td>{escape(text)}</td>"
