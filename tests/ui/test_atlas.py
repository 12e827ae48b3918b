"""Where something is, in words."""

from __future__ import annotations

from hub.model.effects import Event, Transition, Where
from hub.model.values import PlaceType, Severity
from hub.registry.nouns import Place, Site
from hub.ui.atlas import Atlas
from hub.ui.words import place


def test_what_is_about_a_place_is_told_with_the_way_to_it() -> None:
    places = [
        Place(site="garden", id="b1", type=PlaceType.BUILDING, parent="garden", label={"zh": "一号楼"}),
        Place(site="garden", id="lift-2", type=PlaceType.ELEVATOR, parent="b1", label={"zh": "二号梯"}),
    ]
    atlas = Atlas([Site(id="garden", zone="Asia/Shanghai", label={"zh": "花园"})], places)
    event = Event(
        id="1", name="elevator.entrapment", severity=Severity.CRITICAL, transition=Transition.RAISED, time=0,
        key="garden/@lift-2", rule="entrapment", rule_version="1", site="garden", building="b1",
    )  # fmt: skip
    assert atlas.place(event) == "花园 › 一号楼 › 二号梯"


def test_a_place_tells_its_name_where_no_registry_is_at_hand() -> None:
    event = Event(
        id="1", name="elevator.entrapment", severity=Severity.CRITICAL, transition=Transition.RAISED, time=0,
        key="garden/@lift-2", rule="entrapment", rule_version="1", site="garden", building="b1",
        place=Where("lift-2", "elevator", {"zh": "二号梯", "en": "Lift 2"}),
    )  # fmt: skip
    assert place(event) == "garden › b1 › 二号梯 / Lift 2"


def test_what_is_about_a_value_is_told_by_the_beginning_of_its_pseudonym() -> None:
    event = Event(
        id="1", name="access.card_denied", severity=Severity.LOW, transition=Transition.RAISED, time=0,
        key="garden/@garden#3fa9c1d2e4", rule="card-denied", rule_version="1", site="garden", part="3fa9c1d2e4",
    )  # fmt: skip
    site = Site(id="garden", zone="Asia/Shanghai", label={"zh": "花园"})
    assert Atlas([site], []).place(event) == "花园 › #3fa9c1d2"
