"""Telegraf, where it is found: mqtt_consumer with a session that lasts, JSON parsed, lines to InfluxDB, then acked."""

from __future__ import annotations

from benchmarks.program import Call, Program, Rival
from benchmarks.stage import Stage
from benchmarks.traffic import BUILDING, FILTER, KIND

CLIENT = "telegraf"
ARRIVED = """\
  data_format = "json"
  json_query = "values"
"""
"""A parser of ours: the time of a point is when it came."""
MEASURED = """\
  data_format = "json_v2"
  [[inputs.mqtt_consumer.json_v2]]
    timestamp_path = "t"
    timestamp_format = "unix_ms"
    [[inputs.mqtt_consumer.json_v2.object]]
      path = "values"
"""
"""Another one: the time of a point is when the device says, so that what comes twice is one point."""


def program(executable: str, stage: Stage, parser: str = ARRIVED) -> Program:
    """Put Telegraf on ``stage``, with everything that its pages name against loss."""
    config = stage.directory / "telegraf.conf"
    config.write_text(_config(stage, parser), encoding="utf-8")
    command = (executable, "--config", str(config))
    return Program(stage, Call(client=CLIENT, command=command, environment={"HOME": str(stage.directory)}))


def _config(stage: Stage, parser: str) -> str:
    """Return its settings: it dials a lost broker each ``interval``, and writes again each ``flush_interval``."""
    return f"""\
[agent]
  interval = "1s"
  flush_interval = "250ms"
  metric_batch_size = 1000
  metric_buffer_limit = 100000
  omit_hostname = true
  skip_processors_after_aggregators = true
  quiet = true

[[outputs.influxdb]]
  urls = ["{stage.influx.url}"]
  database = "hub"
  skip_database_creation = true
  content_encoding = "identity"

[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{stage.mqtt_port}"]
  topics = ["{FILTER}"]
  topic_tag = ""
  qos = 1
  persistent_session = true
  client_id = "{CLIENT}"
  max_undelivered_messages = 10000
  name_override = "{KIND}"
{parser}
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "hub/+/+/telemetry"
    tags = "_/site/device/_"
  [inputs.mqtt_consumer.tags]
    building = "{BUILDING}"
"""


RIVAL = Rival(subject="Telegraf (mqtt_consumer, json, influxdb output)", executable="telegraf", put=program)
