"""Side by side: a kill costs the hub nothing, and the tutorial way what it had acknowledged; rivals are set up well."""

from __future__ import annotations

import re
import sys
import tomllib
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from benchmarks import home_assistant, nodered, quiz, reaction, reflex, telegraf
from benchmarks.beside import Found, Row
from benchmarks.program import Call, Program
from benchmarks.quiz import Answer
from benchmarks.reaction import Reaction
from benchmarks.stage import Stage
from benchmarks.traffic import DAMP, HOT, STUFFY
from benchmarks.trial import FAULTS, Books, Counted, Outcome, Plan, trial
from benchmarks.ways import WAYS, Way
from hub.errors import UnavailableError
from tests.machine import needs
from tests.servers.influxdb import InfluxServer
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import PATIENCE_SECONDS

PLAN = Plan(rate=300, seconds=3, at=0.5, killed=1.0, calm=1.0, devices=20)
HUB, TUTORIAL = (next(way for way in WAYS if way.name == name) for name in ("hub", "tutorial"))
OUTCOME = Outcome(pubacked=1_000, unanswered=0, lost=17, doubled=3, behind_seconds=1.25)


@needs("mosquitto")
@needs("influxd")
@pytest.mark.parametrize(
    ("way", "loses", "patience"), [(HUB, False, PATIENCE_SECONDS), (TUTORIAL, True, 3)], ids=("hub", "tutorial")
)
async def test_who_is_killed_with_messages_in_hand_loses_them_if_it_had_acknowledged_them(
    way: Way, tmp_path: Path, patience: float, *, loses: bool
) -> None:
    plan = replace(PLAN, patience=patience)  # how long is waited for what seems lost
    found = await trial(way.put, FAULTS["killed while InfluxDB is away"], plan, tmp_path)
    assert found.pubacked == PLAN.rate * PLAN.seconds
    assert (found.lost > 0) is loses, found
    assert found.lost < found.pubacked
    if way is HUB:
        assert found.doubled == 0


@needs("mosquitto")
@needs("influxd")
async def test_what_the_broker_says_again_for_want_of_acks_is_there_twice_unless_somebody_knows_it(
    tmp_path: Path,
) -> None:
    found = await trial(TUTORIAL.put, FAULTS["acks lost"], replace(PLAN, seconds=2, deaf=0.5), tmp_path)
    assert found.lost == 0
    assert 0 < found.doubled < found.pubacked


@needs("mosquitto")
@needs("influxd")
async def test_the_hub_answers_every_question_as_a_community_needs_it(tmp_path: Path) -> None:
    assert HUB.acts is not None
    answers = await quiz.ask(HUB.acts, tmp_path, acts=True, tell=HUB.tell)
    assert [each for each in answers if not each.is_right] == []
    assert len(answers) == 9


@needs("mosquitto")
@needs("influxd")
@pytest.mark.parametrize("way", [HUB, TUTORIAL], ids=("hub", "tutorial"))
async def test_every_ebike_that_comes_has_its_door_held(way: Way, tmp_path: Path) -> None:
    assert way.acts is not None
    found = await reaction.react(way.acts, reaction.Plan(rate=200, seconds=1, devices=20), tmp_path)
    assert (found.causes, found.held) == (reflex.CARS_PER_SECOND, reflex.CARS_PER_SECOND)
    assert 0 < found.p50_ms <= found.p99_ms


def test_a_quiz_is_judged_by_what_is_stored_and_commanded() -> None:
    now, minute = 1_800_000_000_000_000_000, quiz.MINUTE_NS
    wrong = quiz.Found(
        now_ns=now, held_ms={"lift-1": [3.0]},
        points={quiz.TWICE: [now, now], quiz.LOST: [0], quiz.AHEAD: [quiz.AHEAD_MS * 1_000_000], quiz.LATE: [now]},
    )  # fmt: skip
    assert [(each.found, each.is_right) for each in quiz.answers_to(wrong)] == [
        (said, False)
        for said in (
            "2 points", "stored in 1970", "stored in 2099", "stored when it came", "stored as true", "it ends",
            "nothing", "a door is held", "nothing tells",
        )
    ]  # fmt: skip
    points = {quiz.TWICE: [now], quiz.LOST: [now], quiz.AHEAD: [now], quiz.LATE: [now - minute], quiz.NEXT: [now]}
    right = quiz.Found(
        now_ns=now, points=points, held_ms={"lift-0": [31.2, 250.0]}, told=frozenset({quiz.WHY, quiz.NONSENSE})
    )
    answers = {each.question: each.found for each in quiz.answers_to(right) if each.is_right}
    assert len(answers) == 9
    assert answers[quiz.ACTED[0]] == "held after 31 ms"
    assert answers["said a minute late"] == "stored at its time"


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
    nodered.program("node-red", stage, acts=True)
    consumer = tomllib.loads((tmp_path / "telegraf.conf").read_text(encoding="utf-8"))["inputs"]["mqtt_consumer"][0]
    assert (consumer["qos"], consumer["persistent_session"], consumer["client_id"]) == (1, True, telegraf.CLIENT)
    assert consumer["max_undelivered_messages"] > 1_000
    flow = orjson.loads((tmp_path / nodered.CLIENT / "flows.json").read_bytes())
    broker = next(node for node in flow if node["type"] == "mqtt-broker")
    assert (broker["cleansession"], broker["clientid"]) == (False, nodered.CLIENT)
    assert {node["id"] for node in flow} >= {
        target for node in flow for wires in node.get("wires", ()) for target in wires
    }
    assert [node["qos"] for node in flow if node["type"] == "mqtt out"] == ["1"]


