"""Every check of `hub doctor`, one row each: a name that has its words, and the function that judges."""

from __future__ import annotations

from typing import Any

from hub.ui.doctor import broker, broker_probe, machine, mosquitto_conf, outward, own, redis, scenes, series, served
from hub.ui.doctor.findings import Area, Check, Grade, Words
from hub.ui.doctor.words_broker import BROKER_WORDS, CONF_WORDS
from hub.ui.doctor.words_machine import MACHINE_WORDS, OWN_WORDS
from hub.ui.doctor.words_stores import REDIS_WORDS, SERIES_WORDS

WORDS: dict[str, Words] = CONF_WORDS | BROKER_WORDS | REDIS_WORDS | SERIES_WORDS | MACHINE_WORDS | OWN_WORDS

AREAS: tuple[Area[Any], ...] = (
    Area(
        "mosquitto.conf",
        mosquitto_conf.look,
        (
            Check("conf_known", mosquitto_conf.known),
            Check("conf_queue_messages", mosquitto_conf.queue_messages),
            Check("conf_queue_bytes", mosquitto_conf.queue_bytes),
            Check("conf_inflight", mosquitto_conf.inflight),
            Check("conf_persistence", mosquitto_conf.persistence),
            Check("conf_autosave", mosquitto_conf.autosave),
            Check("conf_client_expiration", mosquitto_conf.client_expiration),
            Check("conf_anonymous", mosquitto_conf.anonymous),
            Check("conf_client_ids", mosquitto_conf.client_ids),
            Check("conf_access", mosquitto_conf.access),
            Check("conf_plain_text", mosquitto_conf.plain_text),
            Check("conf_packet_size", mosquitto_conf.packet_size),
            Check("conf_memory", mosquitto_conf.memory),
            Check("conf_quality", mosquitto_conf.quality),
            Check("conf_connections", mosquitto_conf.connections),
            Check("conf_statistics", mosquitto_conf.statistics),
        ),
        blind=Grade.UNSEEN,  # somebody else's broker: what is asked of it live has to do
    ),
    Area("certificates", served.look, (Check("certificates_last", served.lasting),)),
    Area(
        "broker",
        broker_probe.look,
        (
            Check("broker_reachable", broker.reachable),
            Check("broker_version", broker.version),
            Check("broker_anonymous", broker.anonymous),
            Check("broker_client_id", broker.client_id),
            Check("broker_session_expiry", broker.session_expiry),
            Check("broker_receive_maximum", broker.receive_maximum),
            Check("broker_packet_size", broker.packet_size),
            Check("broker_quality", broker.quality),
            Check("broker_dropped", broker.dropped),
            Check("broker_backlog", broker.backlog),
        ),
    ),
    Area(
        "redis",
        redis.look,
        (
            Check("redis_reachable", redis.reachable),
            Check("redis_append_only", redis.append_only),
            Check("redis_fsync", redis.fsync),
            Check("redis_writes", redis.writes),
            Check("redis_eviction", redis.eviction),
            Check("redis_evicted", redis.evicted),
            Check("redis_memory", redis.memory),
            Check("redis_cluster", redis.cluster),
            Check("redis_role", redis.role),
            Check("redis_file", redis.file_agrees),
            Check("redis_password", redis.password),
            Check("redis_version", redis.version),
            Check("redis_clock", redis.clocks),
        ),
    ),
    Area(
        "time series",
        series.look,
        (
            Check("series_reachable", series.reachable),
            Check("series_write", series.takes),
            Check("series_read", series.answers),
            Check("series_same", series.same),
            Check("series_retention", series.retention),
            Check("series_mapping", series.mapping),
        ),
    ),
    Area(
        "machine",
        machine.look,
        (
            Check("disk_file_system", machine.file_system),
            Check("disk_space", machine.space),
            Check("disk_fsync", machine.fsync),
            Check("clock_kept", machine.clock_kept),
            Check("clock_stepped", machine.clock_stepped),
            Check("secrets_private", machine.private),
        ),
    ),
    Area("registry", own.registry, (Check("registry_version", own.registry_version),)),
    Area("profiles", own.profiles, (Check("profiles_check", own.faultless),)),
    Area("rules", own.rules, (Check("rules_check", own.faultless),)),
    Area("holidays", own.holidays, (Check("holidays_known", own.announced),), blind=Grade.UNSEEN),
    Area("scenes", scenes.look, (Check("scenes_on", scenes.all_on),)),
    Area("identity", own.identity, (Check("one_hub", own.one_hub),), blind=Grade.UNSEEN),
    Area(
        "deliveries",
        outward.look,
        (
            Check("deliveries_leave", outward.deliveries),
            Check("senders_work", outward.at_work),
            Check("receivers_reachable", outward.reachable),
            Check("roles_told", outward.roles_told),
        ),
    ),
    Area("hub", own.running, (Check("hub_ready", own.ready), Check("loop_turns", own.turns))),
)
