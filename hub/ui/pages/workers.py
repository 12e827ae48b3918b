"""One page for all workers: each partition's reasons and metrics, asked of the worker that runs it."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from typing_extensions import override

from hub.metrics import Metrics
from hub.services.workers import SILENT_SECONDS, Worker, Workers
from hub.ui.pages.http import METRICS_TYPE, answer_of, pages_with

ANSWER_SECONDS = 1.0
"""A worker whose loop does not turn for so long is told as silent."""
LOOPBACK = "127.0.0.1"

Reasons = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pages of one partition are: on loopback, at a port that we listen on and its worker answers."""

    partition: str
    worker: Worker
    port: int


@contextmanager
def workers_for(shares: Sequence[Sequence[str]], words: Sequence[str]) -> Iterator[tuple[list[Worker], list[Place]]]:
    """Make a worker for each share of the partitions; ``words`` are the global options of their command line.

    The sockets stay open over a worker's death, so that the next one has the same port.
    """
    with ExitStack() as stack:
        workers: list[Worker] = []
        places: list[Place] = []
        for number, share in enumerate(shares, start=1):
            sockets = [stack.enter_context(socket.create_server((LOOPBACK, 0))) for _ in share]
            serving = [f"{name}:{each.fileno()}" for name, each in zip(share, sockets, strict=True)]
            ours, theirs = map(stack.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
            command = [sys.executable, "-m", "hub.ui.cli.main", *words, "run"]
            command += ["--heartbeat", f"{theirs.fileno()}:{SILENT_SECONDS}"]
            for each in serving:
                command += ["--serving", each]
            inherited = [each.fileno() for each in (*sockets, theirs)]
            worker = Worker(name=f"worker-{number}", command=command, sockets=inherited, line=ours)
            workers.append(worker)
            places += [Place(name, worker, each.getsockname()[1]) for name, each in zip(share, sockets, strict=True)]
        yield workers, places


def page_of(workers: Workers, places: Sequence[Place]) -> web.Application:
    """Return the three pages: ``/healthz`` is our own, the others are put together from those of the workers."""
    metrics = Metrics()
    metrics.read("hub_workers_running", lambda: sum(worker.process is not None for worker in workers.all))
    metrics.read("hub_workers_restarted_total", lambda: {worker.name: worker.restarts for worker in workers.all})

    async def readiness(_request: web.Request) -> web.Response:
        found = await _ask_all(places, "/readyz")
        return answer_of([reason for place in places for reason in reasons_of(place, found[place.partition])])

    async def numbers(_request: web.Request) -> web.Response:
        found = await _ask_all(places, "/metrics")
        texts = {name: said.decode() for name, (status, said) in found.items() if status == HTTPStatus.OK}
        registry = CollectorRegistry(auto_describe=False)
        registry.register(metrics)
        registry.register(Together(texts))
        return web.Response(body=generate_latest(registry), headers={"Content-Type": METRICS_TYPE})

    return pages_with(readiness, numbers)


def reasons_of(place: Place, answer: Answer) -> Reasons:
    """Return why a partition is not ready, in the words of its worker, or of us who have none."""
    worker, (status, said) = place.worker, answer
    if not status and worker.fate:
        return [_reason(place, "worker_down", f"{worker.name}: {worker.fate}; not back yet")]
    if not status:
        return [_reason(place, "worker_silent", f"{worker.name} has not answered within {ANSWER_SECONDS:.0f} s")]
    return [_reason(place, each["code"], each["detail"]) for each in orjson.loads(said)["reasons"]]


def _reason(place: Place, code: str, detail: str) -> dict[str, str]:
    return {"code": code, "detail": detail, "partition": place.partition}


Answer = tuple[int, bytes]
"""Status and body; 0 when there was no answer."""


async def _ask_all(places: Sequence[Place], path: str) -> dict[str, Answer]:
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
        asked = {
            place.partition: group.create_task(_ask(session, place, path), name=f"hub.pages.{place.partition}")
            for place in places
        }
    return {partition: task.result() for partition, task in asked.items()}


async def _ask(session: aiohttp.ClientSession, place: Place, path: str) -> Answer:
    if place.worker.process is None:
        return 0, b""
    try:
        async with session.get(f"http://{LOOPBACK}:{place.port}{path}") as answer:
            said = answer.status, await answer.read()
    except (aiohttp.ClientError, TimeoutError):
        return 0, b""
    if place.worker.process is not None:
        place.worker.fate = ""
    return said


class Together(Collector):
    """The metrics of several partitions, each sample with the label ``partition``."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    @override
    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for partition, text in self._texts.items():
            for family in text_string_to_metric_families(text):
                whole = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    whole.add_sample(sample.name, {**sample.labels, "partition": partition}, sample.value)
        yield from families.values()
