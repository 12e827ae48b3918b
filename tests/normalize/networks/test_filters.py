"""Topic filters: MQTT's own rules, holes, and whether two filters can mean the same topic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import ConfigError
from hub.normalize.networks.filters import TopicFilter, matches, overlap


@pytest.mark.parametrize(
    ("text", "topic", "is_meant"),
    [
        # The examples of MQTT 5, 4.7.1 and 4.7.2.
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("#", "sport/tennis", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/broker", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("a.b/c", "aXb/c", False),
        ("a/+/c", "a/x\ny/c", True),
    ],
)
def test_a_filter_means_what_the_standard_says(text: str, topic: str, is_meant: bool) -> None:  # noqa: FBT001 -- a row of the table
    assert matches(text, topic) is is_meant


def test_a_hole_is_one_level_and_is_named() -> None:
    words = TopicFilter("application/{application}/device/{device}/event/up", {"application": "+"})
    assert words.text == "application/+/device/+/event/up"
    assert words.names == ("application", "device")
    assert words.read("application/a1/device/24e1/event/up") == {"application": "a1", "device": "24e1"}
    assert words.read("application/a1/device//event/up") is None
    assert words.read("application/a1/device/x/y/event/up") is None


def test_a_parameter_fills_a_hole_with_one_or_more_levels() -> None:
    words = TopicFilter("{base}/{device}", {"base": "site/b.1"})
    assert words.text == "site/b.1/+"
    assert words.read("site/b.1/烟感 1") == {"device": "烟感 1"}
    assert words.read("site/bX1/smoke") is None


def test_a_hole_at_the_first_level_does_not_mean_the_brokers_own_topics() -> None:
    assert TopicFilter("{device}/up", {}).read("$SYS/up") is None


@pytest.mark.parametrize(
    "text", ["a/x{device}", "a/#/b", "a//b", "{device}/{device}", "$share/g/a", "a/b+", "", "a/{b"]
)
def test_a_filter_that_no_broker_would_take_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TopicFilter(text, {})
    assert caught.value.code == "bad_filter"


@pytest.mark.parametrize(
    ("one", "other", "do"),
    [
        ("a/+", "a/b", True),
        ("a/+", "b/+", False),
        ("a/+/c", "a/b/+", True),
        ("a/+/c", "a/b/d", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/b/#", "a", False),
        ("a/+", "a", False),
        ("#", "$SYS/x", False),
        ("zigbee2mqtt/+", "zigbee2mqtt/bridge/state", False),
        ("hub/#", "+/x", True),
    ],
)
def test_filters_that_share_a_topic_are_found(one: str, other: str, do: bool) -> None:  # noqa: FBT001 -- a row of the table
    assert overlap(one, other) is do
    assert overlap(other, one) is do


LEVELS = st.lists(st.sampled_from(["a", "b", "+"]), min_size=1, max_size=4)
TOPICS = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5)


@given(LEVELS, st.booleans(), LEVELS, st.booleans(), TOPICS)
def test_a_topic_that_two_filters_mean_shows_that_they_overlap(
    one: list[str],
    one_rest: bool,  # noqa: FBT001 -- drawn
    other: list[str],
    other_rest: bool,  # noqa: FBT001 -- drawn
    topic: list[str],
) -> None:
    left = "/".join([*one, *(["#"] if one_rest else [])])
    right = "/".join([*other, *(["#"] if other_rest else [])])
    both = matches(left, "/".join(topic)) and matches(right, "/".join(topic))
    assert overlap(left, right) or not both
