"""Every counter and gauge of the hub, declared once; read from plain ints when somebody scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override


class Sort(Enum):
    """How a number moves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Declaration:
    """One metric: ``labels`` in the order in which they are shown."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    sort: Sort = Sort.COUNTER


def _gauge(name: str, text: str, *labels: str) -> Declaration:
    return Declaration(name, text, labels, Sort.GAUGE)


DECLARATIONS = (
    # The ledger: heard = applied + deduplicated + dead_lettered + refused.
    Declaration("hub_messages_heard_total", "Messages that are in the journal.", ("session",)),
    Declaration("hub_messages_applied_total", "Messages that the engine has applied.", ("timeliness",)),
    Declaration("hub_messages_deduplicated_total", "Messages that the broker sent again."),
    Declaration("hub_messages_dead_lettered_total", "Messages that will never work.", ("code",)),
    Declaration(
        "hub_messages_refused_total",
        "Messages outside the topic grammar, over size or quota, or of disabled devices.",
        ("code",),
    ),
    Declaration("hub_messages_replayed_total", "Dead letters that an operator or a new device applied again."),
    # What devices tell about their own counting.
    Declaration("hub_messages_missed_total", "Gaps in the sequence numbers of devices."),
    Declaration("hub_messages_repeated_total", "Sequence numbers that came again."),
    Declaration("hub_messages_reordered_total", "Sequence numbers that came late."),
    # What was understood, but not whole.
    Declaration("hub_messages_truncated_total", "Messages of which a part could not be read."),
    Declaration("hub_names_dropped_total", "Values of native payloads whose name the kind does not know."),
    Declaration("hub_clocks_rejected_total", "Device times that cannot be one."),
    Declaration("hub_clocks_disagreed_total", "Messages whose two device times contradict each other."),
    # derived = written + waiting + rejected.
    Declaration("hub_points_derived_total", "Points that the engine derived from messages."),
    Declaration("hub_points_written_total", "Points that the time series store took."),
    Declaration("hub_points_rejected_total", "Points that the time series store will never take."),
    Declaration("hub_values_unstored_total", "Values that did not change and that their profile does not store then."),
    Declaration("hub_readings_thinned_total", "Readings over the quota of their device: judged, and no point."),
    _gauge("hub_devices_over_quota", "Devices that say more than they may."),
    _gauge("hub_points_waiting", "Points that the time series store has not taken yet."),
    Declaration("hub_events_raised_total", "Events that rules raised.", ("severity",)),
    Declaration("hub_events_written_total", "Events that are in Redis streams."),
    Declaration("hub_rules_fired_total", "Alarms and moments that a rule raised.", ("rule",)),
    Declaration("hub_rules_failed_total", "Errors in rules; each cost one rule one record.", ("rule",)),
    Declaration("hub_alarms_inhibited_total", "Alarms that another one explains: held or taken back.", ("rule",)),
    Declaration("hub_values_forgotten_total", "Values of a rule that had to give way: there were too many.", ("rule",)),
    _gauge("hub_alarms_active", "Alarms that are active.", "severity"),
    Declaration("hub_commands_changed_total", "Commands that reached a state.", ("state",)),
    Declaration("hub_transmissions_failed_total", "Commands that did not leave the hub."),
    # South.
    Declaration("hub_acks_sent_total", "Acks that left on the connection their message came on.", ("session",)),
    Declaration("hub_acks_discarded_total", "Acks whose connection was gone.", ("session",)),
    Declaration("hub_messages_received_total", "Messages that arrived, of which some may come again.", ("session",)),
    Declaration("hub_sessions_connected_total", "Connections that the broker accepted.", ("session",)),
    Declaration("hub_sessions_reconnected_total", "Connections after the first.", ("session",)),
    Declaration("hub_subscriptions_refused_total", "Topic filters that the broker did not grant.", ("session",)),
    Declaration(
        "hub_subscriptions_unanswered_total", "Connections left: no answer to SUBSCRIBE or UNSUBSCRIBE.", ("session",)
    ),
    Declaration("hub_packets_malformed_total", "Packets of the broker that are not MQTT.", ("session",)),
    Declaration("hub_notes_refused_total", "Notes that found 100,000 others waiting for the journal."),
    Declaration("hub_requests_malformed_total", "Entries of the control stream that are no request."),
    _gauge(
        "hub_certificate_ends_timestamp_seconds", "When a certificate of hub or broker ends; 0: unreadable.", "file"
    ),
    _gauge("hub_broker_messages_dropped", "What the broker itself says it dropped."),
    _gauge("hub_sessions_blind", "1 while the session may not have read all that was queued.", "session"),
    # The journal and the engine's state.
    Declaration("hub_journal_records_appended_total", "Records fsynced."),
    Declaration("hub_journal_records_trimmed_total", "Records that retention removed."),
    _gauge("hub_journal_size_bytes", "The journal on disk."),
    _gauge("hub_tasks_running", "Tasks of the event loop: as many in a year as today."),
    Declaration("hub_loop_turn_seconds", "How long the event loop's turns took.", sort=Sort.HISTOGRAM),
    _gauge("hub_loop_longest_stall_seconds", "The longest time of the last minute in which the loop stood still."),
    _gauge("hub_stage_still_seconds", "How long a stage that has something to do has not moved.", "stage"),
    _gauge("hub_engine_lag_records", "Records that are in the journal and not applied yet."),
    Declaration("hub_checkpoints_written_total", "Saved states of the engine."),
    _gauge("hub_checkpoint_lag_records", "Records to apply again if the hub were killed now."),
    Declaration("hub_dead_letters_trimmed_total", "Dead letters that made room for newer ones."),
    # North.
    Declaration("hub_flushes_confirmed_total", "Writes that a sink confirmed.", ("sink",)),
    Declaration("hub_flushes_failed_total", "Writes that a sink could not take then.", ("sink",)),
    _gauge("hub_outbox_waiting_records", "Records that a sink still owes.", "sink"),
    _gauge("hub_outbox_waiting_bytes", "What a sink still owes.", "sink"),
    _gauge("hub_outbox_memory_bytes", "What of that is in memory.", "sink"),
    Declaration("hub_outbox_spilled_total", "Times that memory was too small for what a sink owed.", ("sink",)),
    Declaration("hub_outbox_writes_postponed_total", "Writes that the disk refused then.", ("sink",)),
    Declaration("hub_heartbeats_failed_total", "Times that Redis did not say whether the partition is ours."),
    Declaration("hub_stream_entries_trimmed_total", "Entries of streams that went with their age, or for memory."),
    Declaration("hub_consumer_groups_lagged_total", "Times that a consumer group began to owe too much."),
    _gauge("hub_outbox_disk_bytes", "What sinks still owe and the disk holds: it counts against retention.size."),
    Declaration("hub_entries_rejected_total", "Events, alarms and answers that no stream can hold: they are lost."),
    Declaration("hub_streams_forgotten_total", "Times that Redis had forgotten what it had confirmed."),
    Declaration("hub_consumer_groups_forgotten_total", "Consumer groups that were gone after that."),
    _gauge("hub_consumer_groups_lagging", "Consumer groups that owe too much to keep their entries."),
    _gauge("hub_dwellings", "Dwellings of the registry.", "site"),
    _gauge("hub_dwellings_covered", "Dwellings in which a fire detector was heard in the last 48 hours.", "site"),
    _gauge("hub_registry_revision", "The registry's revision that the engine works with."),
    # Dossiers that the hub seals by itself.
    Declaration("hub_dossiers_sealed_total", "Dossiers of grave alarms; unproven: by the journal.", ("proof",)),
    Declaration("hub_dossiers_removed_total", "Old dossiers that went for new ones: retention.dossiers."),
    _gauge("hub_dossiers_waiting", "Dossiers that the last pass could not seal."),
    _gauge("hub_dossiers_behind_seconds", "For how long an alarm may be over whose dossier is not sealed."),
    # The city engine, in a process of its own.
    _gauge("hub_workers_running", "Processes that run partitions, of those that should."),
    Declaration("hub_workers_restarted_total", "Workers that died and were started again.", ("worker",)),
    Declaration("hub_city_sightings_judged_total", "Cards and plates that were compared between sites."),
    Declaration("hub_city_sightings_delayed_total", "Those of them that came later than the city waits."),
    Declaration("hub_city_sightings_skipped_total", "Watched events that could not be compared.", ("why",)),
    Declaration("hub_city_events_raised_total", "Events that city rules raised.", ("rule",)),
    Declaration("hub_city_entries_missed_total", "Entries that were removed before the city judged them.", ("stream",)),
    Declaration("hub_city_entries_rejected_total", "Entries that no hub can have written."),
    Declaration("hub_city_transactions_written_total", "Transactions of events and how far the city has come."),
    _gauge("hub_city_sightings_remembered", "What later sightings are compared with."),
    _gauge("hub_city_sites_unplaced", "Sites of which nobody has said where they are."),
    _gauge("hub_city_lag_seconds", "How far the judgement is behind the clock of the streams' server."),
    # Forwarders and notifiers, each in a process of its own.
    Declaration("hub_deliveries_attempted_total", "Attempts of this process to deliver.", ("channel", "outcome")),
    Declaration("hub_deliveries_ended_total", "Deliveries since the ledger was made.", ("outcome",)),
    _gauge("hub_deliveries_waiting", "What is not delivered yet.", "channel"),
    _gauge("hub_deliveries_oldest_waiting_seconds", "How long the oldest waits that may go.", "channel"),
    _gauge("hub_deliveries_dead", "What was given up, and can be let again.", "channel"),
    _gauge("hub_deliveries_last_success_timestamp_seconds", "When this process last delivered one.", "channel"),
    _gauge("hub_outward_lag_seconds", "How far reading is behind the clock of the streams' server."),
    _gauge("hub_outward_unread_entries", "Entries not read yet, at the last look (every 30 s).", "stream"),
    Declaration("hub_outward_entries_missed_total", "Entries that were removed before they were read."),
    Declaration("hub_outward_entries_rejected_total", "Entries that no hub can have written."),
    Declaration("hub_escalations_missed_total", "Steps of escalations that no route told anybody of.", ("role",)),
)


class Spread(NamedTuple):
    """Lengths: how many were up to each bound, written as a number, the last one ``+Inf``; and their sum."""

    up_to: Sequence[tuple[str, int]]
    sum: float


Source = Callable[[], float | Mapping[str, float] | Spread]
"""A number; for a metric with one label left open, that label's values to numbers; for a histogram, a spread."""


