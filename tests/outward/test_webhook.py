"""What a webhook is sent: CloudEvents, signed as Standard Webhooks says; and what no secret is."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hub.errors import ConfigError
from hub.model.effects import Entry, Transition
from hub.model.values import Severity
from hub.outward.cloud_event import Packing, cloud_event
from hub.outward.parcel import Parcel, Verdict
from hub.outward.webhook import Webhook, host_of, is_in_the_clear, own_secret, read_keys, signature
from hub.sinks.contract import Message, schema_of
from hub.sinks.streams import Detail
from tests.clocks import ManualClock
from tests.outward.rig import event
from tests.servers.http_stub import HttpStub

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def secret_file(directory: Path, text: str) -> Path:
    path = directory / "secret"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_signature_is_that_of_the_specification(tmp_path: Path) -> None:
    # The vector of the reference implementation: standard-webhooks, libraries/python/tests/test_webhooks.py.
    keys = read_keys(secret_file(tmp_path, SECRET))
    signed = signature(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_secrets_sign_both(tmp_path: Path) -> None:
    old, new = read_keys(secret_file(tmp_path, SECRET))[0], b"n" * 32
    both = signature([new, old], "id", 1, b"{}")
    assert both == f"{signature([new], 'id', 1, b'{}')} {signature([old], 'id', 1, b'{}')}"


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64!", "a password that is long enough"]
)
def test_what_is_no_secret_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read_keys(secret_file(tmp_path, text))
    assert refused.value.code == "secret_invalid"
    assert len(text) < 8 or text.removeprefix("whsec_") not in str(refused.value)


def test_a_secret_of_our_own_is_made_once_for_us_alone(tmp_path: Path) -> None:
    path = own_secret(tmp_path / "forward" / "secret")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [len(key) for key in read_keys(path)] == [32]
    before = path.read_text(encoding="ascii")
    assert own_secret(path).read_text(encoding="ascii") == before


def test_a_secret_of_our_own_is_on_the_disk_before_anybody_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut left half of one, with which nothing was forwarded until somebody took it away."""
    synced, fsync = set(), os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", noted)
    assert own_secret(tmp_path / "secret").stat().st_ino in synced


@pytest.mark.parametrize("name", ["two\r\nlines", "a\0b", "\x1b[31m"])
async def test_an_id_that_no_hub_gave_and_no_header_can_carry_ends_nobody(name: str, http_stub: HttpStub) -> None:
    """It ended the forwarder, and at each start again, for what was packed once is sent until it has an end."""
    parcel = Parcel(channel="c", lane="l", entry="e", event="good", name="n", kind="raised", body=b"{}", due=0)
    async with Webhook(http_stub.url, [b"k" * 32], ManualClock()) as webhook:
        assert (await webhook.send(replace(parcel, event=name))).verdict is Verdict.REFUSED
        assert (await webhook.send(parcel)).verdict is Verdict.TAKEN


def test_what_tells_of_a_loss_has_all_that_our_schema_of_an_event_asks_for() -> None:
    (parcel,) = Packing("main", Severity.INFO, lambda each: each, ManualClock()).of_loss("hub:events:access", 7, 3)
    found, schema = json.loads(parcel.body), schema_of(Message.CLOUD_EVENT)
    assert set(schema["required"]) <= found.keys()
    assert msgspec.json.decode(msgspec.json.encode(found["data"]), type=Detail).data == {
        "stream": "hub:events:access",
        "entries": 3,
    }
    assert (found["severity"], found["transition"], found["data"]["entries"]) == ("high", "occurred", 3)


def test_who_wants_what_is_grave_learns_that_an_alarm_is_no_longer() -> None:
    """Its clear is as little grave: at the receiver it was critical for ever."""
    packing = Packing("main", Severity.HIGH, lambda each: each, ManualClock())
    less = [
        event(1, transition=Transition.SEVERITY_CHANGED, severity=Severity.MEDIUM, data={"before": before})
        for before in ("critical", "low", 7)
    ]
    assert [len(packing.of_entry(Entry("s", 1, 0, each, "hub/main"))) for each in less] == [1, 0, 0]


def test_an_event_is_a_cloud_event_in_structured_mode() -> None:
    found = json.loads(cloud_event(event(7), "hub/main"))
    data = found.pop("data")
    assert found == {
        "specversion": "1.0",
        "id": f"{7:032x}",
        "source": "hub/main",
        "type": "access.passage",
        "subject": "garden/gate-1",
        "time": "2026-03-01T12:00:07.000000000Z",
        "datacontenttype": "application/json",
        "severity": "high",
        "transition": "occurred",
        "site": "garden",
    }
    assert (data["rule"], data["device"], data["data"]["direction"]) == ("access-passage", "gate-1", "in")


def test_attributes_have_names_that_cloud_events_allow() -> None:
    names = set(json.loads(cloud_event(event(1), "hub/main")))
    assert all(name.islower() and name.isalnum() and len(name) <= 20 for name in names)


def test_whoever_is_no_webhook_is_refused() -> None:
    assert host_of("https://user:pass@example.org/hook?token=1") == "example.org"
    for url in ("ftp://a", "a.org/hook", "https:///hook", "http://[::1", "http://a:70000/", f"http://{'a' * 64}.org/"):
        with pytest.raises(ConfigError) as refused:
            host_of(url)
        assert refused.value.code == "webhook_url_invalid"


def test_what_others_on_the_way_could_read_is_known() -> None:
    clear = ("http://example.org/hook", "https://example.org/hook", "http://127.0.0.1:8/hook", "http://localhost/hook")
    assert [is_in_the_clear(url) for url in clear] == [True, False, False, False]
