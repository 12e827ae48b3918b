"""The benchmarks run, show every row, and lose nothing; their figures are for ``make bench``."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from benchmarks import report
from benchmarks.baseline import RAW, TUTORIAL, has_raw
from benchmarks.figures import FLOOD, MIXTURE, QUICK, Finding, Results, Target, steadily
from benchmarks.groups import RIVALS
from benchmarks.listener import Seen
from benchmarks.micro import ROWS
from benchmarks.publisher import Published
from benchmarks.targets import HUB
from benchmarks.timing import latencies
from benchmarks.traffic import EVENT_EVERY, PAYLOAD_BYTES, Traffic
from tests.house.rooms import HOUSE
from tests.machine import needs

SECONDS = 1_200
LEAST_RATIO = 2.0
"""So many times cheaper than the tutorial way is the hub at least, even over a tiny flood on a busy machine."""
WAYS = {TUTORIAL.subject, *([RAW.subject] if has_raw() else [])}


@needs("mosquitto")
@needs("influxd")
@pytest.mark.timeout(SECONDS + 60)
async def test_a_quick_run_shows_every_row_and_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = (sys.executable, "-m", "benchmarks", "--quick", "--json", str(file))
    process = await asyncio.create_subprocess_exec(*command, cwd=HOUSE, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(SECONDS):
            said, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaint.decode()[-3_000:]
    found: dict[str, Any] = orjson.loads(file.read_bytes())
    rows = {(row["subject"], row["load"]): row for row in found["figures"]}
    assert rows.keys() >= {
        *((way, load) for way in WAYS for load in (FLOOD, *map(steadily, QUICK.tutorial_rates))),
        *((rival.subject, FLOOD) for rival in RIVALS if rival.find()),
        *((HUB, load) for load in (FLOOD, MIXTURE, *map(steadily, QUICK.rates))),
        ("hub, local", FLOOD),
    }
    assert {key: row["lost"] for key, row in rows.items() if row["lost"]} == {}
    assert {each["name"]: each["lost"] for each in found["findings"] if each["lost"]} == {}
    for words in (
        "command on the wire, p99: 400 a second",
        "taken, stored and streamed",
        "backlog of 4,000",
        "200 devices: memory",
        "journal of 10,000",
    ):
        assert any(words in each["name"] for each in found["findings"])
    assert [size["devices"] for size in found["sizes"]] == list(QUICK.sizes)
    assert rows[HUB, FLOOD]["ratio"] > LEAST_RATIO
    assert [row["name"] for row in found["pieces"]] == [name for name, _, _ in ROWS]
    assert {row["profile"] for row in found["profiles"]} >= {"milesight/gs524n", "hikvision/anpr"}
    assert all(row["usual_us"] > 0 for row in found["profiles"])
    assert all(min(row["cpu_us"]) > 0 for row in found["figures"])
    for row in found["figures"]:
        assert row["subject"] in said.decode()


def test_a_missed_target_is_said_plainly() -> None:
    missed = Finding(name="cost", found=9.6, unit="µs", target=Target(bound=8))
    reached = Finding(name="speed", found=21.0, unit="×", target=Target(bound=20, is_least=True))
    found = Results(plan=QUICK, machine="a machine", findings=[missed, reached])
    console = Console(width=150)
    with console.capture() as said:
        console.print(report.targets(found))
    lines = {line.split("│")[1].strip(): line for line in said.get().splitlines() if "│" in line}
    assert "missed" in lines["cost"]
    assert "reached" in lines["speed"]
    assert [missed.is_missed, reached.is_missed] == [True, False]


async def test_the_city_is_measured_and_tells_what_it_found() -> None:
    command = (sys.executable, "-m", "benchmarks.city", "--passages", "2000")
    process = await asyncio.create_subprocess_exec(*command, cwd=HOUSE, stdout=PIPE, stderr=PIPE)
    said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()[-3_000:]
    assert re.search(r"the whole process +\d+\.\d µs a passage, [\d,]+ a second; [1-9]\d* events told", said.decode())


@needs("mosquitto")
async def test_two_workers_are_measured_against_one_and_lose_nothing() -> None:
    sizes = ("--devices", "20", "--count", "2000", "--runs", "1", "--no-brokered")
    command = (sys.executable, "-m", "benchmarks.workers", *sizes)
    process = await asyncio.create_subprocess_exec(*command, cwd=HOUSE, stdout=PIPE, stderr=PIPE)
    said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()[-3_000:]
    rows = re.findall(r"fed without a broker +│ ([12]) +│ [\d,]+ +│ × \d", said.decode())
    assert rows == ["1", "2"], said.decode()


def test_every_payload_has_the_length_that_the_table_says() -> None:
    traffic = Traffic(1_000)
    lengths = {len(traffic.payload(number, 1_772_352_000_000)) for number in range(0, 300_000, 7)}
    assert lengths == {PAYLOAD_BYTES}


def test_one_message_in_a_hundred_is_an_event() -> None:
    traffic = Traffic(1_000)
    assert traffic.count_events(range(200_000, 400_000)) == 200_000 // EVENT_EVERY


def test_the_latency_of_an_event_is_from_due_to_seen_of_the_same_device() -> None:
    published = Published(3, 1.0, [("a", 1_000_000), ("b", 2_000_000), ("a", 9_000_000)])
    seen: Seen = [("s1/b", 4_000_000), ("s1/a", 6_000_000), ("s1/a", 10_000_000)]
    assert latencies(published, seen) == [2.0, 5.0, 1.0]


def test_an_event_that_was_never_seen_has_no_latency() -> None:
    published = Published(2, 1.0, [("a", 1_000_000), ("b", 2_000_000)])
    assert latencies(published, [("s1/a", 3_000_000)]) == [2.0]
