"""Health and metrics over HTTP: /healthz, /readyz and /metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from http import HTTPStatus

import orjson
import structlog
from aiohttp import web

from hub.config import HttpSettings
from hub.errors import ConfigError
from hub.metrics import Metrics
from hub.ui.readiness import Reason, Vitals, reasons

STOP_SECONDS = 1.0
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

log = structlog.get_logger(__name__)


def application(metrics: Metrics, vitals: Callable[[], Vitals]) -> web.Application:
    """Return the three pages of a hub."""
    return pages_of(metrics, lambda: reasons(vitals()))


def pages_of(metrics: Metrics, missing: Callable[[], Sequence[Reason]]) -> web.Application:
    """Return the three pages. ``/healthz`` answers as long as the loop turns; ``/readyz`` says 503 and why not."""

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readiness(_request: web.Request) -> web.Response:
        found = missing()
        body = orjson.dumps({"ready": not found, "reasons": [asdict(reason) for reason in found]})
        status = HTTPStatus.SERVICE_UNAVAILABLE if found else HTTPStatus.OK
        return web.Response(body=body, status=status, content_type="application/json")

    async def numbers(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": METRICS_TYPE})

    app = web.Application()
    app.router.add_get("/healthz", health)
    app.router.add_get("/readyz", readiness)
    app.router.add_get("/metrics", numbers)
    return app


@asynccontextmanager
async def serve(pages: web.Application, settings: HttpSettings) -> AsyncIterator[None]:
    """Serve ``pages`` meanwhile; ConfigError ``http_port_taken``."""
    runner = web.AppRunner(pages, access_log=None, handle_signals=False, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            hint = "choose another http.port"
            raise ConfigError(
                "http_port_taken", error.strerror or str(error), hint=hint, host=settings.host, port=settings.port
            ) from error
        log.info("http_opened", host=settings.host, port=settings.port)
        yield
    finally:
        await runner.cleanup()
