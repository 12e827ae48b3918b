"""What a hub is made of: sessions, downlink and store as the settings wish them."""

from __future__ import annotations

import hashlib
import secrets
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import structlog

from hub import __version__
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
from hub.catalogue import Kind
from hub.clock import Clock
from hub.config import SessionChoice, Settings, TimeseriesStore, packaged
from hub.engine.apply import Engine
from hub.engine.networks import Networks
from hub.engine.rows import Bodies
from hub.errors import ConfigError, PoisonError
from hub.failpoints import Failpoints, Place
from hub.journal.archive import Archive
from hub.journal.journal import Journal
from hub.listening import filters_of
from hub.model.effects import AlarmState, Reply, Twin
from hub.model.records import NewRevision, Outcome
from hub.normalize.load import load_profiles
from hub.normalize.networks.directory import carried_over, directory_documents
from hub.revisions import REGISTERED, read_yaml, revise
from hub.rules.pseudonyms import DOCUMENT, KEY_BYTES, write_key
from hub.sinks.timeseries.lines import WRITING
from hub.sinks.timeseries.local import LocalStore
from hub.sinks.timeseries.store import Store
from hub.sinks.twins import TwinChanges
from hub.veil import Veil

log = structlog.get_logger(__name__)

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
            return LocalStore(settings.data_dir / "timeseries.sqlite", clock)
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


def understood(directories: Mapping[str, bytes], documents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the documents that what sources say of their devices becomes, with the kinds among ``documents``."""
    found: dict[str, bytes] = {}
    if not directories:
        return found
    kinds = [Kind.model_validate_json(body) for key, body in documents.items() if key.startswith("kind/")]
    for source, payload in directories.items():
        try:
            found |= directory_documents(source, payload, {kind.kind: kind for kind in kinds})
        except (PoisonError, ValueError) as error:  # the engine has read it already: only a bug of ours leads here
            log.error("directory_refused", source=source, reason=str(error))  # noqa: TRY400 -- nothing more to say
    return found


class Sought(NamedTuple):
    """What a hub is to work with: files, rows of the registry (None: as they are held), what sources said of devices.

    It is compared with what is ``superseded``, if anything is, instead of what the engine holds.
    """

    yaml: Mapping[str, bytes]
    rows: Mapping[str, bytes] | None
    directories: Mapping[str, bytes]
    superseded: Mapping[str, bytes]


def difference(settings: Settings, sought: Sought, held: Bodies) -> NewRevision | None:
    """Return what leads from the documents that are ``held`` to those that are sought; None when nothing does.

    ConfigError when the engine could not work with them. It takes a second with 100,000 devices: call it in a thread.
    """
    said = understood(sought.directories, sought.yaml)
    others = {key: held[key] for key in held if not key.startswith("device/")}
    rows = sought.rows
    if rows is None:
        rows = {key: held[key] for key in held if key.startswith(REGISTERED)}
    kept = carried_over(others | said, rows.values())
    wanted = {**sought.yaml, **rows, **secret_documents(settings), **kept}
    return revise(sought.superseded or held, wanted, __version__)


def make_downlink(settings: Settings, emit: Callable[[Outcome], None], clock: Clock, guard: Guard) -> Downlink:
    """Return the downlink; it connects as a user of its own."""
    failpoints = Failpoints(settings.failpoint)

    def tell(outcome: Outcome) -> None:
        failpoints.reach(Place.COMMAND_TOLD)
        emit(outcome)

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


def read_content(settings: Settings) -> dict[str, bytes]:
    """Return kinds, profiles and rules: what ships with the hub, overlaid by the installation's."""
    return read_yaml(profile_layers(settings.profiles_dir), rule_layers(settings.rules_dir))


def read_profiles(settings: Settings) -> dict[str, bytes]:
    """Return kinds and profiles alone: a quarter of the time."""
    return read_yaml(profile_layers(settings.profiles_dir), [])


@cache
def shipped_kinds() -> Sequence[Kind]:
    """Return the kinds that ship: what they mark as personal stays so where an installation's forgot the mark."""
    return list(load_profiles([packaged("device_profiles") / "kinds"])[0].kinds.values())


def veil_over(documents: Mapping[str, bytes]) -> Veil:
    """Return what masks, by the kinds that ship and those among ``documents``, which the hub works with."""
    kinds = [Kind.model_validate_json(body) for key, body in documents.items() if key.startswith("kind/")]
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


def secret_documents(settings: Settings) -> dict[str, bytes]:
    """Return the document with the key of pseudonyms."""
    return {DOCUMENT: write_key(key_of(settings.city.secret.get_secret_value(), settings.data_dir))}


def key_of(secret: str, directory: Path) -> bytes:
    """Return what makes pseudonyms: of the settings' ``secret``, or of a file that only we may read, made once."""
    if secret:
        return hashlib.blake2b(secret.encode(), digest_size=KEY_BYTES).digest()
    path = directory / "pseudonyms.key"
    if not path.exists():
        draft = directory / f"pseudonyms.{uuid4().hex}"
        draft.touch(mode=0o600)
        draft.write_bytes(secrets.token_bytes(KEY_BYTES))
        with suppress(FileExistsError):  # a hub and a city engine that begin at the same time take the same one
            path.hardlink_to(draft)
        draft.unlink()
    found = path.read_bytes()
    if len(found) != KEY_BYTES:
        hint = "restore it; without it cards and plates get other pseudonyms than before"
        raise ConfigError("key_damaged", f"{len(found)} bytes instead of {KEY_BYTES}", file=str(path), hint=hint)
    return found


class EngineTwins:
    """The engine's twins as the twin sink wants them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take_changes(self) -> TwinChanges:
        """Return what changed since the last call."""
        changed, removed = self._engine.take_changed_twins()
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
    if mqtt.cert_file is not None:
        context.load_cert_chain(str(mqtt.cert_file), None if mqtt.key_file is None else str(mqtt.key_file))
    return context


def profile_layers(own: Path | None) -> list[Path]:
    """Return where kinds, profiles and networks are: what ships, and the installation's ``own`` over it."""
    return [packaged("device_profiles"), *_overlay(own)]


def rule_layers(own: Path | None) -> list[Path]:
    """Return where rules and scenes are: what ships, and the installation's ``own`` over it."""
    return [packaged("rules"), packaged("scenes"), *_overlay(own)]


def _overlay(directory: Path | None) -> list[Path]:
    return [] if directory is None else [directory]
