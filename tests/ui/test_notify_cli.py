"""``hub notify`` from an event in a real stream to a real HTTP endpoint: what people get, and what the ledger says."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from hub.clock import SystemClock
from hub.durations import nanoseconds
from hub.model.effects import Entry, Transition
from hub.model.values import Severity
from hub.outward.ledger import Ledger
from hub.outward.notices import Notices
from hub.outward.wishes import Wishes, read_wishes
from hub.registry.nouns import Site
from hub.sinks.rounds import Position
from hub.sinks.streams import DOMAINS, domain_key
from hub.ui.cli import notify
from hub.ui.cli.notify import RegistryGuide, wishes_of
from hub.ui.desk import outgoing
from hub.ui.desk.desk import Desk as CliDesk
from tests.citywide.rig import write
from tests.clocks import ManualClock
from tests.outward.rig import event
from tests.replay.tapes import Script, written
from tests.servers.http_thread import HttpThread
from tests.servers.valkey import ValkeyServer
from tests.ui.conftest import Cli, Said
from tests.waiting import wait_until

# Apprise 2.3.0 imports it where Python still has it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

PLATE = "鲁B7K2M9"
WISHES = """
channel: duty
---
route: leaks
channels: duty
domains: [utility]
"""


def url_of(service: HttpThread) -> str:
    return f"json://duty:hush@127.0.0.1:{service.port}/hook"


def documents(service: HttpThread) -> list[dict[str, Any]]:
    """Return the messages that a service was sent, in order."""
    return [json.loads(body) for body in service.bodies]


def _end_the_hub(status: int) -> None:
    if status == HTTPStatus.OK:
        os.kill(os.getpid(), signal.SIGTERM)


class Desk:
    """The command line of an installation with a site and a channel to ``service``."""

    def __init__(self, cli: Cli, directory: Path, url: str) -> None:
        self._cli = cli
        self.directory = directory
        self._config = directory / "hub.toml"
        (directory / "notify").mkdir()
        (directory / "notify" / "wishes.yaml").write_text(WISHES, encoding="utf-8")
        self.settings('redis.url = "redis://127.0.0.1:1/0"', url)

    def settings(self, line: str, url: str) -> None:
        data, notify = self.directory / "data", self.directory / "notify"
        text = f'data_dir = "{data}"\n{line}\n[notify]\ndir = "{notify}"\n[notify.urls]\nduty = "{url}"\n'
        self._config.write_text(text, encoding="utf-8")

    def __call__(self, *words: str) -> Said:
        return self._cli("--config", str(self._config), *words)

    def json(self, *words: str) -> Any:  # noqa: ANN401 -- JSON is anything
        said = self(*words, "--json")
        assert said.code == 0, said.err
        return said.document()


@pytest.fixture
def desk(cli: Cli, tmp_path: Path, http_thread: HttpThread) -> Desk:
    return Desk(cli, tmp_path, url_of(http_thread))


def test_a_message_that_a_service_refused_comes_once_in_both_languages_and_masked(
    desk: Desk, http_thread: HttpThread, valkey: ValkeyServer
) -> None:
    desk.settings(f'redis.url = "{valkey.url}"', url_of(http_thread))
    assert desk("sites", "add", "garden", "--en", "Garden", "--zh", "花园", "--zone", "Asia/Shanghai").code == 0
    asyncio.run(_happened(desk.directory / "data" / "notify", valkey))
    http_thread.statuses.append(503)
    http_thread.then = _end_the_hub
    said = desk("notify", "run")
    assert said.code == 0, said.err
    assert "hush" not in said.out + said.err
    assert [each["title"] for each in documents(http_thread)] == ["【重要】漏水 触发 / [HIGH] Water leak raised"] * 2
    message = documents(http_thread)[-1]["message"]
    assert "地点：花园 / Garden › b1 › gate-1#door-1\n时间：2026-03-01 20:00:01 +0800\nplate=鲁B7K**9" in message
    assert PLATE not in message
    found = desk.json("notify", "ledger")
    assert [(line["channel"], line["kind"], line["state"], line["attempts"]) for line in found["deliveries"]] == [
        ("duty", "raised high", "delivered", 2)
    ]
    assert found["counts"] == {"delivered": 1, "retried": 1, "waiting": 0}


def test_what_people_wish_otherwise_meanwhile_is_taken_up_by_who_works(
    desk: Desk, http_thread: HttpThread, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "LOOK_SECONDS", 0.01)
    desk.settings(f'redis.url = "{valkey.url}"', url_of(http_thread))
    asyncio.run(_happened(desk.directory / "data" / "notify", valkey))
    file, numbers = desk.directory / "notify" / "wishes.yaml", itertools.count(10)

    async def low_is_told() -> bool:
        number = next(numbers)
        if number == 30:
            file.write_text(f"{WISHES}min_severity: low\n", encoding="utf-8")
        facts: dict[str, Any] = {"transition": Transition.RAISED, "severity": Severity.LOW}
        async with valkey.link() as link:
            await write(link, event(number, name="utility.water_low", **facts))
        return any("[LOW]" in each["title"] for each in documents(http_thread))

    def wish_otherwise(_status: int) -> None:
        if len(documents(http_thread)) == 1:
            file.write_text("no yaml: [", encoding="utf-8")  # somebody is still writing it
            Thread(target=wait).start()

    def wait() -> None:
        try:
            asyncio.run(wait_until(low_is_told))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    http_thread.then = wish_otherwise
    said = desk("notify", "run")
    assert said.code == 0, said.err
    titles = [each["title"] for each in documents(http_thread)]
    assert titles[0].endswith("[HIGH] Water leak raised")
    assert len(titles) > 1
    assert "[LOW]" in titles[1]


def test_a_signal_in_the_moment_in_which_it_begins_anew_ends_it(
    desk: Desk, http_thread: HttpThread, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[Wishes] = []

    def begin(_desk: CliDesk, wishes: Wishes) -> None:
        began.append(wishes)
        assert len(began) == 1, "it has not heard the signal"

    def read(here: CliDesk) -> Wishes:
        wishes = wishes_of(here)
        if wishes.routes[0].min_severity is Severity.LOW:
            os.kill(os.getpid(), signal.SIGTERM)
        return wishes

    def wish_otherwise(_status: int) -> None:
        (desk.directory / "notify" / "wishes.yaml").write_text(f"{WISHES}min_severity: low\n", encoding="utf-8")

    monkeypatch.setattr(outgoing, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(notify, "_warn", begin)
    monkeypatch.setattr(notify, "wishes_of", read)
    desk.settings(f'redis.url = "{valkey.url}"', url_of(http_thread))
    asyncio.run(_happened(desk.directory / "data" / "notify", valkey))
    http_thread.then = wish_otherwise
    said = desk("notify", "run")
    assert (said.code, len(began)) == (0, 1), said.err


async def _happened(directory: Path, valkey: ValkeyServer) -> None:
    """Write an alarm that matters, one that does not, and that a notifier had read up to there before."""
    directory.mkdir(parents=True)
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


def test_what_was_made_unmasked_is_sent_by_nobody_who_may_not(
    desk: Desk, http_thread: HttpThread, valkey: ValkeyServer
) -> None:
    desk.settings(f'redis.url = "{valkey.url}"', url_of(http_thread))
    asyncio.run(_happened(desk.directory / "data" / "notify", valkey))
    http_thread.status = 503
    http_thread.then = lambda _status: os.kill(os.getpid(), signal.SIGTERM)
    assert "[registry_missing]" in desk("notify", "run", "--unmask", "--reason", "ticket 9").err
    desk.json("sites", "add", "garden")
    assert desk("notify", "run", "--unmask", "--reason", "ticket 9").code == 0
    asyncio.run(_worse(valkey))
    assert desk("notify", "run").code == 0
    assert [PLATE in each["message"] for each in documents(http_thread)] == [True, False]
    listed = desk.json("notify", "ledger")["deliveries"]
    assert [(line["channel"], line["kind"]) for line in listed] == [
        ("duty, unmasked", "raised high"),
        ("duty", "raised critical"),
    ]


async def _worse(valkey: ValkeyServer) -> None:
    facts: dict[str, Any] = {"transition": Transition.RAISED, "data": {"plate": PLATE}}
    async with valkey.link() as link:
        await write(link, event(4, name="utility.water_leak", severity=Severity.CRITICAL, **facts))


async def test_places_stay_known_while_the_registry_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(f'data_dir = "{tmp_path}"\n', encoding="utf-8")
    here = CliDesk(config=tmp_path / "hub.toml")
    async with here.registry(begins=True) as registry:
        await registry.add_site(Site(id="garden", zone="Asia/Shanghai"))
    guide = RegistryGuide(here)
    await guide.look()
    assert guide.zone("garden") == "Asia/Shanghai"
    for each in tmp_path.glob("registry.sqlite*"):
        each.write_bytes(b"no database at all" * 1_000)
    await guide.look()
    assert guide.zone("garden") == "Asia/Shanghai"
    for each in tmp_path.glob("registry.sqlite*"):
        each.unlink()
    await guide.look()
    assert guide.zone("garden") == "Asia/Shanghai"


async def test_who_is_for_a_place_is_told_of_all_of_its_site_until_the_registry_was_read_once(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(f'data_dir = "{tmp_path}"\n', encoding="utf-8")
    route = "channel: duty\n---\nroute: unit\nchannels: duty\nplaces: [garden/unit-3]\n"
    (tmp_path / "notify.yaml").write_text(route, encoding="utf-8")
    here = CliDesk(config=tmp_path / "hub.toml")
    guide = RegistryGuide(here)
    await guide.look()  # its database is not there, or not yet: the machine has just started
    notices = Notices(read_wishes(tmp_path, {}), guide, lambda found: found, here.clock)
    entry = Entry("hub:events:access", 1, 0, event(1), "hub/main")
    assert [each.channel for each in notices.of_entry(entry)] == ["duty"]
    async with here.registry(begins=True) as registry:
        await registry.add_site(Site(id="garden", zone="Asia/Shanghai"))
    await guide.look()
    assert notices.of_entry(entry) == []


async def test_what_the_hub_says_of_itself_wakes_nobody_in_the_quiet_hours_that_all_sites_share(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(f'data_dir = "{tmp_path}"\n', encoding="utf-8")
    quiet = 'channel: duty\nquiet: {from: "22:00", until: "07:00"}\n---\nroute: all\nchannels: duty\n'
    (tmp_path / "notify.yaml").write_text(quiet, encoding="utf-8")
    here = CliDesk(config=tmp_path / "hub.toml")
    guide, night = RegistryGuide(here), datetime(2026, 3, 1, 15, 30, tzinfo=UTC)  # 23:30 in Qingdao
    clock = ManualClock(wall_ns=int(night.timestamp()) * 1_000_000_000)
    notices = Notices(read_wishes(tmp_path, {}), guide, lambda found: found, clock)
    own = [event(number, site="_hub", key="_hub", name=f"device.{number}") for number in range(2)]
    entries = [Entry("hub:events:device", number, 0, each, "hub/main") for number, each in enumerate(own)]
    async with here.registry(begins=True) as registry:
        await registry.add_site(Site(id="garden", zone="Asia/Shanghai"))
        await guide.look()
        (held,) = notices.of_entry(entries[0])
        assert held.due - clock.wall_ns() == nanoseconds(timedelta(hours=7.5))
        await registry.add_site(Site(id="kashgar", zone="Asia/Urumqi"))
        await guide.look()
        (told,) = notices.of_entry(entries[1])
        assert told.due == clock.wall_ns()


def test_channels_are_tried_and_listed_without_their_addresses(desk: Desk, http_thread: HttpThread) -> None:
    assert desk("notify", "test", "duty").out == "taken\n"
    assert documents(http_thread)[0]["title"] == "Test of the hub / 测试消息"
    http_thread.statuses.append(500)
    refused = desk("notify", "test", "duty")
    assert (refused.code, "message_not_taken" in refused.err, "hush" in refused.err) == (1, True, False)
    listed = desk.json("notify", "list")
    assert [(each["channel"], each["has_url"]) for each in listed["channels"]] == [("duty", True)]
    assert listed["routes"][0]["transitions"] == ["raised", "occurred", "severity_changed", "reminded"]
    for said in (desk("notify", "list"), desk("config", "show")):
        assert "duty" in said.out
        assert "hush" not in said.out
    assert {"name": "notify.urls.duty", "value": "****"}.items() <= next(
        each for each in desk.json("config", "show") if each["name"] == "notify.urls.duty"
    ).items()


def test_roles_that_no_route_tells_are_listed_with_the_mend_and_told_at_the_start(
    desk: Desk, http_thread: HttpThread, valkey: ValkeyServer
) -> None:
    said = desk("notify", "check")
    assert said.code == 1
    found = desk("notify", "check", "--json").document()
    roles = {each["role"] for each in found}
    assert {"property_lead", "rescue_centre", "family"} <= roles
    (lead,) = {(each["en"], each["zh"], each["hint"][:35]) for each in found if each["role"] == "property_lead"}
    assert lead == ("head of the property management", "物业负责人", "a route with to: [property_lead] an")
    assert "物业负责人" in said.out
    desk.settings(f'redis.url = "{valkey.url}"', url_of(http_thread))
    asyncio.run(_happened(desk.directory / "data" / "notify", valkey))
    http_thread.then = _end_the_hub
    started = desk("notify", "run")
    assert started.code == 0
    logged = [json.loads(line) for line in started.err.splitlines() if "role_untold" in line]
    assert {(line["role"], bool(line["role_zh"])) for line in logged} == {(role, True) for role in roles}
    wishes = desk.directory / "notify" / "wishes.yaml"
    every = f"route: ladders\nchannels: duty\nmin_severity: info\nto: [{', '.join(sorted(roles))}]\n"
    wishes.write_text(f"{WISHES}---\n{every}", encoding="utf-8")
    assert desk.json("notify", "check") == []


def test_of_a_hub_that_has_sent_nothing_yet_an_empty_ledger_is_listed(desk: Desk) -> None:
    (desk.directory / "data").mkdir()
    asyncio.run(written(desk.directory / "data", Script().records))
    assert desk.json("notify", "ledger") == {"deliveries": [], "counts": {"waiting": 0}}
    shown = desk("notify", "ledger")
    assert (shown.code, shown.out.split()) == (0, ["no", "deliveries", "waiting", "0"])
    assert "hub notify run" in shown.err
    assert not (desk.directory / "data" / "notify").exists()  # asking makes none


def test_what_is_wrong_is_told_before_anything_is_sent(desk: Desk, http_thread: HttpThread) -> None:
    assert "channel_unknown" in desk("notify", "test", "city").err
    assert "ledger_unknown" in desk("notify", "ledger").err
    desk.settings("", "nonsense")
    assert "channel_url_invalid" in desk("notify", "test", "duty").err
    wishes = desk.directory / "notify" / "wishes.yaml"
    wishes.write_text(WISHES.replace("duty", "desk"), encoding="utf-8")
    assert "channel_url_missing" in desk("notify", "run").err
    listed, shown = desk("notify", "list", "--json"), desk("notify", "list")
    assert [(each["channel"], each["has_url"]) for each in listed.document()["channels"]] == [("desk", False)]
    assert "MISSING" in shown.out
    assert [(said.code, "channel_url_missing" in said.err) for said in (listed, shown)] == [(2, True)] * 2
    wishes.write_text("channel: desk\n", encoding="utf-8")
    assert "no_routes" in desk("notify", "run").err
    wishes.write_text("route: fire\nchannels: desk\n", encoding="utf-8")
    assert f"{wishes}:2" in desk("notify", "list").err
    assert documents(http_thread) == []
