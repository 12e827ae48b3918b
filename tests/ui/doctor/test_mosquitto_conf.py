"""Every setting of mosquitto.conf that loses or lets in what it should not: seen when bad, passed when good."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.machine import needs_mosquitto
from tests.servers.mosquitto import Mosquitto
from tests.ui.doctor.scenes import BAD, GOOD, UNSEEN, WEAK, examined, grades, scene, settings_of

GOOD_LINES = """\
allow_anonymous false
password_file /etc/hub/passwords
acl_file /etc/hub/acl
persistence true
autosave_interval 1
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 1000000000
max_packet_size 400000
listener 1883 127.0.0.1
use_username_as_clientid true
"""

# The check, what is written instead of (or after) the good lines, what it comes to, and words that it must say.
CASES = [
    ("conf_queue_messages", "max_queued_messages 100000", BAD, "100000"),
    ("conf_queue_messages", "-max_queued_messages", BAD, "1000 (default)"),
    ("conf_queue_bytes", "max_queued_bytes 100000", BAD, "100000"),
    ("conf_queue_bytes", "-max_queued_bytes", WEAK, "memory"),
    ("conf_inflight", "-max_inflight_messages", WEAK, "20"),
    ("conf_persistence", "-persistence", BAD, "false"),
    ("conf_autosave", "-autosave_interval", BAD, "1800"),
    ("conf_autosave", "autosave_interval 0", BAD, "good order"),
    ("conf_autosave", "autosave_interval 100\nautosave_on_changes true", GOOD, "changes"),
    ("conf_autosave", "autosave_interval 1000\nautosave_on_changes true", BAD, "changes"),
    ("conf_client_expiration", "persistent_client_expiration 1d", BAD, "1d"),
    ("conf_anonymous", "allow_anonymous true", BAD, "true"),
    ("conf_client_ids", "-use_username_as_clientid", BAD, "1883"),
    ("conf_client_ids", "listener 8883\nuse_username_as_clientid false", BAD, "8883"),
    ("conf_access", "-acl_file", BAD, "1883"),
    ("conf_plain_text", "listener 1884", WEAK, "1884"),
    ("conf_plain_text", "listener 1884 0.0.0.0", WEAK, "1884"),
    ("conf_plain_text", "listener 8883 0.0.0.0\ncertfile /etc/hub/crt", GOOD, "TLS"),
    ("conf_packet_size", "max_packet_size 262144", BAD, "262144"),
    ("conf_packet_size", "message_size_limit 1000", BAD, "1000"),
    ("conf_packet_size", "-max_packet_size", WEAK, "256 MB"),
    ("conf_memory", "memory_limit 1000000", BAD, "1000000"),
    ("conf_quality", "retain_available false", BAD, "retain_available"),
    ("conf_quality", "max_qos 0", BAD, "max_qos 0"),
    ("conf_connections", "max_connections 100", WEAK, "100"),
    ("conf_statistics", "sys_interval 0", BAD, "nobody"),
]


def conf(directory: Path, text: str) -> Path:
    path = directory / "mosquitto.conf"
    path.write_text(text, encoding="utf-8")
    return path


def changed(change: str) -> str:
    """Return the good lines without the option behind a minus, or with more lines after them."""
    if not change.startswith("-"):
        return f"{GOOD_LINES}{change}\n"
    return "".join(f"{line}\n" for line in GOOD_LINES.splitlines() if not line.startswith(f"{change[1:]} "))


async def test_what_hub_init_would_write_is_good_throughout(tmp_path: Path) -> None:
    found = await examined("mosquitto.conf", scene(settings_of(tmp_path), conf=conf(tmp_path, GOOD_LINES)))
    assert {name: verdict for name, verdict in found.items() if verdict.grade is not GOOD} == {}
    assert len(found) == 16


@pytest.mark.parametrize(("check", "change", "grade", "words"), CASES)
async def test_a_setting_that_loses_is_seen_and_nothing_else_is_blamed(
    tmp_path: Path, check: str, change: str, grade: object, words: str
) -> None:
    found = await examined("mosquitto.conf", scene(settings_of(tmp_path), conf=conf(tmp_path, changed(change))))
    assert found[check].grade is grade
    assert words in found[check].found
    blamed = {name for name, verdict in found.items() if verdict.grade is BAD}
    assert blamed <= {check, *(("conf_client_ids",) if change.startswith("listener") else ())}


async def test_files_that_it_includes_count_too(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "hub.conf").write_text("persistence false\n", encoding="utf-8")
    file = conf(tmp_path, f"{GOOD_LINES}include_dir {tmp_path}/conf.d\n")
    found = await examined("mosquitto.conf", scene(settings_of(tmp_path), conf=file))
    assert found["conf_persistence"].grade is BAD


async def test_with_settings_per_listener_each_listener_is_asked(tmp_path: Path) -> None:
    text = """\
per_listener_settings true
listener 1883 127.0.0.1
use_username_as_clientid true
password_file /p
acl_file /a
listener 8883
allow_anonymous true
certfile /c
"""
    found = await examined("mosquitto.conf", scene(settings_of(tmp_path), conf=conf(tmp_path, text)))
    assert found["conf_anonymous"].grade is BAD
    assert found["conf_access"].found == "no acl_file and no plugin for listener 8883"
    assert found["conf_client_ids"].found == "use_username_as_clientid is not set for listener 8883"


async def test_where_nobody_says_which_file_it_is_nothing_is_claimed(tmp_path: Path) -> None:
    found = await examined("mosquitto.conf", scene(settings_of(tmp_path)))
    assert set(grades(found).values()) == {UNSEEN}
    assert "--mosquitto-conf" in found["conf_known"].found
    found = await examined("mosquitto.conf", scene(settings_of(tmp_path), conf=tmp_path / "nowhere.conf"))
    assert "mosquitto_conf_unreadable" in found["conf_known"].found


@needs_mosquitto
@pytest.mark.parametrize(
    "change", sorted({change for _, change, _, _ in CASES if not change.startswith(("-", "listener 8883"))})
)
def test_mosquitto_itself_takes_every_one_of_these_lines(tmp_path: Path, change: str) -> None:
    broker = Mosquitto(
        tmp_path, *[line for line in change.splitlines() if not line.startswith(("listener", "certfile"))]
    )
    try:
        broker.start()
    finally:
        broker.kill()
    assert "Unknown configuration" not in broker.log()
