"""How the processes of an installation stand: each asked for /readyz and /metrics, and what it says of itself."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from hub.config.settings import HttpSettings, Settings
from hub.ui.pages.reasons import advised

SECONDS = 3.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- an address that listens there is asked here

NOBODY = {"not_answering", "another_answers"}
"""Why nothing is known of a process."""

WORST = {
    "hub_broker_messages_dropped",
    "hub_consumer_groups_lagging",
    "hub_loop_longest_stall_seconds",
    "hub_stage_still_seconds",
}
"""Figures of which the largest is told: of stages, and of what each partition sees of the same broker and Redis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One process. ``reasons`` have ``code``, ``detail``, ``means`` and ``now``; ``figures`` are sums over labels.

    ``alarms`` are the active ones by severity.
    """

    process: str
    page: str
    ready: bool
    reasons: Sequence[Mapping[str, object]]
    figures: Mapping[str, float]
    alarms: Mapping[str, int]

    def plain(self) -> dict[str, object]:
        """Return it for programs."""
        return asdict(self)


async def standings(settings: Settings) -> list[Standing]:
    """Return how each process stands that has pages: the hub, and those beside it that were given a port and work."""
    wanted = dict(_processes(settings))
    async with asking() as session, asyncio.TaskGroup() as group:
        asked = [
            group.create_task(standing_of(session, name, each), name=f"hub.ui.standing.{name}")
            for name, each in wanted.items()
        ]
    found = [task.result() for task in asked]
    # The city engine has a port whether it runs or not, and few installations need one.
    return [each for each in found if each.process != "city" or each.figures]


def _processes(settings: Settings) -> Iterator[tuple[str, HttpSettings]]:
    yield "hub", settings.http
    if settings.notify.http is not None and _tells_anybody(settings.notify.dir):
        yield "notify", settings.notify.http
    for name, each in settings.forward.items():
        if each.http is not None:
            yield f"forward {name}", each.http
    yield "city", settings.city.http


def _tells_anybody(directory: Path | None) -> bool:
    return directory is not None and any(directory.glob("*.yaml"))


def asking() -> aiohttp.ClientSession:
    """Return what pages are asked with, to be opened with ``async with``; who does not answer soon is not there."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS))


def address_of(http: HttpSettings) -> str:
    """Return where pages are asked for on their own machine; an IPv6 address stands in brackets."""
    host = _EVERYWHERE.get(http.host, http.host)
    return f"http://[{host}]:{http.port}" if ":" in host else f"http://{host}:{http.port}"


async def standing_of(session: aiohttp.ClientSession, process: str, http: HttpSettings) -> Standing:
    """Return how one process stands, or with a reason of :data:`NOBODY` that it does not."""
    address = address_of(http)
    try:
        async with session.get(f"{address}/readyz") as answer:
            said = await answer.json()
        reasons = [{"code": each["code"], "detail": each["detail"], **each} for each in said["reasons"]]
        async with session.get(f"{address}/metrics") as answer:
            figures, alarms = figures_of(await answer.text() if answer.status == HTTPStatus.OK else "")
    except (aiohttp.ContentTypeError, AttributeError, KeyError, TypeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"[:200]
        reasons, figures, alarms = advised([{"code": "another_answers", "detail": why}]), {}, {}
    except (aiohttp.ClientError, TimeoutError) as error:
        why = (error.os_error.strerror or "") if isinstance(error, aiohttp.ClientConnectorError) else str(error)
        reasons, figures, alarms = advised([{"code": "not_answering", "detail": why or "no answer"}]), {}, {}
    return Standing(process=process, page=address, ready=not reasons, reasons=reasons, figures=figures, alarms=alarms)


def figures_of(text: str) -> tuple[dict[str, float], dict[str, int]]:
    """Return what a page of metrics says, added up but for the worst of its kind, and the active alarms by severity."""
    figures: dict[str, float] = {}
    alarms: dict[str, int] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if math.isfinite(sample.value) and "le" not in sample.labels:
                before = figures.get(sample.name, 0.0)
                figures[sample.name] = max(before, sample.value) if sample.name in WORST else before + sample.value
            if sample.name == "hub_alarms_active":
                severity = sample.labels["severity"]
                alarms[severity] = alarms.get(severity, 0) + int(sample.value)
    return figures, alarms
