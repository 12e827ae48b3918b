"""Node-RED under the flood, where it is found: JSON parsed and lines batched in a function, written raw."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson

from benchmarks import publisher
from benchmarks.figures import FLOOD, Figure, Plan
from benchmarks.load import DELIVERY_SECONDS, Advance
from benchmarks.publisher import publish
from benchmarks.stage import Stage, cpu_ns, staged
from benchmarks.traffic import BUILDING, FILTER, KIND, SITE
from hub.services.child import free_port
from tests.waiting import wait_until

SUBJECT = "Node-RED, lines in batches, influxdb"
ABSENT = f"{SUBJECT}: node-red not found on PATH"
READY_SECONDS = 60.0
_FUNCTION = f"""\
const lines = context.get("lines") || [];
if (msg.payload !== "flush") {{
  const values = msg.payload.values;
  const fields = Object.entries(values).map(([name, value]) => name + "=" + value).join(",");
  const device = msg.topic.split("/")[2];
  const number = (context.get("number") || 0) + 1;
  context.set("number", number);
  const time = Date.now() + String(number % 1000000).padStart(6, "0");
  lines.push("{KIND},site={SITE},building={BUILDING},device=" + device + " " + fields + " " + time);
  if (lines.length < 1000) {{ context.set("lines", lines); return null; }}
}}
context.set("lines", []);
return lines.length ? {{payload: lines.join("\\n")}} : null;
"""


def find() -> str | None:
    """Return where Node-RED is."""
    return shutil.which("node-red")


async def flood(executable: str, directory: Path, plan: Plan, advance: Advance) -> Figure:
    """Publish as fast as the broker takes it; CPU of node until the last point is stored."""
    costs, stored = list[float](), 0
    for _ in range(plan.tutorial_runs):
        async with staged(directory) as stage, _flowing(executable, stage) as process:
            cpu = cpu_ns(process.pid)
            port = stage.mosquitto.port
            await publish(publisher.Order(port=port, devices=plan.devices, first=0, count=plan.tutorial))
            stored += await _stored(stage, plan.tutorial)
            costs.append((cpu_ns(process.pid) - cpu) / 1e3 / plan.tutorial)
        advance()
    messages = plan.tutorial * plan.tutorial_runs
    return Figure(subject=SUBJECT, load=FLOOD, cpu_us=costs, messages=messages, events=0, lost=messages - stored)


async def _stored(stage: Stage, count: int) -> int:
    """Wait until nothing more comes, and return how much came."""

    async def is_stored() -> bool:
        return await stage.count_points() >= count

    try:
        await wait_until(is_stored, seconds=DELIVERY_SECONDS / 4)
    except AssertionError:  # it lost some: say how many
        return await stage.count_points()
    return count


@asynccontextmanager
async def _flowing(executable: str, stage: Stage) -> AsyncIterator[Process]:
    """Run Node-RED with the flow, until it has subscribed."""
    directory, port = stage.directory / "node-red", free_port()
    directory.mkdir()
    (directory / "flows.json").write_bytes(orjson.dumps(_flow(stage)))
    (directory / "settings.js").write_text(
        f'module.exports = {{flowFile: "flows.json", uiPort: {port}, uiHost: "127.0.0.1", '
        'logging: {console: {level: "warn"}}};\n',
        encoding="utf-8",
    )
    command = (executable, "--userDir", str(directory), "--settings", str(directory / "settings.js"))
    path = {"PATH": os.defpath + os.pathsep + str(Path(executable).parent), "HOME": str(directory)}
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=DEVNULL, env=path)
    try:
        async with aiohttp.ClientSession() as http:

            async def is_ready() -> bool:
                try:
                    async with http.get(f"http://127.0.0.1:{port}/flows"):
                        return "as node-red" in stage.mosquitto.log()
                except aiohttp.ClientError:
                    return False

            await wait_until(is_ready, seconds=READY_SECONDS)
        yield process
    finally:
        process.kill()
        await process.wait()


def _flow(stage: Stage) -> list[dict[str, object]]:
    broker = {"id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1", "port": str(stage.mosquitto.port)}
    write = f"{stage.influx.url}/api/v2/write?bucket=hub&org=&precision=ns"
    inject = {"id": "tick", "type": "inject", "z": "flow", "repeat": "0.25", "wires": [["lines"]]}
    return [
        {"id": "flow", "type": "tab", "label": "lines"},
        {**broker, "clientid": "node-red", "protocolVersion": "5", "keepalive": "60", "cleansession": True},
        {
            "id": "in", "type": "mqtt in", "z": "flow", "topic": FILTER, "qos": "1", "datatype": "json",
            "broker": "broker", "wires": [["lines"]],
        },
        {**inject, "payload": "flush", "payloadType": "str", "props": [{"p": "payload"}]},
        {"id": "lines", "type": "function", "z": "flow", "func": _FUNCTION, "outputs": 1, "wires": [["write"]]},
        {"id": "write", "type": "http request", "z": "flow", "method": "POST", "url": write, "wires": [[]]},
    ]  # fmt: skip
