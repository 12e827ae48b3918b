"""The words for people: sentences, spans, courses, dumps."""

from __future__ import annotations

import orjson
import pytest
import typer
from msgspec.structs import replace

from hub.errors import ConfigError
from hub.model.effects import AlarmState, Event, Reply, Transition
from hub.model.values import Severity
from hub.rules.intervals import Between
from hub.rules.terms import Seen
from hub.ui.cli.alarms_show import chosen
from hub.ui.cli.dead_letters import hex_dump
from hub.ui.cli.rules_replay import as_moment
from hub.ui.desk.desk import Desk, pairs_of
from hub.ui.desk.reply import tell_each
from hub.ui.printing import say_table
from hub.ui.rules.explained import known
from hub.ui.words import details, sentence, since, sparkline, title

SECOND = 1_000_000_000
EVENT = Event(
    id="1",
    name="fire.smoke_alarm",
    severity=Severity.CRITICAL,
    transition=Transition.RAISED,
    time=0,
    key="willow/smoke-1",
    rule="smoke-alarm",
    rule_version="1",
    site="willow",
    building="b1",
    device="smoke-1",
    label={"en": "Smoke alarm", "zh": "烟雾报警"},
    data={"status": "alarm"},
)


def test_an_event_is_one_line_in_both_languages() -> None:
    line = sentence(EVENT).partition(" ")[2]
    assert line == "critical 烟雾报警 / Smoke alarm raised  willow › b1 › smoke-1  status=alarm"


def test_what_a_terminal_would_obey_or_turn_round_is_shown_and_not_done(capsys: pytest.CaptureFixture[str]) -> None:
    said = "ok\x1b[2J\r\u202e5B鲁\u3000东\n12:00:00 critical 火警"
    assert details({"comment": said}) == "comment=ok·[2J··5B鲁\u3000东·12:00:00 critical 火警"
    assert "\n" not in sentence(replace(EVENT, data={"comment": said}))
    say_table(("who", "said"), [("li", said), ("wang", "no")])
    assert capsys.readouterr().out.split() == [
        *("who", "said", "li", "ok·[2J··5B鲁", "东", "12:00:00", "critical", "火警", "wang", "no"),
    ]  # fmt: skip


def test_in_a_pipe_a_row_is_one_line_and_nothing_of_it_is_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    row = ("7f3a", "x" * 1_024, "says so " * 100, "the end")
    say_table(("id", "what", "detail", ""), [row])
    _, line = capsys.readouterr().out.splitlines()
    assert line.split() == " ".join(row).split()


def test_on_a_terminal_what_is_too_long_for_a_line_goes_on_in_the_next(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    say_table(("id", "what"), [("7f3a", "0123456789" * 10)])
    assert "".join(capsys.readouterr().out.split()).endswith("7f3a" + "0123456789" * 10)


def test_what_has_no_label_is_called_by_its_name() -> None:
    assert title("fire.of_their_own", {}) == "fire.of_their_own"


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0s"), (59, "59s"), (61, "1m1s"), (3_600, "1h"), (90_061, "1d1h"), (-5, "0s")]
)
def test_an_age_is_told_in_its_two_largest_units(seconds: int, told: str) -> None:
    assert since(0, seconds * SECOND) == told


def test_a_course_goes_from_the_lowest_to_the_highest_bar() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"


def test_a_flat_course_is_low() -> None:
    assert sparkline([20, 20, 20]) == "▁▁▁"


@pytest.mark.parametrize("count", [1, 60, 61, 1_000])
def test_a_long_course_is_never_wider_than_asked(count: int) -> None:
    assert 0 < len(sparkline(list(range(count)), 60)) <= 60


def test_a_dump_shows_bytes_and_what_is_printable() -> None:
    assert hex_dump(b"fire\x00\xff" + bytes(11)) == [
        "00000000  66 69 72 65 00 ff 00 00 00 00 00 00 00 00 00 00  fire............",
        "00000010  00                                               .",
    ]


def test_a_number_that_a_rule_knows_is_told_with_all_its_digits() -> None:
    seen = Seen("total", 1_234_567.8), Seen("limit", Between(0.1 + 0.2, 1_234_567.8))
    assert [known(each, None) for each in seen] == ["total=1234567.8", "limit=0.3…1234567.8"]


def test_options_are_what_they_look_like() -> None:
    assert pairs_of(["ttl=5s", "door=1", "hold=true", "name=a=b"]) == {
        "ttl": "5s",
        "door": 1,
        "hold": True,
        "name": "a=b",
    }


@pytest.mark.parametrize("text", ["37028100001190000001", "12e4", "1e999", "-18446744073709551617"])
def test_an_option_is_no_other_number_than_was_typed(text: str) -> None:
    assert pairs_of([f"id={text}"]) == {"id": text}


def test_no_word_at_all_means_no_alarm_even_if_there_is_only_one() -> None:
    alarm = AlarmState(
        id="f1",
        name=EVENT.name,
        severity=EVENT.severity,
        key=EVENT.key,
        rule=EVENT.rule,
        site=EVENT.site,
        since=0,
        building="",
        device="smoke-1",
        part="",
        late=False,
    )
    assert chosen([alarm], "f") is alarm
    with pytest.raises(ConfigError, match="alarm_unknown"):
        chosen([alarm], "")


def test_several_answers_are_one_document_and_one_no_of_them_is_a_no(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    no, yes = Reply("1", ok=False, code="not_writable", detail=""), Reply("2", ok=True, code="satisfied", detail="")
    with pytest.raises(typer.Exit) as left:
        tell_each({"flow": no, "valve": yes}, as_json=True)
    assert left.value.exit_code == 1
    said = orjson.loads(capsysbinary.readouterr().out)
    assert {name: each["code"] for name, each in said.items()} == {"flow": "not_writable", "valve": "satisfied"}
    tell_each({"valve": yes}, as_json=True)
    assert orjson.loads(capsysbinary.readouterr().out)["valve"]["code"] == "satisfied"


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "yesterday"])
def test_a_moment_that_no_clock_can_show_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match="moment_invalid"):
        as_moment(Desk(), text)
