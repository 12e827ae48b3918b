"""Where each number is read: the parts of a hub to its metrics and to its vital signs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from hub.app import Hub
from hub.beginning import Step
from hub.bridge.line import SessionCounts
from hub.engine.content import Content
from hub.engine.device import Device
from hub.metrics import Metrics
from hub.model.values import PlaceType
from hub.turns import Turns
from hub.ui.doctor.served import ending
from hub.ui.dwellings import WITHIN_NS, home_of
from hub.ui.pages.readiness import Drops, Reason, Vitals, reasons
from hub.ui.sealing import Sealing


def observe(hub: Hub, metrics: Metrics, turns: Turns | None = None, sealing: Sealing | None = None) -> None:
    """Let ``metrics`` read every part of ``hub``, which is open and may not run yet, its loop, and what seals."""
    if sealing is not None:
        metrics.read("hub_dossiers_sealed_total", lambda: sealing.sealed - sealing.unproven, proof="proven")
        metrics.read("hub_dossiers_sealed_total", lambda: sealing.unproven, proof="unproven")
        metrics.read("hub_dossiers_removed_total", lambda: sealing.removed)
        metrics.read("hub_dossiers_waiting", lambda: sealing.waiting)
        metrics.read("hub_dossiers_behind_seconds", lambda: sealing.behind_seconds)
    if turns is not None:
        metrics.read("hub_loop_turn_seconds", lambda: turns.spread)
        metrics.read("hub_loop_longest_stall_seconds", lambda: turns.longest_seconds)
    _observe_ledger(hub, metrics)
    _observe_south(hub, metrics)
    _observe_journal(hub, metrics)
    _observe_north(hub, metrics)
    _observe_dwellings(hub, metrics)


def _observe_ledger(hub: Hub, metrics: Metrics) -> None:
    engine = hub.engine
    read = metrics.read
    # Through `engine.state` each time: a restored checkpoint replaces the ledger.
    read("hub_messages_heard_total", lambda: engine.state.ledger.sessions)
    read("hub_messages_applied_total", lambda: _timeliness(hub))
    read("hub_messages_deduplicated_total", lambda: engine.state.ledger.duplicate)
    read("hub_messages_dead_lettered_total", lambda: engine.state.ledger.dead_letter_codes)
    read("hub_messages_refused_total", lambda: engine.state.ledger.refused_codes)
    read("hub_messages_missed_total", lambda: engine.state.ledger.missed)
    read("hub_messages_repeated_total", lambda: engine.state.ledger.repeated_sequence)
    read("hub_messages_reordered_total", lambda: engine.state.ledger.reordered)
    read("hub_messages_truncated_total", lambda: engine.content.count_of("partials"))
    read("hub_names_dropped_total", lambda: engine.content.count_of("unknown_names"))
    read("hub_clocks_rejected_total", lambda: engine.content.count_of("clocks_unset"))
    read("hub_clocks_disagreed_total", lambda: engine.content.count_of("clocks_disagreeing"))
    read("hub_messages_replayed_total", lambda: engine.state.ledger.replayed)
    read("hub_points_derived_total", lambda: engine.state.ledger.points)
    read("hub_points_written_total", lambda: hub.timeseries_box.tally.get("written", 0))
    read("hub_points_rejected_total", lambda: hub.timeseries_box.tally.get("rejected", 0))
    read("hub_values_unstored_total", lambda: engine.state.ledger.unstored)
    read("hub_readings_thinned_total", lambda: engine.state.ledger.thinned)
    read("hub_devices_over_quota", lambda: sum(1 for each in engine.state.meters.by_device.values() if each.over_since))
    read("hub_points_waiting", lambda: waiting_points(hub))
    read("hub_events_raised_total", lambda: engine.state.ledger.severities)
    read("hub_events_written_total", lambda: hub.streams_box.tally.get("events", 0))
    read("hub_rules_fired_total", lambda: engine.state.ledger.fired)
    read("hub_rules_failed_total", lambda: engine.state.ledger.failed_rules)
    read("hub_alarms_inhibited_total", lambda: engine.state.ledger.inhibited)
    read("hub_values_forgotten_total", lambda: engine.state.ledger.forgotten)
    read("hub_alarms_active", lambda: Counter(alarm.severity.value for alarm in engine.alarms() if alarm.is_real))
    read("hub_commands_changed_total", lambda: engine.state.ledger.commands)
    read("hub_transmissions_failed_total", lambda: hub.downlink.counts.failed)


def _observe_south(hub: Hub, metrics: Metrics) -> None:
    metrics.read("hub_certificate_ends_timestamp_seconds", lambda: ending(hub.settings))
    metrics.read("hub_acks_sent_total", lambda: hub.hearing.acknowledged if hub.is_running else {})
    metrics.read("hub_broker_messages_dropped", lambda: broker_dropped(hub))
    metrics.read("hub_packets_malformed_total", lambda: _by_session(hub, lambda counts: counts.malformed_packets))
    metrics.read("hub_notes_refused_total", lambda: hub.inbox.refused_notes)
    metrics.read("hub_requests_malformed_total", lambda: hub.control_reader.malformed)
    metrics.read(
        "hub_sessions_blind", lambda: {session.name: session.name in blind_sessions(hub) for session in hub.sessions}
    )
    metrics.read("hub_acks_discarded_total", lambda: _by_session(hub, lambda counts: counts.stale_acks))
    metrics.read("hub_messages_received_total", lambda: _by_session(hub, lambda counts: counts.received_messages))
    metrics.read("hub_sessions_connected_total", lambda: _by_session(hub, lambda counts: counts.connects))
    metrics.read("hub_sessions_reconnected_total", lambda: _by_session(hub, lambda counts: max(0, counts.connects - 1)))
    metrics.read(
        "hub_subscriptions_refused_total", lambda: _by_session(hub, lambda counts: counts.refused_subscriptions)
    )
    metrics.read(
        "hub_subscriptions_unanswered_total", lambda: _by_session(hub, lambda counts: counts.unanswered_subscriptions)
    )


def _observe_journal(hub: Hub, metrics: Metrics) -> None:
    journal = hub.journal
    metrics.read("hub_journal_records_appended_total", lambda: journal.appended_records)
    metrics.read("hub_journal_records_trimmed_total", lambda: journal.trimmed_records)
    metrics.read("hub_journal_size_bytes", lambda: journal.size_bytes)
    metrics.read("hub_engine_lag_records", lambda: lag(hub))
    metrics.read("hub_tasks_running", lambda: len(asyncio.all_tasks()))
    metrics.read("hub_stage_still_seconds", lambda: hub.stages.still)
    metrics.read("hub_checkpoints_written_total", lambda: hub.applying.checkpoints.written if hub.is_running else 0)
    metrics.read("hub_registry_revision", lambda: hub.comparing.revision)
    metrics.read(
        "hub_checkpoint_lag_records",
        lambda: journal.last - hub.applying.checkpoints.position if hub.is_running else 0,
    )
    metrics.read("hub_dead_letters_trimmed_total", lambda: hub.state_file.dead_letters_dropped)


def _observe_north(hub: Hub, metrics: Metrics) -> None:
    streams, series = hub.streams_box, hub.timeseries_box
    metrics.read("hub_flushes_confirmed_total", lambda: hub.stream_sink.transactions, sink=streams.sink)
    metrics.read(
        "hub_flushes_failed_total",
        lambda: {streams.sink: hub.stream_sink.retries, series.sink: hub.writer.writes_failed},
    )
    metrics.read(
        "hub_outbox_waiting_records",
        lambda: {streams.sink: streams.owed.number, series.sink: series.owed.number},
    )
    metrics.read(
        "hub_outbox_waiting_bytes",
        lambda: {streams.sink: streams.owed.size, series.sink: series.owed.size},
    )
    metrics.read(
        "hub_outbox_memory_bytes",
        lambda: {streams.sink: streams.waiting_bytes, series.sink: series.waiting_bytes},
    )
    metrics.read("hub_outbox_spilled_total", lambda: {streams.sink: streams.spills, series.sink: series.spills})
    metrics.read(
        "hub_outbox_writes_postponed_total",
        lambda: {streams.sink: streams.writes_postponed, series.sink: series.writes_postponed},
    )
    metrics.read("hub_heartbeats_failed_total", lambda: hub.ownership.beats_failed)
    metrics.read("hub_consumer_groups_lagging", lambda: len(hub.retention.lagging))
    metrics.read("hub_consumer_groups_lagged_total", lambda: hub.retention.lagged)
    metrics.read("hub_stream_entries_trimmed_total", lambda: hub.retention.trimmed)
    metrics.read("hub_consumer_groups_forgotten_total", lambda: hub.retention.gone)
    metrics.read("hub_streams_forgotten_total", lambda: hub.reports.tails_lost)
    metrics.read("hub_entries_rejected_total", lambda: hub.stream_sink.rejected)
    metrics.read("hub_outbox_disk_bytes", lambda: hub.state_file.outbox_bytes)


def _observe_dwellings(hub: Hub, metrics: Metrics) -> None:
    rounds = Rounds(hub)
    metrics.read("hub_dwellings", lambda: rounds.made().dwellings)
    metrics.read("hub_dwellings_covered", lambda: rounds.made().covered)


# --------------------------------------------------------------------------------------------------- derived numbers


def lag(hub: Hub) -> int:
    """Return how many records are in the journal and not applied yet."""
    return hub.journal.last - hub.engine.state.clock.position


def waiting_points(hub: Hub) -> int:
    """Return how many points the store has neither taken nor refused."""
    tally = hub.timeseries_box.tally
    return hub.engine.state.ledger.points - tally.get("written", 0) - tally.get("rejected", 0)


def broker_dropped(hub: Hub) -> int:
    """Return what the broker says it dropped since it began; one session hears it, any may."""
    return max(session.counts.sys_dropped or 0 for session in hub.sessions)


def blind_sessions(hub: Hub) -> dict[str, str]:
    """Return the sessions that have not read everything that was queued for them, and how each stands.

    Until the engine hears that the hub has started, it knows what an earlier life had read.
    """
    known, first = hub.engine.state.clock.sessions, hub.first_connection
    standing = {session.name: session.counts.standing for session in hub.sessions}
    return {
        name: standing[name]
        for name in standing
        if name not in known or not (known[name].caught_up and known[name].connection >= first)
    }


def _by_session(hub: Hub, number: Callable[[SessionCounts], int]) -> Mapping[str, int]:
    return {session.name: number(session.counts) for session in hub.sessions}


def _timeliness(hub: Hub) -> Mapping[str, int]:
    ledger = hub.engine.state.ledger
    return {"live": ledger.live, "late": ledger.late, "backfill": ledger.backfill}


ROUND_NS = 5_000_000_000
"""A round takes 0.2 us a detector, the loop stands still meanwhile, and each page of figures asks twice."""


class Round(NamedTuple):
    """How many dwellings each site has, and in how many of them a detector was heard of lately."""

    dwellings: Mapping[str, int]
    covered: Mapping[str, int]


class Rounds:
    """Goes from detector to detector, every few seconds at most; who lives where is looked up once a revision.

    ``sites`` are those of all dwellings; ``where`` is the number of the dwelling of each detector. Flat, for the
    collector looks at nothing of it: an object for each dwelling doubled the time for which the loop stands still.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._revisions = -1
        self._sites: list[str] = []
        self._detectors: list[Device] = []
        self._where: list[int] = []
        self._made = Round({}, {})
        self._next = 0

    def made(self) -> Round:
        """Return what the last round found."""
        hub, content, now = self._hub, self._hub.engine.content, self._hub.clock.monotonic_ns()
        if self._revisions != content.revisions:
            self._look_up(content)
            self._revisions, self._next = content.revisions, now
        if now >= self._next:
            self._made = self._go(hub.clock.wall_ns() - WITHIN_NS)
            self._next = now + ROUND_NS
        return self._made

    def _look_up(self, content: Content) -> None:
        places = content.circumstances.places
        homes = [key for key, place in places.items() if place.type == PlaceType.DWELLING.value]
        numbers = {key: number for number, key in enumerate(homes)}
        self._sites, self._detectors, self._where = [site for site, _ in homes], [], []
        for device in content.devices():
            home = home_of(device.row, places)
            if home is not None and not device.is_double:
                self._detectors.append(device)
                self._where.append(numbers[home])

    def _go(self, since: int) -> Round:
        heard = {home for home, one in zip(self._where, self._detectors, strict=True) if one.state.heard_at >= since}
        dwellings = Counter(self._sites)
        return Round(dwellings, dict.fromkeys(dwellings, 0) | Counter(self._sites[home] for home in heard))


