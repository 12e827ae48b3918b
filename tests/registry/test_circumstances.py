"""Lists, parameters and facts of places: what the registry keeps and refuses, and that the engine reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import orjson
import pytest

from hub.engine.circumstances import Circumstances, Settled
from hub.engine.rows import DeviceRow
from hub.errors import ConfigError
from hub.model.values import PlaceType
from hub.registry import circumstances
from hub.registry.nouns import Device, Entry, Params, Place, Site
from hub.registry.registry import Registry
from hub.registry.validity import parted, validity
from hub.rules.rule import Rule

PLATE = "浙B12345"
RULE = Rule.model_validate(
    {
        "rule": "hot-kitchen",
        "params": {"limit": 60.0},
        "facts": {"away": False},
        "for_each": "smoke_sensor",
        "when": "temperature > $limit and not $away and status in list('states')",
        "raise": {"event": "fire.heat", "severity": "medium"},
        "clear": {"when": "temperature < $limit"},
    }
)


@pytest.fixture
async def registry(url: str) -> AsyncIterator[Registry]:
    """Two sites; in the first a dwelling of a building, with a sensor."""
    async with Registry(url) as opened:
        await opened.add_site(Site(id="s1", zone="Asia/Shanghai"))
        await opened.add_site(Site(id="s2", zone="Asia/Urumqi", partition="west"))
        await opened.add_places(
            [
                Place(site="s1", id="b1", type=PlaceType.BUILDING),
                Place(site="s1", id="d1", type=PlaceType.DWELLING, parent="b1"),
            ]
        )
        await opened.add_devices([Device(site="s1", id="smoke-1", kind="smoke_sensor", profile="a/b", place="d1")])
        yield opened


def at(text: str) -> int:
    """Return a moment as wall ns."""
    return round(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


async def settled(registry: Registry, moment: str) -> Settled:
    """Return what the engine makes of the documents for the sensor."""
    bodies = await registry.documents()
    row = DeviceRow(**orjson.loads(bodies["device/s1/smoke-1"]))
    return Circumstances(bodies).settle(RULE, row, at(moment))


async def names_on(registry: Registry, moment: str) -> set[object]:
    return set(dict((await settled(registry, moment)).lists).get("states", frozenset()))


NOON = "2026-03-01T12:00+08:00"


# ----------------------------------------------------------------------------------------------------------- lists


async def test_an_entry_of_every_site_is_in_the_list_of_each(registry: Registry) -> None:
    await circumstances.put_entries(registry, [Entry(list="block", value=PLATE)])
    bodies = await registry.documents()
    assert orjson.loads(bodies["list/s1/block"]) == {"site": "s1", "list": "block", "entries": {PLATE: True}}
    assert orjson.loads(bodies["list/s2/block"]) == {"site": "s2", "list": "block", "entries": {PLATE: True}}


async def test_an_entry_of_one_site_is_in_no_other_list(registry: Registry) -> None:
    await circumstances.put_entries(registry, [Entry(list="block", value=PLATE, site="s2")])
    assert [key for key in await registry.documents() if key.startswith("list/")] == ["list/s2/block"]
    assert [key for key in await registry.documents("main") if key.startswith("list/")] == []


async def test_the_engine_sees_an_entry_from_when_until_when_it_is_valid(registry: Registry) -> None:
    visit = Entry(list="states", value="alarm", site="s1", valid=validity("2026-03-01", "2026-03-02"))
    await circumstances.put_entries(registry, [visit, Entry(list="states", value="fault")])
    assert await names_on(registry, "2026-02-28T23:59:59+08:00") == {"fault"}
    assert await names_on(registry, "2026-03-01T00:00+08:00") == {"fault", "alarm"}
    assert await names_on(registry, "2026-03-02T23:59:59+08:00") == {"fault", "alarm"}
    assert await names_on(registry, "2026-03-03T00:00+08:00") == {"fault"}


async def test_an_entry_that_is_put_again_is_replaced(registry: Registry) -> None:
    await circumstances.put_entries(registry, [Entry(list="allow", value=PLATE, site="s1", valid="2026-03-01/")])
    await circumstances.put_entries(registry, [Entry(list="allow", value=PLATE, site="s1")])
    assert await circumstances.read_entries(registry) == [Entry(list="allow", value=PLATE, site="s1")]


async def test_a_pass_for_a_place_counts_there_and_below_only(registry: Registry) -> None:
    await registry.add_places([Place(site="s1", id="b2", type=PlaceType.BUILDING)])
    await circumstances.put_entries(
        registry,
        [
            Entry(list="states", value="alarm", site="s1", place="b1", valid="/2026-03-01"),
            Entry(list="states", value="test", site="s1", place="b2"),
            Entry(list="states", value="fault", site="s1", place="s1"),
            Entry(list="states", value="normal"),
        ],
    )
    assert await names_on(registry, NOON) == {"alarm", "fault", "normal"}
    assert await names_on(registry, "2026-03-02T00:00+08:00") == {"fault", "normal"}
    await circumstances.remove_entries(registry, "s1", "states", ["alarm"], place="b1")
    assert sorted(key for key in await registry.documents() if key.startswith("list/s1")) == [
        "list/s1/states",
        "list/s1/states/b2",
        "list/s1/states/s1",
    ]


async def test_an_entry_that_was_taken_off_is_gone(registry: Registry) -> None:
    await circumstances.put_entries(registry, [Entry(list="block", value=PLATE), Entry(list="block", value="x")])
    await circumstances.remove_entries(registry, "", "block", [PLATE])
    assert [entry.value for entry in await circumstances.read_entries(registry)] == ["x"]


async def test_taking_off_what_is_not_there_takes_nothing_off(registry: Registry) -> None:
    await circumstances.put_entries(registry, [Entry(list="block", value=PLATE)])
    with pytest.raises(ConfigError, match="entry_unknown"):
        await circumstances.remove_entries(registry, "", "block", [PLATE, "y"])
    assert len(await circumstances.read_entries(registry)) == 1


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (Entry(list="a b", value="x"), "list 'a b' is not"),
        (Entry(list="block", value=""), "printable"),
        (Entry(list="block", value="a\nb"), "printable"),
        (Entry(list="block", value="x" * 129), "1 to 128"),
        (Entry(list="block", value="x", site="s9"), "no site 's9'"),
        (Entry(list="allow", value=PLATE, site="s1"), "of every site already"),
        (Entry(list="block", value="x", site="s1", place="d9"), "no place 'd9' in site 's1'"),
        (Entry(list="block", value="x", place="d1"), "no place 'd1' in site ''"),
        (Entry(list="visitor", value="x", valid="2026-03-01/"), "ends some time"),
    ],
)
async def test_an_entry_that_could_not_work_is_refused(registry: Registry, entry: Entry, complaint: str) -> None:
    await circumstances.put_entries(registry, [Entry(list="allow", value=PLATE)])
    with pytest.raises(ConfigError, match=complaint):
        await circumstances.put_entries(registry, [Entry(list="block", value="fine"), entry])
    assert len(await circumstances.read_entries(registry)) == 1


async def test_an_entry_of_every_site_does_not_come_beside_that_of_one(registry: Registry) -> None:
    await circumstances.put_entries(registry, [Entry(list="allow", value=PLATE, site="s1")])
    with pytest.raises(ConfigError, match="of site 's1' already"):
        await circumstances.put_entries(registry, [Entry(list="allow", value=PLATE)])


# -------------------------------------------------------------------------------------------------------- validity


@pytest.mark.parametrize(
    ("begins", "ends", "text"),
    [
        ("", "", ""),
        ("2026-03-01", "", "2026-03-01/"),
        ("", "2026-03-01T08:00", "/2026-03-01T08:00"),
        ("2026-03-01", "2026-03-01", "2026-03-01/2026-03-01"),
    ],
)
def test_a_validity_is_from_and_until(begins: str, ends: str, text: str) -> None:
    assert validity(begins, ends) == text
    assert parted(text) == (begins, ends)


@pytest.mark.parametrize(
    ("begins", "ends", "code"),
    [
        ("tomorrow", "", "validity_invalid"),
        ("2026-02-30", "", "validity_invalid"),
        ("2026-03-02", "2026-03-01", "validity_empty"),
        ("2026-03-01T08:00", "2026-03-01T08:00", "validity_empty"),
    ],
)
def test_a_validity_that_never_holds_is_refused(begins: str, ends: str, code: str) -> None:
    with pytest.raises(ConfigError, match=code):
        validity(begins, ends)


# ------------------------------------------------------------------------------------------------------ parameters


async def limit(registry: Registry) -> object:
    """Return what the engine takes for the limit at the sensor; 60 is the rule's own."""
    return dict((await settled(registry, NOON)).values).get("limit", 60.0)


