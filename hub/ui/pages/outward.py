"""What monitors see of a forwarder or notifier: its metrics, and why it is not ready."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial

from aiohttp import web

from hub.clock import Clock
from hub.errors import UnavailableError
from hub.metrics import Metrics
from hub.outward.outlet import Outlet
from hub.outward.parcel import State
from hub.outward.process import OutwardProcess
from hub.outward.standing import Standing
from hub.ui.pages.http import METRICS_TYPE, answer_of, pages_with
from hub.ui.pages.readiness import PATIENCE_SECONDS, Reason

REFUSING_SECONDS = 60.0
"""How long a receiver may take nothing before it counts: five attempts, the first pauses between them."""
MANY_REFUSED = 3
"""So many on end that it will never take mean that it refuses whatever it gets."""
ENDS = (State.DELIVERED, State.DEAD, State.DROPPED)


def outward_pages(process: OutwardProcess, clock: Clock, metrics: Metrics) -> web.Application:
    """Return the three pages of a process at work; its ledger is asked whenever somebody looks."""
    look = _Look(process, clock)
    look.observe(metrics)

    async def readiness(_request: web.Request) -> web.Response:
        await look.again()
        return answer_of([asdict(reason) for reason in look.missing()])

    async def numbers(_request: web.Request) -> web.Response:
        await look.again()
        return web.Response(body=metrics.text(), headers={"Content-Type": METRICS_TYPE})

    return pages_with(readiness, numbers)


class _Look:
    """How a process is; its ledger as it was when it could last be read."""

    def __init__(self, process: OutwardProcess, clock: Clock) -> None:
        self._process = process
        self._clock = clock
        self._standing = Standing(waiting={}, waits_since={}, dead={}, counts={})
        self._trouble = ""

    async def again(self) -> None:
        """Read the ledger."""
        try:
            self._standing = await self._process.ledger.standing()
            self._trouble = ""
        except UnavailableError as error:
            self._trouble = str(error)

    def observe(self, metrics: Metrics) -> None:
        """Tell ``metrics`` where each number is."""
        follower, outlets = self._process.follower, self._process.courier.outlets
        for channel, outlet in outlets.items():
            metrics.read("hub_deliveries_attempted_total", partial(dict, outlet.outcomes), channel=channel)
        metrics.read("hub_deliveries_ended_total", lambda: {end.value: self._counted(end.value) for end in ENDS})
        metrics.read("hub_deliveries_waiting", lambda: dict.fromkeys(outlets, 0) | dict(self._standing.waiting))
        metrics.read("hub_deliveries_oldest_waiting_seconds", lambda: dict.fromkeys(outlets, 0.0) | self._ages())
        metrics.read("hub_deliveries_dead", lambda: dict.fromkeys(outlets, 0) | dict(self._standing.dead))
        metrics.read("hub_deliveries_last_success_timestamp_seconds", lambda: _successes(outlets))
        metrics.read("hub_outward_lag_seconds", self._lag)
        metrics.read("hub_outward_unread_entries", lambda: follower.unread)
        metrics.read("hub_outward_entries_missed_total", lambda: self._counted("lost"))
        metrics.read("hub_outward_entries_rejected_total", lambda: self._counted("unreadable"))

    def missing(self) -> Iterator[Reason]:
        """Yield why it is not ready, the most fundamental reason first."""
        if self._trouble:
            yield Reason(code="ledger_unavailable", detail=f"nothing is read or sent: {self._trouble}")
        follower = self._process.follower
        silent_seconds = (self._clock.monotonic_ns() - follower.read_at) / 1e9
        if follower.is_held_up:
            yield Reason(code="reading_held_up", detail="so much waits that nothing more is read: the streams keep it")
        elif follower.read_until is None:
            yield Reason(code="not_following", detail="it has not found its place in the streams yet")
        elif silent_seconds > PATIENCE_SECONDS:
            detail = f"Redis has not answered for {silent_seconds:.0f} s: events wait there"
            yield Reason(code="redis_unreachable", detail=detail)
        for channel, outlet in self._process.courier.outlets.items():
            yield from self._refusing(channel, outlet)

    def _refusing(self, channel: str, outlet: Outlet) -> Iterator[Reason]:
        since = outlet.refusing_since
        seconds = 0.0 if since is None else (self._clock.monotonic_ns() - since) / 1e9
        if seconds > REFUSING_SECONDS and (outlet.lanes.waiting or outlet.refused >= MANY_REFUSED):
            detail = f"{channel}: nothing taken for {seconds:.0f} s, {outlet.lanes.waiting} wait: {outlet.said}"
            yield Reason(code="receiver_refuses", detail=detail)

    def _counted(self, name: str) -> int:
        return self._standing.counts.get(name, 0)

    def _ages(self) -> dict[str, float]:
        now = self._clock.wall_ns()
        return {channel: max(0.0, (now - since) / 1e9) for channel, since in self._standing.waits_since.items()}

    def _lag(self) -> float:
        until = self._process.follower.read_until
        return math.nan if until is None else max(0.0, self._clock.wall_ns() / 1e9 - until / 1e3)


def _successes(outlets: Mapping[str, Outlet]) -> dict[str, float]:
    return {channel: outlet.delivered_at / 1e9 for channel, outlet in outlets.items() if outlet.delivered_at}
