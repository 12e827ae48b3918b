"""Foreign networks on real servers: a LoRaWAN fire, a Zigbee device without a profile, a door behind uhppoted."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import orjson
import pytest
from typing_extensions import override

from hub.model.values import PlaceType, Scalar
from hub.registry.nouns import Device, Place, Site, Source
from hub.registry.registry import Registry
from hub.sinks.timeseries.query import telemetry
from hub.sinks.timeseries.store import Row
from tests.chaos.town import ALL_TIME, SITE, Town, ends, opened, start
from tests.normalize.networks.bridge import SMOKE
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

EUI, ADDRESS = "24e124535b316056", "0x00158d0001b7d2a3"
UPLINK = f"application/17c82e96/device/{EUI}/event/up"
GAS = "24e124ffffffff01"
VALVE_OPEN, VALVE_CLOSED = bytes.fromhex("058E00060101070100"), bytes.fromhex("058E00060100070100")
"""GS101: no gas, its valve open or closed, its relay off (vendor's README)."""
FIRE = base64.b64encode(bytes.fromhex("221164321F18")).decode()  # GS524N: alarm (samples.json)
DIRECTORY = orjson.dumps(
    [
        {
            "friendly_name": "hall",
            "ieee_address": ADDRESS,
            "type": "EndDevice",
            "definition": {"vendor": "Xiaomi", "model": "JTYJ-GD-01LM/BW", "exposes": SMOKE},
        }
    ]
)


class Valley(Town):
    """A town whose devices speak to other networks; the Zigbee one is known by its address, without a profile."""

    @override
    async def register(self) -> None:
        """Put sources and devices into the registry."""
        async with Registry(self.hub.settings.registry_url()) as registry:
            await registry.add_site(Site(id=SITE, zone="Asia/Shanghai"))
            await registry.add_places([Place(site=SITE, id="b1", type=PlaceType.BUILDING)])
            for name, network in (("lora", "chirpstack"), ("z2m", "zigbee2mqtt"), ("doors", "uhppoted")):
                await registry.add_source(Source(id=name, network=network))
            await registry.add_devices(
                [
                    _device("smoke", "smoke_sensor", "milesight/gs524n", "lora", EUI),
                    _device("gas", "gas_detector", "milesight/gs101", "lora", GAS),
                    _device("hall", "smoke_sensor", "", "z2m", ADDRESS),
                    _device("gate", "access_controller", "uhppoted/ut0311-l04", "doors", "405419896"),
                ]
            )

    async def points(self, device: str) -> list[Row]:
        """Return what is stored of a smoke alarm."""
        return await self._rows(telemetry("smoke_sensor", ALL_TIME, {"device": device}))

    async def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish one thing at QoS 1."""
        async with self.client() as client:
            await client.publish(topic, payload, qos=1, retain=retain)


class ChirpStack:
    """The network server of one device of class A: it queues what it is given, and sends one after each uplink.

    As ChirpStack 4 does: it hands the uplink on, and what is in its queue a moment later (get_downlink_data_delay) goes
    to the device; it says so (``txack``), and with the next uplink that the device has it (``ack``).
    """

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._frames = 0
        self._unconfirmed = ""

    async def listen(self) -> None:
        """Subscribe to what applications want sent."""
        await self._client.subscribe(f"application/+/device/{GAS}/command/down", qos=1)

    async def uplink(self, payload: bytes) -> None:
        """Hand on what the device said."""
        self._frames += 1
        body = {
            "deduplicationId": f"up-{self._frames}", "fPort": 85, "data": base64.b64encode(payload).decode(),
            "deviceInfo": {"devEui": GAS, "deviceClassEnabled": "CLASS_A"},
        }  # fmt: skip
        if self._unconfirmed:
            await self._say("ack", {"queueItemId": self._unconfirmed, "acknowledged": True})
        await self._say("up", body)

    async def downlink(self) -> bytes:
        """Return the frame that the device is sent in the window after its uplink."""
        message = await anext(aiter(self._client.messages))
        item = orjson.loads(bytes(message.payload))
        self._unconfirmed = item["id"]
        await self._say("txack", {"queueItemId": item["id"]})
        return base64.b64decode(item["data"])

    async def _say(self, event: str, body: dict[str, object]) -> None:
        await self._client.publish(f"application/17c82e96/device/{GAS}/event/{event}", orjson.dumps(body), qos=1)


def _device(name: str, kind: str, profile: str, source: str, network_id: str) -> Device:
    params: dict[str, Scalar] = {"card": 8165538} if source == "doors" else {}
    return Device(
        site=SITE, id=name, kind=kind, profile=profile, place="b1", params=params, source=source, network_id=network_id
    )  # fmt: skip


@pytest.fixture
async def valley(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Valley]:
    async for each in opened(Valley(tmp_path, mosquitto, valkey)):
        yield each


async def until_listening(valley: Valley, topic: str) -> None:
    """Wait until the hub has subscribed: before, the broker finds nobody for what is published."""

    async def is_heard() -> bool:
        before = (await valley.hub.metrics()).get("hub_messages_heard_total", 0)
        await valley.say(topic, b"{}")
        return (await valley.hub.metrics()).get("hub_messages_heard_total", 0) > before

    await wait_until(is_heard)


async def test_a_lorawan_fire_is_stored_and_told_though_it_was_sent_while_the_hub_was_killed(valley: Valley) -> None:
    await start(valley)
    await until_listening(valley, UPLINK)
    valley.hub.kill()
    await valley.say(UPLINK, orjson.dumps({"deduplicationId": "m1", "fPort": 85, "data": FIRE}))
    await start(valley)

    async def is_stored() -> bool:
        return [row.fields["alarm"] for row in await valley.points("smoke")] == [True]

    async def is_told() -> bool:
        return [(event.name, event.device) for event in await valley.events("fire")] == [("fire.smoke_alarm", "smoke")]

    await wait_until(is_stored)
    await wait_until(is_told)  # by another sink, which waits for nobody


async def test_a_zigbee_device_is_understood_by_what_its_bridge_says_of_it_and_so_it_is_after_a_restart(
    valley: Valley,
) -> None:
    await valley.say("zigbee2mqtt/bridge/devices", DIRECTORY, retain=True)
    await start(valley)

    async def tells(battery: int) -> bool:
        await valley.say("zigbee2mqtt/hall", orjson.dumps({"smoke": True, "battery": battery}))
        return battery in {row.fields.get("battery") for row in await valley.points("hall")}

    await wait_until(lambda: tells(88))
    assert valley.hub.stop() == 0
    said = await valley.hub.cli("sources", "directory", "z2m", "--json")
    listed = orjson.loads(said.out)
    assert [(each["name"], each["kind"]) for each in listed["devices"]] == [("hall", "smoke_sensor")]
    assert {each["path"] for each in listed["unmapped"]} >= {"linkquality"}
    await start(valley)
    await wait_until(lambda: tells(77))


async def test_a_door_behind_uhppoted_is_asked_in_its_words_and_its_reply_ends_the_command(valley: Valley) -> None:
    await start(valley)
    await until_listening(valley, "uhppoted/gateway/events")
    async with valley.client() as gateway:
        await gateway.subscribe("uhppoted/gateway/requests/#", qos=1)
        said = await valley.hub.cli("commands", "send", SITE, "gate", "unlock", "--part", "door-4", "--json")
        assert said.code == 0, said.err
        message: aiomqtt.Message = await anext(gateway.messages)
        request = orjson.loads(bytes(message.payload))["message"]["request"]
        assert message.topic.value == "uhppoted/gateway/requests/device/door/lock:open"
        assert (request["device-id"], request["door"], request["card-number"]) == (405419896, 4, 8165538)
        reply = {
            "method": "open-door",
            "request-id": request["request-id"],
            "response": {"device-id": 405419896, "door": 4, "opened": True},
        }
        await gateway.publish(request["reply-to"], orjson.dumps({"message": {"reply": reply}}), qos=1)
        (event,) = await ends(valley)
    assert (event.name, event.data["id"]) == ("command.executed", orjson.loads(said.out)["id"])


async def test_a_valve_behind_lorawan_is_closed_after_the_next_uplink_and_the_one_after_it_shows_it(
    valley: Valley,
) -> None:
    await start(valley)
    await until_listening(valley, f"application/17c82e96/device/{GAS}/event/txack")
    async with valley.client() as client:
        network = ChirpStack(client)
        await network.listen()
        waits = await valley.hub.cli("commands", "send", SITE, "gas", "close_valve", "--json")
        assert (waits.code, orjson.loads(waits.out)["code"]) == (0, "waiting_for_uplink")
        late = await valley.hub.cli("commands", "send", SITE, "gas", "switch_relay_on", "--arg", "ttl=30s", "--json")
        assert (late.code != 0, "device_asleep" in f"{late.out!r}{late.err!r}") == (True, True)
        await network.uplink(VALVE_OPEN)
        assert await network.downlink() == bytes.fromhex("060000FF")
        await network.uplink(VALVE_CLOSED)

        async def is_verified() -> bool:
            return "command.verified" in {event.name for event in await valley.events("command")}

        await wait_until(is_verified)
    told = [(event.name, event.data["command"]) for event in await valley.events("command")]
    assert told == [
        ("command.waiting_for_uplink", "close_valve"),
        ("command.rejected", "switch_relay_on"),
        ("command.verified", "close_valve"),
    ]
