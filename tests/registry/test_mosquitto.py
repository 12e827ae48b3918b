"""mosquitto as the hub keeps it: its files, what a reload changes, and how it differs from what it should be."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import os
import stat
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import IO

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from structlog.testing import capture_logs

from hub.bridge import topics
from hub.bridge.topics import SessionName
from hub.clock import SystemClock
from hub.errors import ConfigError, UnavailableError
from hub.keeping import Keeping
from hub.registry import credentials
from hub.registry.brokers.broker import BrokerUser, Drift, Roster
from hub.registry.brokers.grants import EVENTS, RECORD, TELEMETRY, SourceTopics, of_devices, of_hub
from hub.registry.brokers.mosquitto import Mosquitto
from hub.registry.brokers.mosquitto_files import Listeners, TlsListener, configuration
from hub.registry.hashing import hash_secret, matches, new_secret
from hub.registry.network_credentials import rotate_source
from hub.registry.nouns import Device, Source
from tests.clocks import ManualClock
from tests.machine import find
from tests.servers.kept import KeptBroker
from tests.waiting import PATIENCE_SECONDS, wait_until


def user(name: str, secret: str, *devices: tuple[str, str]) -> BrokerUser:
    grant = of_devices(devices)
    return BrokerUser(user=name, password_hash=hash_secret(secret), reads=grant.reads, writes=grant.writes)


def roster(*users: BrokerUser) -> Roster:
    return Roster(users={each.user: each for each in users})


GATE = user("s1/gate-1", "gate secret", ("s1", "gate-1"))
GATEWAY = user("gateway-1", "gateway secret", ("s1", "smoke-1"), ("s1", "smoke-2"))


@pytest.fixture
def files(tmp_path: Path) -> Mosquitto:
    """A mosquitto that does not run."""
    return Mosquitto(tmp_path / "broker", Listeners(port=1), SystemClock())


# ------------------------------------------------------------------------------------------------------------- secrets


def test_a_password_hash_is_the_one_that_mosquitto_passwd_makes() -> None:
    # Made by mosquitto_passwd -U 2.0.11 from the line "x:secret".
    made = (
        "$7$101$DzIsVltIvWmuaeBk$"
        "eNBECKTABHx55YPfAeuTFCQU3UMAhMGgP7RVPPi1Q3T4kMm6QwPDf62FBdtJBG79pvx5P1IpE+pbuwbWkky7dQ=="
    )
    assert hash_secret("secret", rounds=101, salt=base64.b64decode("DzIsVltIvWmuaeBk")) == made
    assert matches("secret", made)
    assert not matches("Secret", made)


def test_two_hashes_of_one_secret_differ() -> None:
    assert hash_secret("secret") != hash_secret("secret")


def test_a_new_secret_holds_256_bits() -> None:
    assert len(new_secret()) == 43
    assert new_secret() != new_secret()


# --------------------------------------------------------------------------------------------------------------- files


async def test_only_we_can_read_the_files(files: Mosquitto) -> None:
    await files.apply(roster(GATE))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in files.directory.iterdir()}
    assert modes == dict.fromkeys(("mosquitto.conf", "passwords", "acl", "probe", "lock"), 0o600)
    assert stat.S_IMODE(files.directory.stat().st_mode) == 0o700


async def test_no_devices_secret_is_written_in_the_clear(files: Mosquitto) -> None:
    await files.apply(roster(GATE, GATEWAY))
    assert "gate secret" not in "".join(file.read_text(encoding="utf-8") for file in files.directory.iterdir())


async def test_the_files_say_whom_they_were_told_of(files: Mosquitto) -> None:
    await files.apply(roster(GATE, GATEWAY))
    assert await files.list() == roster(GATE, GATEWAY)
    assert not await files.drift(roster(GATE, GATEWAY))


async def test_drift_names_what_differs_and_why(files: Mosquitto) -> None:
    old, rotated = user("s1/gate-2", "old", ("s1", "gate-2")), user("s1/gate-2", "new", ("s1", "gate-2"))
    await files.apply(roster(GATE, GATEWAY, old))
    fewer = BrokerUser(user="gateway-1", password_hash=GATEWAY.password_hash, reads=GATEWAY.reads)
    new = user("s2/gate-1", "another", ("s2", "gate-1"))
    assert await files.drift(roster(rotated, fewer, new)) == Drift(
        added=("s2/gate-1",),
        rotated=("s1/gate-2",),
        regranted=("gateway-1",),
        revoked=("s1/gate-1",),
        files=("acl", "passwords"),
    )


async def test_a_file_that_somebody_changed_is_mended(files: Mosquitto) -> None:
    await files.apply(roster(GATE))
    (files.directory / "acl").write_text("user s1/gate-1\ntopic readwrite #\n", encoding="utf-8")
    passwords = files.directory / "passwords"
    passwords.write_text(passwords.read_text(encoding="utf-8") + f"intruder:{hash_secret('x')}\n", encoding="utf-8")
    drift = await files.apply(roster(GATE))
    assert (drift.regranted, drift.revoked, drift.files) == (("s1/gate-1",), ("intruder",), ("acl", "passwords"))
    assert not await files.drift(roster(GATE))


async def test_what_somebody_wrote_into_the_passwords_is_taken_out_whatever_it_is(kept: KeptBroker) -> None:
    passwords = kept.broker.directory / "passwords"
    odd = "# a note: by hand\nin truder:x\nnonsense\n"
    passwords.write_text(passwords.read_text(encoding="utf-8") + odd, encoding="utf-8")
    assert (await kept.keep()).revoked == ("# a note", "in truder")
    assert not await kept.keep()


@pytest.mark.parametrize("name", ["acl", "passwords", "mosquitto.conf"])
async def test_a_note_that_is_no_utf8_is_taken_out_like_any_other(files: Mosquitto, name: str) -> None:
    """Written on a machine that speaks GBK; the hub ended by it, and again after each start."""
    await files.apply(roster(GATE))
    path = files.directory / name
    path.write_bytes("# \u5907\u6ce8\n".encode("gbk") + path.read_bytes())
    assert name in (await files.apply(roster(GATE))).files
    assert not await files.drift(roster(GATE))


async def test_a_changed_configuration_needs_a_restart(files: Mosquitto) -> None:
    await files.apply(roster(GATE))
    (files.directory / "mosquitto.conf").write_text("allow_anonymous true\n", encoding="utf-8")
    assert (await files.drift(roster(GATE))).needs_restart


@pytest.mark.parametrize(
    "name",
    ["a:b", "a\ntopic readwrite #", "", "a b", "+", "#", "s1/+", "s1/#", "a/b/c", "/", "a/", "/a", "~probe", "a~"],
)
async def test_a_user_name_that_would_change_the_files_is_refused(files: Mosquitto, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a user of the broker"):
        await files.apply(roster(user(name, "x", ("s1", "gate-1"))))
    assert not files.config.exists()


def test_nothing_is_dropped_before_a_quarter_of_the_memory_is_queued(tmp_path: Path) -> None:
    lines = configuration(tmp_path, Listeners(port=1883)).splitlines()
    quarter = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
    assert f"max_queued_bytes {quarter}" in lines
    assert "max_queued_messages 0" in lines
    assert "allow_anonymous false" in lines


def test_every_listener_ties_the_client_id_to_the_user(tmp_path: Path) -> None:
    """Said once at the end, it held for the last listener only: with TLS the plain one took stolen client ids."""
    secured = TlsListener(host="127.0.0.1", port=2, cert_file=tmp_path / "c", key_file=tmp_path / "k")
    text = configuration(tmp_path, Listeners(port=1, tls=secured, mutual=secured))
    assert [section.count("use_username_as_clientid true") for section in text.split("\nlistener ")] == [0, 1, 1, 1]


def test_what_a_hub_may_read_is_what_its_sessions_ask_for() -> None:

    for session, asked in (
        (TELEMETRY, topics.filters(SessionName.TELEMETRY)),
        (EVENTS, topics.filters(SessionName.EVENTS)),
    ):
        granted = of_hub(session, "main", ["+"], SourceTopics())
        wanted = {"$SYS/#" if each == topics.SYS_DROPPED else each for each in asked}
        assert {*granted.reads} == wanted | {topics.marker_topic("main", session)}
        assert granted.writes == (topics.marker_topic("main", session),)
    heard = {each for name in SessionName for each in topics.filters(name)} - {topics.SYS_DROPPED}
    assert {*of_hub(RECORD, "main", ["+"], SourceTopics()).reads} == heard


# ------------------------------------------------------------------------------------------------------ a running one


async def test_a_device_may_publish_its_own_topics(kept: KeptBroker) -> None:
    own = [f"hub/s1/gate-1/{topic_class}" for topic_class in ("telemetry", "signal", "response", "availability")]
    assert [topic for topic in own if await kept.heard("s1/gate-1", topic)] == own


async def test_a_gateway_publishes_for_each_device_that_it_carries(kept: KeptBroker) -> None:
    assert await kept.heard("gateway-1", "hub/s1/smoke-1/telemetry")
    assert await kept.heard("gateway-1", "hub/s1/smoke-2/telemetry")
    assert not await kept.heard("gateway-1", "hub/s1/gate-1/telemetry")


async def test_the_hub_sends_commands_into_the_networks_that_it_was_told_of_only(
    kept: KeptBroker,
) -> None:
    foreign = {"main": SourceTopics(downlinks=("application/+/device/+/command/down",), telemetry=("application/#",))}
    await kept.broker.apply(await credentials.read_roster(kept.registry, foreign))
    async with kept.client("hub-telemetry") as hub:
        await hub.subscribe("#", qos=1)
        for topic, payload in (("event/up", b"forged"), ("command/down", b"asked")):
            async with kept.client("hub-downlink") as downlink:
                await downlink.publish(f"application/a/device/0101/{topic}", payload, qos=1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            first = await anext(hub.messages)
    assert first.payload == b"asked"


async def test_a_network_says_what_is_heard_of_it_and_nothing_of_the_hubs_own(kept: KeptBroker) -> None:
    await kept.registry.add_source(Source(id="lora", network="chirpstack"))
    made = await rotate_source(kept.registry, "lora", timedelta())
    kept.secrets[made.user] = made.secret
    await kept.keep()
    assert await kept.heard(made.user, "application/a/device/0101/event/up")
    assert not await kept.heard(made.user, "application/a/device/0101/command/down")
    assert not await kept.heard(made.user, "hub/s1/gate-1/telemetry")


async def test_the_hub_reads_the_brokers_own_figures(kept: KeptBroker) -> None:
    async with kept.client("hub-events") as hub:
        await hub.subscribe("$SYS/broker/publish/messages/dropped")
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert int((await anext(hub.messages)).payload) == 0


async def test_a_removed_device_is_cut_off_and_the_others_stay(kept: KeptBroker) -> None:
    async with kept.client("gateway-1") as gateway:
        gate = kept.client("s1/gate-1")
        await gate.__aenter__()
        await kept.registry.remove_device("s1", "gate-1")
        assert (await kept.keep()).revoked == ("s1/gate-1",)
        with pytest.raises(aiomqtt.MqttError, match="Disconnected"):
            await asyncio.wait_for(anext(gate.messages), PATIENCE_SECONDS)
        with suppress(aiomqtt.MqttError):
            await gate.__aexit__(None, None, None)
        await gateway.publish("hub/s1/smoke-1/telemetry", b"x", qos=1)
    assert not await kept.is_welcome("s1/gate-1")


async def test_a_new_device_connects_as_soon_as_the_broker_was_told(kept: KeptBroker) -> None:
    await kept.registry.add_devices([Device(site="s1", id="gate-9", kind="access_controller")])
    await kept.provide()
    assert (await kept.keep()).added == ("s1/gate-9",)
    assert await kept.heard("s1/gate-9", "hub/s1/gate-9/telemetry")


async def test_a_broker_that_works_with_older_files_is_found_and_told(kept: KeptBroker) -> None:
    pid_file, aside = kept.broker.directory / "mosquitto.pid", kept.broker.directory / "aside"
    wanted = roster(user("s1/gate-9", "nine", ("s1", "gate-9")))
    pid_file.rename(aside)
    with pytest.raises(ConfigError, match=r"broker_not_ours.*or of another user.*as the user that the hub runs as"):
        await kept.broker.apply(wanted)  # written, and mosquitto cannot be told
    aside.rename(pid_file)
    assert await kept.broker.drift(wanted) == Drift(is_stale=True)
    assert not await kept.is_welcome("s1/gate-9", "nine")
    await kept.broker.apply(wanted)
    assert await kept.is_welcome("s1/gate-9", "nine")
    assert not await kept.broker.drift(wanted)


async def test_a_broker_that_is_still_reading_what_it_kept_is_not_ended_by_our_word(kept: KeptBroker) -> None:
    """It has said who it is before it reads, and SIGHUP ends it until it has read: with much to read, for seconds."""
    directory, queue = kept.broker.directory, kept.broker.directory / "mosquitto.db"
    kept.process.kill()
    (directory / "mosquitto.pid").unlink()
    queue.unlink(missing_ok=True)
    os.mkfifo(queue)
    broker = await asyncio.create_subprocess_exec(find("mosquitto") or "mosquitto", "-c", str(kept.broker.config))

    def has_read() -> bool:
        """Let it read, once it wants to, that it kept nothing."""
        assert broker.returncode is None
        with suppress(OSError):  # it does not want to yet
            os.close(os.open(queue, os.O_WRONLY | os.O_NONBLOCK))
            return True
        return False

    try:
        await wait_until((directory / "mosquitto.pid").exists)
        await kept.registry.add_devices([Device(site="s1", id="gate-9", kind="access_controller")])
        await kept.provide()
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(kept.keep())
            await wait_until(lambda: "s1/gate-9" in (directory / "passwords").read_text(encoding="utf-8"))
            await wait_until(has_read)
        assert keeping.result().added == ("s1/gate-9",)
        assert await kept.is_welcome("s1/gate-9")
    finally:
        with suppress(ProcessLookupError):
            broker.kill()
        await broker.wait()


async def test_files_that_cannot_be_read_end_no_keeper_and_are_kept_again_afterwards(kept: KeptBroker) -> None:
    """The hub ended by them, and again after each start: a hub that nobody could tell of a fire."""
    acl, aside = kept.broker.directory / "acl", kept.broker.directory / "aside"
    acl.rename(aside)
    acl.mkdir()  # root can read every file, but no directory
    await kept.registry.add_devices([Device(site="s1", id="gate-9", kind="access_controller")])
    await kept.provide()
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(kept.keeper.run(kept.clock))
            await wait_until(lambda: [each for each in logs if each["event"] == "broker_not_kept"])
            assert "acl" in kept.keeper.error
            assert kept.keeper.failing_since is not None
            acl.rmdir()
            aside.rename(acl)
            await wait_until(lambda: kept.is_welcome("s1/gate-9"))
            await wait_until(lambda: not kept.keeper.error)
            assert kept.keeper.failing_since is None
            keeping.cancel()


@pytest.mark.parametrize("damage", [b"# no certificate\n", b""])
async def test_a_server_certificate_that_is_none_ends_no_hub_at_its_start_and_is_made_anew(
    kept_tls: KeptBroker, damage: bytes
) -> None:
    certificate = kept_tls.broker.directory / "server.crt"
    certificate.write_bytes(damage)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(Keeping().run(kept_tls.settings, kept_tls.registry, kept_tls.clock))
        await wait_until(lambda: certificate.read_bytes().startswith(b"-----BEGIN CERTIFICATE"))
        task.cancel()


async def test_an_authority_that_is_damaged_ends_no_hub_at_its_start(kept_tls: KeptBroker) -> None:
    key, keeping = kept_tls.settings.data_dir / "authority" / "ca.key", Keeping()
    whole = key.read_bytes()
    key.write_bytes(b"no key")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(keeping.run(kept_tls.settings, kept_tls.registry, kept_tls.clock))
        await wait_until(lambda: "authority_damaged" in keeping.error)
        assert keeping.failing_since is not None
        key.write_bytes(whole)
        await wait_until(lambda: not keeping.error)
        task.cancel()


async def test_a_registry_that_is_away_says_nothing_of_the_broker(
    kept: KeptBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def revision() -> int:
        raise UnavailableError("registry_unavailable", "connection refused")

    monkeypatch.setattr(kept.registry, "revision", revision)
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(kept.keeper.run(kept.clock))
        await wait_until(lambda: "connection refused" in kept.keeper.error)
        assert kept.keeper.failing_since is None
        keeping.cancel()


async def test_of_two_who_keep_the_broker_at_once_the_one_who_waited_does_not_let_in_who_was_revoked(
    kept: KeptBroker,
) -> None:
    async with asyncio.TaskGroup() as group:
        with (kept.broker.directory / "lock").open("wb") as held:  # as the other one does, who is faster
            fcntl.flock(held, fcntl.LOCK_EX)
            group.create_task(kept.keeper.apply())
            await wait_until(lambda: _is_waited_for(held))
            await credentials.revoke(kept.registry, ("s1", "gate-1"))
            await kept.broker.write(await kept.keeper.wanted())
    assert await kept.is_welcome("s1/gate-2")
    assert not await kept.is_welcome("s1/gate-1")


def _is_waited_for(file: IO[bytes]) -> bool:
    """Return whether somebody beside us has opened a file."""
    opened = (each.stat() for each in Path("/proc/self/fd").iterdir() if each.exists())
    return sum(os.path.samestat(each, os.fstat(file.fileno())) for each in opened) > 1


async def test_who_was_stopped_while_writing_holds_nobody_up_for_ever(tmp_path: Path) -> None:
    """A `hub broker apply` and Ctrl-Z: the hub kept nobody's files any more, was ready, and could not even stop."""
    broker = Mosquitto(tmp_path, Listeners(port=1), ManualClock())
    with (tmp_path / "lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UnavailableError, match=f"broker_files_held.*fuser {tmp_path}/lock"):
            await broker.apply(roster(GATE))
    assert await broker.apply(roster(GATE))


async def test_nothing_is_written_when_nothing_changed(kept: KeptBroker) -> None:
    ours = [kept.broker.directory / name for name in ("mosquitto.conf", "passwords", "acl", "probe")]
    before = [file.stat().st_mtime_ns for file in ours]
    assert not await kept.keep()
    assert [file.stat().st_mtime_ns for file in ours] == before


async def test_who_is_kicked_may_come_again(kept: KeptBroker) -> None:
    async with kept.client("s1/gate-2") as other:
        gate = kept.client("s1/gate-1")
        await gate.__aenter__()
        await kept.broker.kick(["s1/gate-1"])
        with pytest.raises(aiomqtt.MqttError, match="Disconnected"):
            await asyncio.wait_for(anext(gate.messages), PATIENCE_SECONDS)
        with suppress(aiomqtt.MqttError):
            await gate.__aexit__(None, None, None)
        await other.publish("hub/s1/gate-2/telemetry", b"x", qos=1)
    assert await kept.is_welcome("s1/gate-1")


async def test_a_sleeping_session_is_kept_five_thousand_messages(kept: KeptBroker) -> None:
    # The stock limit is 1,000, and the publisher is told Success for those that are dropped.
    expiry = Properties(PacketTypes.CONNECT)
    expiry.SessionExpiryInterval = 0xFFFFFFFF

    def sleeper() -> aiomqtt.Client:
        return kept.client("hub-telemetry", clean_start=False, properties=expiry)

    async with sleeper() as hub:
        await hub.subscribe("hub/+/+/telemetry", qos=1)
    async with kept.client("s1/gate-1") as gate:
        gate.pending_calls_threshold = 10_000
        for number in range(5_000):
            await gate.publish("hub/s1/gate-1/telemetry", str(number).encode(), qos=1)
    async with sleeper() as hub, asyncio.timeout(PATIENCE_SECONDS):
        heard = [int((await anext(hub.messages)).payload) for _ in range(5_000)]
    assert heard == list(range(5_000))


async def test_devices_elsewhere_connect_by_tls_and_see_whom_they_talk_to(kept_tls: KeptBroker) -> None:
    port = kept_tls.settings.broker.tls_port
    async with kept_tls.client("s1/gate-1", port=port, tls_context=kept_tls.trust()) as gate:
        assert await kept_tls.hears(gate, "hub/s1/gate-1/telemetry")
    assert not await kept_tls.is_welcome("nobody", "x", port=port, tls_context=kept_tls.trust())
