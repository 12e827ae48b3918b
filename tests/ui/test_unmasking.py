"""Plates, cards and persons that a running hub has heard: nowhere on the screen, unless somebody says why."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.catalogue import Typed
from hub.config.settings import packaged
from hub.metrics import Metrics
from hub.parts import veil_over
from hub.replay.points import Example, Tally
from hub.ui.cli.rules_replay import veiled
from hub.ui.pages.http import pages_of
from hub.ui.profiles.shelf import Shelf
from tests.machine import needs_mosquitto
from tests.ui.conftest import Cli
from tests.ui.every_command import CALLED, SLOW
from tests.ui.gatehouse import CARD, LANE, PERSON, PLATE, Gatehouse, opened, seen
from tests.ui.installation import GATE, Installation, environment, hub_command
from tests.waiting import PATIENCE_SECONDS, wait_until

WHY = ("--unmask", "--reason", "ticket 9")

pytestmark = needs_mosquitto


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    it = Installation(tmp_path_factory.mktemp("passing"))
    try:
        yield opened(it)
    finally:
        it.close()


@pytest.fixture(scope="module")
def planted() -> list[str]:
    """Remember, for the tests of this file, that everything is planted."""
    return []


@pytest.fixture
def at(cli: Cli, passing: Installation, planted: list[str]) -> Gatehouse:
    here = Gatehouse(cli, passing)
    if not planted:
        here.plant()
        planted.append("all")
    return here


VERBS = (
    "events list", "alarms list", "alarms show", "rules explain alarm", "devices pending", "dead-letters list",
    f"dead-letters show {LANE}", f"telemetry query plate_reader {LANE}", "journal show --last 500",
    f"telemetry query event {GATE}", "trace access.passage", "trace access.card_told", "lists show",
)  # fmt: skip
"""What shows somebody whole to those who say why."""


@pytest.mark.parametrize("command", CALLED)
def test_nothing_that_leads_to_a_person_is_on_the_screen(at: Gatehouse, command: str) -> None:
    for verb in CALLED[command]:
        words = at.words(f"{command} {verb}".strip())
        for how in ((), ("--json",)) if command not in SLOW else (("--json",),):
            said = at.said(*words, *how)
            assert (said.code, seen(said.out + said.err), "00000000  " in said.out) == (0, set(), False), (words, how)


def test_no_page_of_the_hub_shows_anybody(at: Gatehouse) -> None:
    pages = [resource.canonical for resource in pages_of(Metrics(), lambda: ()).router.resources()]
    assert pages == ["/healthz", "/readyz", "/metrics"]
    for page in pages:
        status, body = at.installation.page(page)
        assert (status, seen(body.decode())) == (200, set()), page


def test_what_a_rule_on_disk_would_change_is_told_without_whom_it_names(at: Gatehouse) -> None:
    (change,) = at("rules", "plan")["rules"]
    was, would_be = change["words"]["where"]
    assert (was, seen(was), "88***3" in was) == (would_be.replace("'2***'", "'1***'"), set(), True)


def test_what_other_profiles_would_make_of_a_plate_is_told_without_it() -> None:
    tally = Tally(changed=1, examples=[Example(device="a/b", time=1, position=1, was=PLATE, would_be=None)])
    (shown,) = veiled(veil_over({}), "plate", tally).examples
    assert (shown.was, shown.would_be) == ("鲁B7K**9", None)


def test_a_profile_begins_with_what_a_door_said_only_for_those_who_say_why(at: Gatehouse, tmp_path: Path) -> None:
    _, _, number = at.words(f"dead-letters show {GATE}")
    begin = ("profiles", "new", "acme/door", "--kind", "access_controller", "--from", f"dead-letter:{number}")
    assert "[unmask_needed]" in at.refused(*begin, "--to", str(tmp_path / "door.yaml"))
    assert not (tmp_path / "door.yaml").exists()
    before = at.looks()
    assert at.said(*begin, "--to", str(tmp_path / "door.yaml"), *WHY).code == 0
    assert CARD in (tmp_path / "door.yaml").read_text(encoding="utf-8")
    (look,) = at.looks()[len(before) :]
    assert look[1:] == ("dead_letter.unmasked", f"dead_letter/{number}", "ticket 9")


def test_the_log_of_the_hub_tells_of_nobody(at: Gatehouse) -> None:
    log = (at.installation.directory / "hub.log").read_text(encoding="utf-8")
    assert ("http_opened" in log, seen(log)) == (True, set())


def test_the_audit_keeps_what_people_asked_for_without_whom_they_named(at: Gatehouse) -> None:
    told = {line["what"]: line["after"] for line in at("audit", "--what", "control.")}
    assert told["control.comment"]["text"] == "鲁B7K**9 again"
    assert told["control.drill"]["reason"] == "as if 鲁B7K**9 burnt"
    assert (told["control.command"]["plate"], told["control.command"]["card"]) == ("鲁B7K**9", "88***3")
    assert told["control.command"]["answer"] == "bad_args"


@pytest.mark.parametrize("verb", VERBS)
def test_whoever_says_why_sees_it_and_the_audit_has_one_line_of_it(at: Gatehouse, verb: str) -> None:
    words, before = at.words(verb), at.looks()
    assert seen(at.said(*words, *WHY, "--json").out)
    (look,) = at.looks()[len(before) :]
    assert (look[0], look[3]) == (pwd.getpwuid(os.getuid()).pw_name, "ticket 9")
    assert look[1].partition(".")[0] == look[2].partition("/")[0]
    assert look[2].endswith(("/list", words[-1], words[-1].partition("/")[2]))


def test_who_does_not_say_why_sees_nothing_and_is_told_so(at: Gatehouse) -> None:
    before = at.looks()
    named = {
        "alarms show": "alarms show x", f"dead-letters show {LANE}": "dead-letters show 1",
        "rules explain alarm": "rules explain --alarm x",
    }  # fmt: skip
    for verb in (*VERBS, "events tail"):
        said = at.said(*named.get(verb, verb).split(), "--unmask", "--reason", " ", "--json")
        assert (said.code, said.out, "[reason_needed]" in said.err) == (2, "", True), verb
    assert at.looks() == before


def test_events_that_are_followed_are_masked_until_somebody_says_why(at: Gatehouse) -> None:
    assert seen(followed(at)) == set()
    before = at.looks()
    assert seen(followed(at, *WHY, "--json")) == {CARD, PERSON}
    assert [look[1:] for look in at.looks()[len(before) :]] == [("event.unmasked", "event/tail", "ticket 9")]


def followed(at: Gatehouse, *words: str) -> str:
    """Return the first line that following the events of doors prints."""
    command = hub_command("--config", str(at.installation.config), "events", "tail", "--domain", "access", *words)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), text=True) as tail:
        assert tail.stdout is not None
        os.set_blocking(tail.stdout.fileno(), False)

        def line() -> str:
            at.swipe(granted=True)
            return tail.stdout.readline() if tail.stdout else ""

        found = asyncio.run(wait_until(lambda: asyncio.to_thread(line)))
        tail.send_signal(signal.SIGINT)
        tail.wait(PATIENCE_SECONDS)
    return str(found)


def test_the_bytes_alone_of_what_may_tell_of_persons_are_refused_without_a_reason(at: Gatehouse) -> None:
    words = (*at.words(f"dead-letters show {LANE}"), "--raw")
    assert "[unmask_needed]" in at.refused(*words)
    assert PLATE in at.said(*words, *WHY).out


def test_what_is_left_out_is_said_with_its_size_and_its_format(at: Gatehouse) -> None:
    letter = at(*at.words(f"dead-letters show {GATE}"))
    assert (letter["payload"], letter["left_out"], letter["format"]) == (None, True, "json")
    assert letter["payload_bytes"] > len(CARD)
    said = at.said("dead-letters", "list").out
    assert "left out: it may tell of persons; --unmask --reason TEXT shows it" in said


def test_a_reading_of_a_person_is_proven_without_showing_who_it_was(at: Gatehouse) -> None:
    proof = at(*at.words("trace access.passage"))
    (cause,) = proof["causes"]
    assert (proof["proven"], cause["left_out"], cause["payload"], cause["decoded"]["marks"]) == (True, True, None, [])
    (reading,) = cause["decoded"]["readings"]
    assert (reading["signals"][0]["name"], reading["signals"][0]["data"]["card"]) == ("access.granted", "88***3")


def test_every_kind_marks_what_is_called_a_plate_a_card_or_a_person() -> None:
    kinds = Shelf([packaged("device_profiles") / "kinds"]).catalogue.kinds.values()
    named: list[tuple[str, Typed]] = [pair for kind in kinds for pair in kind.scalars()]
    personal = [typed.personal for name, typed in named if name in {"plate", "card", "person"}]
    assert (len(personal) > 6, all(personal)) == (True, True)
