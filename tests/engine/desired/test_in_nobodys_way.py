"""What is desired is in nobody's way: holds, interlocks, other commands and a blind hub come first."""

from __future__ import annotations

import orjson
import pytest

from hub.commands.desired import MOST_TRIES, is_same
from hub.engine.moment import Moment
from hub.engine.sending import Cause, Wish
from hub.model.records import Outcome, OutcomeKind
from hub.rules.rule import Do
from tests.engine.desired.wishes import asks, ids, is_at, passes, reports, sent, told, twin, wants
from tests.engine.desk import Desk, native


def test_what_a_rule_holds_is_left_alone_without_a_word_and_is_so_after_it(desk: Desk) -> None:
    reports(desk, leak=True)
    reports(desk, valve="closed")
    wants(desk, "open")
    passes(desk, 100)
    assert set(sent(desk)) == {"close_valve"}
    assert twin(desk).detail == "leak-closes has it, with priority automatic"
    assert [event.name for event in desk.events if event.name.startswith("command.super")] == []
    reports(desk, leak=False)
    assert sent(desk)[-1] == "open_valve"
    desk.say(Outcome(ids(desk)[-1], OutcomeKind.DELIVERED))
    reports(desk, valve="open")
    passes(desk, 30)
    assert (twin(desk).progress, sent(desk).count("open_valve")) == ("satisfied", 1)


def test_what_an_interlock_bars_is_left_alone_without_a_word_and_sent_when_it_no_longer_does(desk: Desk) -> None:
    reports(desk, tamper=True)
    wants(desk, "closed")
    passes(desk, 100)
    assert (sent(desk), told(desk)) == ([], ["device.desired_set"])
    assert twin(desk).detail.startswith("interlocked: somebody works at it")
    reports(desk, tamper=False)
    passes(desk, 3)
    assert sent(desk) == ["close_valve"]


def test_a_command_that_the_same_record_takes_from_its_kind_overrules_all_the_same(written: dict[str, bytes]) -> None:
    late = {**orjson.loads(written["rule/flow-closes"]), "for": "60s"}
    desk = Desk({**written, "rule/flow-closes": orjson.dumps(late)})
    reports(desk, valve="open", reverse_flow=True)
    wants(desk, "open")
    desk.wait(61)
    kind = orjson.loads(written["kind/water_meter"])
    del kind["commands"]["close_valve"]
    kept = {key: body for key, body in written.items() if not key.startswith("rule/")}
    desk.revise({**kept, "kind/water_meter": orjson.dumps(kind)})
    assert (sent(desk), twin(desk).detail) == (["close_valve"], "overruled: flow-closes sent close_valve")


@pytest.mark.parametrize("who", ["person", "rule"])
def test_whoever_has_something_else_done_has_it_for_good(desk: Desk, who: str) -> None:
    wants(desk, "open")
    if who == "person":
        asks(desk, "command", actor="wang", command="close_valve")
    else:
        reports(desk, reverse_flow=True)
    passes(desk, 20)  # it still reports that it is open
    reports(desk, valve="closed")
    is_at(desk, "offline")
    passes(desk, 20)
    is_at(desk, "online")
    passes(desk, 700)
    assert sent(desk) == ["close_valve"]
    cause = "operator wang" if who == "person" else "flow-closes"
    assert (twin(desk).progress, twin(desk).detail) == ("refused", f"overruled: {cause} sent close_valve")
    assert told(desk)[-1] == "device.desired_refused"
    assert wants(desk, "open").code == "pending"
    assert sent(desk) == ["close_valve", "open_valve"]


def test_what_a_failing_rule_did_not_send_after_all_overrules_nothing(desk: Desk) -> None:
    hands, moment = desk.engine._hands, Moment(desk.t + 1, desk.wall, late=False, cause=(1, 0))  # noqa: SLF001 -- a step
    meter = desk.engine.content.find("s1", "meter-1")
    assert meter is not None
    hands.mark()
    assert hands.request(Wish("r-1", meter, "", Do(command="close_valve"), Cause("flow-closes")), moment) is None
    hands.roll_back()
    assert hands.take_sent() == []


def test_of_two_wishes_that_cannot_both_be_the_newer_one_is_done(written: dict[str, bytes]) -> None:
    desk = Desk(written)
    desk.hear(native("meter-1", {"part": "hot", "values": {"valve": "open"}}, "telemetry"))
    desk.hear(native("meter-1", {"values": {"valve": "closed"}}, "telemetry"))
    wants(desk, "open")
    wants(desk, "closed", part="hot")
    passes(desk, 60)
    found = {each.name: each.desired["valve"] for each in desk.engine.twins_of("s1")}
    assert (found["meter-1"].progress, found["meter-1#hot"].progress) == ("refused", "pending")


def test_what_is_sent_to_another_part_overrules_nothing(written: dict[str, bytes]) -> None:
    desk = Desk(written)
    for part in ("hot", "cold"):
        desk.hear(native("meter-1", {"part": part, "values": {"valve": "closed"}}, "telemetry"))
    wants(desk, "open", part="hot")
    asks(desk, "command", command="close_valve", part="cold")
    (hot,) = [each for each in desk.engine.twins_of("s1") if each.desired]
    assert (hot.name, hot.desired["valve"].progress) == ("meter-1#hot", "pending")


def test_what_is_desired_while_the_hub_is_blind_waits_for_what_it_has_not_read(desk: Desk) -> None:
    desk.lose()
    assert wants(desk, "closed").code == "pending"
    passes(desk, 30)
    reports(desk, valve="closed")
    desk.catch_up(2)
    passes(desk, 30)
    assert (sent(desk), twin(desk).progress) == ([], "satisfied")


def test_a_valve_that_somebody_turns_back_again_and_again_is_not_fought_for_ever(desk: Desk) -> None:
    wants(desk, "closed")
    for _ in range(100):
        reports(desk, valve="closed")
        passes(desk, 12)
        reports(desk, valve="open")
        passes(desk, 12)
    assert MOST_TRIES - 1 <= len(sent(desk)) <= MOST_TRIES
    assert twin(desk).progress == "refused"


def test_true_is_not_one() -> None:
    assert is_same(True, True)  # noqa: FBT003 -- the values themselves
    assert not is_same(True, 1)  # noqa: FBT003 -- the values themselves


def test_while_the_hub_is_blind_nothing_is_sent_and_what_it_heard_meanwhile_counts(desk: Desk) -> None:
    wants(desk, "closed")
    reports(desk, valve="closed")
    passes(desk, 20)
    desk.lose()
    reports(desk, valve="open")
    passes(desk, 60)
    assert asks(desk, "desire", name="leak", value=True).code == "not_writable"
    assert sent(desk) == ["close_valve"]
    reports(desk, valve="closed")
    desk.catch_up(2)
    passes(desk, 60)
    assert (sent(desk), twin(desk).progress) == (["close_valve"], "satisfied")
