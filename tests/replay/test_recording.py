"""Recordings: what was written is read back, a killed recorder leaves what it had, anything else is refused."""

from __future__ import annotations

import gzip
import resource
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.errors import ConfigError, CorruptError
from hub.model.records import Record, Tick
from hub.replay.recording import Recorder, RecordingTape
from tests.replay.tapes import CALM, LOUD, SMOKE, Script


def record(path: Path) -> list[Record]:
    """Write a script into a recording."""
    said = Script().hear(1, (LOUD, CALM)).hear(2, (LOUD, SMOKE), (LOUD, CALM)).tick(3).records
    with Recorder(path, SystemClock()) as recorder:
        for each in said:
            recorder.add(each.body, each.messages, each.bodies)
        assert (recorder.records, recorder.messages) == (7, 3)
    return said


def test_a_recording_reads_back_as_what_was_heard(tmp_path: Path) -> None:
    said = record(tmp_path / "file.hubrec")
    tape = RecordingTape(tmp_path / "file.hubrec")
    read = list(tape.read(0))
    assert [(each.body, each.bodies) for each in read] == [(each.body, dict(each.bodies)) for each in said]
    assert [message.payload for each in read for message in each.messages] == [CALM, SMOKE, CALM]
    assert (tape.first, tape.last, tape.is_cut) == (1, 7, False)
    assert [each.t for each in read] == sorted({each.t for each in read})


def test_a_recording_is_read_from_any_place(tmp_path: Path) -> None:
    record(tmp_path / "file.hubrec")
    tape = RecordingTape(tmp_path / "file.hubrec")
    assert [each.position for each in tape.read(5)] == [6, 7]
    found = tape.find(5)
    assert found is not None
    assert (found.position, tape.before(found.received_at)) == (5, 4)
    assert tape.find(8) is None


def test_what_a_killed_recorder_had_flushed_is_read(tmp_path: Path) -> None:
    said = Script().hear(1, (LOUD, CALM)).records
    path = tmp_path / "file.hubrec"
    with Recorder(path, SystemClock()) as recorder:
        for each in said:
            recorder.add(each.body, each.messages, each.bodies)
        recorder.flush()
        (tmp_path / "killed").write_bytes(path.read_bytes())
    tape = RecordingTape(tmp_path / "killed")
    assert (tape.last, tape.is_cut) == (len(said), True)
    assert len(list(tape.read(0))) == len(said)


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    record(tmp_path / "file.hubrec")
    with pytest.raises(ConfigError, match="recording_exists"), Recorder(tmp_path / "file.hubrec", SystemClock()):
        pass


def test_a_disk_that_takes_no_more_ends_a_recording_in_words(tmp_path: Path) -> None:
    path, (soft, hard) = tmp_path / "file.hubrec", resource.getrlimit(resource.RLIMIT_FSIZE)
    said = Script().hear(1, (LOUD, CALM)).records

    def fill() -> None:
        with Recorder(path, SystemClock()) as recorder:
            for each in said:
                recorder.add(each.body, each.messages, each.bodies)
            recorder.flush()
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
            while True:
                recorder.add(Tick())
                recorder.flush()

    try:
        with pytest.raises(ConfigError, match="recording_unwritable"):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert RecordingTape(path).last == len(said)


@pytest.mark.parametrize("content", [b"", b"no gzip", gzip.compress(b"something else\n", mtime=0)])
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CorruptError, match="unreadable_recording"):
        RecordingTape(tmp_path / "file")


def test_a_recording_that_was_damaged_is_read_or_refused(tmp_path: Path) -> None:
    """A byte that changed unpacks into other frames, long before gzip finds out by its sum: that was a traceback."""
    path = tmp_path / "file.hubrec"
    record(path)
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            list(RecordingTape(path).read(0))
        except CorruptError:
            refused += 1
    assert refused > 100
