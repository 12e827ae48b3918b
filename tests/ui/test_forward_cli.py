"""``hub events forward`` as people call it: what leaves the house, what the audit knows, what can be sent again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hub.clock import SystemClock
from hub.model.effects import Event
from hub.outward.ledger import Ledger
from hub.outward.parcel import Outcome, State
from hub.outward.webhook import Webhook, own_secret, read_keys
from hub.registry.author import os_user
from hub.ui.cli.events_forward import learn_keys
from hub.ui.desk.desk import Desk as CliDesk
from hub.ui.desk.personal import learn_kinds, masking
from tests.citywide.rig import write
from tests.outward.rig import event
from tests.ready_registry import lay_ready
from tests.servers.http_thread import HttpThread
from tests.servers.valkey import ValkeyServer
from tests.ui.conftest import Cli, Said

PLATE = "鲁B7K2M9"
PASSAGE = {"plate": PLATE, "direction": "in"}


@pytest.fixture
def receiver(http_thread: HttpThread) -> HttpThread:
    """A receiver that wants nothing: the forwarder ends by itself."""
    http_thread.status = 410
    return http_thread


class Desk:
    """The command line beside a Valkey with one event in it."""

    def __init__(self, cli: Cli, directory: Path, valkey: ValkeyServer) -> None:
        self.directory = directory
        self._cli = cli
        self._config = directory / "hub.toml"
        self._config.write_text(f'data_dir = "{directory / "data"}"\nredis.url = "{valkey.url}"\n', encoding="utf-8")
        lay_ready(directory / "data")
        asyncio.run(_written(valkey, event(1, data=PASSAGE, name="vehicle.passage")))

    def set(self, text: str) -> None:
        with self._config.open("a", encoding="utf-8") as file:
            file.write(text)

    def __call__(self, *words: str) -> Said:
        return self._cli("--config", str(self._config), *words)

    def forward(self, receiver: HttpThread, *words: str) -> Said:
        return self("events", "forward", "city", "--webhook", url_of(receiver), "--from", "beginning", *words)

    def json(self, *words: str) -> Any:  # noqa: ANN401 -- JSON is anything
        said = self(*words, "--json")
        assert said.code == 0, said.err
        return said.document()


async def _written(valkey: ValkeyServer, *events: Event) -> None:
    async with valkey.link() as link:
        await write(link, *events)


def url_of(receiver: HttpThread) -> str:
    return f"http://user:hush@127.0.0.1:{receiver.port}/hook"


@pytest.fixture
def desk(cli: Cli, tmp_path: Path, valkey: ValkeyServer) -> Desk:
    return Desk(cli, tmp_path, valkey)


def test_what_is_personal_leaves_the_house_only_for_a_reason_that_the_audit_knows(
    desk: Desk, receiver: HttpThread
) -> None:
    said = desk.forward(receiver)
    assert (said.code, "receiver_gone" in said.err) == (2, True)
    assert "hush" not in said.err + said.out
    (body,) = receiver.bodies
    assert PLATE not in body.decode()
    assert json.loads(body)["data"]["data"] == {"plate": "鲁B7K**9", "direction": "in"}
    assert desk.forward(receiver, "--unmask").code == 2
    assert len(receiver.bodies) == 1
    assert desk.forward(receiver, "--domain", "vehicle", "--unmask", "--reason", "contract 7").code == 2
    looks = [line for line in desk.json("audit") if line["what"].endswith(".unmasked")]
    assert [(line["subject"], line["reason"]) for line in looks] == [("forward/city/127.0.0.1", "contract 7")]


def test_what_was_made_unmasked_is_sent_by_nobody_who_may_not(desk: Desk, receiver: HttpThread) -> None:
    assert desk.forward(receiver, "--unmask", "--reason", "contract 7").code == 2
    assert desk.forward(receiver).code == 2
    assert [PLATE in body.decode() for body in receiver.bodies] == [True, False]
    listed = desk.json("events", "deliveries", "list", "city")["deliveries"]
    assert [(line["channel"], line["state"]) for line in listed] == [
        ("webhook, unmasked", "waiting"),
        ("webhook", "waiting"),
    ]


KIND = """
kind: parcel_shelf
label: {en: Parcel shelf, zh: 快递柜}
properties:
  recipient: {type: string, stale_after: 1h, personal: true, label: {en: Recipient, zh: 收件人}}
