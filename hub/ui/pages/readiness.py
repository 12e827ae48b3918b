"""Whether the hub is ready, and each reason why not: a pure judgement over its vital signs."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from hub.errors import HubError

PATIENCE_SECONDS = 5.0
"""How long a sink or the proof of ownership may fail before it counts; shorter is a reconnect."""
DOWNLINK_SECONDS = 15.0
"""An attempt to connect that began in a blackhole ends, and another one rests, before commands have a connection."""
STILL_SECONDS = 10
"""How long a stage may stand still before that is told; a disk that takes seconds for an fsync is no news."""
DROPS_WINDOW_SECONDS = 300.0
OUTDATED_SECONDS = 60.0
"""A PostgreSQL is started again within a minute."""
UNSEALED_SECONDS = 7_200.0
"""A dossier is sealed within half an hour; its proof lasts for days."""
FORGOT_WINDOW_SECONDS = 60.0
"""How long it is told that Redis has forgotten something: whoever asks every minute must learn of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What readiness is judged by. A ``…_seconds`` is how long something fails already, None while it does not.

    ``journal_forgets_from``: its first record, while what is delivered goes before its time.
    ``blind_sessions`` are those that have not caught up, and how each stands; ``unheard`` the filters that the broker
    refuses each. ``downlink_away_seconds`` is how long there is no connection for commands. ``still_stages``: for how
    many seconds each stage stands still (hub/stages.py). ``owned_seconds`` is the age of the last proof that the
    partition is ours, None when there was none yet. ``unkept_seconds`` is how long the broker's files differ from
    the registry, ``outdated_seconds`` for how long the hub cannot take up what that says, ``files_refused`` why it
    began without what its files say, ``unsealed_seconds`` for how long no pass has sealed all the dossiers there
    were to seal. ``forgot_seconds`` is how long ago Redis was found to have forgotten what it had confirmed, and
    ``forgotten`` what.
    """

    is_running: bool
    blind_sessions: Mapping[str, str]
    unheard: Mapping[str, Collection[str]]
    downlink_away_seconds: float | None
    downlink_error: str
    journal_error: str
    journal_forgets_from: int | None
    still_stages: Mapping[str, int]
    is_redis_connected: bool
    redis_unsafe: str
    streams_behind_seconds: float | None
    streams_error: str
    twins_behind_seconds: float | None
    twins_error: str
    requests_refused_seconds: float | None
    requests_error: str
    store_behind_seconds: float | None
    store_error: str
    owned_seconds: float | None
    broker_dropped: int
    unkept_seconds: float | None
    unkept_error: str
    outdated_seconds: float | None
    outdated_error: str
    files_refused: str
    unsealed_seconds: float | None
    unsealed_error: str
    forgot_seconds: float | None
    forgotten: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why the hub is not ready: a stable code, and the facts for people."""

    code: str
    detail: str


def reasons(vitals: Vitals) -> tuple[Reason, ...]:
    """Return every reason why the hub is not ready, the most fundamental first; none means ready."""
    if not vitals.is_running:
        return (Reason(code="not_running", detail="it has not begun yet, or is on its way down"),)
    return (*_hearing(vitals), *_in_step(vitals), *_delivering(vitals), *_proving(vitals))


def refused_for(error: HubError) -> Reason:
    """Return why a partition does not work beside others that do."""
    return Reason(code="partition_refused", detail=str(error))


def _hearing(vitals: Vitals) -> Iterator[Reason]:
    yield from _connected(vitals)
    if vitals.journal_error:
        detail = f"nothing is acknowledged, the broker queues: {vitals.journal_error}"
        yield Reason(code="journal_held_up", detail=detail)
    if vitals.journal_forgets_from is not None:
        detail = f"the disk is nearly full: what is delivered goes, it begins at record {vitals.journal_forgets_from}"
        yield Reason(code="journal_forgets", detail=detail)
    for stage, seconds in vitals.still_stages.items():
        if seconds >= STILL_SECONDS:
            detail = f"{stage} has something to do, and has not moved for {seconds} s"
            yield Reason(code="stage_stands_still", detail=detail)
    if vitals.broker_dropped:
        yield Reason(code="broker_dropped", detail=f"{vitals.broker_dropped} messages in the last minutes are lost")


