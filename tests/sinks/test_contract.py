"""What programs rely on: only added to; what is written conforms; the commands of the README do what they say."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from hub.model.effects import Event, Reply, Transition
from hub.model.values import Severity
from hub.sinks.contract import Message, schema_of
from hub.sinks.control import decode_control
from hub.sinks.redis_link import Link, RedisAddress, pairs, rows
from hub.sinks.streams import pack_event, pack_reply
from tests.engine.desk import Desk, device, documents
from tests.house.rooms import HOUSE
from tests.servers.valkey import ValkeyServer

FROZEN = Path(__file__).with_name("contract_1.json")
README = HOUSE / "hub" / "sinks" / "README.md"
ASKED = "6b0c2f0e-1f5e-4d0c-9a57-0f3b1a0c7d11"
EVENT = Event(
    id="0" * 32, name="fire.smoke_alarm", severity=Severity.CRITICAL, transition=Transition.RAISED, time=1,
    key="garden/smoke-1", rule="smoke-alarm", rule_version="1.0.0", site="garden", data={"status": "alarm"},
    causes=[(7, 0)], label={"zh": "烟雾报警"}, drill=True, age=5,
)  # fmt: skip


def lost(before: object, now: object, path: str = "") -> Iterator[str]:
    """Yield what a reader of ``before`` would miss in ``now``; what is new is no loss, nor are words for people."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name, value in before.items():
            if name in {"description", "title"} and isinstance(value, str):
                continue
            if name not in now:
                yield f"{path}/{name} is gone"
            else:
                yield from lost(value, now[name], f"{path}/{name}")
    elif isinstance(before, list) and isinstance(now, list):
        yield from (f"{path} without {each}" for each in before if each not in now)
    elif before != now:
        yield f"{path} was {before}, is {now}"


def test_what_was_promised_is_still_there_with_its_name_and_type() -> None:
    """What was added is frozen by ``python -m tests.sinks.test_contract``; what is lost needs the next VERSION."""
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    now = json.loads(json.dumps({message.value: schema_of(message) for message in Message}))
    assert [*lost(frozen, now)] == []


@pytest.mark.parametrize(
    ("before", "now"),
    [({"a": {"type": "string"}}, {"a": {"type": "integer"}}), ({"a": 1}, {"b": 1}), ({"a": ["x", "y"]}, {"a": ["x"]})],
)
def test_a_name_that_goes_a_type_that_changes_and_a_value_that_is_said_no_more_are_losses(
    before: object, now: object
) -> None:
    assert [*lost(before, now)] != []
    assert [*lost(before, before)] == []


def test_every_message_can_be_asked_for_and_says_which_version_it_is() -> None:
    schemas = [schema_of(message) for message in Message]
    assert [schema["$id"] for schema in schemas] == [f"urn:hub:streams:1:{message}" for message in Message]
    text = json.dumps(schemas)
    for schema in schemas:  # nothing refers to what is not there
        refers = {word.split('"')[0] for word in json.dumps(schema).split('"#/$defs/')[1:]}
        assert refers <= set(schema.get("$defs", {}))
    assert "Detail" in text


async def test_the_commands_of_the_readme_do_what_they_say(valkey: ValkeyServer) -> None:
    said: dict[str, Any] = {}
    async with Link(RedisAddress(url=valkey.url)) as link:
        await link.exchange([pack_event(EVENT, "hub/main"), pack_reply(Reply(ASKED, ok=True, code="accepted"))], 2)
        for line in README.read_text(encoding="utf-8").splitlines():
            if line.startswith("redis-cli "):
                words = shlex.split(line, comments=True)[1:]
                said[words[0]] = await link.ask(*words)
        asked = rows(rows(await link.ask("XRANGE", "hub:control:main", "-", "+"))[0])[1]
    ((_, entries),) = cast("Any", said["XREADGROUP"])
    ((_, fields),) = entries
    entry = {name.decode(): value.decode() for name, value in pairs(fields).items()}
    schema = schema_of(Message.EVENT)
    assert [*entry] == [*schema["properties"]]
    detail = schema["$defs"]["Detail"]["properties"]
    assert json.loads(entry["data"]).keys() <= detail.keys()
    assert (entry["id"], entry["transition"]) == (EVENT.id, "raised")
    request = decode_control("1-0", pairs(asked))
    assert (request.id, request.verb) == (ASKED, "command")
    desk = Desk(documents(device("gate-1", "access_controller", site="garden")))
    (sent,) = desk.say(msgspec.structs.replace(request, expires_at=desk.wall + 10**9)).transmissions
    told = json.loads(sent.payload)
    assert (told["command"], told["part"], told["args"]) == ("unlock", "door-1", {"ttl": 5000})
    assert [name.decode() for name in pairs(asked)] == [*schema_of(Message.REQUEST)["properties"]]
    assert msgspec.json.decode(cast("bytes", said["GET"]))["code"] == "accepted"


if __name__ == "__main__":
    FROZEN.write_text(json.dumps({each.value: schema_of(each) for each in Message}, indent=1, sort_keys=True) + "\n")
