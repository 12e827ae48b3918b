"""A forwarder that is killed in between, while hubs go on writing: nothing lost, and what comes twice is the same."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import ClientSession

from hub.outward.standing import read_counts
from hub.services.child import free_port
from hub.ui.cli.events_forward import FOLDER
from tests.citywide.rig import write
from tests.outward.rig import counted, event, numbers
from tests.servers.http_stub import Answer, HttpStub, Manner
from tests.servers.valkey import ValkeyServer
from tests.ui.installation import environment, hub_command
from tests.waiting import PATIENCE_SECONDS, wait_until

EVENTS = 60
GATES = 4
TAKEN = 10


@contextmanager
def forwarding(config: Path, url: str, http_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``hub events forward`` as a process of its own."""
    words = ["events", "forward", "it", "--webhook", url, "--from", "beginning" if _is_first(config) else "", "--json"]
    words += ["--http-port", str(http_port)]
    with (config.parent / "forward.log").open("ab") as log:
        process = subprocess.Popen(
            hub_command("--config", str(config), *words), stdout=log, stderr=log, env=environment()
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _is_first(config: Path) -> bool:
    return not (config.parent / "data" / FOLDER / "it").exists()


async def test_a_forwarder_that_is_killed_between_answers_sends_each_event_in_order(
    tmp_path: Path, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    config = tmp_path / "hub.toml"
    config.write_text(f'data_dir = "{tmp_path / "data"}"\nredis.url = "{valkey.url}"\n', encoding="utf-8")
    url, port = f"{http_stub.url}/hook", free_port()
    async with valkey.link() as link:
        await write(link, *(event(number, f"gate-{number % GATES}") for number in range(EVENTS // 2)))
        http_stub.script.extend([Answer()] * TAKEN)
        http_stub.judge = lambda _lines: Answer(manner=Manner.HANGING)
        with forwarding(config, url, port) as process:
            await wait_until(counted(http_stub, TAKEN + GATES))
            process.send_signal(signal.SIGKILL)
            process.wait()
        await write(link, *(event(number, f"gate-{number % GATES}") for number in range(EVENTS // 2, EVENTS)))
        http_stub.judge = lambda _lines: Answer()
        with forwarding(config, url, port) as process:
            await wait_until(lambda: set(numbers(http_stub)) == set(range(EVENTS)))
            directory = tmp_path / "data" / FOLDER / "it"
            await wait_until(lambda: read_counts(directory)["delivered"] == EVENTS)
            async with ClientSession(f"http://127.0.0.1:{port}") as page, page.get("/metrics") as answer:
                assert f'hub_deliveries_ended_total{{outcome="delivered"}} {EVENTS}.0' in await answer.text()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_SECONDS) == 0
    assert read_counts(directory) == {"delivered": EVENTS, "waiting": 0}
    sent = numbers(http_stub)
    assert len(sent) >= EVENTS + GATES
    assert len({body for _, body in http_stub.requests}) == EVENTS
    for gate in range(GATES):
        firsts = list(dict.fromkeys(number for number in sent if number % GATES == gate))
        assert firsts == list(range(gate, EVENTS, GATES))