"""


async def test_what_kinds_call_personal_since_is_masked_and_stays_so_where_they_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(f'profiles_dir = "{tmp_path / "profiles"}"\n', encoding="utf-8")
    shelf = tmp_path / "profiles" / "shelf.yaml"
    shelf.parent.mkdir()
    here = CliDesk(config=tmp_path / "hub.toml")
    veil = masking(here)
    found = event(1, data={"recipient": "Li Ming"})
    assert veil.told(found).data == {"recipient": "Li Ming"}
    shelf.write_text(KIND, encoding="utf-8")
    await learn_kinds(here, veil)
    assert veil.told(found).data == {"recipient": "Li***g"}
    shelf.write_text("kind: [", encoding="utf-8")
    await learn_kinds(here, veil)
    shelf.unlink()
    shelf.parent.rmdir()
    await learn_kinds(here, veil)
    assert veil.told(found).data == {"recipient": "Li***g"}


async def test_secrets_that_are_exchanged_sign_without_a_restart_and_a_broken_file_changes_nothing(
    tmp_path: Path,
) -> None:
    file = own_secret(tmp_path / "secret")
    old, sender = read_keys(file), Webhook("http://127.0.0.1:9/", read_keys(file), SystemClock())
    new = own_secret(tmp_path / "new").read_text(encoding="ascii")
    file.write_text(new + file.read_text(encoding="ascii"), encoding="ascii")
    await learn_keys(sender, file)
    assert sender.keys == [*read_keys(tmp_path / "new"), *old]
    file.write_text("nonsense", encoding="ascii")
    await learn_keys(sender, file)
    assert sender.keys == [*read_keys(tmp_path / "new"), *old]


def test_a_forwarder_of_the_settings_needs_no_words_and_its_url_is_shown_to_nobody(
    desk: Desk, receiver: HttpThread
) -> None:
    assert "webhook_missing" in desk("events", "forward", "town").err
    assert '[forward."a.b"] webhook' in desk("events", "forward", "a.b").err
    assert "forward.NAME" in desk("events", "forward", "--help").out
    desk.set(f'[forward.town]\nwebhook = "{url_of(receiver)}"\ndomains = ["access"]\nmin_severity = "critical"\n')
    assert desk("config", "show").out.count("hush") == 0
    shown = {each["name"]: each["value"] for each in desk.json("config", "show")}
    assert (shown["forward.town.webhook"], shown["forward.town.domains"]) == ("****", "access")
    said = desk("events", "forward", "town", "--from", "beginning", "--domain", "vehicle", "--min-severity", "high")
    assert (said.code, "receiver_gone" in said.err, "hush" in said.err) == (2, True, False)
    assert len(receiver.bodies) == 1


def test_a_port_that_is_taken_keeps_no_event_from_leaving(desk: Desk, receiver: HttpThread) -> None:
    said = desk.forward(receiver, "--http-port", str(receiver.port))
    assert (said.code, "page_not_shown" in said.err, "receiver_gone" in said.err) == (2, True, True)
    assert len(receiver.bodies) == 1


def test_what_waits_is_listed_and_what_is_wrong_is_told(desk: Desk, receiver: HttpThread) -> None:
    assert desk.forward(receiver, "--json").code == 2
    listed = desk.json("events", "deliveries", "list", "city")
    (line,) = listed["deliveries"]
    assert (line["state"], line["name"], line["answer"]) == ("waiting", "vehicle.passage", "410")
    assert listed["counts"] == {"retried": 1, "waiting": 1}
    assert "vehicle.passage" in desk("events", "deliveries", "list", "city").out
    for words, code in (
        (("deliveries", "list", "town"), "ledger_unknown"),
        (("deliveries", "retry", "city"), "which_deliveries"),
        (("deliveries", "retry", "city", "1"), "delivery_not_dead"),
        (("deliveries", "drop", "city", "--all"), "reason_missing"),
        (("deliveries", "drop", "city", "1", "--reason", "x"), "delivery_not_dead"),
        (("forward", "../city", "--webhook", url_of(receiver)), "name_invalid"),
        (("forward", "city", "--webhook", url_of(receiver), "--from", "yesterday"), "cursor_invalid"),
        (("forward", "city", "--webhook", url_of(receiver), "--domain", "traffic"), "domain_unknown"),
        (("forward", "city", "--webhook", "example.org"), "webhook_url_invalid"),
        (("forward", "city", "--webhook", url_of(receiver), "--secret-file", "nowhere"), "secret_unreadable"),
    ):
        said = desk("events", *words)
        assert (said.code, code in said.err) == (2, True), said.err
    assert desk.json("events", "deliveries", "retry", "city", "--all") == {"retried": 0}
    asyncio.run(_given_up(desk.directory / "data" / "forward" / "city", line["number"]))
    assert desk.json("events", "deliveries", "retry", "city", *[str(line["number"])] * 2) == {"retried": 1}


def test_what_is_dead_is_dropped_by_a_person_who_says_why(desk: Desk, receiver: HttpThread) -> None:
    """Nothing else ever ends it: of a receiver that is no more `hub doctor` told for ever, and its bodies stayed."""
    assert desk.forward(receiver).code == 2
    (line,) = desk.json("events", "deliveries", "list", "city")["deliveries"]
    asyncio.run(_given_up(desk.directory / "data" / "forward" / "city", line["number"]))
    drop = ("events", "deliveries", "drop", "city", "--all", "--reason", "it moved away")
    assert [desk.json(*drop), desk.json(*drop)] == [{"dropped": 1}, {"dropped": 0}]
    listed = desk.json("events", "deliveries", "list", "city")
    assert [(each["state"], each["answer"]) for each in listed["deliveries"]] == [
        ("dropped", f"{os_user()}: it moved away")
    ]
    assert listed["counts"]["dropped"] == 1


async def _given_up(directory: Path, number: int) -> None:
    async with Ledger(directory, SystemClock()) as ledger:
        await ledger.settle([Outcome(number=number, state=State.DEAD, answer="no", attempts=1, due=0)])
