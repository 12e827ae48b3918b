"""The courier: sends what waits, each lane in order and lanes side by side, again and again until it has an end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, TypeVar

import structlog

from hub.clock import Clock
from hub.durations import nanoseconds
from hub.errors import ConfigError, UnavailableError
from hub.outward.ledger import Ledger, Taken
from hub.outward.outlet import Outlet
from hub.outward.parcel import Answer, Outcome, Parcel, Send, Slip, State, Verdict
from hub.sinks.retry_after import LONGEST

R = TypeVar("R")
LOOK_EVERY_NS = 1_000_000_000
LEAP_NS = 1_000_000_000
"""A wall clock that moved so far against the other one was set, or the machine slept."""
DISK_SECONDS = 1.0
FORGET_EVERY_NS = 600_000_000_000

log = structlog.get_logger(__name__)


def _a_little() -> float:
    return random.uniform(0.8, 1.2)  # noqa: S311 -- spreads load, no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is waited after each failure, when one is given up, how long an end is kept; how many go at once.

    None is given up before the whole row of pauses: it may be old because nobody sent it, or because a clock has leapt.
    """

    pauses: Sequence[float] = (1, 2, 5, 10, 30, 60, 120, 300)
    give_up_after: timedelta = timedelta(hours=72)
    remember: timedelta = timedelta(days=7)
    side_by_side: int = 16
    spread: Callable[[], float] = _a_little

    def pause(self, failures: int) -> int:
        """Return the ns to wait after so many failures on end."""
        return round(self.pauses[min(failures, len(self.pauses)) - 1] * self.spread() * 1e9)

    def is_over(self, age_ns: int, attempts: int) -> bool:
        """Return whether what may go for so long, and was tried so often, is given up."""
        return age_ns > nanoseconds(self.give_up_after) and attempts > len(self.pauses)


class _Answered(NamedTuple):
    slip: Slip
    taken: Taken
    answer: Answer


Tell = Callable[[Parcel, Outcome], None]


