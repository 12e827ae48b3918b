"""The topic grammar: what is in it, what is not, and the way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.bridge.topics import (
    SYS_DROPPED,
    SessionName,
    command_topic,
    filters,
    marker_topic,
    parse,
    response_topic,
)
from hub.model.heard import Address
from hub.model.values import TopicClass

_SEGMENTS = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)


@given(_SEGMENTS.filter(lambda site: not site.startswith("_")), _SEGMENTS, st.sampled_from(TopicClass))
def test_every_native_topic_is_read_back(site: str, device: str, topic_class: TopicClass) -> None:
    assert parse(f"hub/{site}/{device}/{topic_class}") == Address(site, device, topic_class)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "hub/s1/d1",
        "hub/s1/d1/command",
        "hub/s1/d1/telemetry/x",
        "hub//d1/telemetry",
        "hub/s1/d1/telemetry\n",
        "hub/_hub/p1-telemetry/telemetry",
        "hub/s 1/d1/telemetry",
        "hub/小区/d1/telemetry",
        "hub/s1/d+/telemetry",
        f"hub/s1/{'d' * 65}/telemetry",
        "Hub/s1/d1/telemetry",
        "$SYS/broker/uptime",
    ],
)
def test_everything_else_is_outside_the_grammar(topic: str) -> None:
    assert parse(topic) is None


@given(st.text())
def test_no_text_makes_it_raise(topic: str) -> None:
    assert parse(topic) is None or topic.startswith("hub/")


def test_topics_are_built_as_devices_know_them() -> None:
    assert command_topic("s1", "d1") == "hub/s1/d1/command"
    assert response_topic("s1", "d1") == "hub/s1/d1/response"
    assert marker_topic("p1", "events") == "hub/_hub/p1-events/marker"


def test_telemetry_and_events_have_filters_of_their_own() -> None:
    assert filters(SessionName.TELEMETRY) == ("hub/+/+/telemetry",)
    classes = ("signal", "response", "availability", "drill")
    assert filters(SessionName.EVENTS) == (*(f"hub/+/+/{each}" for each in classes), SYS_DROPPED)


def test_a_partition_with_sites_of_its_own_subscribes_to_each() -> None:
    assert filters(SessionName.TELEMETRY, ["s1", "s2"]) == ("hub/s1/+/telemetry", "hub/s2/+/telemetry")
