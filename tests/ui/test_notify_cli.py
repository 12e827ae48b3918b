"""``hub notify`` from an event in a real stream to a real HTTP endpoint: what people get, and what the ledger says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typing_extensions import override

from hub.clock import SystemClock
from hub.model import Severity, Transition
from hub.outward.ledger import Ledger
from hub.sinks.rounds import Position
from hub.sinks.streams import DOMAINS, domain_key
from tests.citywide.rig import write
from tests.outward.rig import event
from tests.servers.valkey import ValkeyServer
from tests.ui.conftest import Cli, Said

PLATE = "鲁B7K2M9"
WISHES = """
channel: duty
---
route: leaks
channels: duty
domains: [utility]
"""


class Service:
    """An HTTP server on a thread that answers ``statuses`` in turn, then 200; a signal ends the hub after the 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.ends_the_hub = False
        self.documents: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.documents.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                status = outer.statuses.pop(0) if outer.statuses else 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if status == 200 and outer.ends_the_hub:
                    os.kill(os.getpid(), signal.SIGTERM)

            @override
            def log_message(self, *_words: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://duty:hush@127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def service() -> Iterator[Service]:
    it = Service()
    thread = Thread(target=it.server.serve_forever)
    thread.start()
    yield it
    it.server.shutdown()
    it.server.server_close()
    thread.join()


class Desk:
    """The command line of an installation with a site and a channel to ``service``."""

    def __init__(self, cli: Cli, directory: Path, service: Service) -> None:
        self._cli = cli
        self.directory = directory
        self._config = directory / "hub.toml"
        (directory / "notify").mkdir()
        (directory / "notify" / "wishes.yaml").write_text(WISHES, encoding="utf-8")
        self.settings('redis.url = "redis://127.0.0.1:1/0"', service)

    def settings(self, line: str, service: Service) -> None:
        data, notify = self.directory / "data", self.directory / "notify"
        text = f'data_dir = "{data}"\n{line}\n[notify]\ndir = "{notify}"\n[notify.urls]\nduty = "{service.url}"\n'
        self._config.write_text(text, encoding="utf-8")

    def __call__(self, *words: str) -> Said:
        return self._cli("--config", str(self._config), *words)

    def json(self, *words: str) -> Any:  # noqa: ANN401 -- JSON is anything
        said = self(*words, "--json")
        assert said.code == 0, said.err
        return said.document()


@pytest.fixture
def desk(cli: Cli, tmp_path: Path, service: Service) -> Desk:
    return Desk(cli, tmp_path, service)


def test_a_message_that_a_service_refused_comes_once_in_both_languages_and_masked(
    desk: Desk, service: Service, valkey: ValkeyServer
) -> None:
    desk.settings(f'redis.url = "{valkey.url}"', service)
    assert desk("sites", "add", "garden", "--en", "Garden", "--zh", "花园", "--zone", "Asia/Shanghai").code == 0
    asyncio.run(_happened(desk.directory / "data" / "notify", valkey))
    service.statuses, service.ends_the_hub = [503], True
    said = desk("notify", "run")
    assert said.code == 0, said.err
    assert "hush" not in said.out + said.err
    assert [each["title"] for each in service.documents] == ["【重要】漏水 触发 / [HIGH] Water leak raised"] * 2
    message = service.documents[-1]["message"]
    assert "地点：花园 / Garden › b1 › gate-1\n时间：2026-03-01 20:00:01 +0800\nplate=鲁B7K**9" in message
    assert PLATE not in message
    found = desk.json("notify", "ledger")
    assert [(line["channel"], line["kind"], line["state"], line["attempts"]) for line in found["deliveries"]] == [
        ("duty", "raised high", "delivered", 2)
    ]
    assert found["counts"] == {"delivered": 1, "retried": 1, "waiting": 0}


async def _happened(directory: Path, valkey: ValkeyServer) -> None:
    """Write an alarm that matters, one that does not, and that a notifier had read up to there before."""
    directory.mkdir()
    async with Ledger(directory, SystemClock()) as ledger:
        await ledger.keep([], {domain_key(each): Position() for each in DOMAINS}, {})
    facts: dict[str, Any] = {
        "transition": Transition.RAISED,
        "label": {"en": "Water leak", "zh": "漏水"},
        "data": {"plate": PLATE},
    }
    leak = event(1, name="utility.water_leak", **facts)
    async with valkey.link() as link:
        await write(link, event(2), event(3, name="utility.water_low", severity=Severity.LOW, **facts), leak)


def test_channels_are_tried_and_listed_without_their_addresses(desk: Desk, service: Service) -> None:
    assert desk("notify", "test", "duty").out == "taken\n"
    assert service.documents[0]["title"] == "Test of the hub / 测试消息"
    service.statuses = [500]
    refused = desk("notify", "test", "duty")
    assert (refused.code, "message_not_taken" in refused.err, "hush" in refused.err) == (1, True, False)
    listed = desk.json("notify", "list")
    assert [(each["channel"], each["has_url"]) for each in listed["channels"]] == [("duty", True)]
    assert listed["routes"][0]["transitions"] == ["raised", "occurred", "severity_changed"]
    for said in (desk("notify", "list"), desk("config", "show")):
        assert "duty" in said.out
        assert "hush" not in said.out
    assert {"name": "notify.urls.duty", "value": "****"}.items() <= next(
        each for each in desk.json("config", "show") if each["name"] == "notify.urls.duty"
    ).items()


def test_what_is_wrong_is_told_before_anything_is_sent(desk: Desk, service: Service) -> None:
    assert "channel_unknown" in desk("notify", "test", "city").err
    assert "ledger_unknown" in desk("notify", "ledger").err
    service.url = "nonsense"
    desk.settings("", service)
    assert "channel_url_invalid" in desk("notify", "test", "duty").err
    wishes = desk.directory / "notify" / "wishes.yaml"
    wishes.write_text(WISHES.replace("duty", "desk"), encoding="utf-8")
    assert "channel_url_missing" in desk("notify", "run").err
    wishes.write_text("channel: desk\n", encoding="utf-8")
    assert "no_routes" in desk("notify", "run").err
    wishes.write_text("route: fire\nchannels: desk\n", encoding="utf-8")
    assert f"{wishes}:2" in desk("notify", "list").err
    assert service.documents == []
