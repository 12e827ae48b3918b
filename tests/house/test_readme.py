"""The READMEs: every command and option in them is one, every link leads somewhere; devices may say what is shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.bridge import topics
from hub.model.values import TopicClass
from hub.normalize.encode import encode_command
from hub.normalize.native import NativeHandler
from hub.normalize.responses import compile_response
from hub.ui.cli.main import COMMANDS
from hub.ui.desk.later import loaded
from hub.ui.installing.choices import Choices, RedisChoice
from hub.ui.installing.readme import readme
from tests.house.rooms import HOUSE
from tests.shipped import profiles as shipped_profiles

READMES = [
    "README.md",
    *sorted(
        str(path.relative_to(HOUSE))
        for room in ("hub", "rules", "scenes", "city_rules", "device_profiles", "benchmarks")
        for path in (HOUSE / room).rglob("README.md")
    ),
]
FENCE = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def text_of(name: str) -> str:
    return (HOUSE / name).read_text(encoding="utf-8")


def headings_of(file: Path) -> list[str]:
    """Return what links to the headings of ``file`` say."""
    return [re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in HEADING.findall(file.read_text("utf-8"))]


def lines_of(name: str, begin: str) -> Iterator[str]:
    yield from lines_in(text_of(name), begin)


def lines_in(text: str, begin: str) -> Iterator[str]:
    for block in FENCE.findall(text):
        yield from (line for line in block.splitlines() if line.startswith(begin))


def wrong_in(line: str) -> list[str]:
    """Return the words of a command line that are neither a command nor one of its options."""
    words = shlex.split(line.replace("…", ""), comments=True)[1:]
    while words[0].startswith("--"):
        words = words[2:]
    name = words.pop(0)
    if name not in COMMANDS:
        return [name]
    command = loaded(name, COMMANDS[name], f"hub.ui.cli.{name.replace('-', '_')}")
    while below := getattr(command, "commands", {}):
        word = words.pop(0) if words else ""
        if word not in below:
            return [f"{name} {word}"]
        command = below[word]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return [word for word in words if word.startswith("-") and word not in options]


@pytest.mark.parametrize("name", READMES)
def test_every_command_that_a_readme_shows_is_one_and_so_is_every_option(name: str) -> None:
    assert {line: wrong for line in lines_of(name, "hub ") if (wrong := wrong_in(line))} == {}


def test_so_is_every_command_of_the_readme_that_an_installation_gets() -> None:
    choices = Choices(
        partition="main", mqtt_port=1883, http_port=8080, redis=RedisChoice.SERVER, redis_port=6380, redis_url="",
        influx=None, tls=None, account="hub",
    )  # fmt: skip
    lines = [*lines_in(readme(Path("/srv/garden"), choices), "hub ")]
    assert len(lines) > 10
    assert {line: wrong for line in lines if (wrong := wrong_in(line))} == {}


def test_what_is_no_command_or_option_would_be_found() -> None:
    assert wrong_in("hub devices lost garden") == ["devices lost"]
    assert wrong_in("hub --partition east journal show --newest 3   # what was heard") == ["--newest"]
    assert sum(len([*lines_of(name, "hub ")]) for name in READMES) > 50


@pytest.mark.parametrize("name", READMES)
def test_every_link_of_a_readme_leads_somewhere(name: str) -> None:
    here = (HOUSE / name).parent
    for path, heading in LINK.findall(text_of(name)):
        there = here / path if path else HOUSE / name
        assert there.exists(), path
        assert not heading or heading in headings_of(there), (path, heading)


def test_devices_may_say_what_the_readme_shows_and_are_told_what_it_shows() -> None:
    catalogue, _ = shipped_profiles()
    kind = catalogue.kind("access_controller")
    said = {topic: body.encode() for topic, _, body in (line.partition(" ") for line in lines_of("README.md", "hub/"))}
    shown = {Path(topic).name: body.strip() for topic, body in said.items()}
    assert [*shown] == ["telemetry", "signal", "availability", "command", "response"]
    (told,) = NativeHandler(kind)(shown["telemetry"])
    assert (told.part, told.values) == ("door-1", {"door": "closed", "lock": "locked"})
    (signalled,) = NativeHandler(kind)(shown["signal"])
    assert [(each.name, dict(each.data)) for each in signalled.signals] == [
        ("access.denied", {"reader": "in-1", "reason": "expired"})
    ]
    assert compile_response(kind)(shown["response"]).state == {"lock": "unlocked"}
    words = {"id": "c1", "command": "unlock", "part": "door-1", "args": {"ttl": 5000}, "expires_at": 1772366410000}
    assert encode_command(**words) == shown["command"]  # type: ignore[arg-type] # the words of the wire
    addresses = [topics.parse(topic) for topic in said if not topic.endswith("/command")]
    assert [each and each.topic_class for each in addresses] == [
        TopicClass.TELEMETRY, TopicClass.SIGNAL, TopicClass.AVAILABILITY, TopicClass.RESPONSE,
    ]  # fmt: skip
    assert topics.command_topic("garden", "gate-1") in said