async def test_the_nearest_word_on_a_parameter_wins(registry: Registry) -> None:
    assert await limit(registry) == 60.0
    for value, scope in (
        (1.0, {"profile": "a/b"}),
        (2.0, {"site": "s1"}),
        (3.0, {"site": "s1", "place": "b1"}),
        (4.0, {"site": "s1", "place": "d1"}),
        (5.0, {"site": "s1", "device": "smoke-1"}),
    ):
        await circumstances.set_params(registry, Params(rule="hot-kitchen", values={"limit": value}, **scope))
        assert await limit(registry) == value


async def test_what_is_said_elsewhere_does_not_count(registry: Registry) -> None:
    await circumstances.set_params(registry, Params(rule="hot-kitchen", values={"limit": 1.0}, profile="c/d"))
    await circumstances.set_params(registry, Params(rule="hot-kitchen", values={"limit": 2.0}, site="s2"))
    await circumstances.set_params(registry, Params(rule="other", values={"limit": 3.0}, site="s1"))
    assert await limit(registry) == 60.0


async def test_a_value_is_set_beside_the_others_and_unset_alone(registry: Registry) -> None:
    scope = Params(rule="r", values={}, site="s1", place="d1")
    await circumstances.set_params(registry, Params(rule="r", values={"a": 1, "b": 2}, site="s1", place="d1"))
    both = await circumstances.set_params(registry, Params(rule="r", values={"b": 3, "c": True}, site="s1", place="d1"))
    assert both.values == {"a": 1, "b": 3, "c": True}
    left = await circumstances.unset_params(registry, scope, ["b"])
    assert left.values == {"a": 1, "c": True}
    assert await circumstances.read_params(registry) == [left]
    await circumstances.unset_params(registry, scope, [])
    assert await circumstances.read_params(registry) == []
    with pytest.raises(ConfigError, match="params_unset"):
        await circumstances.unset_params(registry, scope, [])


