"""A running hub and its own files, asked by the doctor; and the table, the words and the command of `hub doctor`."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from hub.clock import SystemClock
from hub.config.settings import Settings, read_settings
from hub.rules.calendars import ANNOUNCED_UNTIL
from hub.ui.doctor.findings import Grade
from hub.ui.doctor.own import Running, turns
from hub.ui.doctor.table import AREAS, WORDS
from tests.house.rooms import HOUSE
from tests.machine import needs_mosquitto
from tests.ui.conftest import Cli
from tests.ui.doctor.scenes import BAD, GOOD, UNSEEN, WEAK, ShiftedClock, examined, grades, scene, settings_of
from tests.ui.installation import Installation

QUIET_DAYS = """\
channel: desk
quiet: {days: holiday}
---
channel: night
quiet: {from: "22:00", until: "07:00"}
"""
OFFICE_HOURS = """\
rule: in-office-hours
label: {en: Tamper, zh: 防拆}
for_each: smoke_sensor
when: tamper
schedule: {days: workday, from: "09:00", until: "18:00"}
raise: {event: security.tamper, severity: low}
"""
NAMES = [check.name for area in AREAS for check in area.checks]


@pytest.fixture
def settings(installation: Installation) -> Settings:
    return read_settings(installation.config)


def test_every_check_has_words_in_both_languages_and_a_test_that_names_it() -> None:
    assert sorted(WORDS) == sorted(NAMES)
    for words in WORDS.values():
        for text in (words.what, words.why, words.mend):
            assert text.en.isascii()
            assert re.search(r"[\u4e00-\u9fff]", text.zh) or text.en == text.zh
    tests = "".join(path.read_text("utf-8") for path in (HOUSE / "tests" / "ui" / "doctor").glob("*.py"))
    assert [name for name in NAMES if f'"{name}"' not in tests] == []


@needs_mosquitto
async def test_a_hub_that_works_is_ready_alone_and_up_to_date(settings: Settings) -> None:
    for area, check in (("hub", "hub_ready"), ("identity", "one_hub"), ("registry", "registry_version")):
        found = await examined(area, scene(settings))
        assert found[check].grade is GOOD, found
    assert "its loop stood still for" in (await examined("hub", scene(settings)))["loop_turns"].found
    assert (await examined("machine", scene(settings)))["clock_stepped"].grade is GOOD


@needs_mosquitto
async def test_a_second_hub_of_the_same_name_is_told(settings: Settings, tmp_path: Path) -> None:
    other = settings.model_copy(update={"data_dir": tmp_path})
    found = await examined("identity", scene(other))
    assert found["one_hub"].grade is BAD
    assert "from another journal" in found["one_hub"].found
    stranger = settings.model_copy(update={"partition": "nobody"})
    assert (await examined("identity", scene(stranger)))["one_hub"].grade is GOOD


@needs_mosquitto
async def test_a_clock_that_was_set_back_is_told(settings: Settings) -> None:
    found = await examined("machine", scene(settings, clock=ShiftedClock(-3_600)))
    assert found["clock_stepped"].grade is WEAK
    assert "before the clock" in found["clock_stepped"].found


@pytest.mark.parametrize(("stall", "grade"), [(0.2, GOOD), (1.0, WEAK), (None, UNSEEN)])
def test_a_loop_that_stood_still_for_a_second_is_told(stall: float | None, grade: Grade) -> None:
    assert turns(Running(page="", reasons=[], stall_seconds=stall)).grade is grade


async def test_where_no_hub_runs_that_is_told(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, http={"port": 9})
    assert (await examined("hub", scene(settings)))["hub_ready"].grade is WEAK
    nobody = settings_of(tmp_path, redis={"url": "redis://127.0.0.1:9/0"})
    assert grades(await examined("identity", scene(nobody))) == {"one_hub": UNSEEN}


async def test_another_program_at_the_address_of_the_hub_is_no_hub(tmp_path: Path) -> None:
    async def says_ok(_request: web.Request) -> web.Response:
        return web.json_response("ok")

    app = web.Application()
    app.router.add_get("/{page}", says_ok)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found = await examined("hub", scene(settings_of(tmp_path, http={"port": runner.addresses[0][1]})))
    finally:
        await runner.cleanup()
    assert grades(found) == {"hub_ready": WEAK, "loop_turns": UNSEEN}


async def test_a_registry_is_looked_at_without_being_made_or_changed(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    found = await examined("registry", scene(settings))
    assert (found["registry_version"].grade, found["registry_version"].found[:8]) == (GOOD, "none yet")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("version", "grade"), [("0001", WEAK), ("9999", BAD)])
def test_a_registry_of_another_version_is_told(cli: Cli, tmp_path: Path, version: str, grade: object) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(f'data_dir = "{tmp_path}/data"\n', encoding="utf-8")
    assert cli("--config", str(file), "sites", "add", "garden").code == 0
    settings = read_settings(file)
    assert asyncio.run(examined("registry", scene(settings)))["registry_version"].grade is GOOD
    with sqlite3.connect(tmp_path / "data" / "registry.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()
    found = asyncio.run(examined("registry", scene(settings)))
    assert (found["registry_version"].grade, version in found["registry_version"].found) == (grade, True)


async def test_a_registry_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "registry.sqlite").write_bytes(b"not at all a database " * 100)
    assert (await examined("registry", scene(settings_of(tmp_path))))["registry_version"].grade is BAD


async def test_what_ships_has_no_mistake(tmp_path: Path) -> None:
    assert (await examined("profiles", scene(settings_of(tmp_path))))["profiles_check"].grade is GOOD
    assert (await examined("rules", scene(settings_of(tmp_path))))["rules_check"].grade is GOOD


async def test_mistakes_of_our_own_are_told_where_they_stand(tmp_path: Path) -> None:
    rules, profiles = tmp_path / "rules", tmp_path / "profiles"
    rule, profile = rules / "own.yaml", profiles / "own.yaml"
    rules.mkdir()
    profiles.mkdir()
    rule.write_text("rule: broken\nfor_each: smoke_sensor\nwhen: nonsense > 1\n", encoding="utf-8")
    profile.write_text("profile: a/b\nversion: 1.0.0\nkind: nothing\n", encoding="utf-8")
    found = await examined("rules", scene(settings_of(tmp_path, rules_dir=rules)))
    assert (found["rules_check"].grade, f"{rule}:1: error: broken" in found["rules_check"].found) == (BAD, True)
    found = await examined("profiles", scene(settings_of(tmp_path, profiles_dir=profiles)))
    assert (found["profiles_check"].grade, f"{profile}:" in found["profiles_check"].found) == (BAD, True)
    rule.write_text("scene: none\nrules: [nonsense]\n", encoding="utf-8")
    found = await examined("rules", scene(settings_of(tmp_path, rules_dir=rules)))
    assert (found["rules_check"].grade, f"{rule}:1: error: none: " in found["rules_check"].found) == (BAD, True)
    rule.write_text("rule: [", encoding="utf-8")
    assert (await examined("rules", scene(settings_of(tmp_path, rules_dir=rules))))["rules_check"].grade is BAD


@pytest.mark.parametrize(("days_left", "grade"), [(40, GOOD), (20, WEAK), (-20, WEAK)])
async def test_whoever_asks_for_holidays_of_a_year_that_is_not_announced_is_named(
    tmp_path: Path, days_left: int, grade: Grade
) -> None:
    rules, wishes = tmp_path / "rules", tmp_path / "notify"
    for directory, text in ((rules, OFFICE_HOURS), (wishes, QUIET_DAYS)):
        directory.mkdir()
        (directory / "own.yaml").write_text(text, encoding="utf-8")
    moment = datetime.combine(ANNOUNCED_UNTIL - timedelta(days=days_left), time(12), UTC)
    clock = ShiftedClock(moment.timestamp() - SystemClock().wall_ns() / 1e9)
    own = settings_of(tmp_path, rules_dir=rules, notify={"dir": wishes})
    found = (await examined("holidays", scene(own, clock=clock)))["holidays_known"]
    assert found.grade is grade
    assert found.found == f"known until {ANNOUNCED_UNTIL}, asked by desk, in-office-hours"
    others = await examined("holidays", scene(settings_of(tmp_path), clock=clock))
    assert others["holidays_known"].grade is GOOD


def test_the_command_tells_the_worst_first_how_to_mend_it_and_fails(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(
        f'data_dir = "{tmp_path}/data"\n[redis]\nurl = "redis://127.0.0.1:9/0"\n[mqtt]\nport = 9\n', "utf-8"
    )
    said = cli("--config", str(file), "doctor")
    assert said.code == 1
    assert said.out.index("broker_reachable") < said.out.index("hub_ready")
    assert "启动 mosquitto" in said.out
    assert "broker_backlog" not in said.out, "who cannot be asked is told once"
    found = {row["check"]: row for row in cli("--config", str(file), "doctor", "--json").document()}
    assert sorted(found) == sorted(NAMES)
    assert found["redis_reachable"]["grade"] == "bad"
    assert found["redis_reachable"]["mend"]["zh"].startswith("启动它")
    assert "broker_backlog" in cli("--config", str(file), "doctor", "--all").out
