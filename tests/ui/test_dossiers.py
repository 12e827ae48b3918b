"""Dossiers: whoever changes, takes out, puts in or moves a line, or seals it anew, is found out."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.errors import ConfigError
from hub.model.effects import Event, Transition
from hub.model.values import PlaceType, Severity
from hub.registry.audit import Line
from hub.registry.nouns import Device, Place
from hub.ui.atlas import Atlas
from hub.ui.cli.alarms_dossier import asked_about
from hub.ui.dossiers import KEY, key_of, opened, public_key_of, sealed
from tests.ui.conftest import Cli

PIECES = [("about", {"event": "a1"}), ("proof", {"causes": ["0117"]}), ("event", {"by": "李"})]
OURS = Ed25519PrivateKey.generate()
WHOLE = sealed(PIECES, OURS)
LINES = WHOLE.splitlines(keepends=True)


def test_what_was_sealed_is_read_again_with_whose_key_it_was() -> None:
    whole = opened(WHOLE)
    assert [(line["what"], line["body"]) for line in whole.lines] == PIECES
    assert whole.public_key == public_key_of(OURS)


def test_a_line_end_that_a_mail_cut_off_changes_nothing() -> None:
    assert opened(WHOLE.removesuffix(b"\n")) == opened(WHOLE)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (b"".join([LINES[0].replace(b"a1", b"a2"), *LINES[1:]]), 2),
        (b"".join([LINES[0], *LINES[2:]]), 2),
        (b"".join([LINES[1], LINES[0], *LINES[2:]]), 1),
        (b"".join([*LINES[:2], LINES[2].replace(b"}\n", b"} \n"), LINES[3]]), 4),
        (b"".join(LINES[:-1]), 4),
        (b"".join([*LINES, LINES[2]]), 4),
        (b"".join([*LINES[:-1], sealed([], OURS)]), 4),
        (WHOLE + LINES[2].removesuffix(b"\n"), 4),
        (WHOLE + b'{"n":4}\r{"n":5}', 4),
        (WHOLE + b"\n", 4),
        (b"".join([*LINES[:-1], LINES[3].replace(b"}}\n", b'},"note":"it was false"}\n')]), 4),
        (b"".join([*LINES[:-1], LINES[3].replace(b"}}\n", b',"note":"it was false"}}\n')]), 4),
        (
            b"".join(
                [*LINES[:-1], LINES[3].replace(public_key_of(OURS).encode(), public_key_of(OURS).upper().encode())]
            ),
            4,
        ),
        (WHOLE.replace(b"\n", b"\r\n"), 2),
        (WHOLE.replace(b"\n", b"\r"), 1),
        (b"garbage\n", 1),
        (b"", 1),
    ],
)
def test_what_was_changed_is_refused_with_the_line(changed: bytes, line: int) -> None:
    with pytest.raises(ConfigError, match="dossier_broken") as caught:
        opened(changed)
    assert caught.value.line == line


def asked(number: int, *, subject: str = "", **after: str) -> Line:
    subject = subject or f"control/main/{number}"
    return Line(
        what="control.command",
        subject=subject,
        after=after,
        id=number,
        at=number,
        actor="zhao",
        os_user="",
        revision=None,
    )


async def each(lines: Sequence[Line]) -> AsyncIterator[Line]:
    for line in lines:
        yield line


async def test_what_people_did_to_the_device_or_at_its_place_is_asked_about_its_alarm() -> None:
    story = [
        Event(
            id="a1", name="elevator.entrapment", severity=Severity.CRITICAL, transition=Transition.RAISED, time=1,
            key="garden/lift-1", rule="r", rule_version="1", site="garden", device="lift-1", building="b3",
        ),
        Event(
            id="e2", name="command.done", severity=Severity.INFO, transition=Transition.OCCURRED, time=2,
            key="garden/door-9", rule="", rule_version="", site="garden", device="door-9", data={"id": "a1-1"},
        ),
    ]  # fmt: skip
    ours = [
        asked(1, about="garden/lift-1"),
        asked(2, site="garden", device="lift-1", command="open_door"),
        asked(3, site="garden", device="door-9", command="lock"),
        asked(4, site="garden", place="b3", command="unlock"),
        asked(5, site="garden", request="4"),
        asked(6, subject="answer/main/2", request="2", answer="accepted"),
        asked(7, site="garden", id="a1-1", reason="nobody is in"),
        asked(8, site="garden", what="lift-1", reason="yearly check"),
        asked(9, subject="device/garden/lift-1", params="rated"),
        asked(10, subject="params/garden/entrapment/site"),
        asked(19, site="garden", what="e3", reason="the whole shaft"),
    ]
    others = [
        asked(11, site="garden", device="lift-2", command="open_door"),
        asked(12, site="park", device="lift-1", command="open_door"),
        asked(13, site="garden", place="b4", command="unlock"),
        asked(14, site="garden", request="11"),
        asked(15, verb="reload"),
        asked(16, subject="device/park/lift-1"),
        asked(17, subject="scene/park/elevator"),
        asked(18, device="lift-1", site="park"),
    ]
    atlas = Atlas(
        places=[
            Place(site="garden", id="e3", type=PlaceType.ELEVATOR, parent="b3"),
            Place(site="garden", id="b3", type=PlaceType.BUILDING),
        ],
        devices=[Device(site="garden", id="lift-1", kind="elevator", place="e3")],
    )
    assert await asked_about(each([*others[:2], *ours, *others[2:]]), story, atlas) == ours


def test_a_seal_of_somebody_else_is_no_seal_of_ours(cli: Cli, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.jsonl"
    theirs.write_bytes(sealed(PIECES, Ed25519PrivateKey.generate()))
    assert cli("alarms", "verify", str(theirs)).code == 0
    said = cli("alarms", "verify", str(theirs), "--key", public_key_of(OURS))
    assert (said.code, "[dossier_of_another]" in said.err) == (2, True)


def test_an_installation_seals_with_one_key_that_only_it_can_read(tmp_path: Path) -> None:
    first = key_of(tmp_path)
    assert public_key_of(key_of(tmp_path)) == public_key_of(first)
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600


def test_a_file_system_without_second_names_keeps_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **_more: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    assert public_key_of(key_of(tmp_path)) == public_key_of(key_of(tmp_path))


@pytest.mark.parametrize("half", ["", "0117", "zz" * 32])
def test_a_key_that_is_none_is_told_with_what_to_do(tmp_path: Path, half: str) -> None:
    (tmp_path / KEY).write_text(half)
    with pytest.raises(ConfigError, match="key_damaged") as caught:
        key_of(tmp_path)
    assert caught.value.file == str(tmp_path / KEY)


def test_a_disk_that_is_full_leaves_no_half_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space left"):
            key_of(tmp_path)
    assert [*tmp_path.iterdir()] == []
    assert public_key_of(key_of(tmp_path)) == public_key_of(key_of(tmp_path))
    assert [each.name for each in tmp_path.iterdir()] == [KEY]
