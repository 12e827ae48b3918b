"""What every uplink session promises, proved on real brokers for each implementation."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools

import pytest

from hub.bridge.aiomqtt_session import AiomqttSession
from hub.bridge.session import MqttSession
from hub.bridge.topics import SessionName, filters
from hub.bridge.uplink import Inbox, Marks
from hub.clock import SystemClock
from hub.model.heard import CaughtUp, Connected, Delivery, Lost, Packets
from tests.bridge.device import TOPIC, owed, publish
from tests.bridge.ear import CLIENT_ID, Ear, SessionFactory, config
from tests.servers.mosquitto import Mosquitto
from tests.servers.proxy import ProxyFactory
from tests.waiting import PATIENCE_SECONDS, wait_until

NOBODY = 0x10
"""How mosquitto answers a publish that nobody is subscribed to."""

pytestmark = pytest.mark.parametrize("factory", [MqttSession, AiomqttSession])


def _numbers(start: int, stop: int) -> list[bytes]:
    return [str(number).encode() for number in range(start, stop)]


async def _subscribe(factory: SessionFactory, broker: Mosquitto) -> None:
    """Let the session be known to the broker, then go away."""
    async with Ear(factory, config(broker.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)


async def test_messages_arrive_in_order_with_their_bytes(factory: SessionFactory, mosquitto: Mosquitto) -> None:
    async with Ear(factory, config(mosquitto.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        await publish(mosquitto.port, _numbers(0, 300))
        await wait_until(lambda: len(ear.messages) >= 300)
        assert ear.payloads == _numbers(0, 300)
        assert {message.topic for message in ear.messages} == {TOPIC}
        assert [message.packet_id is not None for message in ear.messages] == [True] * 300
        assert ear.session.counts.received_messages == 300
        for body in ear.bodies(Packets):
            assert body.raw.count(TOPIC.encode()) == len(body.messages)


async def test_messages_of_qos_0_have_no_packet_id_and_need_no_ack(
    factory: SessionFactory, mosquitto: Mosquitto
) -> None:
    async with Ear(factory, config(mosquitto.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        await publish(mosquitto.port, [b"a", b"b"], qos=0)
        await publish(mosquitto.port, [b"c"])
        await wait_until(lambda: len(ear.messages) == 3)
    assert [message.packet_id is None for message in ear.messages] == [True, True, False]
    assert await owed(mosquitto.port, CLIENT_ID) == []


async def test_nothing_is_acked_until_told_and_comes_again_marked_as_a_duplicate(
    factory: SessionFactory, mosquitto: Mosquitto
) -> None:
    async with Ear(factory, config(mosquitto.port), acks=False) as silent:
        await wait_until(lambda: silent.is_caught_up)
        await publish(mosquitto.port, _numbers(0, 50))
        await wait_until(lambda: len(silent.messages) == 50)
    async with Ear(factory, config(mosquitto.port), acks=False) as again:
        await wait_until(lambda: len(again.messages) == 50)
        assert again.payloads == _numbers(0, 50)
        assert all(message.duplicate for message in again.messages)
        await wait_until(lambda: again.is_caught_up)
        assert all(again.ack_all())
    assert await owed(mosquitto.port, CLIENT_ID) == []


async def test_a_late_ack_on_a_new_connection_is_dropped_and_counted(
    factory: SessionFactory, mosquitto: Mosquitto, proxy_to: ProxyFactory
) -> None:
    async with proxy_to(mosquitto.port) as proxy:
        async with Ear(factory, config(proxy.port), acks=False) as ear:
            await wait_until(lambda: ear.is_caught_up)
            await publish(mosquitto.port, _numbers(0, 20))
            await wait_until(lambda: len(ear.messages) == 20)
            old = [delivery for delivery in ear.deliveries if isinstance(delivery.body, Packets)]
            proxy.reset()
            await wait_until(lambda: len(ear.messages) == 40)
            assert [ear.session.acknowledge(delivery) for delivery in old] == [False] * len(old)
            assert ear.session.counts.stale_acks == len(old)
        still_owed = [packet.payload for packet in await owed(mosquitto.port, CLIENT_ID) if packet.topic == TOPIC]
        assert still_owed == _numbers(0, 20)


async def test_the_marker_comes_back_behind_the_backlog(factory: SessionFactory, mosquitto: Mosquitto) -> None:
    await _subscribe(factory, mosquitto)
    await publish(mosquitto.port, _numbers(0, 500))
    async with Ear(factory, config(mosquitto.port, first_connection=7)) as ear:
        await wait_until(lambda: ear.is_caught_up)
    caught_up_at = next(i for i, delivery in enumerate(ear.deliveries) if isinstance(delivery.body, CaughtUp))
    before = [delivery.body for delivery in ear.deliveries[:caught_up_at]]
    assert before[0] == Connected(session_present=True)
    assert sum(len(body.messages) for body in before if isinstance(body, Packets)) == 500
    assert {delivery.connection for delivery in ear.deliveries} == {7}


async def test_a_marker_of_an_earlier_connection_is_acked_and_nobody_is_told(
    factory: SessionFactory, mosquitto: Mosquitto
) -> None:
    async with Ear(factory, config(mosquitto.port), acks=False) as first:
        await wait_until(lambda: first.is_caught_up)
        await publish(mosquitto.port, _numbers(0, 3))
        await wait_until(lambda: len(first.messages) == 3)
    assert len(await owed(mosquitto.port, CLIENT_ID)) == 4
    async with Ear(factory, config(mosquitto.port)) as second:
        await wait_until(lambda: second.is_caught_up)
    assert second.payloads == _numbers(0, 3)
    assert len(second.bodies(CaughtUp)) == 1
    assert await owed(mosquitto.port, CLIENT_ID) == []


async def test_a_session_listens_to_something_else_from_now_on_without_a_new_connection(
    factory: SessionFactory, mosquitto: Mosquitto
) -> None:
    async with Ear(factory, config(mosquitto.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        ear.session.listen((*filters(SessionName.TELEMETRY), "zigbee2mqtt/+"), frozenset())
        await _heard_on(ear, mosquitto, "zigbee2mqtt/kitchen")
        ear.session.listen((*filters(SessionName.TELEMETRY), "application/#"), frozenset())
        await _heard_on(ear, mosquitto, "application/a")
        await _not_heard_on(ear, mosquitto, "zigbee2mqtt/kitchen")
    assert ear.session.counts.connects == 1


async def _not_heard_on(ear: Ear, mosquitto: Mosquitto, topic: str) -> None:
    """Publish to ``topic`` until it is no longer heard, which a message behind it shows."""
    numbers = itertools.count()

    async def is_deaf() -> bool:
        number = next(numbers)
        unheard, fence = b"unheard %d" % number, b"fence %d" % number
        await publish(mosquitto.port, [unheard], topic=topic)
        await publish(mosquitto.port, [fence])
        await wait_until(lambda: fence in ear.payloads)
        return unheard not in ear.payloads

    await wait_until(is_deaf)


async def _heard_on(ear: Ear, mosquitto: Mosquitto, topic: str) -> None:
    """Publish to ``topic`` until it is heard: nobody tells when a subscription has begun."""

    async def is_heard() -> bool:
        await publish(mosquitto.port, [b"x"], topic=topic)
        return topic in {message.topic for message in ear.messages}

    await wait_until(is_heard)


async def test_what_was_given_up_while_nobody_listened_is_not_heard_by_the_next_connection(
    factory: SessionFactory, mosquitto: Mosquitto, proxy_to: ProxyFactory
) -> None:
    async with proxy_to(mosquitto.port) as proxy, Ear(factory, config(proxy.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        ear.session.listen((*filters(SessionName.TELEMETRY), "zigbee2mqtt/+"), frozenset())
        await _heard_on(ear, mosquitto, "zigbee2mqtt/kitchen")
        proxy.reset()
        await wait_until(lambda: isinstance(ear.deliveries[-1].body, Lost))
        ear.session.listen(filters(SessionName.TELEMETRY), frozenset())
        await wait_until(lambda: ear.session.counts.connects == 2 and ear.is_caught_up)
        await _not_heard_on(ear, mosquitto, "zigbee2mqtt/kitchen")


async def test_a_directory_that_the_broker_keeps_is_heard_anew_on_every_connection(
    factory: SessionFactory, mosquitto: Mosquitto, proxy_to: ProxyFactory
) -> None:
    wanted = (*filters(SessionName.TELEMETRY), "zigbee2mqtt/bridge/devices", "zigbee2mqtt/+")
    await publish(mosquitto.port, [b"[]"], topic="zigbee2mqtt/bridge/devices", retain=True)
    await publish(mosquitto.port, [b"{}"], topic="zigbee2mqtt/kitchen", retain=True)
    async with proxy_to(mosquitto.port) as proxy, Ear(factory, config(proxy.port)) as ear:
        ear.session.listen(wanted, frozenset({"zigbee2mqtt/bridge/devices"}))
        await wait_until(lambda: ear.is_caught_up and len(ear.messages) == 2)
        proxy.reset()
        await wait_until(lambda: ear.session.counts.connects == 2 and ear.is_caught_up)
        await publish(mosquitto.port, [b"fence"])
        await wait_until(lambda: b"fence" in ear.payloads)
    anew = [message.payload for message in ear.messages if not message.duplicate]  # an ack may be lost with its wire
    assert sorted(anew) == [b"[]", b"[]", b"fence", b"{}"]


async def test_nothing_is_subscribed_to_before_the_journal_knows_that_the_broker_has_no_session(
    factory: SessionFactory, mosquitto: Mosquitto
) -> None:
    async with Ear(factory, config(mosquitto.port), journals=False) as ear:
        await wait_until(lambda: ear.bodies(Connected))
        assert await publish(mosquitto.port, [b"nobody listens"]) == [NOBODY]
        ear.ack_all()
        await wait_until(lambda: ear.is_caught_up)
        assert await publish(mosquitto.port, [b"heard"]) == [0]
        await wait_until(lambda: ear.payloads == [b"heard"])


async def test_a_session_that_was_made_but_never_subscribed_is_called_new_until_the_journal_knows_it(
    factory: SessionFactory, mosquitto: Mosquitto
) -> None:
    for _ in range(2):
        async with Ear(factory, config(mosquitto.port), journals=False) as killed:
            await wait_until(lambda: killed.bodies(Connected))
            assert killed.bodies(Connected) == [Connected(session_present=False)]
    for present in (False, True):
        async with Ear(factory, config(mosquitto.port)) as ear:
            await wait_until(lambda: ear.is_caught_up)
            assert ear.bodies(Connected) == [Connected(session_present=present)]


async def test_a_session_that_is_stopped_in_the_moment_in_which_it_is_let_in_ends(
    factory: SessionFactory, mosquitto: Mosquitto
) -> None:
    def stop(delivery: Delivery) -> None:
        if isinstance(delivery.body, Connected):
            running.cancel()

    session = factory(config(mosquitto.port), stop, SystemClock())
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        running: asyncio.Task[None] = group.create_task(session.run(), name="session")
    assert running.cancelled()


async def test_back_pressure_bounds_what_waits_and_loses_nothing(factory: SessionFactory, mosquitto: Mosquitto) -> None:
    inbox = Inbox(Marks(messages=200))
    session = factory(config(mosquitto.port), inbox.put, SystemClock())
    inbox.attach(session)
    heard: list[bytes] = []
    payloads = [str(number).encode().ljust(1_000) for number in range(4_000)]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(session.run(), name="session")
        await wait_until(lambda: session.counts.connects)
        await _drain(inbox, session, heard, until_caught_up=True)
        await publish(mosquitto.port, payloads)
        await wait_until(lambda: inbox.pauses >= 1)
        await publish(mosquitto.port, [b"last"], topic="hub/s1/d2/telemetry")
        assert inbox.waiting_messages <= 200 + 256 * 1024 // 1_000
        while len(heard) < 4_001:
            await _drain(inbox, session, heard)
        running.cancel()
    assert heard == [*payloads, b"last"]


async def _drain(inbox: Inbox, session: object, heard: list[bytes], *, until_caught_up: bool = False) -> None:
    while True:
        taken = await inbox.take()
        for delivery in taken.deliveries:
            session.acknowledge(delivery)  # type: ignore[attr-defined]
            if isinstance(delivery.body, Packets):
                heard += [message.payload for message in delivery.body.messages]
        if not until_caught_up or any(isinstance(delivery.body, CaughtUp) for delivery in taken.deliveries):
            return


async def test_a_broker_that_restarts_is_found_again_with_its_queue(
    factory: SessionFactory, mosquitto: Mosquitto
) -> None:
    async with Ear(factory, config(mosquitto.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        await publish(mosquitto.port, _numbers(0, 10))
        await wait_until(lambda: len(ear.messages) == 10)
        mosquitto.restart()
        await publish(mosquitto.port, _numbers(10, 20))
        await wait_until(lambda: len(ear.fresh) == 20)
        await wait_until(lambda: ear.is_caught_up)
        assert ear.fresh == _numbers(0, 20)
        assert len(ear.bodies(Lost)) == 1
        assert [body.session_present for body in ear.bodies(Connected)] == [False, True]


async def test_a_broker_that_was_killed_is_found_again(factory: SessionFactory, mosquitto: Mosquitto) -> None:
    async with Ear(factory, config(mosquitto.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        mosquitto.kill()
        await wait_until(lambda: ear.bodies(Lost))
        mosquitto.start()
        await wait_until(lambda: len(ear.bodies(CaughtUp)) == 2)
        await publish(mosquitto.port, _numbers(0, 10))
        await wait_until(lambda: len(ear.messages) == 10)
        assert ear.session.counts.connects == 2


@pytest.mark.parametrize(("up", "down"), [(True, True), (True, False), (False, True)])
async def test_a_blackhole_ends_in_a_lost_connection_and_a_new_one(
    factory: SessionFactory, mosquitto: Mosquitto, proxy_to: ProxyFactory, *, up: bool, down: bool
) -> None:
    async with proxy_to(mosquitto.port) as proxy, Ear(factory, config(proxy.port, keepalive_seconds=1)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        proxy.blackhole(up=up, down=down)
        await publish(mosquitto.port, _numbers(0, 10))
        await wait_until(lambda: ear.bodies(Lost))
        proxy.heal()
        await wait_until(lambda: len(ear.bodies(CaughtUp)) >= 2)
        await publish(mosquitto.port, _numbers(10, 20))
        await wait_until(lambda: len(ear.fresh) == 20)
        assert ear.fresh == _numbers(0, 20)


async def test_a_connection_cut_in_the_middle_of_a_packet_loses_nothing(
    factory: SessionFactory, mosquitto: Mosquitto, proxy_to: ProxyFactory
) -> None:
    async with proxy_to(mosquitto.port) as proxy, Ear(factory, config(proxy.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        for start, cut_after in ((0, 1), (100, 1_003), (200, 2_017)):
            proxy.cut_down_after = cut_after
            await publish(mosquitto.port, _numbers(start, start + 100))
            await wait_until(lambda expected=start + 100: len(ear.fresh) == expected)  # type: ignore[misc]
        assert ear.fresh == _numbers(0, 300)
        assert len(ear.bodies(Lost)) == 3


async def test_two_sessions_with_one_client_id_take_turns_and_survive(
    factory: SessionFactory, mosquitto: Mosquitto
) -> None:
    async with Ear(factory, config(mosquitto.port)) as survivor:
        async with Ear(factory, config(mosquitto.port)):
            await wait_until(lambda: len(survivor.bodies(Lost)) >= 2)
        await wait_until(lambda: survivor.is_caught_up)
        await publish(mosquitto.port, [b"after the fight"])
        await wait_until(lambda: b"after the fight" in survivor.payloads)


class Sleepy:
    """A guard that was asleep until somebody asks."""

    def __init__(self) -> None:
        self.is_awake = True

    async def wake(self) -> None:
        """Only the downlink asks this."""

    async def ask(self) -> None:
        self.is_awake = True

    async def prove(self) -> None:
        self.is_awake = True


async def test_after_a_sleep_nothing_is_acked_and_the_connection_is_made_anew(
    factory: SessionFactory, mosquitto: Mosquitto
) -> None:
    guard = Sleepy()
    async with Ear(factory, dataclasses.replace(config(mosquitto.port), guard=guard)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        guard.is_awake = False
        await publish(mosquitto.port, _numbers(0, 20))
        await wait_until(lambda: len(ear.bodies(Connected)) == 2)
        assert ear.bodies(Lost) == [Lost("overslept")]
        await wait_until(lambda: len(ear.messages) > 20 and ear.payloads[-20:] == _numbers(0, 20))
        await wait_until(lambda: len(ear.bodies(CaughtUp)) == 2)
    assert await owed(mosquitto.port, CLIENT_ID) == []
