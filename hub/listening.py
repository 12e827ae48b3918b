"""What the sessions listen to: every site while the partition is alone, else only its own; and what its sources say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

import structlog

from hub.bridge import topics
from hub.bridge.topics import SessionName
from hub.config.settings import Settings
from hub.engine.networks import Networks

log = structlog.get_logger(__name__)


class Listener(Protocol):
    """A session that can be told what to listen to."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def listen(self, filters: tuple[str, ...], anew: frozenset[str]) -> None:
        """Listen to ``filters`` from now on."""
        ...


class Listening:
    """Tells sessions what to listen to, whenever that has changed.

    A partition that is alone in the registry hears every site, so that a device of a site that nobody registered
    becomes a dead letter and can be adopted. Beside others it hears its own sites and nothing else: no message is heard
    twice. The sessions must have been made for every site, so that the broker is told to forget that.
    """

    def __init__(self, settings: Settings, *, asks_sys: bool) -> None:
        self._settings = settings
        self._asks_sys = asks_sys
        self._sites: Sequence[str] | None = None
        self._told: tuple[Networks, Sequence[str] | None] | None = None

    def look_round(self, partitions: Collection[str], rows: Iterable[str]) -> None:
        """Learn which ``partitions`` have sites, and by the keys of our documents which sites are ours."""
        self._sites = sites_heard(self._settings, partitions, rows)

    def tell(self, sessions: Iterable[Listener], networks: Networks) -> None:
        """Let every session hear what it should by now. Sites need not wait for the engine: their revision is ahead."""
        if self._told is not None and self._told[0] is networks and self._told[1] == self._sites:
            return
        if self._told is None or self._told[1] != self._sites:
            log.info("sites_listened_to", sites="all" if self._sites is None else len(self._sites))
        self._told = networks, self._sites
        for session in sessions:
            filters = tuple(filters_of(session.name, networks, self._sites, asks_sys=self._asks_sys))
            session.listen(filters, networks.directories)


def sites_heard(settings: Settings, partitions: Collection[str], rows: Iterable[str]) -> list[str] | None:
    """Return the sites that the partition of ``settings`` hears, those of its documents' keys; None for every site.

    That is when it alone has sites; while no partition has any, the first one of an installation hears them all.
    """
    is_first = settings.files_dir == settings.data_dir
    if set(partitions) == {settings.partition} or (not partitions and is_first):
        return None
    return sorted({key.split("/")[1] for key in rows if key.startswith("place/")})


def filters_of(session: str, networks: Networks, sites: Sequence[str] | None, *, asks_sys: bool) -> Iterator[str]:
    """Yield what a session listens to: topics of our own, of all sites or of ``sites``, and those of the sources."""
    for own in topics.filters(SessionName(session), sites):
        if asks_sys or own != topics.SYS_DROPPED:
            yield own
    yield from networks.router.filters(session)