# ------------------------------------------------------------------------------------------------------- vital signs


class Watch:
    """Reads the vital signs of a hub; remembers only what the broker dropped lately."""

    def __init__(self, hub: Hub, sealing: Sealing | None = None) -> None:
        self._hub = hub
        self._sealing = sealing
        self._drops = Drops()

    def missing(self) -> tuple[Reason, ...]:
        """Return why the hub is not ready, from its first moment on: while it starts, what it waits for."""
        hub, step = self._hub, self._hub.beginning.step
        if step is None:
            return reasons(self.vitals())
        more = f", {lag(hub):,} records to go" if step is Step.RECOVERY else ""
        more += f": {hub.beginning.why}" if hub.beginning.why else ""
        return (Reason(code=step.code, detail=f"{step.what}, for {hub.beginning.seconds:.0f} s{more}"),)

    def vitals(self) -> Vitals:
        """Return how the hub is now; it is open."""
        hub = self._hub
        now = hub.clock.monotonic_ns()  # the wall clock may be set meanwhile
        confirmed, writer = hub.ownership.confirmed_at, hub.writer.state
        return Vitals(
            is_running=hub.is_running,
            blind_sessions=blind_sessions(hub),
            unheard={session.name: session.counts.unheard for session in hub.sessions},
            downlink_away_seconds=_seconds_since(hub.downlink.away_since, now),
            downlink_error=hub.downlink.error,
            journal_error=(hub.hearing.held_up_by or hub.applying.checkpoints.held_up_by) if hub.is_running else "",
            journal_forgets_from=hub.journal.first if hub.journal.past.is_going else None,
            still_stages=hub.stages.still,
            is_redis_connected=hub.stream_sink.connected,
            redis_unsafe=hub.ownership.server.unsafe,
            streams_behind_seconds=_seconds_since(hub.stream_sink.behind_since, now),
            streams_error=hub.stream_sink.last_error,
            twins_behind_seconds=_seconds_since(hub.twin_sink.behind_since, now),
            twins_error=hub.twin_sink.last_error,
            requests_refused_seconds=_seconds_since(hub.control_reader.refused_since, now),
            requests_error=hub.control_reader.last_error,
            store_behind_seconds=_seconds_since(writer.behind_since, now),
            store_error=writer.last_error or "",
            owned_seconds=_seconds_since(confirmed, now),
            broker_dropped=self._dropped_lately(hub, now / 1e9),
            unkept_seconds=_seconds_since(hub.keeping.failing_since, now),
            unkept_error=hub.keeping.error,
            outdated_seconds=_seconds_since(hub.comparing.failing_since, now),
            outdated_error=hub.comparing.error,
            files_refused=hub.comparing.refused,
            unsealed_seconds=None if self._sealing is None else _seconds_since(self._sealing.failing_since, now),
            unsealed_error="" if self._sealing is None else self._sealing.error,
            forgot_seconds=_seconds_since(hub.reports.forgot_at, now),
            forgotten=hub.reports.forgotten,
        )

    def _dropped_lately(self, hub: Hub, now_seconds: float) -> int:
        """Return what the broker dropped lately; before it has said how much it ever did, nothing is known."""
        is_told = any(session.counts.sys_dropped is not None for session in hub.sessions)
        return self._drops.since_lately(now_seconds, broker_dropped(hub)) if is_told else 0


def _seconds_since(moment: int | None, now: int) -> float | None:
    return None if moment is None else (now - moment) / 1e9
