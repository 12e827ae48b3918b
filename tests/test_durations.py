"""Spans of time: one way to write them, and what a plain number means where people may write one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub.durations import read_duration, read_seconds, write_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("30s", 30), ("1h30m", 5_400), ("2d", 172_800), ("1d2h3m4s5ms", 93_784.005)]
)
def test_a_span_is_read_and_written_back(text: str, seconds: float) -> None:
    assert read_duration(text) == read_seconds(text) == timedelta(seconds=seconds)
    assert write_duration(read_duration(text)) == text


@pytest.mark.parametrize("value", ["", "30", "1.5s", "s", "-1s", "1m1h", "10 s", 30, 1.5, None])
def test_what_has_no_unit_or_another_form_is_refused_with_examples(value: object) -> None:
    with pytest.raises(ValueError, match="is no duration; write 250ms, 30s"):
        read_duration(value)


@pytest.mark.parametrize("text", ["36501d", "1000000000d", "99999999999d", "9" * 400 + "h"])
def test_what_reaches_further_than_any_clock_is_refused_too(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration; write 250ms, 30s"):
        read_duration(text)


@pytest.mark.parametrize(("text", "seconds"), [("60", 60), ("1.5", 1.5), ("0", 0), ("5m", 300)])
def test_on_a_command_line_a_plain_number_is_seconds(text: str, seconds: float) -> None:
    assert read_seconds(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "-1", "1e3", "nan", "inf", "60 s", "9" * 20, "9" * 400])
def test_on_a_command_line_too_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        read_seconds(text)
