"""The timeline of a drill as a picture: one line for each detector and command, one dot for each hop; inline SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from hub.ui.drills.findings import HOPS, Findings
from hub.ui.drills.words import HOP_WORDS, TITLES, both

WIDTH: Final = 720
_LEFT, _RIGHT, _LINE, _TOP = 200, 24, 18, 26
_LEGEND_COLUMNS = 3
_COLOURS: Final = dict(
    zip(
        HOPS,
        ("#111827", "#6b7280", "#2563eb", "#7c3aed", "#c026d3", "#dc2626", "#ea580c", "#ca8a04", "#16a34a"),
        strict=True,
    )
)


def timeline(found: Findings) -> str:
    """Return the picture as an ``svg`` element."""
    lines = list(_lines(found))
    most = max((ms for _, hops in lines for ms in hops.values()), default=0.0) or 1.0
    legend_top = _TOP + _LINE * len(lines) + 14
    height = legend_top + 16 * -(-len(HOPS) // _LEGEND_COLUMNS) + 6
    body = [*_axis(most, legend_top - 10)]
    for number, (name, hops) in enumerate(lines):
        body += _line(name, hops, _TOP + _LINE * number + _LINE // 2, most)
    body += _legend(legend_top)
    label = escape(both(TITLES["timeline"]))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="100%" role="img"'
    return f'{head} aria-label="{label}" font-family="sans-serif" font-size="10">{"".join(body)}</svg>'


def _lines(found: Findings) -> Iterator[tuple[str, Mapping[str, float]]]:
    for row in found.cause:
        yield row.device, row.hops
    if found.fire:
        yield both(TITLES["fire"]), found.fire
    for row in found.commands:
        yield f"{row.device} {row.what}", row.hops


def _x(ms: float, most: float) -> float:
    return round(_LEFT + max(ms, 0.0) / most * (WIDTH - _LEFT - _RIGHT), 1)


def _axis(most: float, bottom: int) -> Iterator[str]:
    for quarter in range(5):
        ms = most * quarter / 4
        x = _x(ms, most)
        yield f'<line x1="{x}" y1="{_TOP - 4}" x2="{x}" y2="{bottom}" stroke="#e5e7eb"/>'
        yield f'<text x="{x}" y="{_TOP - 10}" text-anchor="middle" fill="#6b7280">{ms:.0f}</text>'


def _line(name: str, hops: Mapping[str, float], y: int, most: float) -> Iterator[str]:
    yield f'<text x="{_LEFT - 8}" y="{y + 3}" text-anchor="end">{escape(name)}</text>'
    if hops:
        first, last = _x(min(hops.values()), most), _x(max(hops.values()), most)
        yield f'<line x1="{first}" y1="{y}" x2="{last}" y2="{y}" stroke="#9ca3af" stroke-width="3"/>'
    for hop, ms in hops.items():
        told = escape(f"{name}: {both(HOP_WORDS[hop])} {ms} ms")
        yield f'<circle cx="{_x(ms, most)}" cy="{y}" r="4" fill="{_COLOURS[hop]}"><title>{told}</title></circle>'


def _legend(top: int) -> Iterator[str]:
    for number, hop in enumerate(HOPS):
        x = 10 + number % _LEGEND_COLUMNS * ((WIDTH - 20) // _LEGEND_COLUMNS)
        y = top + 16 * (number // _LEGEND_COLUMNS)
        yield f'<circle cx="{x}" cy="{y}" r="4" fill="{_COLOURS[hop]}"/>'
        yield f'<text x="{x + 8}" y="{y + 3}">{escape(both(HOP_WORDS[hop]))}</text>'