def test_home_assistant_hears_every_device_by_qos_1_and_never_gives_a_write_up(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path, Mosquitto(tmp_path / "broker"), ValkeyServer(tmp_path / "valkey"), InfluxServer(tmp_path / "influx")
    )
    home_assistant.program("hass", stage, automated=True, acts=True)
    settings = orjson.loads((tmp_path / home_assistant.CLIENT / "configuration.yaml").read_bytes())
    sensors, cameras = settings["mqtt"][0]["sensor"][: -reflex.CARS], settings["mqtt"][0]["sensor"][-reflex.CARS :]
    assert {(each["state_topic"], each["json_attributes_topic"], each["qos"]) for each in sensors} == {
        (topic, topic, 1) for topic in home_assistant.TRAFFIC.topics
    }
    *automations, hold = settings["automation"]
    assert hold["triggers"][0]["entity_id"] == [each["default_entity_id"] for each in cameras]
    assert {each["qos"] for each in (*cameras, hold["actions"][0]["data"])} == {1}
    assert settings["influxdb"]["max_retries"] * 20 > 3_600  # seconds: what is older is dropped
    bounds = [[each.get("above", each.get("below")) for each in it["triggers"]] for it in automations]
    assert bounds == [[HOT - 0.01, HOT], [DAMP - 0.01, DAMP], [STUFFY - 0.01, STUFFY]]
    entries = orjson.loads((tmp_path / home_assistant.CLIENT / ".storage" / "core.config_entries").read_bytes())
    mqtt = next(each["data"] for each in entries["data"]["entries"] if each["domain"] == "mqtt")
    assert (mqtt["port"], mqtt["client_id"]) == (stage.mosquitto.port, home_assistant.CLIENT)


_SAYS = """\
import sys
from paho.mqtt.client import Client, CallbackAPIVersion
client = Client(CallbackAPIVersion.VERSION2, client_id="late")
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
client.publish(sys.argv[2], b"online", qos=1).wait_for_publish()
client._thread.join()
"""


@needs("mosquitto")
@pytest.mark.parametrize("topic", ["late/status", "another/topic"])
async def test_a_program_that_says_when_it_has_subscribed_is_waited_for(
    mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, topic: str
) -> None:
    stage = Stage(tmp_path, mosquitto, ValkeyServer(tmp_path / "valkey"), InfluxServer(tmp_path / "influx"))
    command = (sys.executable, "-c", _SAYS, str(mosquitto.port), topic)
    program = Program(stage, Call(client="late", command=command, environment={}, says="late/status"))
    if topic != "late/status":
        monkeypatch.setattr("benchmarks.program.READY_SECONDS", 2.0)
    try:
        with nullcontext() if topic == "late/status" else pytest.raises(UnavailableError, match="program_not_ready"):
            await program.start()
    finally:
        await program.kill()


def test_the_table_names_who_was_not_found_and_how_each_acknowledges() -> None:
    rows = [Row(way="tutorial", fault="killed", outcome=OUTCOME)]
    found = Found(
        plan=PLAN, machine="a machine", versions={"tutorial": "aiomqtt 2"}, absent=[telegraf.RIVAL.absent], rows=rows,
        answers={"tutorial": [Answer(question="said twice", found="2 points", is_right=False)]},
        reactions={"tutorial": Reaction(causes=300, held=299, in_time=298, p50_ms=3.0, p99_ms=12.5)},
    )  # fmt: skip
    console = Console(width=150)
    with console.capture() as said:
        found.show(console)
    assert "telegraf not found on PATH" in said.get()
    assert "tutorial (aiomqtt 2): acknowledges on receipt" in said.get()
    assert "2 points (!)" in said.get()
    assert re.search(r"tutorial +│ 300 +│ 299 +│ 298 +│ 3\.0 +│ 12\.5", said.get())
    assert not found.is_hub_wrong
    assert found.document()["rows"] == [
        {
            "way": "tutorial", "fault": "killed", "pubacked": 1_000, "unanswered": 0, "lost": 17, "doubled": 3,
            "behind_seconds": 1.25,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": [Row(way="hub", fault="killed", outcome=OUTCOME)]},
        {"answers": {"hub": [Answer(question="said twice", found="2 points", is_right=False)]}},
        {"reactions": {"hub": Reaction(causes=300, held=299, in_time=299, p50_ms=3.0, p99_ms=12.5)}},
    ],
    ids=("lost", "answered", "late"),
)
def test_whatever_the_hub_gets_wrong_is_said_by_the_exit_code(wrong: dict[str, Any]) -> None:
    assert Found(plan=PLAN, machine="a machine", versions={}, absent=[], **wrong).is_hub_wrong
