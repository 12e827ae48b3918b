"""Attacks on who somebody is: nobody, a guess, another's name, a paper that holds no more."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from typing_extensions import override

from hub.clock import SystemClock
from hub.errors import ConfigError
from hub.registry import credentials
from hub.registry.credentials import Terms
from hub.registry.nouns import Device, DeviceState
from tests.chaos.watch import starved_ns
from tests.servers.kept import KeptBroker
from tests.waiting import PATIENCE_SECONDS

WEEK = Terms(life=timedelta(days=7), overlap=timedelta())


class LaterClock(SystemClock):
    """The time, and as much later as the test says."""

    later_ns = 0

    @override
    def wall_ns(self) -> int:
        return super().wall_ns() + self.later_ns


class Holder:
    """A device that comes by certificate: its files, and how it connects."""

    def __init__(self, broker: KeptBroker, directory: Path) -> None:
        self.broker = broker
        self.files = directory / "client.crt", directory / "client.key"
        self.serial = ""

    async def certified(self, key: tuple[str, str], terms: Terms = WEEK) -> Holder:
        _, paper = await credentials.certify(self.broker.registry, self.broker.authority, key, terms)
        self.serial = paper.serial
        for file, text in zip(self.files, (paper.certificate, paper.key), strict=True):
            file.write_text(text, encoding="ascii")
        await self.broker.keep()
        return self

    def client(self, user: str | None = None, secret: str | None = None, **more: Any) -> aiomqtt.Client:  # noqa: ANN401 -- whatever aiomqtt takes
        port, trust = self.broker.settings.broker.certificate_port, self.broker.trust(*self.files)
        return self.broker.client(user, secret, port=port, tls_context=trust, **more)

    async def is_welcome(self) -> bool:
        try:
            async with self.client(timeout=1.0):  # who is not gets no answer
                return True
        except aiomqtt.MqttError:
            return False


async def cut_off(client: aiomqtt.Client) -> None:
    """Wait until ``client`` is disconnected by the broker."""
    with pytest.raises(aiomqtt.MqttError, match="Disconnected"):
        await asyncio.wait_for(anext(client.messages), PATIENCE_SECONDS)
    with suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)


class Watch:
    """How long it is since now, less what we and a broker wait for a processor that others have."""

    def __init__(self, broker: KeptBroker) -> None:
        self._processes = os.getpid(), broker.process.pid
        self._began = self._worked()

    @property
    def seconds(self) -> float:
        return (self._worked() - self._began) / 1e9

    def _worked(self) -> int:
        return time.perf_counter_ns() - sum(map(starved_ns, self._processes))


# ------------------------------------------------------------------------------------------------------------- secrets


async def test_nobody_comes_in_without_a_name(kept: KeptBroker) -> None:
    """Proves `allow_anonymous false` and, behind it, `use_username_as_clientid`: no name, no client id."""
    assert not await kept.is_welcome(None, identifier="stranger")
    assert await kept.is_welcome("s1/gate-1")


@pytest.mark.parametrize("secret", ["", "wrong", "$7$1$AAAA$AAAA"])
async def test_a_wrong_secret_opens_nothing(kept: KeptBroker, secret: str) -> None:
    """Proves that the password file is asked, and that the hash itself, leaked or exported, is no secret."""
    assert not await kept.is_welcome("s1/gate-1", secret)
    known = kept.keeper.broker.list()
    assert not await kept.is_welcome("s1/gate-1", (await known).users["s1/gate-1"].password_hash)


async def test_one_devices_secret_does_not_open_anothers_account(kept: KeptBroker) -> None:
    """Proves that secrets belong to users: a stolen one is worth one device."""
    assert not await kept.is_welcome("s1/gate-2", kept.secrets["s1/gate-1"])
    assert not await kept.is_welcome("hub-telemetry", kept.secrets["s1/gate-1"])


async def test_a_rotated_secret_ends_when_its_overlap_does(tmp_path: Path) -> None:
    """Proves that an old secret does not live on: the keeper ends it by itself, and cuts off who still uses it."""
    clock = LaterClock()
    async with KeptBroker(tmp_path, clock) as kept:
        rotated = await credentials.rotate(kept.registry, ("s1", "gate-1"), timedelta(hours=1))
        await kept.keep()
        old = kept.client("s1/gate-1")
        await old.__aenter__()
        async with kept.client(rotated.user, rotated.secret) as new:
            for gate in (old, new):
                assert await kept.hears(gate, "hub/s1/gate-1/telemetry")
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(kept.keeper.run(clock))
                clock.later_ns = 3_600_000_000_000
                await cut_off(old)
                keeping.cancel()
            await kept.keep()  # the spy again
            assert await kept.hears(new, "hub/s1/gate-1/telemetry")
        assert not await kept.is_welcome("s1/gate-1")


async def test_who_is_revoked_while_connected_is_cut_off_within_a_second(kept: KeptBroker) -> None:
    """Proves that revoking acts on a connection that is open, not only on the next one."""
    gate = kept.client("s1/gate-1")
    await gate.__aenter__()
    async with kept.client("s1/gate-2") as other:
        watch = Watch(kept)
        owner, _ = await credentials.revoke(kept.registry, ("s1", "gate-1"))
        await kept.broker.revoke(credentials.users_of(owner))
        await cut_off(gate)
        assert watch.seconds < 1
        assert await kept.hears(other, "hub/s1/gate-2/telemetry")
    assert not await kept.is_welcome("s1/gate-1")
    assert not await kept.keep()  # there is nothing left to do


async def test_a_disabled_device_is_cut_off_and_comes_back_with_its_secret(kept: KeptBroker) -> None:
    """Proves that the life of a device is the broker's business too."""
    gate = kept.client("s1/gate-1")
    await gate.__aenter__()
    await kept.registry.set_device_state("s1", "gate-1", DeviceState.DISABLED)
    await kept.keep()
    await cut_off(gate)
    assert not await kept.is_welcome("s1/gate-1")
    await kept.registry.set_device_state("s1", "gate-1", DeviceState.ACTIVE)
    await kept.keep()
    assert await kept.is_welcome("s1/gate-1")


