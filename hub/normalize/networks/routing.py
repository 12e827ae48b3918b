"""All sources of a partition: which topics are whose, and what each session subscribes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from hub.errors import ConfigError
from hub.normalize.networks.filters import overlap
from hub.normalize.networks.network import Network, SourceRow
from hub.normalize.networks.source import CompiledSource, Route, compile_source

OURS = "hub/#"
"""The topics of the hub itself: no source may claim them."""
_CACHED = 100_000
"""Topics that are remembered; with more, each further one is looked up again (2 us and more a message)."""


class Router:
    """Routes topics to the streams of sources; each topic is looked up once."""

    def __init__(self, sources: Sequence[CompiledSource]) -> None:
        self.sources: Mapping[str, CompiledSource] = {source.name: source for source in sources}
        self._routes: dict[str, Route | None] = {}
        _refuse_overlaps(sources)

    def route(self, topic: str) -> Route | None:
        """Return where ``topic`` leads; None when it is no source's. PoisonError ``bad_name``."""
        try:
            return self._routes[topic]
        except KeyError:
            pass
        found = next((route for source in self.sources.values() if (route := source.route(topic)) is not None), None)
        if len(self._routes) < _CACHED:
            self._routes[topic] = found
        return found

    def filters(self, session: str) -> tuple[str, ...]:
        """Return what the session called ``telemetry`` or ``events`` subscribes to, beside the hub's own topics."""
        return tuple(
            text for source in self.sources.values() if source.network.session == session for text in source.filters
        )


def compile_router(rows: Sequence[SourceRow], networks: Mapping[str, Network]) -> Router:
    """Return the router of all sources; ConfigError ``unknown_network``, ``overlapping_filters``, or a source's."""
    sources = []
    for row in sorted(rows, key=lambda row: row.source):
        network = networks.get(row.network)
        if network is None:
            known = ", ".join(sorted(networks)) or "none"
            message = f"source {row.source} is of network {row.network!r}, which does not exist"
            raise ConfigError("unknown_network", message, hint=f"known: {known}")
        sources.append(compile_source(row, network))
    return Router(sources)


def _refuse_overlaps(sources: Sequence[CompiledSource]) -> None:
    claims = [("the hub", OURS), *((source.name, text) for source in sources for text in source.filters)]
    for (one, left), (other, right) in combinations(claims, 2):
        if overlap(left, right):
            message = f"{left} ({one}) and {right} ({other}) mean the same topics: they would be heard twice"
            raise ConfigError("overlapping_filters", message, hint="give one of the sources another parameter")
