"""Node-RED, where it is found: JSON parsed and lines batched in a function, written raw, written again when refused."""

from __future__ import annotations

import os
from pathlib import Path

import orjson

from benchmarks.program import Call, Program, Rival
from benchmarks.reflex import SURE
from benchmarks.stage import Stage
from benchmarks.traffic import BUILDING, FILTER, KIND, SITE
from hub.services.child import free_port

CLIENT = "node-red"
ARRIVED = 'Date.now() + String(number % 1000000).padStart(6, "0")'
"""The time of a point: when it came, no two alike."""
MEASURED = 'msg.payload.t + "000000"'
"""The time of a point: when the device says, so that what comes twice is one point."""
_LINES = f"""\
const lines = context.get("lines") || [];
if (msg.payload !== "flush") {{
  const values = msg.payload.values;
  const fields = Object.entries(values).map(([name, value]) => name + "=" + value).join(",");
  const device = msg.topic.split("/")[2];
  const number = (context.get("number") || 0) + 1;
  context.set("number", number);
  const time = TIME;
  lines.push("{KIND},site={SITE},building={BUILDING},device=" + device + " " + fields + " " + time);
  if (lines.length < 1000) {{ context.set("lines", lines); return null; }}
}}
context.set("lines", []);
const text = lines.join("\\n");
return lines.length ? {{payload: text, text: text}} : null;
"""
_AGAIN = """\
return msg.statusCode >= 200 && msg.statusCode < 300 ? null : {payload: msg.text, text: msg.text};
"""
_HOLD = f"""\
const sure = msg.payload.values.ebike_confidence >= {SURE};
const was = context.get(msg.topic);
context.set(msg.topic, sure);
if (!sure || was) return null;
const topic = msg.topic.replace("/camera-", "/lift-").replace("/telemetry", "/command");
return {{topic: topic, payload: {{command: "hold_door", args: {{ttl: "10s"}}}}}};
"""
"""A camera comes to see an e-bike: the door of its car is held."""
_ACTING: list[dict[str, object]] = [
    {
        "id": "kind", "type": "switch", "z": "flow", "property": "topic", "propertyType": "msg",
        "rules": [{"t": "cont", "v": "/camera-", "vt": "str"}, {"t": "else"}], "checkall": "false",
        "outputs": 2, "wires": [["hold"], ["lines"]],
    },
    {"id": "hold", "type": "function", "z": "flow", "func": _HOLD, "outputs": 1, "wires": [["command"]]},
    {"id": "command", "type": "mqtt out", "z": "flow", "qos": "1", "broker": "broker", "wires": []},
]  # fmt: skip


def program(executable: str, stage: Stage, time: str = ARRIVED, *, acts: bool = False) -> Program:
    """Put Node-RED with the flow on ``stage``; ``time`` is what a point gets for its time.

    If it ``acts``, it holds doors as well.
    """
    directory = stage.directory / CLIENT
    directory.mkdir()
    (directory / "flows.json").write_bytes(orjson.dumps(_flow(stage, time, acts=acts)))
    (directory / "settings.js").write_text(
        f'module.exports = {{flowFile: "flows.json", uiPort: {free_port()}, uiHost: "127.0.0.1", '
        'logging: {console: {level: "warn"}}};\n',
        encoding="utf-8",
    )
    command = (executable, "--userDir", str(directory), "--settings", str(directory / "settings.js"))
    environment = {"PATH": os.defpath + os.pathsep + str(Path(executable).parent), "HOME": str(directory)}
    return Program(stage, Call(client=CLIENT, command=command, environment=environment))


def _flow(stage: Stage, time: str, *, acts: bool) -> list[dict[str, object]]:
    broker = {"id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1", "port": str(stage.mqtt_port)}
    session = {"clientid": CLIENT, "protocolVersion": "4", "keepalive": "60", "cleansession": False}
    write = f"{stage.influx.url}/api/v2/write?bucket=hub&org=&precision=ns"
    inject = {"id": "tick", "type": "inject", "z": "flow", "repeat": "0.25", "wires": [["lines"]]}
    lines = _LINES.replace("TIME", time)
    return [
        {"id": "flow", "type": "tab", "label": "lines"},
        {**broker, **session},
        {
            "id": "in", "type": "mqtt in", "z": "flow", "topic": FILTER, "qos": "1", "datatype": "json",
            "broker": "broker", "wires": [["kind" if acts else "lines"]],
        },
        {**inject, "payload": "flush", "payloadType": "str", "props": [{"p": "payload"}]},
        {"id": "lines", "type": "function", "z": "flow", "func": lines, "outputs": 1, "wires": [["write"]]},
        {"id": "write", "type": "http request", "z": "flow", "method": "POST", "url": write, "wires": [["again"]]},
        {"id": "again", "type": "function", "z": "flow", "func": _AGAIN, "outputs": 1, "wires": [["later"]]},
        {
            "id": "later", "type": "delay", "z": "flow", "pauseType": "delay", "timeout": "1",
            "timeoutUnits": "seconds", "wires": [["write"]],
        },
        *(_ACTING if acts else []),
    ]  # fmt: skip


RIVAL = Rival(subject="Node-RED, lines in batches, influxdb", executable="node-red", put=program)
