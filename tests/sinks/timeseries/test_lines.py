"""Line protocol: what is written is what was meant, and nothing that a device says becomes more than a value."""

from __future__ import annotations

import json
import math
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import ConfigError
from hub.model.effects import Series, Where
from hub.model.values import Scalar
from hub.sinks.timeseries.lines import encode, event_line, read_fields, series_prefix, split_line, split_series
from tests.sinks.timeseries.samples import NOON, event, series

INJECTION = "x v=0 1\nadmin,role=root v=1"
PREFIX = b"smoke_sensor,building=b1,device=smoke-1,profile=milesight/gs524n,site=riverside "


def line_of(values: dict[str, Scalar], of: Series | None = None) -> bytes:
    (line,) = encode([(of or series(), NOON, values)])
    return line


@pytest.mark.parametrize(
    ("values", "spelled"),
    [
        ({"temperature": 21.5, "humidity": 55.0}, b"temperature=21.5,humidity=55.0"),
        ({"door": "open"}, b'door="open"'),
        ({"floor": -2}, b"floor=-2i"),
        ({"alarm": True, "testing": False}, b"alarm=true,testing=false"),
        ({"load": 1e-07, "count": 7}, b"load=1e-07,count=7i"),
        ({"plate": "京A·12345"}, 'plate="京A·12345"'.encode()),
        ({"text": 'a"b\\c'}, b'text="a\\"b\\\\c"'),
        ({"text": "a\nb\rc"}, b'text="a\\nb\\rc"'),
        ({"text": "\ud800"}, b'text="?"'),
    ],
)
def test_a_field_is_spelled_by_its_type(values: dict[str, Scalar], spelled: bytes) -> None:
    assert line_of(values) == PREFIX + spelled + b" %d" % NOON


def test_a_point_of_floats_is_the_same_the_second_time_when_its_names_are_known() -> None:
    values: dict[str, Scalar] = {"first_seen_here": 0.1, "another_first": 1e22}

    assert read_fields(line_of(values).split(b" ")[1]) == values
    assert read_fields(line_of(values).split(b" ")[1]) == values


def test_empty_tags_are_left_out_and_a_part_has_its_own_series() -> None:
    assert series_prefix(series(part="door-1")).split(b",") == [
        b"smoke_sensor",
        b"building=b1",
        b"device=smoke-1",
        b"part=door-1",
        b"profile=milesight/gs524n",
        b"site=riverside",
    ]


@pytest.mark.parametrize("bad", [INJECTION, "ends with \\", "b\\,c", "nul\0", "\x85"])
@pytest.mark.parametrize("tag", ["kind", "site", "building", "device", "profile"])
def test_a_tag_of_the_registry_that_line_protocol_cannot_carry_is_refused(tag: str, bad: str) -> None:
    marked = series()
    setattr(marked, tag, bad)

    with pytest.raises(ConfigError, match="bad_tag") as refused:
        encode([(marked, NOON, {"v": 1.0})])

    assert refused.value.fields == {"tag": tag, "value": bad}


def test_a_part_named_by_a_payload_can_neither_forge_a_line_nor_stop_the_writer() -> None:
    line = line_of({"v": 1.0}, series(part=INJECTION))

    split = split_line(line)
    assert split is not None
    assert split_series(split[0])[1]["part"] == INJECTION.replace("\n", "%0A")
    assert split[1:] == (b"v=1.0", NOON)


def test_a_field_name_that_no_kind_has_cannot_forge_a_line() -> None:
    line = line_of({INJECTION: 1.0, "a b": 2.0})

    split = split_line(line)
    assert split is not None
    assert read_fields(split[1]) == {"x%20v%3D0%201%0Aadmin%2Crole%3Droot%20v%3D1": 1.0, "a%20b": 2.0}


@given(
    values=st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        st.one_of(st.text(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1,
    ),
    part=st.text(),
)
def test_any_point_is_one_line_that_says_its_values(values: dict[str, Scalar], part: str) -> None:
    line = line_of(values, series(part=part))

    assert b"\n" not in line
    split = split_line(line)
    assert split is not None
    said = read_fields(split[1])
    expected = {
        name: value.replace("\n", "\\n").replace("\r", "\\r") if isinstance(value, str) else value
        for name, value in values.items()
    }
    assert said == expected
    assert [type(value) for value in said.values()] == [type(value) for value in values.values()]


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1))
def test_any_printable_part_of_an_event_comes_back(part: str) -> None:
    split = split_line(event_line(event(part=part)))

    assert split is not None
    measurement, tags = split_series(split[0])
    assert measurement == "event"
    assert tags == {
        "building": "b1",
        "device": "smoke-1",
        "event": "fire.confirmed",
        "part": re.sub(r"\\(?=[,= ]|$)", "%5C", part),
        "severity": "critical",
        "site": "riverside",
    }


TEXTS = st.text(st.characters(exclude_categories=()))


@given(st.dictionaries(TEXTS, TEXTS | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(), max_size=3))
def test_what_an_event_knows_is_written_as_the_standard_library_writes_json(data: dict[str, Scalar]) -> None:
    split = split_line(event_line(msgspec.structs.replace(event(), data=data)))

    assert split is not None
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    assert read_fields(split[1])["data"] == written.encode("utf-8", "replace").decode()


def test_an_event_is_at_the_millisecond_of_its_transition_plus_its_number() -> None:
    split = split_line(event_line(event(number=0x1_0000_0000 + 1_000_007)))

    assert split is not None
    assert split[2] == NOON + 123_000_000 + (0x1_0000_0000 + 1_000_007) % 1_000_000


def test_an_event_keeps_what_was_true_as_json() -> None:
    split = split_line(event_line(event(data='say "x"\nv=0 1')))

    assert split is not None
    fields = read_fields(split[1])
    assert json.loads(str(fields.pop("data"))) == {"cause": 'say "x"\nv=0 1', "level": 2}
    assert fields == {
        "id": f"{1:032x}",
        "key": "riverside/smoke-1",
        "rule": "fire-confirmed",
        "rule_version": "1a2b",
        "transition": "raised",
        "late": False,
    }


@pytest.mark.parametrize("mark", ["test", "drill"])
def test_an_event_of_a_test_or_drill_is_stored_as_one(mark: str) -> None:
    split = split_line(event_line(msgspec.structs.replace(event(), **{mark: True})))

    assert split is not None
    assert {word: value for word, value in read_fields(split[1]).items() if word in {"test", "drill"}} == {mark: True}


def test_an_event_of_a_rule_for_places_is_stored_with_its_place() -> None:
    told = msgspec.structs.replace(event(), place=Where("lift-2", "elevator", {"zh": "二号梯"}))
    split = split_line(event_line(told))

    assert split is not None
    fields = read_fields(split[1])
    assert (fields["place"], fields["place_type"]) == ("lift-2", "elevator")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_makes_a_line_that_is_no_line(value: float) -> None:
    line_of({"known_name": 1.0})

    assert split_line(line_of({"known_name": value})) is None
    assert split_line(line_of({"known_name": value, "door": "open"})) is None
