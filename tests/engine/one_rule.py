"""A desk with one rule, ``hot``, whose words each test chooses; and what is said, asked and told there."""

from __future__ import annotations

from pathlib import Path

import orjson

from hub.model.records import Control
from tests.engine.desk import SECOND, Desk, device, documents, native

MINUTE, HOUR = 60, 3_600
ROOM = (*(device(name, "environment_sensor") for name in ("room", "room-2")), device("door-1", "access_controller"))
HOT = """
rule: hot
label: {{en: Hot, zh: 过热}}
for_each: {for_each}
when: {when}
{words}
raise: {{event: fire.hot, severity: high}}
"""
PLACES = {
    "place/s1/b1": orjson.dumps({"site": "s1", "place": "b1", "type": "building", "zone": "Asia/Shanghai"}),
}


def desk_with(
    tmp_path: Path, words: str = "", when: str = "temperature > 50", for_each: str = "environment_sensor"
) -> Desk:
    text = HOT.format(words=words, when=when, for_each=for_each)
    (tmp_path / "rule.yaml").write_text(text, encoding="utf-8")
    found = documents(*ROOM, rules=[tmp_path])
    alone = {key: body for key, body in found.items() if not key.startswith("rule/") or key == "rule/hot"}
    return Desk({**alone, **PLACES})


def warm(desk: Desk, temperature: float, name: str = "room", *, connection: int = 1) -> None:
    message = native(name, {"values": {"temperature": temperature}}, "telemetry")
    desk.hear(message, connection=connection)


def told(desk: Desk) -> list[str]:
    return [line.replace(" fire.hot", "") for line in desk.told() if "fire.hot" in line]


def order(desk: Desk, verb: str, identity: str, **args: str) -> str:
    where = {"rule": "hot", "key": "s1/room"}
    effects = desk.say(Control("1-0", identity, "li", verb, desk.wall + 30 * SECOND, {**where, **args}))
    return effects.replies[0].code
