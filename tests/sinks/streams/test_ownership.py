"""Who may write for a partition, against a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from typing_extensions import override

from hub.errors import ConfigError, OwnershipLostError, UnavailableError
from hub.sinks.ownership import GRACE_SECONDS, Claim, Ownership, adopt
from hub.sinks.redis_link import Answer, Argument, Link
from hub.sinks.streams import cursor_key, heartbeat_key
from tests.clocks import ManualClock
from tests.servers.valkey import ValkeyServer
from tests.sinks.streams.rig import JOURNAL, PARTITION, claim_of, cursor, whole_database
from tests.waiting import PATIENCE_SECONDS, wait_until

ELSEWHERE = "host-b 0123456789abcdef"
HOUR = 3_600


@pytest.fixture
async def link(valkey: ValkeyServer) -> AsyncIterator[Link]:
    async with valkey.link() as link:
        yield link


async def write_cursor(link: Link, journal: str = JOURNAL, epoch: int = 3, record: int = 70) -> None:
    await link.ask("HSET", cursor_key(PARTITION), "journal", journal, "epoch", epoch, "record", record)


async def claimed(valkey: ValkeyServer, claim: Claim, clock: ManualClock | None = None) -> int | None:
    ownership = Ownership(valkey.link(), clock or ManualClock(), claim)
    try:
        return await ownership.claim()
    finally:
        await ownership.close()


async def refusal(valkey: ValkeyServer, link: Link, claim: Claim) -> str:
    """Return the code of the ConfigError that a claim meets, having checked that nothing was changed."""
    before = await whole_database(link)
    with pytest.raises(ConfigError) as caught:
        await claimed(valkey, claim)
    assert await whole_database(link) == before
    assert caught.value.hint
    return caught.value.code


async def test_the_first_claim_starts_at_epoch_one_and_each_next_one_counts_up(
    valkey: ValkeyServer, link: Link
) -> None:
    assert [await claimed(valkey, claim_of()) for _ in range(3)] == [1, 2, 3]
    position = await cursor(link)
    assert (position.journal, position.epoch, position.record) == (JOURNAL, 3, 0)


async def test_a_claim_keeps_the_record_and_goes_beyond_both_epochs(valkey: ValkeyServer, link: Link) -> None:
    await write_cursor(link, epoch=3, record=70)
    assert await claimed(valkey, claim_of(epoch_hint=9)) == 10
    assert (await cursor(link)).record == 70


async def test_another_journals_cursor_is_refused_and_left_alone(valkey: ValkeyServer, link: Link) -> None:
    await write_cursor(link, journal="another")
    assert await refusal(valkey, link, claim_of()) == "journal_mismatch"


async def test_a_cursor_beyond_the_journals_end_is_refused_and_left_alone(valkey: ValkeyServer, link: Link) -> None:
    await write_cursor(link, record=70)
    assert await refusal(valkey, link, claim_of(journal_end=69)) == "cursor_ahead"


async def test_a_cursor_that_nobody_of_us_wrote_is_refused_and_left_alone(valkey: ValkeyServer, link: Link) -> None:
    await link.ask("HSET", cursor_key(PARTITION), "record", "many")
    assert await refusal(valkey, link, claim_of()) == "cursor_unreadable"


async def test_a_partition_that_lives_on_another_host_is_refused_after_its_ttl(
    valkey: ValkeyServer, link: Link
) -> None:
    await write_cursor(link)
    await link.ask("SET", heartbeat_key(PARTITION), ELSEWHERE, "EX", HOUR)
    clock = ManualClock()
    with pytest.raises(ConfigError, match="partition_owned_elsewhere"):
        await claimed(valkey, claim_of(), clock)
    assert HOUR - PATIENCE_SECONDS < clock.sleeps[0] <= HOUR + GRACE_SECONDS
    assert (await cursor(link)).epoch == 3


async def test_a_heartbeat_that_lapses_while_we_wait_is_taken_over(valkey: ValkeyServer, link: Link) -> None:
    class Lapsing(ManualClock):
        @override
        async def sleep(self, seconds: float) -> None:
            await link.ask("DEL", heartbeat_key(PARTITION))
            await super().sleep(seconds)

    await link.ask("SET", heartbeat_key(PARTITION), ELSEWHERE, "EX", HOUR)
    assert await claimed(valkey, claim_of(), Lapsing()) == 1


async def test_a_killed_process_of_the_same_host_is_not_waited_for(valkey: ValkeyServer, link: Link) -> None:
    clock = ManualClock()
    assert [await claimed(valkey, claim_of(), clock) for _ in range(2)] == [1, 2]
    assert await link.ask("EXISTS", heartbeat_key(PARTITION)) == 1
    assert clock.sleeps == []


async def test_a_claim_without_redis_is_made_later_with_the_hint(valkey: ValkeyServer) -> None:
    valkey.stop()
    epochs: list[int] = []
    ownership = Ownership(valkey.link(), ManualClock(), claim_of(epoch_hint=7), on_claimed=epochs.append)
    assert await ownership.claim() is None
    assert epochs == []
    valkey.start()
    assert await ownership.hold() == 8
    assert epochs == [8]
    await ownership.close()


async def test_two_claims_at_once_get_different_epochs(valkey: ValkeyServer) -> None:
    async with asyncio.TaskGroup() as tasks:
        claims = [tasks.create_task(claimed(valkey, claim_of())) for _ in range(8)]
    assert sorted(task.result() or 0 for task in claims) == list(range(1, 9))


async def test_a_heartbeat_lives_for_five_seconds_and_names_the_host(valkey: ValkeyServer, link: Link) -> None:
    ownership = Ownership(valkey.link(), ManualClock(), claim_of(host="gate-house"))
    await ownership.claim()
    await link.ask("DEL", heartbeat_key(PARTITION))

    async def has_just_beaten() -> bool:
        await ownership.beat()
        return await link.ask("TTL", heartbeat_key(PARTITION)) == 5  # for the half second behind a beat

    await wait_until(has_just_beaten)
    token = await link.ask("GET", heartbeat_key(PARTITION))
    assert isinstance(token, bytes)
    assert token.startswith(b"gate-house ")
    await ownership.close()


async def test_the_loser_of_a_partition_learns_it_at_its_next_beat_and_leaves_no_beat(
    valkey: ValkeyServer, link: Link
) -> None:
    ownership = Ownership(valkey.link(), ManualClock(), claim_of())
    await ownership.claim()
    await claimed(valkey, claim_of())
    before = await whole_database(link)
    with pytest.raises(OwnershipLostError):
        await ownership.run()
    assert ownership.is_lost
    assert await whole_database(link) == before
    await ownership.close()


async def test_another_journal_in_the_cursor_is_a_loss_even_with_a_lower_epoch(
    valkey: ValkeyServer, link: Link
) -> None:
    ownership = Ownership(valkey.link(), ManualClock(), claim_of(epoch_hint=7))
    await ownership.claim()
    await write_cursor(link, journal="another", epoch=1)
    with pytest.raises(OwnershipLostError):
        await ownership.beat()
    await ownership.close()


async def test_beating_goes_on_after_redis_was_gone(valkey: ValkeyServer) -> None:
    ownership = Ownership(valkey.link(), ManualClock(), claim_of())
    await ownership.claim()
    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(ownership.run())
        valkey.kill()
        await wait_until(lambda: ownership.beats_failed > 3)
        with pytest.raises(UnavailableError):
            await ownership.beat()
        valkey.start()
        missed = ownership.confirmed_at
        await wait_until(lambda: ownership.confirmed_at != missed)
        beating.cancel()
    await ownership.close()


async def test_a_beat_after_the_server_was_emptied_is_no_loss(valkey: ValkeyServer, link: Link) -> None:
    ownership = Ownership(valkey.link(), ManualClock(), claim_of())
    await ownership.claim()
    await link.ask("FLUSHALL")
    await ownership.beat()
    assert not ownership.is_lost
    await ownership.close()


async def test_adopting_makes_the_cursor_ours_and_says_where_to_start(valkey: ValkeyServer, link: Link) -> None:
    await write_cursor(link, journal="another", epoch=3, record=70)
    async with valkey.link() as ours:
        assert await adopt(ours, claim_of()) == 70
    assert await claimed(valkey, claim_of(journal_end=70)) == 5


async def test_a_cursor_that_beats_is_not_adopted(link: Link) -> None:
    await write_cursor(link, journal="another")
    await link.ask("SET", heartbeat_key(PARTITION), ELSEWHERE, "EX", HOUR)
    with pytest.raises(ConfigError, match=r"partition_owned_elsewhere.*believed to live for 5 s more"):
        await adopt(link, claim_of())
    assert (await cursor(link)).journal == "another"


async def test_who_slept_longer_than_the_heartbeat_lives_is_not_awake_until_it_has_asked(valkey: ValkeyServer) -> None:
    clock = ManualClock()
    ownership = Ownership(valkey.link(), clock, claim_of())
    await ownership.claim()
    clock.advance(4.9)
    assert ownership.is_awake
    clock.advance(0.2)
    assert not ownership.is_awake
    await ownership.wake()
    assert ownership.is_awake
    await ownership.close()


async def test_waking_after_a_takeover_is_the_end(valkey: ValkeyServer) -> None:
    clock = ManualClock()
    ownership = Ownership(valkey.link(), clock, claim_of())
    await ownership.claim()
    await claimed(valkey, claim_of())
    await ownership.wake()  # awake: the beats would have told
    clock.advance(6)
    with pytest.raises(OwnershipLostError):
        await ownership.wake()
    await ownership.close()


async def test_an_answer_that_lay_in_the_socket_while_we_slept_proves_nothing(valkey: ValkeyServer) -> None:
    clock = ManualClock()
    asked = clock.monotonic_ns()

    class Sleeping(Link):
        @override
        async def ask(self, *arguments: Argument, patience: float = 0) -> Answer:
            answer = await super().ask(*arguments, patience=patience)
            if arguments[0] == "EVAL":
                clock.advance(6)
            return answer

    ownership = Ownership(Sleeping(valkey.address), clock, claim_of())
    await ownership.claim()
    await ownership.beat()
    assert ownership.confirmed_at == asked
    assert not ownership.is_awake
    await ownership.close()


async def test_a_redis_that_is_silent_holds_nobody_up_who_only_asks(valkey: ValkeyServer) -> None:
    ownership = Ownership(Link(valkey.address, answer_seconds=HOUR), ManualClock(), claim_of())
    await ownership.claim()
    valkey.pause()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await ownership.ask()
    assert not ownership.is_lost
    valkey.resume()
    await ownership.close()