async def test_a_device_registered_under_an_old_name_does_not_inherit_its_secret(kept: KeptBroker) -> None:
    """Proves that a removed device's secret is dead even when its name lives again."""
    await kept.registry.remove_device("s1", "gate-1")
    await kept.registry.add_devices([Device(site="s1", id="gate-1", kind="access_controller")])
    await kept.keep()
    assert not await kept.is_welcome("s1/gate-1")


# ---------------------------------------------------------------------------------------------------------- client ids


@pytest.mark.parametrize("listener", ["plain", "tls"])
async def test_nobody_throws_another_off_by_taking_its_client_id(kept_tls: KeptBroker, listener: str) -> None:
    """Proves `use_username_as_clientid` on every listener: one device cannot silence another, or read its queue."""
    tls: dict[str, Any] = {"port": kept_tls.settings.broker.tls_port, "tls_context": kept_tls.trust()}
    tls = tls if listener == "tls" else {}
    async with (
        kept_tls.client("s1/gate-1", **tls) as gate,
        kept_tls.client("s1/gate-2", identifier="s1/gate-1", **tls) as thief,
    ):
        assert await kept_tls.hears(thief, "hub/s1/gate-2/telemetry")
        assert await kept_tls.hears(gate, "hub/s1/gate-1/telemetry")


async def test_a_certificate_is_its_own_client_id_too(kept_tls: KeptBroker, tmp_path: Path) -> None:
    """Proves the same for certificates: neither client id nor user name is what a client says it is."""
    holder = await Holder(kept_tls, tmp_path).certified(("s1", "gate-2"))
    async with kept_tls.client("s1/gate-1") as gate, holder.client("s1/gate-1", kept_tls.secrets["s1/gate-1"]) as thief:
        assert await kept_tls.hears(thief, "hub/s1/gate-2/telemetry")
        assert await kept_tls.hears(gate, "hub/s1/gate-1/telemetry")


# -------------------------------------------------------------------------------------------------------- certificates


async def test_a_certificate_opens_its_own_device_only(kept_tls: KeptBroker, tmp_path: Path) -> None:
    """Proves that the name in a certificate of ours is the user, with that user's topics; no secret is needed."""
    holder = await Holder(kept_tls, tmp_path).certified(("s1", "gate-1"))
    port, trust = kept_tls.settings.broker.certificate_port, kept_tls.trust(*holder.files)
    for topic, gets_through in (("hub/s1/gate-1/telemetry", True), ("hub/s1/gate-2/telemetry", False)):
        assert await kept_tls.heard("anybody", topic, port=port, tls_context=trust) is gets_through


async def test_who_shows_no_certificate_is_not_heard_there(kept_tls: KeptBroker) -> None:
    """Proves `require_certificate` and, behind it, `use_identity_as_username`: a secret is no way in there."""
    port = kept_tls.settings.broker.certificate_port
    assert not await kept_tls.is_welcome("s1/gate-1", port=port, tls_context=kept_tls.trust(), timeout=1.0)


