"""Commands out, on real brokers: what is said of each transmission is what happened to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import mqtt5
import pytest
from typing_extensions import override

from hub.bridge.downlink import Downlink
from hub.bridge.paho_client import ClientConfig
from hub.bridge.topics import command_topic, response_topic
from hub.clock import SystemClock
from hub.model.effects import Transmission
from hub.model.records import Outcome, OutcomeKind
from tests.bridge.scripted_broker import ScriptedBroker
from tests.clocks import ManualClock
from tests.servers.mosquitto import Mosquitto
from tests.servers.proxy import ProxyFactory
from tests.waiting import wait_until

SECOND_NS = 1_000_000_000
HOUR = 3_600


def _transmission(command: str, *, device: str = "d1", seconds: float = HOUR, reflex: bool = False) -> Transmission:
    return Transmission(
        command=command,
        topic=command_topic("s1", device),
        payload=b'{"id": "%s"}' % command.encode(),
        expires_at=SystemClock().wall_ns() + round(seconds * SECOND_NS),
        response_topic=response_topic("s1", device),
        correlation=command.encode(),
        reflex=reflex,
    )


class _SettableClock(SystemClock):
    """The system's clocks, the wall clock off by what a test says, and so much later as it says on both."""

    off_by_ns = passed_ns = 0

    @override
    def wall_ns(self) -> int:
        return super().wall_ns() + self.off_by_ns + self.passed_ns

    @override
    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.passed_ns


class _Desk:
    """A downlink and what it said."""

    def __init__(self, port: int, *, limit: int = 1_000) -> None:
        self.outcomes: list[Outcome] = []
        settings = ClientConfig(host="127.0.0.1", port=port, client_id="hub-p1-downlink")
        self.clock = _SettableClock()
        self.downlink = Downlink(settings, self.outcomes.append, self.clock, limit=limit)

    def said(self, command: str) -> list[str]:
        return [":".join(filter(None, (it.kind, it.detail))) for it in self.outcomes if it.command == command]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[_Desk]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.downlink.run(), name="downlink")
            yield self
            task.cancel()


@asynccontextmanager
async def _device(port: int, device: str = "d1") -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(command_topic("s1", device), qos=1)
        yield client


async def test_a_command_arrives_with_its_properties_and_is_called_delivered(mosquitto: Mosquitto) -> None:
    async with _device(mosquitto.port) as device, _Desk(mosquitto.port).running() as desk:
        assert desk.downlink.offer(_transmission("c1"))
        heard = await anext(device.messages)
        await wait_until(lambda: desk.said("c1") == ["sent", "delivered"])
    assert heard.payload == b'{"id": "c1"}'
    properties = vars(heard.properties)
    assert properties["ResponseTopic"] == "hub/s1/d1/response"
    assert properties["CorrelationData"] == b"c1"
    assert HOUR - 60 < properties["MessageExpiryInterval"] <= HOUR
    counts = desk.downlink.counts
    assert (counts.sent, counts.delivered, counts.failed) == (1, 1, 0)


async def test_a_command_that_nobody_listens_for_fails(mosquitto: Mosquitto) -> None:
    async with _Desk(mosquitto.port).running() as desk:
        desk.downlink.offer(_transmission("c1", device="absent"))
        await wait_until(lambda: desk.said("c1") == ["sent", "failed:no_matching_subscribers"])


