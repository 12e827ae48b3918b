"""Drills and scenarios beside one running hub: the whole chain, a real alarm that ends it; timelines."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typing_extensions import override

from hub.bridge.paho_client import ClientConfig
from hub.clock import Clock, SystemClock
from hub.errors import ConfigError
from hub.model.effects import AlarmState
from hub.model.values import PlaceType, Scalar
from hub.registry.nouns import Device, Place, Site
from hub.sinks.control import Request
from hub.sinks.redis_link import Link, RedisAddress, checked
from hub.sinks.stream_readers import read_alarms, read_twins
from hub.sinks.streams import pack_event
from hub.ui.cli import drill_fire
from hub.ui.cli.sim_scenario import put_stages
from hub.ui.desk.desk import Desk
from hub.ui.desk.reply import ask
from hub.ui.drills.cause import Speaker
from hub.ui.drills.course import Course, Watch, ahead_of, until_agreed
from simulators.actors import Actor, Role, Temper, Troupe
from simulators.link import Broker
from simulators.scenario import read_scenarios
from tests.machine import needs_mosquitto
from tests.servers.mosquitto import Mosquitto
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.doctor.scenes import ShiftedClock
from tests.ui.drilling import event
from tests.ui.installation import FIRE, NORMAL, SITE, Installation, environment, hub_command
from tests.waiting import PATIENCE_SECONDS, wait_until

pytestmark = needs_mosquitto

DETECTORS = ("smoke-a", "smoke-b", "smoke-c")

SCENARIOS = ("charging", "confirmed-fire", "duress", "ebike", "ebike-overridden", "entrapment", "gas")

NEAR = {"lift-1": ("elevator", "car-1"), "door-1": ("access_controller", "b1"), "door-2": ("access_controller", "b1")}


class Town(Installation):
    """A building with a fire zone, an elevator and two doors, and the stages of all scenarios."""

    @override
    def open(self) -> None:
        """Start the servers, register everything in this process, start the hub."""
        self.broker.start()
        self.redis.start()
        asyncio.run(self._register())
        self.start()

    async def _register(self) -> None:
        desk = Desk(self.config)
        below = [("z1", PlaceType.FIRE_ZONE), ("car-1", PlaceType.ELEVATOR)]
        places = [Place(site=SITE, id=name, type=kind, parent="b1") for name, kind in below]
        profile = "milesight/gs524n"
        smoke = [Device(site=SITE, id=name, kind="smoke_sensor", profile=profile, place="z1") for name in DETECTORS]
        near = [Device(site=SITE, id=name, kind=kind, place=place) for name, (kind, place) in NEAR.items()]
        async with desk.registry(begins=True) as registry:
            await registry.add_site(Site(id=SITE, zone="Asia/Shanghai"))
            await registry.add_places([Place(site=SITE, id="b1", type=PlaceType.BUILDING), *places])
            await registry.add_devices([*smoke, *near])
        await put_stages(desk, read_scenarios(()), waits=False)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Town(tmp_path_factory.mktemp("drills")) as it:
        yield it


@pytest.fixture
def at(cli: Cli, installation: Installation) -> At:
    here = At(cli, installation)
    for name in DETECTORS:
        installation.publish(f"hub/{SITE}/{name}/telemetry", NORMAL)
    asyncio.run(seen(installation))
    return here


async def seen(installation: Installation) -> None:
    """Wait until readers see what the detectors have said: twins are written once a second."""
    async with Desk(installation.config).redis() as link:

        async def names() -> bool:
            return {twin.name for twin in await read_twins(link, SITE)} >= {*DETECTORS}

        await wait_until(names)


def words(directory: Path, *more: str) -> list[str]:
    return ["drill", "fire", SITE, "--zone", "z1", "--reason", "年度演练", "--as", "li", "--out", str(directory), *more]


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["verdict"] for each in report["checks"]}


async def drilled(at: At, directory: Path, door_2: Temper) -> tuple[int, dict[str, Any], Troupe]:
    """Drill with commands: li asks, wang agrees; doors and car are played."""
    clock, broker = SystemClock(), Broker(port=at.installation.broker.port)
    roles = [Role(site=SITE, device=name, kind=kind) for name, (kind, _) in NEAR.items() if name != "door-2"]
    roles.append(Role(site=SITE, device="door-2", kind="access_controller", temper=door_2))
    troupe = Troupe([Actor(role, broker, clock=clock) for role in roles], clock)
    command = hub_command("--config", str(at.installation.config), *words(directory, "--with-actuators", "--json"))
    async with troupe:
        drill = subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, env=environment())  # noqa: ASYNC220 -- a moment
        try:
            assert drill.stderr is not None
            asked = await asyncio.to_thread(drill.stderr.readline)
            request = asked.split()[-1]
            agreed = await asyncio.to_thread(at, "commands", "confirm", SITE, request, "--as", "wang")
            assert agreed["ok"], agreed
            if door_2 is Temper.MUTE:
                await wait_until(lambda: troupe.actors[SITE, "door-2"].taken)
                at.installation.publish(f"hub/{SITE}/smoke-c/telemetry", FIRE)
            out, _ = await asyncio.to_thread(drill.communicate, timeout=PATIENCE_SECONDS)
        finally:
            drill.kill()
            drill.communicate()
    return drill.returncode, json.loads(out), troupe


def test_a_rehearsal_times_every_hop_sends_nothing_and_is_reported_in_both_languages(
    at: At, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.ui.drills.findings.LINKAGE_MS", PATIENCE_SECONDS * 1000.0)  # others use this machine too
    report = at(*words(tmp_path))
    assert verdicts(report) == dict.fromkeys(
        ("heard", "prealarm", "confirmed", "linkage", "decided", "detectors", "apart", "undisturbed", "over"), "pass"
    )
    assert [(row["device"], row["what"], row["outcome"]) for row in report["cause"]] == [
        ("smoke-a", "milesight/gs524n", "fire.smoke_alarm"),
        ("smoke-b", "milesight/gs524n", "fire.smoke_alarm"),
    ]
    hops = report["cause"][1]["hops"]
    assert 0 <= hops["published"] <= hops["heard"] <= hops["stream"] + 1
    assert sorted((row["device"], row["what"]) for row in report["commands"]) == [
        ("door-1", "hold_door"), ("door-2", "hold_door"), ("lift-1", "recall"), ("lift-1", "release_door"),
    ]  # fmt: skip
    assert at("alarms", "list") == []
    assert at("drill", "list") == []
    assert at("trace", report["event"])["event"]["id"] == report["event"]  # done again it comes to the same
    markdown, page = (Path(file).read_text(encoding="utf-8") for file in report["files"])
    for text in (
        "消防演练报告 / Fire drill report",
        "年度演练",
        "命令只判定、不下发",
        "smoke-a",
        "221164321f18",
    ):
        assert [text in markdown, text in page] == [True, True]
    picture = ET.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])  # noqa: S314 -- our own
    dots = picture.findall(".//{http://www.w3.org/2000/svg}circle/{http://www.w3.org/2000/svg}title")
    assert any("smoke-a: 收到 / heard" in (dot.text or "") for dot in dots)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # it needs nothing else


def test_with_two_persons_commands_leave_and_who_refused_is_named(at: At, tmp_path: Path) -> None:
    code, report, troupe = asyncio.run(drilled(at, tmp_path, Temper.REFUSES))
    found = {each["name"]: (each["verdict"], each["detail"]) for each in report["checks"]}
    assert (code, report["passed"], report["actors"]) == (1, False, "li with wang")
    assert found["answered"] == ("fail", "door-2 hold_door: rejected")
    assert found["released"] == ("fail", "door-2 release_door: rejected")
    assert [found[name][0] for name in ("verified", "apart", "over")] == ["pass"] * 3
    assert found["linkage"][1].endswith(" ms ≤ 3000 ms")  # how quick that was is the machine's
    door = next(row for row in report["commands"] if (row["device"], row["what"]) == ("door-1", "hold_door"))
    assert door["outcome"] == "verified"
    assert door["hops"]["wire"] <= min(door["hops"]["answered"], door["hops"]["verified"]) + 1
    taken = troupe.actors[SITE, "door-1"].taken
    assert [(each.name, each.drill) for each in taken] == [("hold_door", True), ("release_door", True)]
    assert at("alarms", "list") == []


def test_the_drill_of_somebody_else_is_neither_taken_for_ours_nor_ended(
    at: At, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs: dict[str, Scalar] = {
        "site": SITE, "what": "@z1", "for": "5m", "reason": "evacuation", "rules": "fire-confirmed",
    }  # fmt: skip

    async def they_begin_first(link: Link, clock: Clock, course: Course, seconds: float) -> AlarmState:
        request = Request(actor="wang", verb="drill", args=theirs)
        warned = await ask(Desk(at.installation.config), request, site=SITE)
        assert "A REAL fire-confirmed THERE IS MARKED AS A DRILL TOO" in warned.detail

        async def runs() -> bool:
            return any(alarm.rule == "_drill" for alarm in await read_alarms(link, [SITE]))

        await wait_until(runs)
        return await until_agreed(link, clock, course, seconds)

    monkeypatch.setattr(drill_fire, "until_agreed", they_begin_first)
    monkeypatch.setattr(drill_fire, "AGREE_SECONDS", 0.2)
    said = at.said(*words(tmp_path, "--with-actuators"))
    request = next(line for line in said.err.splitlines() if "hub commands confirm" in line).split()[-1]
    assert "no second person has agreed" in said.err
    assert [row["data"]["reason"] for row in at("drill", "list")] == ["evacuation"]
    assert "no_such_request" in at.said("commands", "confirm", SITE, request, "--as", "wang").out
    assert at("drill", "end", SITE, "@z1", "--as", "wang")["ok"]
    at.until("drill", "list", meets=lambda found: found == [])


def test_a_real_alarm_ends_the_drill_visibly_and_is_not_marked(at: At, tmp_path: Path) -> None:
    code, report, _ = asyncio.run(drilled(at, tmp_path, Temper.MUTE))
    assert (code, report["overridden_by"]) == (1, f"smoke-alarm {SITE}/smoke-c")
    assert verdicts(report)["undisturbed"] == "fail"
    assert "演练被真实报警中止" in Path(report["files"][1]).read_text(encoding="utf-8")
    assert [(alarm["rule"], alarm["key"], alarm["drill"]) for alarm in at("alarms", "list")] == [
        ("smoke-alarm", f"{SITE}/smoke-c", False)
    ]


@pytest.mark.parametrize(
    ("more", "complaint"),
    [(("--zone", "b1"), "there are: z1"), (("--detector", "lift-1"), "there are: smoke-a, smoke-b, smoke-c")],
)
def test_who_cannot_be_played_is_told_who_can(at: At, tmp_path: Path, more: tuple[str, ...], complaint: str) -> None:
    assert complaint in at.refused(*words(tmp_path, *more))


@pytest.mark.parametrize(("acl", "why"), [("read", "not_authorized"), ("readwrite", "no_matching_subscribers")])
def test_a_cause_that_the_broker_passes_on_to_nobody_is_refused_with_what_to_do(
    tmp_path: Path, acl: str, why: str
) -> None:
    (tmp_path / "acl").write_text(f"topic {acl} hub/#\n", encoding="utf-8")
    broker = Mosquitto(tmp_path / "mosquitto", f"acl_file {tmp_path / 'acl'}")
    course = Course(site=SITE, place="z1", started_at=0, with_actuators=False)
    watch = Watch(course, Link(RedisAddress(url="redis://127.0.0.1")), tmp_path, SystemClock())
    speaker = Speaker(device="smoke-a", kind="smoke_sensor", profile="", payload=b"{}", source="native")
    broker.start()
    try:
        with pytest.raises(ConfigError, match=why) as refused:
            asyncio.run(watch.play([speaker], ClientConfig(host="127.0.0.1", port=broker.port, client_id="drill")))
    finally:
        broker.kill()
    assert (refused.value.code, "ACL" in str(refused.value.hint), course.spoken) == ("drill_refused", True, [])


@pytest.mark.parametrize("seconds", [-90, 0, 90])
async def test_the_clock_of_a_redis_elsewhere_hides_nothing_of_a_drill(
    installation: Installation, seconds: float
) -> None:
    clock, desk = ShiftedClock(seconds), Desk(installation.config)
    async with desk.redis() as link:
        began, ahead = clock.wall_ns(), await ahead_of(link, clock)
        course = Course(
            site=SITE, place="z1", started_at=began, with_actuators=False, redis_ahead=ahead, request=str(seconds)
        )
        started = event("device.drill_started", request=str(seconds))
        checked((await link.exchange([pack_event(started, "test")], 1))[0])
        await Watch(course, link, desk.here.files_dir, clock).look()
    ((written, found),) = course.while_it_ran()
    assert found.name == "device.drill_started"
    assert abs(written - began // 1_000_000) < 45_000  # by our clock, whatever the load


def test_the_timelines_of_the_flagship_rules_are_as_their_scenarios_expect(at: At) -> None:
    came = at("sim", "scenario", "--wait", f"{PATIENCE_SECONDS}s")
    assert {name: each["differs"] for name, each in came.items()} == {name: [] for name in SCENARIOS}