class Courier:
    """Sends through ``senders`` by channel until ``stop``; each parcel's end is in the ledger before its lane goes on.

    A parcel that was sent and whose end is not in the ledger yet when the process dies is sent again, as it was. A
    channel that nobody sends to any more keeps what waits for it. ConfigError ``receiver_gone`` ends it. ``outlets``
    are its channels by name, to be looked at.
    """

    def __init__(
        self, ledger: Ledger, senders: Mapping[str, Send], clock: Clock, patience: Patience, tell: Tell
    ) -> None:
        self._ledger = ledger
        self._senders = senders
        self._clock = clock
        self._patience = patience
        self._tell = tell
        self.outlets = {channel: Outlet(side_by_side=patience.side_by_side) for channel in senders}
        self._answered: list[_Answered] = []
        self._woken = asyncio.Event()
        self._is_stopping = False
        self._looked_at = 0
        self._forgotten_at = 0
        self._ahead = self._clocks_apart()

    @property
    def waiting(self) -> int:
        """How many parcels wait."""
        return sum(outlet.lanes.waiting for outlet in self.outlets.values())

    @property
    def channels(self) -> int:
        """Through how many channels it sends."""
        return len(self.outlets)

    def waiting_for(self, channel: str) -> int:
        """Return how many parcels wait for one of them; none for one that nobody sends to."""
        return self.outlets[channel].lanes.waiting if channel in self.outlets else 0

    def add(self, slips: Iterable[Slip]) -> None:
        """Let ``slips`` leave when it is their turn; they are due by the wall clock of when they were written."""
        latest = self._clock.monotonic_ns() + nanoseconds(LONGEST)
        for slip in slips:
            if slip.channel in self.outlets:
                due = slip.due - self._ahead
                self.outlets[slip.channel].lanes.add([slip._replace(due=min(due, latest) if slip.attempts else due)])
        self._woken.set()

    def stop(self) -> None:
        """Send nothing more; ``run`` ends when what is on its way has an answer."""
        self._is_stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Send until ``stop``."""
        self.add(await self._patiently(self._ledger.waiting))
        async with asyncio.TaskGroup() as group:
            while not self._is_stopping or self._away:
                await self._dispatch(group)
                await self._until_woken()
                await self._settle()
                await self._look_around()

    @property
    def _away(self) -> int:
        return sum(outlet.away for outlet in self.outlets.values())

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        """Let leave whoever may, of every channel."""
        slips = [] if self._is_stopping else [slip for outlet in self.outlets.values() for slip in self._next(outlet)]
        if not slips:
            return
        found = await self._patiently(lambda: self._ledger.take([slip.number for slip in slips]))
        for slip in slips:
            if slip.number in found:
                group.create_task(self._attempt(slip, found[slip.number]), name="hub.outward.attempt")
            else:  # something newer took its place
                outlet = self.outlets[slip.channel]
                outlet.away -= 1
                outlet.lanes.release(slip, None)

    def _next(self, outlet: Outlet) -> Iterable[Slip]:
        now = self._clock.monotonic_ns()
        while now >= outlet.closed_until and not outlet.is_full:
            # Every second try of a channel that fails is of whatever waits longest: the urgent one may be the cause.
            slip = outlet.lanes.take(now, urgent_first=outlet.failures % 2 == 0)
            if slip is None:
                return
            outlet.away += 1
            yield slip

    async def _attempt(self, slip: Slip, taken: Taken) -> None:
        answer = await self._senders[slip.channel](taken.parcel)
        self._answered.append(_Answered(slip, taken, answer))
        self._woken.set()

    async def _until_woken(self) -> None:
        """Wait for an answer, for something new, or for the next one to be due; while it stops nothing is."""
        now = self._clock.monotonic_ns()
        dues = [
            max(due, outlet.closed_until)
            for outlet in self.outlets.values()
            if not self._is_stopping and not outlet.is_full and (due := outlet.lanes.next_due()) is not None
        ]
        seconds = min([LOOK_EVERY_NS / 1e9, *((due - now) / 1e9 for due in dues)])
        if seconds > 0 and not (self._is_stopping and not self._away):
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                pass
        self._woken.clear()

    async def _settle(self) -> None:
        """Write what was answered, then let the lanes go on."""
        answered, self._answered = self._answered, []
        if not answered:
            return
        wall, now = self._clock.wall_ns(), self._clock.monotonic_ns()
        outcomes = [self._outcome(each, wall) for each in answered]
        await self._patiently(lambda: self._ledger.settle(outcomes))
        for (slip, taken, answer), outcome in zip(answered, outcomes, strict=True):
            outlet = self.outlets[slip.channel]
            outlet.away -= 1
            waits = outcome.state is State.WAITING
            again = slip._replace(due=outcome.due - wall + now, attempts=outcome.attempts) if waits else None
            outlet.lanes.release(slip, again)
            outlet.note(outcome.state, answer, wall, now)
            self._close(outlet, answer, now)
            self._tell(taken.parcel, outcome)
        gone = [each.slip.channel for each in answered if each.answer.verdict is Verdict.GONE]
        if gone:
            hint = "nothing is lost: what waits is sent to whatever URL it is started with next"
            raise ConfigError("receiver_gone", f"{gone[0]} says 410: it wants nothing more", hint=hint)

    def _outcome(self, answered: _Answered, now: int) -> Outcome:
        slip, taken, answer = answered
        state, attempts, due = State.DELIVERED, slip.attempts + 1, now
        match answer.verdict:
            case Verdict.TAKEN:
                pass
            case Verdict.REFUSED:
                state = State.DEAD
            case Verdict.GONE:
                state, attempts = State.WAITING, slip.attempts
            case Verdict.LATER | Verdict.BUSY:
                due = now + max(self._patience.pause(attempts), nanoseconds(answer.after))
                is_over = self._patience.is_over(now - taken.may_go_at, attempts)
                state = State.DEAD if is_over else State.WAITING
        if state is State.DEAD:
            parcel = taken.parcel
            log.error("delivery_dead", number=slip.number, channel=slip.channel, id=parcel.event, answer=answer.text)
        return Outcome(number=slip.number, state=state, answer=answer.text, attempts=attempts, due=due)

    def _close(self, outlet: Outlet, answer: Answer, now: int) -> None:
        """Leave a channel alone that is busy; those that were on their way at the same time count as one failure."""
        if answer.verdict is not Verdict.BUSY:
            outlet.failures = 0
            return
        if now >= outlet.closed_until:
            outlet.failures += 1
            if outlet.failures == 1:
                log.warning("receiver_busy", answer=answer.text, waiting=outlet.lanes.waiting)
        pause = max(self._patience.pause(outlet.failures), nanoseconds(answer.after))
        outlet.closed_until = max(outlet.closed_until, now + pause)

    async def _look_around(self) -> None:
        """Take up what another process lets wait again, and forget what has long ended."""
        now = self._clock.monotonic_ns()
        if now - self._looked_at > LOOK_EVERY_NS:
            self._looked_at = now
            self._follow_the_clock()
            if await self._patiently(self._ledger.is_changed_elsewhere):
                self.add(await self._patiently(self._ledger.waiting))
        if now - self._forgotten_at > FORGET_EVERY_NS:
            self._forgotten_at = now
            await self._patiently(lambda: self._ledger.forget(self._remembered_from()))

    def _follow_the_clock(self) -> None:
        """Let what waits for a moment of the wall clock (quiet hours) leave then, also when the clock has been set."""
        by = self._ahead - (ahead := self._clocks_apart())
        if abs(by) > LEAP_NS:
            self._ahead = ahead
            for outlet in self.outlets.values():
                outlet.lanes.shift(by)

    def _clocks_apart(self) -> int:
        return self._clock.wall_ns() - self._clock.monotonic_ns()

    def _remembered_from(self) -> int:
        return self._clock.wall_ns() - nanoseconds(self._patience.remember)

    async def _patiently(self, work: Callable[[], Awaitable[R]]) -> R:
        """Return what the ledger says, however long the disk takes nothing."""
        while True:
            try:
                return await work()
            except UnavailableError as error:
                log.warning("ledger_unavailable", reason=str(error))
                await self._clock.sleep(DISK_SECONDS)
