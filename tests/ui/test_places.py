"""`hub places`: the tree, and what holds at a place from when until when."""

from __future__ import annotations

import json

import pytest

from tests.ui.office import Office


@pytest.fixture
def dwelling(office: Office) -> tuple[str, str]:
    office.json("places", "add", "garden", "b1", "--type", "building", "--zh", "1号楼")
    office.json("places", "add", "garden", "d1", "--type", "dwelling", "--parent", "b1")
    return "garden", "d1"


def test_places_are_listed_by_type(office: Office, dwelling: tuple[str, str]) -> None:
    assert [place["id"] for place in office.json("places", "list", "--type", "dwelling")] == [dwelling[1]]
    assert "1号楼" in office("places", "list").out


def test_a_family_is_away_for_a_week(office: Office, dwelling: tuple[str, str]) -> None:
    office.json("places", "set-fact", *dwelling, "away", "--from", "2026-03-01", "--until", "2026-03-08")
    assert office.json("places", "show", *dwelling)["facts"] == {"away": "2026-03-01/2026-03-08"}
    office.json("places", "clear-fact", *dwelling, "away")
    assert office.json("places", "show", *dwelling)["facts"] == {}


def test_a_door_is_an_escape_until_somebody_says_otherwise(office: Office, dwelling: tuple[str, str]) -> None:
    office.json("places", "set-fact", *dwelling, "escape")
    assert office.json("places", "show", *dwelling)["facts"] == {"escape": True}


def test_nobody_is_watched_without_consent(office: Office, dwelling: tuple[str, str]) -> None:
    assert "--consent" in office.refused("places", "set-fact", *dwelling, "care_watch")
    office.json("places", "set-fact", *dwelling, "care_watch", "--consent", "daughter, form 17")
    assert "form 17" in office("places", "show", *dwelling).out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("set-fact", "garden", "moon", "away"), "place_unknown"),
        (("set-fact", "garden", "d1", "away", "perhaps"), "fact_invalid"),
        (("set-fact", "garden", "d1", "away", "b/c"), "fact_invalid"),
        (("set-fact", "garden", "d1", "away", "2026-12-24/2026-01-02"), "fact_invalid"),
        (("set-fact", "garden", "d1", "away", "false", "--until", "2026-03-01"), "option_invalid"),
        (("set-fact", "garden", "d1", "away", "--until", "March"), "validity_invalid"),
        (("clear-fact", "garden", "d1", "away"), "fact_unknown"),
        (("add", "garden", "d1", "--type", "dwelling"), "place_invalid"),
    ],
)
def test_what_could_not_be_so_is_refused(
    office: Office, dwelling: tuple[str, str], words: tuple[str, ...], code: str
) -> None:
    assert f"[{code}]" in office.refused("places", *words)
    assert office.json("places", "show", *dwelling)["facts"] == {}


# ------------------------------------------------------------------------------------------------- codes and geometry


def test_a_feature_of_a_map_is_the_outline_of_a_place(office: Office) -> None:
    office.json("places", "add", "garden", "b1", "--type", "building")
    ring = [[120.0, 36.0], [120.1, 36.0], [120.1, 36.1], [120.0, 36.0]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    file = office.file("b1.geojson", json.dumps({"type": "Feature", "geometry": shape, "properties": {}}))
    office.json("places", "locate", "garden", "b1", "--footprint", file)
    office.json("places", "locate", "garden", "b1", "--floors", "18")
    geometry = office.json("places", "show", "garden", "b1")["geometry"]
    assert (geometry["footprint"], geometry["floors"]) == (shape, 18)
    assert "3 corners" in office("places", "show", "garden", "b1").out
    assert "is a site" in office.refused("places", "locate", "garden", "garden", "--floors", "1")


def test_a_site_lies_in_the_city_and_street_of_its_code(office: Office) -> None:
    office.json("divisions", "set", "370281", "--zh", "胶州市", "--en", "Jiaozhou")
    office.json("sites", "code", "garden", "370281001001")
    assert "胶州市 / Jiaozhou › 370281001" in office("sites", "list").out
    assert office.json("divisions", "list") == [
        {"code": "370281", "label": {"en": "Jiaozhou", "zh": "胶州市"}, "level": "city"}
    ]
    assert "12 digits" in office.refused("sites", "code", "garden", "370281")


def test_a_device_goes_through_its_life(office: Office) -> None:
    office.json("devices", "add", "garden", "a", "--kind", "smoke_sensor", "--pending", "--tag", "east")
    for verb, state in (("enable", "active"), ("disable", "disabled"), ("enable", "active"), ("retire", "retired")):
        assert office.json("devices", verb, "garden", "a")["state"] == state
        assert [device["id"] for device in office.json("devices", "list", "--state", state, "--tag", "east")] == ["a"]
    assert "is retired and cannot become active" in office.refused("devices", "enable", "garden", "a")
    office.json("devices", "remove", "garden", "a")
    assert office.json("devices", "list") == []


@pytest.mark.parametrize("words", ["devices list", "devices export", "places list", "places export"])
def test_of_a_site_that_is_not_there_nothing_is_told_as_if_it_were_empty(office: Office, words: str) -> None:
    assert "there is no site 'gardne'" in office.refused(*words.split(), "--site", "gardne")
    assert office(*words.split(), "--site", "garden").code == 0
