"""Desired values: held to what a device reports, sent when it is there, bounded, taken back and refused."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.commands.desired import CALM_NS, FIRST_NS, MOST_TRIES, Desired, Move, Progress, Seen, look, tried
from hub.model.effects import Event
from hub.model.heard import Publish
from hub.model.records import Outcome, OutcomeKind, Started
from hub.model.values import Scalar
from tests.engine.desired.wishes import asks, ids, is_at, passes, reports, sent, told, twin, wants
from tests.engine.desk import SECOND, SESSIONS, Desk, encoded, native
from tests.engine.sleepers import CLOSED, METER, spoke, valves
from tests.engine.sleepers import content as sleepers

# --------------------------------------------------------------------------------------------- what is desired is done


def test_what_is_desired_of_a_device_that_is_there_is_sent_at_once_and_is_so_when_it_says_so(desk: Desk) -> None:
    reply = wants(desk, "closed")
    assert (reply.ok, reply.code, reply.detail) == (True, "pending", "valve=closed: close_valve is sent")
    passes(desk, 5)
    assert (sent(desk), twin(desk).progress) == (["close_valve"], "pending")
    reports(desk, valve="closed")
    passes(desk, 700)
    assert (sent(desk), twin(desk).progress) == (["close_valve"], "satisfied")
    assert told(desk) == ["device.desired_set", "device.reconciled"]
    assert desk.events[0].data.items() >= {"property": "valve", "desired": "closed", "by": "operator li"}.items()


def test_what_is_so_already_is_not_sent(desk: Desk) -> None:
    assert wants(desk, "open").code == "satisfied"
    passes(desk, 60)
    assert (sent(desk), told(desk)) == ([], ["device.desired_set"])


def test_a_device_that_was_away_gets_it_once_when_it_is_back_also_over_restarts_in_between(desk: Desk) -> None:
    is_at(desk, "offline")
    assert wants(desk, "closed").detail == "valve=closed: offline"
    passes(desk, 30)
    assert sent(desk) == []
    later = desk.start_again(1)
    passes(later, 30)
    is_at(later, "online")
    passes(later, 3)
    (identity,) = ids(later)
    last = later.restart()
    last.say(Started("test", SESSIONS))
    last.say(Outcome(identity, OutcomeKind.DELIVERED))
    last.catch_up()
    passes(last, 5)
    reports(last, valve="closed")
    passes(last, 300)
    assert ids(last) == [identity]  # nobody knew whether it had left
    assert (twin(last).progress, told(last)) == ("satisfied", ["device.reconciled"])


def test_what_is_otherwise_again_is_told_and_sent_again(desk: Desk) -> None:
    wants(desk, "closed")
    reports(desk, valve="closed")
    passes(desk, 700)
    reports(desk, valve="open")
    passes(desk, 11)
    assert sent(desk) == ["close_valve", "close_valve"]
    reports(desk, valve="closed")
    passes(desk, 20)
    assert told(desk)[1:] == ["device.reconciled", "device.diverged", "device.reconciled"]
    assert [event.data.get("reported") for event in desk.events if event.name == "device.diverged"] == ["open"]


def test_the_command_names_the_person_who_desires_it_and_gives_way_to_everybody(desk: Desk) -> None:
    wants(desk, "closed")
    (identity,) = ids(desk)
    command = desk.engine._hands.commands[identity]  # noqa: SLF001 -- shows at its end only
    assert (command.cause, command.priority) == ("desired by operator li", "convenience")
    assert asks(desk, "command", command="open_valve").ok
    lost = [event for event in desk.events if event.name == "command.superseded"]
    assert [(event.rule, event.data["id"]) for event in lost] == [("desired by operator li", identity)]


# ------------------------------------------------------------------------------------------------------- it has bounds


def test_what_never_becomes_so_is_tried_eight_times_ever_more_rarely_and_then_given_up(desk: Desk) -> None:
    wants(desk, "closed")
    passes(desk, 3 * 3600)
    times = [record.t for record, effects in zip(desk.records, desk.effects, strict=True) if effects.transmissions]
    gaps = [round((after - before) / SECOND) for before, after in pairwise(times)]
    assert len(times) == MOST_TRIES
    assert all(10 * 2**n <= gap <= 10 * 2**n + 12 for n, gap in enumerate(gaps[:6])), gaps
    assert twin(desk).progress == "refused"
    assert twin(desk).detail == "8 commands did not make it so: close_valve expired"
    assert told(desk) == ["device.desired_set", "device.desired_refused"]
    is_at(desk, "offline")
    passes(desk, 12)
    is_at(desk, "online")
    passes(desk, 12)
    assert (len(sent(desk)), twin(desk).progress) == (MOST_TRIES + 1, "pending")


def test_a_device_that_says_no_is_asked_no_more_than_that_and_its_answer_is_shown(desk: Desk) -> None:
    wants(desk, "closed")
    for _ in range(3600):
        for each in desk.tick(1).transmissions:
            answer = orjson.dumps({"id": each.command, "ok": False, "code": "jammed"})
            desk.hear(Publish("hub/s1/meter-1/response", answer))
    assert len(sent(desk)) == MOST_TRIES
    assert twin(desk).detail == "8 commands did not make it so: close_valve rejected jammed"


@pytest.mark.parametrize("instead", [{}, {"value": "open"}])
def test_what_waits_for_a_device_that_sleeps_is_called_back_when_it_is_no_longer_desired(
    instead: dict[str, Scalar],
) -> None:
    desk = Desk(valves())
    is_open = orjson.dumps({"valve": "open"}).hex()
    desk.hear(spoke(desk, is_open, eui=METER))
    desk.tick(60)
    wants(desk, "closed")
    assert [event.name for event in desk.events][-1] == "command.waiting_for_uplink"
    assert asks(desk, "desire", name="valve", **instead).ok
    assert [event.data["detail"] for event in desk.events if event.name == "command.cancelled"] == ["no longer desired"]
    assert desk.hear(spoke(desk, is_open, eui=METER)).transmissions == []


def test_who_takes_the_command_of_a_wish_back_ends_the_wish_until_somebody_wants_it_anew() -> None:
    desk = Desk(valves())
    is_open = orjson.dumps({"valve": "open"}).hex()
    desk.hear(spoke(desk, is_open, eui=METER))
    desk.tick(60)
    wants(desk, "closed")
    waits = str(desk.events[-1].data["id"])
    assert asks(desk, "cancel", actor="wang", id=waits, reason="they wash the stairs").ok
    assert (told(desk)[-1], twin(desk).progress) == ("device.desired_refused", "refused")
    assert twin(desk).detail == "overruled: close_valve was cancelled by operator wang: they wash the stairs"
    later = desk.start_again()
    for _ in range(400):
        later.tick(30)
    assert later.hear(spoke(later, is_open, eui=METER), connection=2).transmissions == []
    assert [event.name for event in later.events if event.name.startswith("command.")] == []
    later.tick(60)
    assert wants(later, "closed").code == "pending"
    assert later.events[-1].name == "command.waiting_for_uplink"


def test_whoever_cancels_a_try_of_a_wish_that_is_over_is_told_how_to_end_the_wish(desk: Desk) -> None:
    wants(desk, "closed")
    passes(desk, 15)
    (first, *_) = ids(desk)
    reply = asks(desk, "cancel", actor="wang", id=first)
    assert (reply.ok, reply.code) == (False, "already_over")
    hint = "it is sent again while valve=closed is desired: hub twin unset s1/meter-1 valve"
    assert reply.detail == f"it is expired; {hint}"
    reports(desk, valve="closed")
    passes(desk, 5)
    assert asks(desk, "cancel", actor="wang", id=first).detail == "it is expired"


def test_a_device_that_sleeps_is_told_once_when_it_speaks_and_is_so_when_it_speaks_again() -> None:
    desk = Desk(sleepers())
    desk.hear(spoke(desk))
    desk.tick(60)
    reply = asks(desk, "desire", device="gas-1", name="valve", value="closed", reason="frost")
    assert (reply.code, len(ids(desk))) == ("pending", 0)
    for _ in range(120):
        desk.tick(30)
    desk.hear(spoke(desk))
    for _ in range(120):
        desk.tick(30)
    assert len(ids(desk)) == 1
    desk.hear(spoke(desk, CLOSED))
    desk.tick(10)
    (found,) = [each for each in desk.engine.twins_of("s1") if each.desired]
    assert (found.desired["valve"].progress, len(ids(desk))) == ("satisfied", 1)


# ------------------------------------------------------------------------------------------- taken back, and refusals


def test_what_is_no_longer_desired_is_not_sent_and_the_twin_forgets_it(desk: Desk) -> None:
    is_at(desk, "offline")
    wants(desk, "closed")
    assert asks(desk, "desire", name="valve").code == "cleared"
    assert asks(desk, "desire", name="valve").code == "not_desired"
    is_at(desk, "online")
    passes(desk, 60)
    assert sent(desk) == []
    assert [each.desired for each in desk.engine.twins_of("s1")] == [{}]
    assert desk.restart().engine.twins_of("s1")[0].desired == {}
    assert told(desk) == ["device.desired_set", "device.desired_cleared"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"device": "meter-9"}, "unknown_device"), ({"name": "flow", "value": 3}, "not_writable"),
        ({"value": "ajar"}, "bad_value"), ({"value": True}, "bad_value"), ({"part": "east"}, "accepted"),
    ],
)  # fmt: skip
def test_what_cannot_be_desired_is_refused_with_what_can(desk: Desk, words: dict[str, Scalar], code: str) -> None:
    asked: dict[str, Scalar] = {"name": "valve", "value": "closed", **words}
    reply = asks(desk, "desire", **asked)
    assert reply.code == code or (code == "accepted" and reply.ok)
    if code in {"not_writable", "bad_value"}:
        assert reply.detail == "of a water_meter can be desired: valve=closed, valve=open"


def test_a_device_with_parts_is_asked_which(written: dict[str, bytes]) -> None:
    parted = Desk(written)
    parted.hear(native("meter-1", {"part": "hot", "values": {"valve": "open"}}, "telemetry"))
    assert wants(parted, "closed").code == "part_needed"
    assert wants(parted, "closed", part="cold").code == "unknown_part"
    assert wants(parted, "closed", part="hot").code == "pending"


def test_where_parts_alone_say_what_is_desired_the_whole_is_asked_which(written: dict[str, bytes]) -> None:
    """Eight commands left for a device whose parts were as desired by the first, and then it was told as refused."""
    parted = Desk(written)
    reports(parted, battery=80.0)
    assert wants(parted, "closed").code == "pending"  # nobody has said a valve yet
    parted.hear(native("meter-1", {"part": "hot", "values": {"valve": "open"}}, "telemetry"))
    assert wants(parted, "open").code == "part_needed"
    reports(parted, valve="closed")
    assert wants(parted, "closed").code == "satisfied"


def test_nothing_is_told_of_a_device_that_went_and_came_again_before_anybody_asked(written: dict[str, bytes]) -> None:
    desk = Desk(written)
    desk.engine.take_changed_twins()
    desk.hear(native("meter-1", {"values": {"valve": "open"}}, "telemetry"))
    desk.revise({key: body for key, body in written.items() if not key.startswith("device/")})
    desk.revise(written)
    changed, removed = desk.engine.take_changed_twins()
    assert ([*changed], removed) == ([], [("s1", "meter-1")])


def test_what_is_desired_of_a_device_that_never_spoke_is_shown_at_once_and_goes_with_it(
    written: dict[str, bytes],
) -> None:
    desk = Desk(written)
    desk.engine.take_changed_twins()
    assert wants(desk, "closed").code == "pending"
    (changed,), removed = desk.engine.take_changed_twins()
    assert (changed.name, changed.reported, changed.desired["valve"].value) == ("meter-1", {}, "closed")
    assert removed == []
    desk.revise({key: body for key, body in written.items() if not key.startswith("device/")})
    others, removed = desk.engine.take_changed_twins()
    assert ([*others], removed) == ([], [("s1", "meter-1")])
    assert told(desk) == ["device.desired_set", "device.desired_cleared"]
    passes(desk, 30)
    assert sent(desk) == []


def test_a_row_of_a_device_of_which_nothing_is_desired_says_nothing_of_it(desk: Desk) -> None:
    wants(desk, "open")
    asks(desk, "desire", name="valve")
    (twin,) = desk.engine.twins_of("s1")
    assert b"desired" not in msgspec.json.encode(twin)


def test_whoever_goes_on_from_any_checkpoint_looks_and_sends_at_the_same_records(desk: Desk) -> None:
    copies: list[tuple[int, Desk]] = []
    asks(desk, "desire", name="valve", value="closed", reason="frost")
    for second in range(90):
        if second in {20, 60}:
            reports(desk, valve="closed" if second == 20 else "open")
        if second == 75:
            asks(desk, "command", actor="wang", command="open_valve")
        desk.tick(0.7)
        copies.append((len(desk.records), desk.restart()))
    assert told(desk)[1:] == ["device.reconciled", "device.diverged", "device.desired_refused"]
    for number, copy in copies:
        effects = [copy.engine.apply(record) for record in desk.records[number:]]
        assert encoded(effects) == encoded(desk.effects[number:]), f"from record {number} on"


# ------------------------------------------------------------------------------------------------------- the pure core

WANTED = Desired(
    id="d", site="s1", device="m", part="", name="valve", value="closed", command="close_valve", sets="valve",
    actor="li", reason="", set_at=0, since=0,
)  # fmt: skip
steps = st.tuples(
    st.sampled_from([1, 2, 9, 30, 700]), st.sampled_from(["open", "closed", None]), st.booleans(), st.booleans()
)


@given(st.lists(steps, min_size=1, max_size=120))
def test_whatever_a_device_does_it_is_asked_seldom_only_while_it_is_there_and_otherwise(
    seen: list[tuple[int, str | None, bool, bool]],
) -> None:
    wanted, t = WANTED, 0
    left: list[int] = []
    returns: list[int] = []
    for seconds, reported, is_here, is_open in seen:
        t += seconds * SECOND
        if wanted.was_away and is_here:
            returns.append(t)
        after, move = look(wanted, Seen(reported, is_here, is_open, "", t, t))
        if move is Move.TRY:
            assert (reported, is_here, is_open) in {("open", True, False), (None, True, False)}
            assert not left or t - left[-1] >= FIRST_NS
            left.append(t)
            after = tried(after, f"d-{after.sent + 1}", t)
        if reported == "closed":
            assert after.progress is Progress.SATISFIED
        if reported == "open":
            assert after.progress is not Progress.SATISFIED
        if move is Move.STAY and reported is None:
            assert after.progress is wanted.progress or wanted.was_away
        wanted = after
    assert len({*left}) == wanted.sent
    for index in range(len(left) - MOST_TRIES):  # more than eight only after a return, or a calm time
        begin, end = left[index], left[index + MOST_TRIES]
        assert end - begin > CALM_NS or any(begin < back <= end for back in returns)


def test_an_event_is_told_under_an_id_of_its_own(desk: Desk) -> None:
    wants(desk, "closed")
    wants(desk, "open")
    events: list[Event] = [event for event in desk.events if event.name.startswith("device.desired")]
    assert len({event.id for event in events}) == len(events) == 2
