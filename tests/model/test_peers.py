"""What peers do that the machine seldom reaches by chance, played step by step; each once hid a planted bug."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from tests.model.disk import Space
from tests.model.ending import complaints
from tests.model.machine import ALL, Refusal, World
from tests.model.process import CHECKPOINT_MESSAGES
from tests.model.still import Way

SIGNALS, TELEMETRY = "events", "telemetry"
MOST_WORDS = 40
ACCESS = b"hub:events:access"


@pytest.fixture
def world() -> Iterator[World]:
    """A hub that hears."""
    with structlog.testing.capture_logs():
        found = World()
        found.warm_up()
        yield found
        found.close()


def hear(world: World, *words: str, taken: int = ALL) -> None:
    """Let words be said, heard and journaled; the broker takes ``taken`` of what the hub had written before."""
    for word in words:
        world.publish(world.devices.say(word))
    for name in (SIGNALS, TELEMETRY):
        world.carry(name, ALL, taken)
    world.run(ALL)


def hear_while_redis_answers(world: World, answers: int) -> None:
    """Let a card be heard, and Redis answer so often of what the hub asks because of it."""
    world.publish(world.devices.say("granted"))
    world.carry(SIGNALS, ALL)
    while "redis" not in world.process.doors.open_ones:
        if not world.run(1):
            world.tick(1)
    for _ in range(answers):
        if "redis" in world.process.doors.open_ones:
            world.process.doors.let("redis")
            world.loop.settle()


def hear_but_for(world: World, *closed: str, words: int) -> None:
    """Let so many words be heard, and nothing go through the closed doors."""
    for _ in range(words):
        world.publish(world.devices.say("warm"))
    world.carry(TELEMETRY, ALL)
    world.run_but_for(*closed)


def ask_to_hold(world: World) -> None:
    """Let a person ask that a lift is held."""
    args = {"site": "s1", "device": "lift-1", "command": "hold_door", "ttl": "20s"}
    world.ask("command", args, seconds=5, again=False)
    world.read_control()
    world.run(ALL)


def assert_all_ends_well(world: World) -> None:
    """Let everything be said, heard and delivered, and look whether it is where it belongs."""
    world.calm_down()
    assert world.witness.accusations == []
    assert list(complaints(world)) == []


def test_a_broker_that_answered_a_ping_and_had_not_saved_the_acks_may_send_again(world: World) -> None:
    hear(world, "warm", "open")
    world.tick(3)  # it saves what it sent and has no acks of
    world.ping()
    hear(world, "warm")
    world.kill_broker()
    assert_all_ends_well(world)


def test_acks_that_the_broker_never_took_settle_nothing(world: World) -> None:
    hear(world, "warm", "open")
    hear(world, "warm", taken=0)
    world.lose(TELEMETRY, sent=0, taken=0)
    assert_all_ends_well(world)


@pytest.mark.parametrize("packet_ids", [1, 2])
def test_what_is_sent_again_is_known_though_another_has_its_packet_id(world: World, packet_ids: int) -> None:
    """A mosquitto 2.0.11 sends more than there are packet ids (tests/bridge/test_backlog.py)."""
    world.around.broker.queues[TELEMETRY].packet_ids = packet_ids
    hear(world, "warm", "open", "warm", taken=0)
    world.lose(TELEMETRY, sent=0, taken=0)
    assert_all_ends_well(world)


def test_an_ack_takes_nothing_with_it_that_was_sent_and_not_read(world: World) -> None:
    for _ in range(2):
        world.publish(world.devices.say("warm"))
    world.around.broker.send(TELEMETRY, ALL)
    world.carry(TELEMETRY, 1)
    world.run(ALL)
    world.lose(TELEMETRY, sent=0, taken=ALL)
    assert_all_ends_well(world)


@pytest.mark.parametrize("older", ["warm two minutes ago", "warm a second ago"])
def test_an_older_word_of_a_device_with_a_clock_does_not_replace_a_newer_one(world: World, older: str) -> None:
    for _ in range(12):  # the first ten of a device teach the hub its clock
        hear(world, "warm by its clock")
    hear(world, older)
    assert_all_ends_well(world)


def test_a_copy_of_a_transaction_that_redis_finds_after_it_was_done_again_does_nothing(world: World) -> None:
    hear(world, "granted")
    world.tick(1)
    world.next_way["redis"] = Way.LATE
    hear(world, "granted")
    assert len(world.around.redis.buffered) == 1
    world.tick(1)
    world.run(ALL)
    world.redis_finds_a_copy()
    assert_all_ends_well(world)


def test_a_packet_id_that_a_killed_broker_gave_once_more_is_another_message(world: World) -> None:
    world.tick(3)  # it saves how far its packet ids are
    hear(world, "warm")
    world.kill_broker()
    world.publish(world.devices.say("warm"))
    world.connect()
    world.lose(TELEMETRY, sent=ALL, taken=0)
    assert_all_ends_well(world)


def test_only_its_equal_can_be_taken_for_what_a_killed_broker_gave_the_same_packet_id(world: World) -> None:
    world.tick(3)
    hear(world, "open")
    world.kill_broker()
    world.publish(world.devices.say("open"))
    world.connect()
    world.lose(TELEMETRY, sent=ALL, taken=0)
    assert_all_ends_well(world)
    duplicates = world.witness.reference.engine.state.ledger.duplicate
    assert (len(world.witness.mistakable), duplicates) == (1, 1)  # the promise's last exclusion


def test_a_dead_letter_that_comes_while_a_checkpoint_is_made_goes_with_a_later_one(world: World) -> None:
    before = world.process.applying.checkpoints.written
    hear(world, *["warm"] * CHECKPOINT_MESSAGES)
    assert world.process.engine.state.is_checkpointing
    hear(world, "no json")
    world.clock.pass_by(5)  # without a tick: what settles slowly is encoded too
    while world.process.applying.checkpoints.written == before and len(world.published) < MOST_WORDS:
        hear(world, "warm")
    assert world.process.applying.checkpoints.written > before
    assert_all_ends_well(world)


@pytest.mark.parametrize("happened", [0, 1, ALL])
def test_a_hub_that_is_killed_while_a_checkpoint_is_written_has_lost_nothing_of_what_it_judged_meanwhile(
    world: World, happened: int
) -> None:
    tried = world.process.applying.checkpoints.steps
    while world.process.applying.checkpoints.steps == tried:
        world.tick(1)
        hear_but_for(world, "state", words=1)
    before = world.process.engine.state.clock.position
    for word in ("no json", "granted", "bike", "open"):
        world.publish(world.devices.say(word))
    for name in (SIGNALS, TELEMETRY):
        world.carry(name, ALL)
    world.run_but_for("state")
    assert world.process.engine.state.clock.position > before
    assert world.process.owed  # the lift is to be held
    world.kill(happened, ALL)
    assert_all_ends_well(world)


def test_a_command_that_the_journal_knows_to_be_sent_is_not_sent_by_the_next_hub(world: World) -> None:
    ask_to_hold(world)
    world.command_leaves(arrives=True, is_acked=True, answers=False)
    world.run(ALL)
    world.kill(0, ALL)
    assert_all_ends_well(world)


def test_a_command_that_never_left_expires_though_another_hub_took_it_over(world: World) -> None:
    ask_to_hold(world)
    world.stop()
    world.run(ALL)
    world.tick(11)
    world.run(ALL)
    world.tick(1)
    assert "command.expired" in [name for name, _ in world.witness.reference.events()]
    assert_all_ends_well(world)


@pytest.mark.parametrize("answers", range(3))
def test_a_hub_that_is_killed_between_two_words_to_redis_tells_nothing_twice(world: World, answers: int) -> None:
    hear(world, "granted")  # then what follows is all that is said
    hear_while_redis_answers(world, answers)
    world.kill(0, ALL)
    assert_all_ends_well(world)


def test_a_hub_goes_on_judging_when_its_disk_was_full_and_only_ticks_came_meanwhile(world: World) -> None:
    world.around.disk.space = Space.LITTLE
    hear(world, "warm")
    world.tick(1)
    world.run(ALL)
    world.around.disk.space = Space.PLENTY
    world.tick(1)
    world.run(ALL)
    hear(world, "warm")
    assert_all_ends_well(world)


def test_what_the_store_took_while_no_state_could_be_written_is_counted_by_the_next_hub(world: World) -> None:
    hear(world, "warm")
    world.around.disk.space = Space.LITTLE
    world.tick(1)
    world.run(ALL)
    assert world.process.timeseries_box.writes_postponed == 1
    world.around.disk.space = Space.PLENTY
    world.stop()
    assert_all_ends_well(world)


@pytest.mark.parametrize("how", Refusal, ids=lambda how: how.name.lower())
@pytest.mark.parametrize("answers", range(3))
def test_what_a_stream_refused_as_the_hub_was_killed_is_told_by_the_next_one(
    world: World,
    answers: int,
    how: Refusal,
) -> None:
    hear(world, "granted")  # now its key is checked on this connection, and no more
    world.meddle(sorted(world.around.redis.streams).index(ACCESS), how)
    hear_while_redis_answers(world, answers)
    world.kill(1, ALL)
    assert_all_ends_well(world)


def test_what_people_asked_is_not_read_again_by_the_next_hub(world: World) -> None:
    for _ in range(10):  # the planted bug begins with the tenth
        world.ask("comment", {"rule": "smoke-alarm", "key": "s1/smoke-1", "text": "seen"}, seconds=30, again=False)
    world.read_control()
    world.run(ALL)
    world.stop()
    assert_all_ends_well(world)


def test_a_dead_letter_that_the_disk_refused_is_buried_when_it_has_room(world: World) -> None:
    hear(world, "no json")
    world.around.disk.space = Space.LITTLE
    world.tick(1)
    world.run(ALL)
    world.around.disk.space = Space.PLENTY
    assert_all_ends_well(world)


def test_work_for_which_neither_memory_nor_disk_had_room_goes_with_the_next_checkpoint(world: World) -> None:
    while not world.process.timeseries_box.writes_postponed:
        hear_but_for(world, "store", "state", words=MOST_WORDS)
        world.around.disk.space = Space.LITTLE
        hear_but_for(world, "store", words=0)
        world.around.disk.space = Space.PLENTY
        world.tick(1)
    before, _ = world.around.disk.entries()
    while world.around.disk.entries()[0] == before:
        world.tick(1)
        hear_but_for(world, "store", words=1)
    world.kill(0, ALL)
    assert_all_ends_well(world)
