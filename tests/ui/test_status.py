"""What an operator reads when something is wrong: what each reason means, and what to do now."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from hub.beginning import Step
from hub.config.settings import HttpSettings, Settings
from hub.metrics import DECLARATIONS
from hub.ui.cli.status import room
from hub.ui.pages.reasons import ADVICE, advised
from hub.ui.standing import address_of, figures_of, standings
from tests.house.rooms import HOUSE
from tests.machine import needs_mosquitto
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import NORMAL, SENSOR, SITE, Installation
from tests.waiting import wait_until

_CODE = re.compile(r'(?:Reason\(code=|_reason\(place, |"code": )"(\w+)"')
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def codes() -> set[str]:
    pages = [*(HOUSE / "hub/ui/pages").glob("*.py"), HOUSE / "hub/ui/standing.py"]
    return {code for page in pages for code in _CODE.findall(page.read_text())} | {step.code for step in Step}


def test_every_reason_that_a_page_may_give_has_its_meaning_and_its_next_step_in_both_languages() -> None:
    assert codes() == set(ADVICE)
    texts = [text for advice in ADVICE.values() for text in (advice.means, advice.now)]
    assert [text.zh for text in texts if not _CHINESE.search(text.zh) or _CHINESE.search(text.en)] == []


def test_what_a_page_knows_of_a_reason_is_kept_beside_what_to_do() -> None:
    (reason,) = advised([{"code": "worker_down", "detail": "worker-2", "partition": "east"}])
    assert [*reason] == ["code", "detail", "partition", "means", "now"]
    assert reason["now"] == ADVICE["worker_down"].now.plain()


def test_a_hub_that_nobody_started_is_told_with_how_to_start_it(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "hub.toml"
    config.write_text(f'data_dir = "{tmp_path}"\nhttp.port = 9\n[notify]\ndir = "{tmp_path}"\nhttp = {{port = 9}}\n')
    said = cli("--config", str(config), "status")
    assert (said.code, said.out.count("not_answering"), said.out.count("hub run")) == (1, 1, 2)
    (tmp_path / "duty.yaml").write_text("channel: duty\n")  # now somebody is to be told, and nobody tells
    found = cli("--config", str(config), "status", "--json").document()
    assert [(each["process"], each["ready"]) for each in found] == [("hub", False), ("notify", False)]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("status")) as it:
        yield it


@needs_mosquitto
def test_a_hub_that_is_well_tells_what_it_did_and_one_without_redis_what_to_do(cli: Cli, own: Installation) -> None:
    at = At(cli, own)
    own.publish(f"hub/{SITE}/{SENSOR}/telemetry", NORMAL)
    (well,) = at.until("status", meets=lambda found: found[0]["figures"].get("hub_messages_heard_total") == 1)
    assert (well["process"], well["ready"], well["reasons"]) == ("hub", True, [])
    assert well["figures"]["hub_loop_longest_stall_seconds"] > 0
    assert "hub_loop_turn_seconds_bucket" not in well["figures"]
    assert "loop stood still" in at.said("status").out

    own.redis.kill()
    asyncio.run(wait_until(lambda: b"redis_unreachable" in own.page("/readyz")[1]))
    said = at.said("status")
    assert said.code == 1
    assert ADVICE["redis_unreachable"].now.zh in said.out
    assert ADVICE["redis_unreachable"].now.en in said.out


@pytest.mark.parametrize(
    ("ready", "metrics"),
    [
        ("[]", ""),
        ('"ok"', ""),
        ("<html>", ""),
        ('{"reasons": null}', ""),
        ('{"reasons": ["x"]}', ""),
        ('{"reasons": [{"why": "x"}]}', ""),
        ('{"reasons": []}', "{"),
        ('{"reasons": []}', "hub_alarms_active 3\n"),
        ('{"reasons": []}', "foo bar baz\n"),
    ],
)
async def test_another_program_that_answers_there_is_told_as_one(tmp_path: Path, ready: str, metrics: str) -> None:
    pages, app = {"/readyz": ready, "/metrics": metrics}, web.Application()

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=pages[request.path], content_type="text/html" if "<" in ready else "application/json")

    app.router.add_get("/{page}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        settings = Settings(data_dir=tmp_path, http=HttpSettings(port=runner.addresses[0][1]))
        (standing,) = await standings(settings)
    finally:
        await runner.cleanup()
    assert (standing.ready, [reason["code"] for reason in standing.reasons]) == (False, ["another_answers"])


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:9"),
        ("0.0.0.0", "http://127.0.0.1:9"),  # noqa: S104 -- nobody listens
        ("::", "http://[::1]:9"),
        ("fd00::7", "http://[fd00::7]:9"),
    ],
)
def test_a_hub_is_asked_at_the_address_that_it_listens_on(host: str, address: str) -> None:
    assert address_of(HttpSettings(host=host, port=9)) == address


async def test_a_hub_behind_ipv6_that_does_not_run_is_no_other_program(tmp_path: Path) -> None:
    (standing,) = await standings(Settings(data_dir=tmp_path, http=HttpSettings(host="::1", port=9)))
    assert [reason["code"] for reason in standing.reasons] == ["not_answering"]


def test_what_every_partition_sees_of_one_broker_is_told_once() -> None:
    names = ("hub_broker_messages_dropped", "hub_consumer_groups_lagging")
    assert set(names) <= {declaration.name for declaration in DECLARATIONS}
    lines = (f'{name}{{partition="{each}"}} 7\n' for name in names for each in ("east", "west"))
    assert figures_of("".join(lines))[0] == dict.fromkeys(names, 7)


def test_of_several_partitions_the_longest_stall_is_told_and_messages_are_added_up() -> None:
    stalls = 'hub_loop_longest_stall_seconds{partition="%s"} %s\n'
    heard = 'hub_messages_heard_total{partition="%s"} %s\n'
    text = "".join(line % each for line in (stalls, heard) for each in (("main", 0.25), ("east", 1.5), ("north", 0.5)))
    figures, _ = figures_of(text)
    assert (figures["hub_loop_longest_stall_seconds"], figures["hub_messages_heard_total"]) == (1.5, 2.25)


def test_little_room_is_not_told_as_none() -> None:
    assert room(36 * 2**20, 40 * 2**20) == ("36.0", "MiB of 40.0")
    assert room(3 * 2**30, 40 * 2**30) == ("3.0", "GiB of 40.0")
