"""Side by side: a kill costs the hub nothing, and the tutorial way what it had acknowledged; rivals are set up well."""

from __future__ import annotations

import tomllib
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from benchmarks import nodered, telegraf
from benchmarks.beside import WAYS, Found, Row, Way
from benchmarks.stage import Stage
from benchmarks.trial import FAULTS, Books, Counted, Outcome, Plan, trial
from tests.machine import needs
from tests.servers.influxdb import InfluxServer
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer

PLAN = Plan(rate=300, seconds=3, at=0.5, killed=1.0, calm=1.0, patience=3.0, devices=20)
HUB, TUTORIAL = (next(way for way in WAYS if way.name == name) for name in ("hub", "tutorial"))
OUTCOME = Outcome(pubacked=1_000, unanswered=0, lost=17, doubled=3, behind_seconds=1.25)


@needs("mosquitto")
@needs("influxd")
@pytest.mark.parametrize(("way", "loses"), [(HUB, False), (TUTORIAL, True)], ids=("hub", "tutorial"))
async def test_who_is_killed_with_messages_in_hand_loses_them_if_it_had_acknowledged_them(
    way: Way, tmp_path: Path, *, loses: bool
) -> None:
    found = await trial(way.put, FAULTS["killed while InfluxDB is away"], PLAN, tmp_path)
    assert found.pubacked == PLAN.rate * PLAN.seconds
    assert (found.lost > 0) is loses, found
    assert found.lost < found.pubacked
    if way is HUB:
        assert found.doubled == 0


def test_the_books_count_what_is_missing_and_what_is_there_twice_taken_or_not() -> None:
    books = Books(taken=bytearray([1, 1, 1, 0, 0]), stored=bytearray([1, 0, 2, 3, 0]))
    assert (books.lost(), books.doubled()) == (1, 2)


def test_no_device_says_the_same_millisecond_twice() -> None:
    speech = Counted(2)
    times = [orjson.loads(speech.say(number, 1_772_352_000_000_000_000)[2])["t"] for number in range(6)]
    assert times == [1_772_352_000_000 + word for word in (0, 0, 1, 1, 2, 2)]


def test_the_rivals_have_sessions_that_last_and_telegraf_acks_after_delivery(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path, Mosquitto(tmp_path / "broker"), ValkeyServer(tmp_path / "valkey"), InfluxServer(tmp_path / "influx")
    )
    telegraf.program("telegraf", stage, telegraf.MEASURED)
    nodered.program("node-red", stage)
    consumer = tomllib.loads((tmp_path / "telegraf.conf").read_text(encoding="utf-8"))["inputs"]["mqtt_consumer"][0]
    assert (consumer["qos"], consumer["persistent_session"], consumer["client_id"]) == (1, True, telegraf.CLIENT)
    assert consumer["max_undelivered_messages"] > 1_000
    flow = orjson.loads((tmp_path / nodered.CLIENT / "flows.json").read_bytes())
    broker = next(node for node in flow if node["type"] == "mqtt-broker")
    assert (broker["cleansession"], broker["clientid"]) == (False, nodered.CLIENT)


def test_the_table_names_who_was_not_found_and_how_each_acknowledges() -> None:
    rows = [Row(way="tutorial", fault="killed", outcome=OUTCOME)]
    found = Found(
        plan=PLAN, machine="a machine", versions={"tutorial": "aiomqtt 2"}, absent=[telegraf.RIVAL.absent], rows=rows
    )
    console = Console(width=150)
    with console.capture() as said:
        found.show(console)
    assert "telegraf not found on PATH" in said.get()
    assert "tutorial (aiomqtt 2): acknowledges on receipt" in said.get()
    assert found.document()["rows"] == [
        {
            "way": "tutorial", "fault": "killed", "pubacked": 1_000, "unanswered": 0, "lost": 17, "doubled": 3,
            "behind_seconds": 1.25,
        }
    ]  # fmt: skip