async def test_a_command_that_the_broker_forbids_fails(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic read #\n", encoding="utf-8")
    broker = Mosquitto(tmp_path, f"acl_file {acl}")
    broker.start()
    try:
        async with _Desk(broker.port).running() as desk:
            desk.downlink.offer(_transmission("c1"))
            await wait_until(lambda: desk.said("c1") == ["sent", "failed:not_authorized"])
    finally:
        broker.kill()


async def test_a_downlink_that_is_not_let_in_says_since_when_and_why(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, "allow_anonymous false")
    broker.start()
    try:
        desk = _Desk(broker.port)
        assert desk.downlink.away_since is None
        async with desk.running():
            await wait_until(lambda: desk.downlink.error == "not_authorized")
            assert desk.downlink.away_since is not None
    finally:
        broker.kill()


async def test_a_downlink_is_away_from_its_first_moment_until_it_is_let_in_and_when_its_broker_dies(
    mosquitto: Mosquitto,
) -> None:
    async with _Desk(mosquitto.port).running() as desk:
        await wait_until(lambda: desk.downlink.counts.connects)
        assert desk.downlink.away_since is None
        mosquitto.kill()
        await wait_until(lambda: desk.downlink.away_since)
        mosquitto.start()
        await wait_until(lambda: desk.downlink.away_since is None)


async def test_a_full_queue_fails_at_once_and_says_so(mosquitto: Mosquitto) -> None:
    desk = _Desk(mosquitto.port, limit=2)
    assert [desk.downlink.offer(_transmission(f"c{number}")) for number in range(3)] == [True, True, False]
    assert desk.said("c2") == ["failed:queue_full"]
    async with _device(mosquitto.port), desk.running():
        await wait_until(lambda: desk.downlink.counts.delivered == 2)
    assert desk.downlink.waiting == 0


async def test_reflexes_leave_ahead_of_what_was_offered_with_them(mosquitto: Mosquitto) -> None:
    async with _device(mosquitto.port), _Desk(mosquitto.port).running() as desk:
        await wait_until(lambda: desk.downlink.counts.connects)
        for command, reflex in (("a", False), ("b", True), ("c", False), ("d", True)):
            desk.downlink.offer(_transmission(command, reflex=reflex))
        await wait_until(lambda: desk.downlink.counts.delivered == 4)
    sent = [outcome.command for outcome in desk.outcomes if outcome.kind is OutcomeKind.SENT]
    assert sent == ["b", "d", "a", "c"]


async def test_a_command_that_expires_before_a_broker_is_there_is_broker_gone(mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    async with _Desk(mosquitto.port).running() as desk:
        desk.downlink.offer(_transmission("short", seconds=0.2))
        desk.downlink.offer(_transmission("long"))
        await wait_until(lambda: desk.said("short") == ["failed:broker_gone"])
        mosquitto.start()
        await wait_until(lambda: desk.said("long")[:1] == ["sent"])
        assert desk.said("short") == ["failed:broker_gone"]


def test_devices_are_listened_to_closely_for_ten_seconds_after_a_command() -> None:
    clock = ManualClock()
    downlink = Downlink(ClientConfig(host="127.0.0.1", port=1, client_id="hub-p1-downlink"), lambda _: None, clock)
    assert not downlink.attends
    downlink.offer(_transmission("c1"))
    clock.advance(9.9)
    assert downlink.attends
    clock.advance(0.1)
    assert not downlink.attends


async def test_a_command_that_comes_after_a_time_without_any_expires_too(mosquitto: Mosquitto) -> None:
    async with _device(mosquitto.port), _Desk(mosquitto.port).running() as desk:
        desk.downlink.offer(_transmission("first"))
        await wait_until(lambda: desk.said("first") == ["sent", "delivered"])
        await wait_until(lambda: not desk.downlink._owing.is_set())  # noqa: SLF001 -- nothing else shows that it rests
        mosquitto.stop()
        await wait_until(lambda: not desk.downlink._window)  # noqa: SLF001 -- nor that it has found the broker gone
        desk.downlink.offer(_transmission("second", seconds=0.2))
        await wait_until(lambda: desk.said("second") == ["failed:broker_gone"])


@pytest.mark.parametrize("seconds", [86_400, -86_400])
async def test_a_wall_clock_that_is_set_neither_ends_a_command_that_waits_nor_lets_it_live_longer(
    mosquitto: Mosquitto, seconds: int
) -> None:
    mosquitto.stop()
    desk = _Desk(mosquitto.port)
    desk.downlink.offer(_transmission("short", seconds=0.2))
    desk.downlink.offer(_transmission("long"))
    desk.clock.off_by_ns = seconds * SECOND_NS
    async with desk.running():
        await wait_until(lambda: desk.said("short") == ["failed:broker_gone"])
    mosquitto.start()
    async with _device(mosquitto.port) as device, desk.running():  # in this order: what nobody listens for has failed
        heard = await anext(device.messages)
    assert heard.properties is not None
    assert 1 <= heard.properties.json()["MessageExpiryInterval"] <= HOUR


async def test_a_command_offered_too_late_is_expired_and_never_sent(mosquitto: Mosquitto) -> None:
    async with _device(mosquitto.port), _Desk(mosquitto.port).running() as desk:
        await wait_until(lambda: desk.downlink.counts.connects)
        desk.downlink.offer(_transmission("c1", seconds=-1))
        await wait_until(lambda: desk.said("c1") == ["failed:expired"])


async def test_one_unanswered_publish_does_not_hold_up_the_others_and_may_have_arrived() -> None:
    async with ScriptedBroker().serve() as broker, _Desk(broker.port).running() as desk:
        broker.returns_markers = False
        for number in range(3):
            desk.downlink.offer(_transmission(f"c{number}", seconds=60 if number == 0 else HOUR))
        await broker.until(mqtt5.PublishPacket, 3)
        for publish in broker.of(mqtt5.PublishPacket)[1:]:
            assert publish.packet_id is not None
            broker.send(mqtt5.PubAckPacket(publish.packet_id).write())
        await wait_until(lambda: desk.downlink.counts.delivered == 2)
        assert desk.said("c0") == ["sent"]
        desk.clock.passed_ns = 60 * SECOND_NS
        await wait_until(lambda: not desk.downlink.waiting)
        assert (desk.said("c0"), desk.downlink.counts.failed) == (["sent"], 0)


async def test_no_more_are_under_way_than_the_broker_said_it_takes() -> None:
    async with ScriptedBroker().serve() as broker, _Desk(broker.port).running() as desk:
        broker.connack = mqtt5.ConnAckPacket(receive_max=2)
        broker.returns_markers = False
        for number in range(4):
            desk.downlink.offer(_transmission(f"c{number}"))
        await broker.until(mqtt5.PublishPacket, 2)
        assert desk.downlink.counts.sent == 2
        for answered in range(4):
            packet_id = broker.of(mqtt5.PublishPacket)[answered].packet_id
            assert packet_id is not None
            broker.send(mqtt5.PubAckPacket(packet_id).write())
            await broker.until(mqtt5.PublishPacket, min(4, answered + 3))
        await wait_until(lambda: desk.downlink.counts.delivered == 4)


async def test_what_a_lost_connection_left_unanswered_is_published_again_and_sent_is_said_once(
    mosquitto: Mosquitto, proxy_to: ProxyFactory
) -> None:
    async with (
        proxy_to(mosquitto.port) as proxy,
        _device(mosquitto.port) as device,
        _Desk(proxy.port).running() as desk,
    ):
        await wait_until(lambda: desk.downlink.counts.connects)
        proxy.blackhole(up=True, down=True)
        desk.downlink.offer(_transmission("c1"))
        await wait_until(lambda: desk.said("c1") == ["sent"])
        proxy.heal()
        proxy.reset()
        await wait_until(lambda: desk.said("c1") == ["sent", "delivered"])
        assert (await anext(device.messages)).payload == b'{"id": "c1"}'


async def test_what_a_lost_connection_left_unanswered_until_it_expired_has_not_failed(
    mosquitto: Mosquitto, proxy_to: ProxyFactory
) -> None:
    async with proxy_to(mosquitto.port) as proxy, _Desk(proxy.port).running() as desk:
        await wait_until(lambda: desk.downlink.counts.connects)
        proxy.blackhole(up=False, down=True)  # it arrives, and nobody hears so
        desk.downlink.offer(_transmission("c1", seconds=60))
        await wait_until(lambda: desk.said("c1") == ["sent"])
        proxy.reset()
        desk.clock.passed_ns = 60 * SECOND_NS
        await wait_until(lambda: not desk.downlink.waiting)
        assert (desk.said("c1"), desk.downlink.counts.failed) == (["sent"], 0)


async def test_what_may_have_arrived_and_is_refused_when_it_is_published_again_has_not_failed(
    mosquitto: Mosquitto, proxy_to: ProxyFactory
) -> None:
    async with proxy_to(mosquitto.port) as proxy, _Desk(proxy.port).running() as desk:
        await wait_until(lambda: desk.downlink.counts.connects)
        async with _device(mosquitto.port) as device:
            proxy.blackhole(up=False, down=True)  # it arrives, and nobody hears so
            desk.downlink.offer(_transmission("c1"))
            assert (await anext(device.messages)).payload == b'{"id": "c1"}'
        proxy.heal()
        proxy.reset()
        await wait_until(lambda: not desk.downlink.waiting)  # the device is gone: no_matching_subscribers
        assert (desk.said("c1"), desk.downlink.counts.connects) == (["sent"], 2)


async def test_a_topic_that_cannot_be_published_fails_and_the_next_command_passes(mosquitto: Mosquitto) -> None:
    async with _device(mosquitto.port), _Desk(mosquitto.port).running() as desk:
        desk.downlink.offer(_transmission("bad", device="+"))
        desk.downlink.offer(_transmission("good"))
        await wait_until(lambda: desk.said("good") == ["sent", "delivered"])
        assert desk.said("bad")[-1].startswith("failed:unpublishable")