def _connected(vitals: Vitals) -> Iterator[Reason]:
    for session, standing in vitals.blind_sessions.items():
        detail = f"{session}: not everything that the broker queued has been read: {standing}"
        yield Reason(code="session_blind", detail=detail)
    for session, filters in vitals.unheard.items():
        if filters:
            detail = f"{session}: the broker refuses {len(filters)} subscriptions, such as {min(filters)}"
            yield Reason(code="subscription_refused", detail=detail)
    if (vitals.downlink_away_seconds or 0) > DOWNLINK_SECONDS and not vitals.blind_sessions:  # else it is the broker
        detail = f"no connection for them for {vitals.downlink_away_seconds:.0f} s: {vitals.downlink_error}"
        yield Reason(code="commands_held_up", detail=detail)


def _in_step(vitals: Vitals) -> Iterator[Reason]:
    if (vitals.unkept_seconds or 0) > PATIENCE_SECONDS:
        detail = f"not in step with the registry for {vitals.unkept_seconds:.0f} s: {vitals.unkept_error}"
        yield Reason(code="broker_not_kept", detail=detail)
    if (vitals.outdated_seconds or 0) > OUTDATED_SECONDS:
        detail = f"not what the registry says for {vitals.outdated_seconds:.0f} s: {vitals.outdated_error}"
        yield Reason(code="registry_behind", detail=detail)
    if vitals.files_refused:
        yield Reason(code="files_refused", detail=f"it works with those that it had: {vitals.files_refused}")


def _delivering(vitals: Vitals) -> Iterator[Reason]:
    yield from _telling(vitals)
    if (vitals.store_behind_seconds or 0) > PATIENCE_SECONDS:
        why = vitals.store_error or "the store does not answer"
        detail = f"no write for {vitals.store_behind_seconds:.0f} s: {why}"
        yield Reason(code="timeseries_behind", detail=detail)
    if vitals.owned_seconds is None:
        yield Reason(code="ownership_unconfirmed", detail="Redis has not yet said that the partition is ours")
    elif vitals.owned_seconds > PATIENCE_SECONDS:
        detail = f"Redis last said {vitals.owned_seconds:.0f} s ago that the partition is ours"
        yield Reason(code="ownership_unconfirmed", detail=detail)


def _telling(vitals: Vitals) -> Iterator[Reason]:
    if vitals.redis_unsafe:
        yield Reason(code="redis_unsafe", detail=f"events wait in the outbox: {vitals.redis_unsafe}")
    elif not vitals.is_redis_connected:
        yield Reason(code="redis_unreachable", detail="events wait in the outbox")
    if (vitals.streams_behind_seconds or 0) > PATIENCE_SECONDS:
        detail = f"something waits for {vitals.streams_behind_seconds:.0f} s: {vitals.streams_error}"
        yield Reason(code="streams_behind", detail=detail)
    elif (vitals.twins_behind_seconds or 0) > PATIENCE_SECONDS:  # else it is the same that is refused
        detail = f"Redis refuses them for {vitals.twins_behind_seconds:.0f} s: {vitals.twins_error}"
        yield Reason(code="twins_behind", detail=detail)
    if (vitals.requests_refused_seconds or 0) > PATIENCE_SECONDS:
        detail = f"Redis refuses to show them for {vitals.requests_refused_seconds:.0f} s: {vitals.requests_error}"
        yield Reason(code="requests_unheard", detail=detail)
    if vitals.forgot_seconds is not None and vitals.forgot_seconds < FORGOT_WINDOW_SECONDS:
        detail = f"found {vitals.forgot_seconds:.0f} s ago: {vitals.forgotten}"
        yield Reason(code="redis_forgot", detail=detail)


def _proving(vitals: Vitals) -> Iterator[Reason]:
    if (vitals.unsealed_seconds or 0) > UNSEALED_SECONDS:
        why = vitals.unsealed_error or "there are more than can be done again"
        yield Reason(code="dossiers_unsealed", detail=f"for {vitals.unsealed_seconds:.0f} s: {why}")


class Drops:
    """How many messages the broker says it dropped within the last five minutes; its count at first sight is old."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def since_lately(self, now_seconds: float, total: int) -> int:
        """Return how far ``total`` is above what it was five minutes ago; a restarted broker counts from 0 again."""
        if self._seen and total < self._seen[-1][1]:
            self._seen = deque([(now_seconds, 0)])
        self._seen.append((now_seconds, total))
        while len(self._seen) > 1 and self._seen[1][0] <= now_seconds - DROPS_WINDOW_SECONDS:
            self._seen.popleft()
        return total - self._seen[0][1]
