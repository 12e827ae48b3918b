"""Health and metrics over HTTP: /healthz, /readyz and /metrics."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import asdict
from http import HTTPStatus

import orjson
import structlog
from aiohttp import web

from hub.config.settings import HttpSettings
from hub.errors import ConfigError
from hub.metrics import Metrics
from hub.ui.pages.readiness import Reason, Vitals, reasons
from hub.ui.pages.reasons import advised

STOP_SECONDS = 1.0
IDLE_SECONDS = 30.0
"""A connection that asks for nothing for so long, or has not said its request in that time, is closed."""
MOST_CONNECTIONS = 100
"""Of more the oldest are closed, and who asks now is let in: each takes a file that journal and broker may need."""
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Page = Callable[[web.Request], Awaitable[web.Response]]

log = structlog.get_logger(__name__)


def application(metrics: Metrics, vitals: Callable[[], Vitals]) -> web.Application:
    """Return the three pages of a hub."""
    return pages_of(metrics, lambda: reasons(vitals()))


def pages_of(
    metrics: Metrics, missing: Callable[[], Sequence[Reason]], hung: Callable[[], Sequence[str]] = tuple
) -> web.Application:
    """Return the three pages. ``/healthz`` answers as long as the loop turns, 503 when a stage is ``hung``.

    ``/readyz`` says 503 and why not.

    ``/metrics`` says 503 until there is anything to read: zeros of a hub that has only begun would mean nothing.
    """

    async def readiness(_request: web.Request) -> web.Response:
        return answer_of([asdict(reason) for reason in missing()])

    async def numbers(_request: web.Request) -> web.Response:
        text = metrics.text()
        status = HTTPStatus.OK if text else HTTPStatus.SERVICE_UNAVAILABLE
        return web.Response(body=text, status=status, headers={"Content-Type": METRICS_TYPE})

    return pages_with(readiness, numbers, hung)


def answer_of(reasons: Sequence[Mapping[str, str]]) -> web.Response:
    """Return the answer of ``/readyz``: ready when there is no reason against it, else with what to do now."""
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    body = orjson.dumps({"ready": not reasons, "reasons": advised(reasons)})
    return web.Response(body=body, status=status, content_type="application/json")


def pages_with(readiness: Page, numbers: Page, hung: Callable[[], Sequence[str]] = tuple) -> web.Application:
    """Return the three pages, two of them as they are given."""

    async def health(_request: web.Request) -> web.Response:
        if stages := hung():
            return web.json_response({"alive": False, "hung": stages}, status=HTTPStatus.SERVICE_UNAVAILABLE)
        return web.json_response({"alive": True})

    app = web.Application()
    app.router.add_get("/healthz", health)
    app.router.add_get("/readyz", readiness)
    app.router.add_get("/metrics", numbers)
    return app


@asynccontextmanager
async def serve(pages: web.Application, settings: HttpSettings) -> AsyncIterator[None]:
    """Serve ``pages`` meanwhile; ConfigError ``http_port_taken``."""
    async with _runner(pages) as admitted:
        try:
            listening = await asyncio.get_running_loop().create_server(admitted, settings.host, settings.port)
        except OSError as error:
            hint = "choose another http.port"
            raise ConfigError(
                "http_port_taken", error.strerror or str(error), hint=hint, host=settings.host, port=settings.port
            ) from error
        log.info("http_opened", host=settings.host, port=settings.port)
        with closing(listening):
            yield


@asynccontextmanager
async def serve_on(pages: web.Application, listening: socket.socket) -> AsyncIterator[None]:
    """Serve ``pages`` meanwhile on a socket that listens already."""
    async with _runner(pages) as admitted:
        with closing(await asyncio.get_running_loop().create_server(admitted, sock=listening)):
            yield


@asynccontextmanager
async def _runner(pages: web.Application) -> AsyncIterator[Callable[[], web.RequestHandler]]:
    """Give what a server of ``pages`` makes of each connection."""
    runner = web.AppRunner(
        pages, access_log=None, handle_signals=False, shutdown_timeout=STOP_SECONDS, keepalive_timeout=IDLE_SECONDS
    )
    await runner.setup()
    server = runner.server
    assert server is not None  # noqa: S101 -- it is set up

    def admitted() -> web.RequestHandler:
        for oldest in server.connections[: 1 - MOST_CONNECTIONS]:
            oldest.force_close()
        return server()

    try:
        yield admitted
    finally:
        await runner.cleanup()
