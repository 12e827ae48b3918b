"""What a hub is made of: sessions, downlink and store as the settings wish them."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import uuid4

from hub.bridge import topics
from hub.bridge.aiomqtt_session import AiomqttSession
from hub.bridge.downlink import Downlink
from hub.bridge.frames import decode_packets
from hub.bridge.line import PATIENT, PROMPT, SessionConfig
from hub.bridge.paho_client import ClientConfig
from hub.bridge.reconnect import Guard
from hub.bridge.session import MqttSession
from hub.bridge.topics import SessionName
from hub.bridge.uplink import Inbox
from hub.catalogue import read_kind
from hub.clock import Clock
from hub.config.settings import SessionChoice, Settings, TimeseriesStore
from hub.engine.apply import Engine
from hub.engine.networks import Networks
from hub.engine.rows import Bodies
from hub.failpoints import Failpoints, Place
from hub.journal.archive import Archive
from hub.journal.journal import Journal
from hub.listening import filters_of
from hub.model.effects import AlarmState, Reply, Twin
from hub.model.records import Outcome
from hub.revisions.files import shipped_kinds
from hub.sinks.timeseries.lines import WRITING
from hub.sinks.timeseries.local import LocalStore
from hub.sinks.timeseries.store import Store
from hub.sinks.twins import TwinChanges
from hub.veil import Veil

WRITE_DEADLINE = timedelta(seconds=10)


class Broker(NamedTuple):
    """How to meet the broker: can it be asked for $SYS, who knows that we may still speak to it, when to attend."""

    asks_sys: bool
    guard: Guard
    attends: Callable[[], bool]


def make_engine(journal: str) -> Engine:
    """Return an engine that writes its points as the lines that every store takes."""
    return Engine(journal, topics, decode_packets, WRITING)


async def archive(settings: Settings, clock: Clock, journal: Journal) -> None:
    """Put checkpoints aside, until cancelled."""
    every, limit = settings.checkpoint.archive_every, settings.checkpoint.archive_size
    await Archive(settings.files_dir, every=every, limit_bytes=limit).run(clock, lambda: journal.first)


def make_store(settings: Settings, clock: Clock) -> Store:
    """Return the time series store that the settings name."""
    series = settings.timeseries
    match series.store:
        case TimeseriesStore.LOCAL:
            return LocalStore(settings.data_dir / "timeseries.sqlite", clock, keep=series.keep)
        case TimeseriesStore.INFLUXDB:
            from hub.sinks.timeseries.influxdb import InfluxStore  # noqa: PLC0415 -- 70 ms that only its users pay

            return InfluxStore(
                url=series.url,
                token=series.token.get_secret_value(),
                org=series.org,
                bucket=series.bucket,
                deadline=WRITE_DEADLINE,
            )


def make_sessions(
    settings: Settings, inbox: Inbox, clock: Clock, first_connection: int, broker: Broker
) -> list[MqttSession | AiomqttSession]:
    """Return the sessions, attached to ``inbox`` in the order in which they are heard: events first."""
    mqtt = settings.mqtt
    make = MqttSession if mqtt.session is SessionChoice.MQTT5 else AiomqttSession
    sessions: list[MqttSession | AiomqttSession] = []
    for name in SessionName:
        user = f"{mqtt.username_prefix}-{name.value}"
        config = SessionConfig(
            host=mqtt.host,
            port=mqtt.port,
            client_id=user,
            name=name.value,
            partition=settings.partition,
            filters=tuple(filters_of(name, Networks(), None, asks_sys=broker.asks_sys)),
            username=user,
            password=getattr(mqtt.passwords, name.value).get_secret_value(),
            tls=tls_of(settings),
            first_connection=first_connection,
            guard=broker.guard,
            rests=PATIENT if name is SessionName.TELEMETRY else PROMPT,
            attends=broker.attends,
        )
        session = make(config, inbox.put, clock)
        inbox.attach(session)
        sessions.append(session)
    return sessions


def make_downlink(settings: Settings, inbox: Inbox, clock: Clock, guard: Guard) -> Downlink:
    """Return the downlink; it connects as a user of its own. Outcomes wait a moment for messages in ``inbox``."""
    failpoints = Failpoints(settings.failpoint)

    def tell(outcome: Outcome) -> None:
        failpoints.reach(Place.COMMAND_TOLD)
        inbox.put_note(outcome, soon=False)

    mqtt = settings.mqtt
    user = f"{mqtt.username_prefix}-downlink"
    config = ClientConfig(
        host=mqtt.host,
        port=mqtt.port,
        client_id=user,
        username=user,
        password=mqtt.passwords.downlink.get_secret_value(),
        tls=tls_of(settings),
    )
    return Downlink(config, tell, clock, guard=guard)


def make_tool_client(settings: Settings, connection: str) -> ClientConfig:
    """Return where `hub record` or `hub drill` connects: as a user of its own, so that it takes no session over."""
    mqtt = settings.mqtt
    user = f"{mqtt.username_prefix}-{connection}"
    return ClientConfig(
        host=mqtt.host,
        port=mqtt.port,
        client_id=f"{user}-{uuid4().hex[:12]}",
        username=user,
        password=getattr(mqtt.passwords, connection).get_secret_value(),
        tls=tls_of(settings),
    )


def veil_over(documents: Mapping[str, bytes]) -> Veil:
    """Return what masks, by the kinds that ship and those among ``documents``, which the hub works with."""
    kinds = [read_kind(body) for key, body in documents.items() if key.startswith("kind/")]
    return Veil([*shipped_kinds(), *kinds])


def veil_of(engine: Engine) -> Callable[[], Veil]:
    """Return what says what masks what is personal, as the kinds of ``engine`` are then."""
    return lambda: veil_over(Bodies(engine.content.documents))


def answers_of(engine: Engine) -> Callable[[str], Reply | None]:
    """Return what says what ``engine`` answered to a request lately."""

    def answered(request: str) -> Reply | None:
        known = engine.state.answers.by_id.get(request)
        return None if known is None else known[1]

    return answered


class EngineTwins:
    """The engine's twins as the twin sink wants them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take_changes(self, most: int = sys.maxsize) -> TwinChanges:
        """Return ``most`` of what changed and nobody has taken."""
        changed, removed = self._engine.take_changed_twins(most)
        return TwinChanges(changed=changed, removed=removed)

    def sites(self) -> Sequence[str]:
        """Return every site."""
        return self._engine.content.sites()

    def of_site(self, site: str) -> Sequence[Twin]:
        """Return all rows of a site."""
        return self._engine.twins_of(site)


def alarms_by_site(engine: Engine) -> Mapping[str, Sequence[AlarmState]]:
    """Return the active alarms of every site, also of one without."""
    by_site: dict[str, list[AlarmState]] = {site: [] for site in engine.content.sites()}
    for alarm in engine.alarms():
        by_site.setdefault(alarm.site, []).append(alarm)
    return by_site


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """Return what TLS to the broker needs; None for a plain connection."""
    mqtt = settings.mqtt
    if mqtt.ca_file is None:
        return None
    context = ssl.create_default_context(cafile=str(mqtt.ca_file))
    # From 3.13 on Python refuses an authority without a key usage, which is what `openssl req -x509` makes.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if mqtt.cert_file is not None:
        context.load_cert_chain(str(mqtt.cert_file), None if mqtt.key_file is None else str(mqtt.key_file))
    return context
