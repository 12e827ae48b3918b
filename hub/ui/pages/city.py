"""What monitors see of the city engine: its metrics, and why it is not ready."""

from __future__ import annotations

from functools import partial

from hub.citywide.process import CityProcess
from hub.clock import Clock
from hub.metrics import Metrics
from hub.ui.pages.readiness import PATIENCE_SECONDS, Reason

_PREFIXED = {
    "hub_city_sightings_skipped_total": "skipped.",
    "hub_city_events_raised_total": "raised.",
    "hub_city_entries_missed_total": "lost.",
}
_PLAIN = {
    "hub_city_sightings_judged_total": "judged",
    "hub_city_sightings_delayed_total": "late",
    "hub_city_entries_rejected_total": "unreadable",
}


def observe_city(city: CityProcess, metrics: Metrics, clock: Clock) -> None:
    """Tell ``metrics`` where each number of the city is."""
    watch = city.watch
    for name, prefix in _PREFIXED.items():
        metrics.read(name, partial(_below, city, prefix))
    for name, count in _PLAIN.items():
        metrics.read(name, partial(_count, city, count))
    metrics.read("hub_city_transactions_written_total", lambda: city.keeper.transactions)
    metrics.read("hub_city_sightings_remembered", lambda: watch.city.remembered)
    metrics.read("hub_city_sites_unplaced", lambda: len(city.unplaced))
    metrics.read("hub_city_lag_seconds", lambda: max(0.0, clock.wall_ns() / 1e9 - watch.judged_until / 1e3))
    metrics.read("hub_flushes_failed_total", lambda: city.keeper.retries, sink="streams")


def missing_of(city: CityProcess) -> tuple[Reason, ...]:
    """Return why the city engine is not ready."""
    if not city.watch.is_watching:
        return (Reason(code="not_watching", detail="it has not read yet what it must remember, or Redis is away"),)
    seconds = city.watch.silent_seconds
    if seconds > PATIENCE_SECONDS:
        return (Reason(code="city_held_up", detail=f"Redis has not answered for {seconds:.0f} s: events wait"),)
    historian = city.historian
    if historian.behind_seconds > PATIENCE_SECONDS:
        detail = f"its events wait in Redis, for {historian.behind_seconds:.0f} s: {historian.last_error}"
        return (Reason(code="timeseries_behind", detail=detail),)
    if city.refused:
        return (Reason(code="city_rules_refused", detail=f"it judges by those that it had: {city.refused}"),)
    return ()


def _below(city: CityProcess, prefix: str) -> dict[str, float]:
    counts = city.watch.counts.items()
    return {name.removeprefix(prefix): float(count) for name, count in counts if name.startswith(prefix)}


def _count(city: CityProcess, name: str) -> float:
    return city.watch.counts.get(name, 0)
