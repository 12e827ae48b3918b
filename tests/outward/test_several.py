"""An address that names several people: who was told is not told again because another cannot be reached."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from hub.clock import SystemClock
from hub.model.effects import Transition
from hub.outward.messenger import Messenger, recipients
from hub.outward.notices import Notices
from hub.outward.process import OutwardProcess
from hub.outward.wishes import apart, read_wishes, share_of
from tests.citywide.rig import write
from tests.outward.rig import Desk, Guide, event
from tests.running import running
from tests.servers.http_stub import Answer, HttpStub
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

# Apprise 2.3.0 imports it where Python still has it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.mark.parametrize("address", ["json://{0}/?:who=anna json://{0}/?:who=gone", "ntfy://{0}/gone/anna"])
async def test_of_several_recipients_each_is_told_once_also_when_one_cannot_be(
    address: str, tmp_path: Path, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    http_stub.judge = lambda lines: Answer(status=404 if any(b"gone" in line for line in lines) else 200)
    (tmp_path / "notify.yaml").write_text("channel: duty\n---\nroute: all\nchannels: duty\n", encoding="utf-8")
    services = recipients("duty", SecretStr(address.format(http_stub.url.removeprefix("http://"))))
    clock, wishes = SystemClock(), apart(read_wishes(tmp_path, {}), {"duty": len(services)})
    errand = replace(
        Desk(tmp_path / "notify", valkey, http_stub).errand,
        packer=Notices(wishes, Guide(), lambda found: found, clock),
        senders={share_of("duty", at): Messenger("duty", [each]).send for at, each in enumerate(services)},
    )

    def told(who: bytes) -> list[bytes]:
        return [body for _, body in http_stub.requests if who in body]

    async with valkey.link() as link, OutwardProcess(errand, clock) as process, running(process):
        await wait_until(lambda: process.follower.is_reading)
        await write(link, event(1), event(2, transition=Transition.SEVERITY_CHANGED), event(3, device="gate-2"))
        await wait_until(lambda: len(told(b"gone")) >= 4 and len(told(b"anna")) >= 3)
    assert len(set(told(b"anna"))) == len(told(b"anna")) == 3
