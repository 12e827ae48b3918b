"""The curves of a run as pictures: CPU a message and latency over the rate, cost and memory over the devices.

``python -m benchmarks.plots DIR FILE…`` draws the figures of one or several ``--json`` files.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.scale import MOST_DEVICE_BYTES, MOST_RATIO, MOST_START_SECONDS
from benchmarks.targets import FLOOD_US, HUB, P99_MS, STEADY_US

# Only who draws has matplotlib; when types are checked it is not there.
import_module("matplotlib").use("Agg")
plt: Any = import_module("matplotlib.pyplot")

Document = dict[str, Any]
INCHES, DPI = (7.5, 5.0), 100
COLOURS = {
    "hub": "#1f6fb2", "tutorial": "#c8553d", "gmqtt": "#7a8b3a", "Node-RED": "#8a5fa8", "Telegraf": "#c79a2b",
    "Home Assistant": "#3a9a9a",
}  # fmt: skip
GREY = "#555555"
_NUMBER = plt.FuncFormatter(lambda value, _: f"{value:,g}")


def draw(documents: Sequence[Document], directory: Path) -> list[Path]:
    """Draw what the documents have figures for; return the files."""
    directory.mkdir(parents=True, exist_ok=True)
    figures = [row for document in documents for row in document["figures"] if row["rate"]]
    floods = [row for document in documents for row in document["figures"] if "as fast" in row["load"]]
    sizes = [row for document in documents for row in document["sizes"]]
    rated = next((each["machine"] for each in documents if any(row["rate"] for row in each["figures"])), "")
    found = []
    if figures:
        found.append(_cpu(figures, floods, rated, directory / "cpu.png"))
        found.append(_latency(figures, rated, directory / "latency.png"))
    if sizes:
        sized = next(each["machine"] for each in documents if each["sizes"])
        found.append(_devices(sizes, sized, directory / "devices.png"))
    return found


def _cpu(figures: list[Document], floods: list[Document], caption: str, file: Path) -> Path:
    """Draw CPU a message over the rate, every way a line, its flood a level."""
    picture, axes = plt.subplots(figsize=INCHES)
    for subject, rows in _by_subject(figures):
        colour = _colour(subject)
        name = subject.removesuffix(", influxdb")
        axes.plot([row["rate"] for row in rows], [row["median_us"] for row in rows], "o-", color=colour, label=name)
        for row in rows:
            axes.vlines(row["rate"], min(row["cpu_us"]), max(row["cpu_us"]), color=colour, alpha=0.5)
    for flood in floods:
        name = flood["subject"].partition(",")[0].partition(" (")[0]
        if flood["subject"] != "hub, local":
            label, colour = f"{name}, flooded: {flood['median_us']:.1f} µs", _colour(flood["subject"])
            axes.axhline(flood["median_us"], color=colour, linestyle=":", linewidth=1.2, label=label)
    axes.plot(list(STEADY_US), list(STEADY_US.values()), "_", color="black", markersize=22, markeredgewidth=1.6,
              label="targets of the hub")  # fmt: skip
    axes.axhline(FLOOD_US, color="black", linestyle="--", linewidth=0.8, label=f"target, flooded: {FLOOD_US:g} µs")
    axes.set(xscale="log", yscale="log", xlabel="messages a second", ylabel="CPU µs a message (user + system)",
             title="What a message costs")  # fmt: skip
    _ticks(axes, sorted({row["rate"] for row in figures}))
    axes.set_yticks([5, 10, 20, 50, 100, 200, 400])
    axes.set_ylim(5, 400)
    axes.yaxis.set_major_formatter(_NUMBER)
    _legend_below(axes)
    return _save(picture, caption, file)


def _latency(figures: list[Document], caption: str, file: Path) -> Path:
    """Draw how long it takes from publish to the event in its stream, p50 and p99."""
    picture, axes = plt.subplots(figsize=INCHES)
    for subject, rows in _by_subject(figures):
        colour = _colour(subject)
        for name, style in (("p50", "o-"), ("p99", "s--")):
            label = f"{subject.removesuffix(', influxdb')}, {name}"
            latencies = [row["latency_ms"][name] for row in rows]
            axes.plot([row["rate"] for row in rows], latencies, style, color=colour, markersize=5, label=label)
    for rate, bound in P99_MS.items():
        axes.plot([rate], [bound], "_", color="black", markersize=26, markeredgewidth=1.6,
                  label=f"target of the hub's p99: {bound:g} ms")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="messages a second", ylabel="ms from due to seen in the stream",
             title="Publish to event")  # fmt: skip
    _ticks(axes, sorted({row["rate"] for row in figures}))
    axes.yaxis.set_major_formatter(_NUMBER)
    _legend_below(axes)
    return _save(picture, caption, file)


def _devices(sizes: list[Document], caption: str, file: Path) -> Path:
    """Draw what a message costs, what the hub holds and what its start takes, over the number of devices."""
    picture, (cost, memory, start) = plt.subplots(1, 3, figsize=(INCHES[0] * 1.6, INCHES[1] * 0.8))
    devices = [row["devices"] for row in sizes]
    medians = [sorted(row["cpu_us"])[len(row["cpu_us"]) // 2] for row in sizes]
    cost.plot(devices, medians, "o-", color=COLOURS["hub"], label="hub, flooded")
    for row in sizes:
        cost.vlines(row["devices"], min(row["cpu_us"]), max(row["cpu_us"]), color=COLOURS["hub"], alpha=0.5)
    bound = medians[0] * MOST_RATIO
    cost.axhline(bound, color="black", linestyle="--", linewidth=0.8, label=f"target: {MOST_RATIO:g} × the first")
    cost.set(xscale="log", ylim=(0, None), xlabel="registered devices", ylabel="CPU µs a message", title="Cost")
    held = [row["memory_bytes"] / 2**20 for row in sizes]
    memory.plot(devices, held, "o-", color=COLOURS["hub"], label="resident memory of the hub")
    allowed = [held[0] + (count - devices[0]) * MOST_DEVICE_BYTES / 2**20 for count in devices]
    memory.plot(
        devices, allowed, "--", color="black", linewidth=0.8, label=f"target: {MOST_DEVICE_BYTES:,g} bytes a device"
    )
    memory.set(xscale="log", ylim=(0, None), xlabel="registered devices", ylabel="MiB", title="Memory")
    seconds = [row["start_cpu_seconds"] for row in sizes]
    start.plot(devices, seconds, "o-", color=COLOURS["hub"], label="the hub's first start, to /readyz")
    start.axhline(
        MOST_START_SECONDS, color="black", linestyle="--", linewidth=0.8, label=f"target: {MOST_START_SECONDS:g} s"
    )
    start.set(xscale="log", ylim=(0, None), xlabel="registered devices", ylabel="CPU seconds", title="Start")
    for axes in (cost, memory, start):
        axes.set_ylim(0, axes.get_ylim()[1] * 1.25)
        _ticks(axes, devices)
        axes.legend(fontsize=7, loc="upper left")
    return _save(picture, caption, file)


def _by_subject(figures: Iterable[Document]) -> list[tuple[str, list[Document]]]:
    found: dict[str, list[Document]] = {}
    for row in sorted(figures, key=lambda row: row["rate"]):
        found.setdefault(row["subject"], []).append(row)
    return sorted(found.items(), key=lambda item: item[0] != HUB)


def _colour(subject: str) -> str:
    return next((colour for word, colour in COLOURS.items() if subject.startswith(word)), GREY)


def _ticks(axes: Any, values: Sequence[int]) -> None:  # noqa: ANN401 -- matplotlib has no types
    axes.set_xticks(values)
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(_NUMBER)
    axes.grid(alpha=0.25)


def _legend_below(axes: Any) -> None:  # noqa: ANN401 -- matplotlib has no types
    axes.legend(fontsize=7.5, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False, handlelength=1.8)


def _save(picture: Any, caption: str, file: Path) -> Path:  # noqa: ANN401 -- matplotlib has no types
    picture.text(0.995, 0.005, caption, ha="right", va="bottom", fontsize=6, color=GREY)
    picture.tight_layout(rect=(0, 0.02, 1, 1))
    picture.savefig(file, dpi=DPI)
    plt.close(picture)
    return file


if __name__ == "__main__":
    draw([msgspec.json.decode(Path(name).read_bytes()) for name in sys.argv[2:]], Path(sys.argv[1]))
