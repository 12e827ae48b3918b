"""Metrics: declared once, read when scraped."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from hub.metrics import DECLARATIONS, Declaration, Metrics, Sort


def test_a_number_is_read_at_the_moment_of_the_scrape() -> None:
    metrics = Metrics()
    written = 1
    metrics.read("hub_points_written_total", lambda: written)
    assert metrics.values() == {"hub_points_written_total": 1.0}
    written = 5
    assert metrics.values() == {"hub_points_written_total": 5.0}


def test_two_owners_of_one_metric_are_told_apart_by_their_label() -> None:
    metrics = Metrics()
    metrics.read("hub_acks_sent_total", lambda: 3, session="telemetry")
    metrics.read("hub_acks_sent_total", lambda: 4, session="events")
    assert metrics.values() == {
        'hub_acks_sent_total{session="telemetry"}': 3.0,
        'hub_acks_sent_total{session="events"}': 4.0,
    }


def test_a_mapping_gives_the_values_of_the_open_label() -> None:
    metrics = Metrics()
    codes = Counter({"bad_checksum": 2, "unknown_device": 1})
    metrics.read("hub_messages_dead_lettered_total", lambda: codes)
    assert metrics.values() == {
        'hub_messages_dead_lettered_total{code="bad_checksum"}': 2.0,
        'hub_messages_dead_lettered_total{code="unknown_device"}': 1.0,
    }


def test_an_undeclared_metric_is_refused() -> None:
    with pytest.raises(KeyError):
        Metrics().read("hub_surprises_counted_total", lambda: 1)


def test_a_label_that_was_not_declared_is_refused() -> None:
    with pytest.raises(ValueError, match="has the labels"):
        Metrics().read("hub_points_written_total", lambda: 1, site="x")


def test_two_hubs_in_one_process_do_not_share_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.read("hub_points_written_total", lambda: 1)
    assert other.values() == {}


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=lambda declaration: declaration.name)
def test_a_counter_is_named_after_what_happened_to_which_things(declaration: Declaration) -> None:
    sounds_like_a_counter = re.fullmatch(
        r"hub(_[a-z]+)+_([a-z]+ed|written|sent|heard|forgotten)_total", declaration.name
    )
    assert bool(sounds_like_a_counter) is (declaration.sort is Sort.COUNTER)


def test_no_metric_is_declared_twice() -> None:
    names = [declaration.name for declaration in DECLARATIONS]
    assert len(set(names)) == len(names)
