"""Where something is, in words."""

from __future__ import annotations

from hub.model import Event, PlaceType, Severity, Transition
from hub.registry.nouns import Place, Site
from hub.ui.atlas import Atlas


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
