"""`hub places`: the tree, and what holds at a place from when until when."""

from __future__ import annotations

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