class Metrics(Collector):
    """The metrics of one process. Owners keep plain ints; :meth:`read` says where; nothing is counted here.

    >>> metrics.read("hub_acks_sent_total", lambda: session.acks, session="telemetry")
    >>> metrics.read("hub_messages_dead_lettered_total", lambda: ledger.dead_letters_by_code)
    """

    def __init__(self) -> None:
        self._declared = {declaration.name: declaration for declaration in DECLARATIONS}
        self._sources: dict[str, list[tuple[dict[str, str], Source]]] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def read(self, name: str, source: Source, **labels: str) -> None:
        """Ask ``source`` for ``name`` at each scrape. KeyError for a metric that is not declared.

        ValueError when ``labels`` are not the declared ones; the one that may be missing comes from a mapping.
        """
        declared = self._declared[name].labels
        if not set(labels) <= set(declared) or len(declared) - len(labels) > 1:
            message = f"{name} has the labels {declared}, not {tuple(labels)}"
            raise ValueError(message)
        self._sources.setdefault(name, []).append((labels, source))

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self._registry)

    def values(self) -> dict[str, float]:
        """Return ``name{label="value"}`` to number, for people and tests."""
        lines = self.text().decode().splitlines()
        return {name: float(number) for name, _, number in (line.rpartition(" ") for line in lines) if name[:1] != "#"}

    @override
    def collect(self) -> Iterator[Metric]:
        for name, sources in self._sources.items():
            declaration = self._declared[name]
            family = _FAMILIES[declaration.sort](name, declaration.help, labels=declaration.labels)
            for labels, source in sources:
                for values, number in _samples(declaration.labels, labels, source()):
                    _add(family, values, number)
            yield family


_FAMILIES: dict[Sort, type[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]] = {
    Sort.COUNTER: CounterMetricFamily,
    Sort.GAUGE: GaugeMetricFamily,
    Sort.HISTOGRAM: HistogramMetricFamily,
}


def _add(family: Metric, values: Sequence[str], reading: float | Spread) -> None:
    if isinstance(family, HistogramMetricFamily) and isinstance(reading, Spread):
        family.add_metric(values, list(reading.up_to), reading.sum)
    elif isinstance(family, CounterMetricFamily | GaugeMetricFamily) and not isinstance(reading, Spread):
        family.add_metric(values, reading)


def _samples(
    declared: tuple[str, ...], labels: Mapping[str, str], reading: float | Mapping[str, float] | Spread
) -> Iterator[tuple[list[str], float | Spread]]:
    if isinstance(reading, Mapping):
        for open_value, number in sorted(reading.items()):
            yield [labels.get(name, open_value) for name in declared], number
    else:
        yield [labels[name] for name in declared], reading