async def test_a_strangers_authority_is_not_ours(kept_tls: KeptBroker, tmp_path: Path) -> None:
    """Proves that only our authority is believed: a self-made certificate in a device's name opens nothing."""
    holder = await Holder(kept_tls, tmp_path).certified(("s1", "gate-1"))
    other = KeptBroker(tmp_path / "elsewhere", tls=True)
    paper = other.authority.issue("s1/gate-1", WEEK.life)
    for file, text in zip(holder.files, (paper.certificate, paper.key), strict=True):
        file.write_text(text, encoding="ascii")
    assert not await holder.is_welcome()


async def test_the_brokers_own_certificate_is_no_clients(kept_tls: KeptBroker, tmp_path: Path) -> None:
    """Proves that a certificate is for one purpose: a stolen server key cannot be used as a device's."""
    holder = Holder(kept_tls, tmp_path)
    holder.files = kept_tls.broker.directory / "server.crt", kept_tls.broker.directory / "server.key"
    assert not await holder.is_welcome()


async def test_an_expired_certificate_opens_nothing(kept_tls: KeptBroker, tmp_path: Path) -> None:
    """Proves that the date in a certificate counts."""
    holder = await Holder(kept_tls, tmp_path).certified(
        ("s1", "gate-1"), Terms(life=-timedelta(1), overlap=timedelta())
    )
    assert not await holder.is_welcome()


async def test_a_certificate_that_expires_while_its_device_is_connected_is_cut_off(tmp_path: Path) -> None:
    """Proves that the date counts for a connection that is open, which mosquitto would let stay."""
    clock = LaterClock()
    async with KeptBroker(tmp_path, clock, tls=True) as kept:
        holder = await Holder(kept, tmp_path).certified(("s1", "gate-1"))
        gate = holder.client()
        await gate.__aenter__()
        clock.later_ns = 7 * 86_400_000_000_000 + 1
        assert (await kept.keep()).certificates == (holder.serial,)
        await cut_off(gate)


async def test_a_revoked_certificate_is_cut_off_at_once_and_stays_out(kept_tls: KeptBroker, tmp_path: Path) -> None:
    """Proves the list of revoked certificates, and that we cut off ourselves what mosquitto would let stay."""
    holder = await Holder(kept_tls, tmp_path).certified(("s1", "gate-1"))
    gate = holder.client()
    await gate.__aenter__()
    async with kept_tls.client("s1/gate-2") as other:
        watch = Watch(kept_tls)
        owner, _ = await credentials.revoke(kept_tls.registry, ("s1", "gate-1"))
        await kept_tls.broker.revoke(credentials.users_of(owner))
        await cut_off(gate)
        assert watch.seconds < 1
        assert await kept_tls.hears(other, "hub/s1/gate-2/telemetry")
        assert (await kept_tls.keep()).certificates == (holder.serial,)
    assert not await holder.is_welcome()
    assert not await kept_tls.keep()


async def test_a_certificate_that_ends_while_its_device_is_connected_is_cut_off(
    kept_tls: KeptBroker, tmp_path: Path
) -> None:
    """Proves that the keeper's own comparison cuts certificates off too, where nobody gave the order to revoke."""
    holder = await Holder(kept_tls, tmp_path).certified(("s1", "gate-1"))
    gate = holder.client()
    await gate.__aenter__()
    await kept_tls.registry.set_device_state("s1", "gate-1", DeviceState.DISABLED)
    assert (await kept_tls.keep()).certificates == (holder.serial,)
    await cut_off(gate)
    assert not await holder.is_welcome()


async def test_the_certificate_of_a_removed_device_stays_revoked(kept_tls: KeptBroker, tmp_path: Path) -> None:
    """Proves that a device of the same name, registered later, does not bring an old certificate back to life."""
    holder = await Holder(kept_tls, tmp_path).certified(("s1", "gate-1"))
    await kept_tls.registry.remove_device("s1", "gate-1")
    await kept_tls.registry.add_devices([Device(site="s1", id="gate-1", kind="access_controller")])
    await kept_tls.keep()
    assert not await holder.is_welcome()


async def test_a_weak_or_forged_request_is_not_signed(kept_tls: KeptBroker) -> None:
    """Proves that a request must be one, and signed by its own key."""
    for request in ("", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"):
        with pytest.raises(ConfigError, match="request_invalid"):
            kept_tls.authority.sign("s1/gate-1", request, WEEK.life)