@pytest.mark.parametrize(
    ("scope", "complaint"),
    [
        ({}, "parameters are for"),
        ({"profile": "a/b", "site": "s1"}, "parameters are for"),
        ({"site": "s1", "place": "d1", "device": "smoke-1"}, "parameters are for"),
        ({"site": "s9"}, "no place 's9'"),
        ({"site": "s1", "place": "d9"}, "no place 'd9'"),
        ({"site": "s2", "device": "smoke-1"}, "no device 'smoke-1' in site 's2'"),
    ],
)
async def test_parameters_for_nothing_are_refused(registry: Registry, scope: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        await circumstances.set_params(registry, Params(rule="r", values={"a": 1}, **scope))
    assert await circumstances.read_params(registry) == []


# ----------------------------------------------------------------------------------------------------------- facts


async def test_the_engine_takes_a_fact_for_as_long_as_it_holds(registry: Registry) -> None:
    await circumstances.set_fact(registry, ("s1", "b1"), "away", "2026-03-01/2026-03-08")
    assert dict((await settled(registry, NOON)).values)["away"] is True
    later = await settled(registry, "2026-03-09T00:00+08:00")
    assert dict(later.values)["away"] is False


async def test_a_fact_about_a_person_needs_their_consent(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="care_watch is about a person"):
        await circumstances.set_fact(registry, ("s1", "d1"), "care_watch", value=True)
    place = await circumstances.set_fact(registry, ("s1", "d1"), "care_watch", "2026-03-01/", "daughter, form 17")
    assert place.consents == {"care_watch": "daughter, form 17"}
    assert await circumstances.read_place(registry, ("s1", "d1")) == place


async def test_who_agreed_does_not_leave_the_registry(registry: Registry) -> None:
    await circumstances.set_fact(registry, ("s1", "d1"), "care_watch", value=True, consent="daughter, form 17")
    assert b"form 17" not in b"".join((await registry.documents()).values())


async def test_a_fact_that_ended_takes_its_consent_along(registry: Registry) -> None:
    await circumstances.set_fact(registry, ("s1", "d1"), "care_watch", value=True, consent="form 17")
    place = await circumstances.clear_fact(registry, ("s1", "d1"), "care_watch")
    assert (place.facts, place.consents) == ({}, {})
    with pytest.raises(ConfigError, match="fact_unknown"):
        await circumstances.clear_fact(registry, ("s1", "d1"), "care_watch")


async def test_a_site_has_facts_like_any_place(registry: Registry) -> None:
    await circumstances.set_fact(registry, ("s1", "s1"), "city", "Ningbo")
    assert [site.facts for site in await registry.sites()] == [{"city": "Ningbo"}, {}]


async def test_a_place_that_is_not_there_has_no_facts(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="place_unknown"):
        await circumstances.set_fact(registry, ("s2", "d1"), "away", value=True)
