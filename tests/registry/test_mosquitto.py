"""mosquitto's files as the hub writes them: whom they tell it of, and how they differ from what they should be."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from hub.bridge import topics
from hub.bridge.topics import SessionName
from hub.clock import SystemClock
from hub.errors import ConfigError
from hub.registry.brokers.broker import BrokerUser, Drift
from hub.registry.brokers.grants import EVENTS, RECORD, TELEMETRY, SourceTopics, of_hub
from hub.registry.brokers.mosquitto import Mosquitto
from hub.registry.brokers.mosquitto_files import Listeners, TlsListener, configuration
from hub.registry.hashing import hash_secret, matches, new_secret
from tests.registry.rosters import GATE, GATEWAY, roster, user
from tests.servers.kept import KeptBroker


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
