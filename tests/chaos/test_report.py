"""The runner and its table: the README has a row for each fault, and a campaign ends with what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from typer import Typer
from typer.testing import CliRunner

from hub.failpoints import Place
from tests.chaos import __main__ as runner
from tests.chaos import report
from tests.chaos.beside import Model
from tests.chaos.campaign import endless, shuffled
from tests.chaos.faults.fault import Fault
from tests.chaos.faults.table import FAULTS, ROWS
from tests.chaos.influx_town import InfluxTown
from tests.chaos.outcome import Outcome, fault_log
from tests.chaos.storm import Storm
from tests.servers.influxdb import InfluxServer
from tests.servers.mosquitto import Mosquitto
from tests.servers.proxy import Proxy
from tests.servers.valkey import ValkeyServer

KILLED = Outcome(fault="hub killed", at=1, lasted=2, lost=0, doubled=0, recovery=1.5, bounds="lost 0")
LOST = Outcome(
    fault="Valkey killed", at=9, lasted=2, lost=3, doubled=0, recovery=2, bounds="lost 3",
    wrong=("Conservation: never heard: [(7, 9)]",),
)  # fmt: skip


def test_the_readme_has_a_row_for_every_fault_and_says_what_it_may_lose() -> None:
    assert [(row[0], row[2]) for row in report.readme_rows()] == [(fault.name, fault.loss.value) for fault in ROWS]


def test_a_row_tells_the_worst_that_was_lost_and_the_usual_time_until_all_was_well() -> None:
    worse = Outcome(fault="hub killed", at=5, lasted=2, lost=2, doubled=4, recovery=2.5, bounds="lost 2")
    assert report.rows(ROWS, [KILLED, worse, KILLED]) == [("hub killed", "2", "0", "4", "0", "1.5 s")]


def test_rows_of_other_faults_stay_in_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.START}\n{report.END}\nafter", encoding="utf-8")
    monkeypatch.setattr(report, "README", readme)
    for outcome in (KILLED, LOST):
        report.write_readme(ROWS, report.rows(ROWS, [outcome]), "a sentence")
    assert [row[:2] for row in report.readme_rows()] == [("hub killed", "0"), ("Valkey killed", "3")]
    text = readme.read_text(encoding="utf-8")
    assert (text[:7], text[-5:], text.count("a sentence")) == ("before\n", "after", 1)


def test_every_failpoint_of_the_hub_is_struck() -> None:
    assert {f"hub killed at {place}" for place in Place} <= FAULTS.keys()


async def test_a_fault_that_does_not_end_is_an_outcome_with_its_reason(tmp_path: Path) -> None:
    servers = Mosquitto(tmp_path / "m"), ValkeyServer(tmp_path / "v"), InfluxServer(tmp_path / "i")
    storm = Storm(InfluxTown(tmp_path, *servers), Proxy(0), Proxy(0), seed=1)
    (storm.town.hub.directory / "hub.log").write_text("its last words", encoding="ascii")

    async def struck(_fault: Fault, _at: float) -> Outcome:
        message = "after 30 s still blind"
        raise ExceptionGroup("tasks", [ExceptionGroup("watch", [AssertionError(message)])])

    storm._struck = struck  # type: ignore[method-assign,assignment] # noqa: SLF001 -- in place of real servers
    outcome = await storm.strike(ROWS[0])
    assert outcome.wrong == ("it did not end well: after 30 s still blind", "/readyz said []", "its last words")


def test_the_same_seed_is_the_same_order_and_every_round_has_every_fault() -> None:
    assert shuffled(ROWS, 5) == shuffled(ROWS, 5) != shuffled(ROWS, 6)
    faults = endless(ROWS, 5)
    rounds = [[next(faults).name for _ in ROWS] for _ in range(2)]
    assert [sorted(each) for each in rounds] == [sorted(FAULTS)] * 2
    assert rounds[0] != rounds[1]


@pytest.mark.parametrize(("outcomes", "code"), [([KILLED], 0), ([KILLED, LOST], 1)], ids=["all well", "lost"])
def test_a_campaign_exits_with_1_and_the_lost_ranges_when_something_is_lost(
    monkeypatch: pytest.MonkeyPatch, outcomes: Sequence[Outcome], code: int
) -> None:
    async def strike_all(_directory: object, _faults: object, _seed: int, towns: int, tell: object) -> None:
        for count in range(1, len(outcomes) + 1) if towns > 1 else ():
            tell(outcomes[:count])  # type: ignore[operator] # a Tell

    monkeypatch.setattr(runner, "strike_all", strike_all)
    monkeypatch.setattr(runner, "find", lambda _server: "here")
    app = Typer()
    app.command()(runner.main)
    said = CliRunner().invoke(app, ["--json", "--seed", "7"])
    assert said.exit_code == code
    found = orjson.loads(said.stdout)
    assert (found["seed"], [each["fault"] for each in found["outcomes"]]) == (7, [each.fault for each in outcomes])
    assert found["logs"] == ([fault_log(outcomes)] if code else [])
    assert all("Valkey killed (2.0 s)" in log and "never heard: [(7, 9)]" in log for log in found["logs"])


def test_a_name_that_is_no_fault_is_told_with_those_that_are() -> None:
    app = Typer()
    app.command()(runner.main)
    assert CliRunner().invoke(app, ["--fault", "flood of frogs"]).exit_code == 2


def test_a_model_that_does_not_hold_is_told_with_how_to_see_it_again() -> None:
    with Model(0.05, 7, python="false") as model:
        said = model.end()
    assert "HUB_MODEL_EXAMPLES=1 false -m pytest" in said
    assert "--hypothesis-seed=7" in said


@pytest.mark.parametrize(("minutes", "python"), [(0.05, "true"), (0, "false")], ids=["it holds", "none plays"])
def test_of_a_model_that_holds_or_does_not_play_nothing_is_wrong(minutes: float, python: str) -> None:
    with Model(minutes, 7, python=python) as model:
        assert model.end() == ""
