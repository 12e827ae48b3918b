"""What the tests of what leaves the house share: events to write, a receiver that remembers, an errand at work."""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from hub.clock import Clock, SystemClock
from hub.model.effects import Event
from hub.model.values import Severity
from hub.outward.cloud_event import CHANNEL, Packing
from hub.outward.courier import Patience
from hub.outward.parcel import Outcome, Parcel, State
from hub.outward.process import Errand, OutwardProcess
from hub.outward.webhook import Webhook, own_secret, read_keys
from hub.sinks.streams import DOMAINS, domain_key
from tests.city.sights import passage
from tests.running import running
from tests.servers.http_stub import HttpStub
from tests.servers.valkey import ValkeyServer

SHORT = Patience(pauses=(0.05, 0.1), spread=lambda: 1.0)


def event(number: int, device: str = "gate-1", **facts: object) -> Event:
    """Return an event of ``device``."""
    site = str(facts.pop("site", "garden"))
    return passage(number, site, number, **{"key": f"garden/{device}", "severity": Severity.HIGH, **facts})


class Guide:
    """One site with one building."""

    def within(self, found: Event) -> Sequence[str]:
        return (found.site, found.building)

    def words(self, found: Event) -> str:
        return f"{found.site} › {found.building} › {found.device}"

    def zone(self, site: str) -> str | None:
        return "Asia/Shanghai" if site == "garden" else None


def told(stub: HttpStub) -> list[dict[str, Any]]:
    """Return the documents that a receiver was sent, in order."""
    return [json.loads(body) for _, body in stub.requests]


def numbers(stub: HttpStub) -> list[int]:
    """Return the numbers of the events that a receiver was sent, in order."""
    return [int(document["id"], 16) for document in told(stub)]


def headers(head: str) -> dict[str, str]:
    """Return the headers of a request by their names in lower case."""
    pairs = (line.partition(": ") for line in head.split("\r\n")[1:] if line)
    return {name.lower(): value for name, _, value in pairs}


def is_signed(secret: str, head: Mapping[str, str], body: bytes) -> bool:
    """Return whether a receiver that knows ``secret`` believes it, by the words of Standard Webhooks 1.0.0."""
    signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + body
    key = b64decode(secret.removeprefix("whsec_"))
    wanted = "v1," + b64encode(hmac.new(key, signed, sha256).digest()).decode()
    return any(hmac.compare_digest(wanted, each) for each in head["webhook-signature"].split())


class Desk:
    """A forwarder to ``stub``; ``outcomes`` are what it told."""

    def __init__(self, directory: Path, valkey: ValkeyServer, stub: HttpStub) -> None:
        self.outcomes: list[tuple[int, State, str]] = []
        self.directory = directory
        clock = SystemClock()
        self._keys = read_keys(own_secret(directory / "secret"))
        self._url = f"{stub.url}/hook"
        self.errand = Errand(
            directory=directory,
            address=valkey.address,
            streams=[domain_key(each) for each in DOMAINS],
            packer=Packing("test", Severity.LOW, lambda found: found, clock),
            senders={},
            tell=self._tell,
            patience=SHORT,
        )

    def _tell(self, parcel: Parcel, outcome: Outcome) -> None:
        self.outcomes.append((int(parcel.event, 16), outcome.state, outcome.answer))

    def ended(self, state: State = State.DELIVERED) -> list[int]:
        """Return the numbers of the events that came to this end, in order."""
        return [number for number, found, _ in self.outcomes if found is state]

    @asynccontextmanager
    async def at_work(self, clock: Clock | None = None, **words: Any) -> AsyncIterator[OutwardProcess]:  # noqa: ANN401 -- any word of an errand
        """Forward for the length of an ``async with``; an error of one of its tasks ends the block."""
        clock = clock or SystemClock()
        async with Webhook(self._url, self._keys, clock) as sender:
            errand = replace(self.errand, senders={CHANNEL: sender.send}, **words)
            async with OutwardProcess(errand, clock) as process, running(process):
                yield process


def counted(stub: HttpStub, count: int) -> Callable[[], bool]:
    """Return whether a receiver was sent so much."""
    return lambda: len(stub.requests) >= count
