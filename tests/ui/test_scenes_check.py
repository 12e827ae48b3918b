"""The check of a scene: what a site lacks for it, named with what to do, as the engine itself would bind its rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
import pytest

from hub.config.settings import Settings
from hub.model.values import PlaceType, Scalar
from hub.outward.wishes import Wishes, read_wishes
from hub.registry.documents import circumstances, documents
from hub.registry.nouns import Device, Params, Place, SceneOff, Site
from hub.revisions.files import read_profiles
from hub.ui.scenes.check import Grade, check
from hub.ui.scenes.reach import Ground
from hub.ui.scenes.shelf import Known, read_shelf
from hub.ui.scenes.words import LINES

SITE = Site(id="garden", zone="Asia/Shanghai")
SETTINGS = Settings()
SHELF = read_shelf(SETTINGS)
YAML = {**read_profiles(SETTINGS), **SHELF.documents()}
TREE = (
    Place(site="garden", id="b1", type=PlaceType.BUILDING),
    Place(site="garden", id="car-1", type=PlaceType.ELEVATOR, parent="b1"),
    Place(site="garden", id="z1", type=PlaceType.FIRE_ZONE, parent="b1"),
)
ROUTES = """\
channel: duty
url_file: duty.url
---
channel: mute
---
route: lead
channels: [duty]
to: [property_lead, gas_company]
---
route: elsewhere
channels: [duty]
places: [harbour/b1]
to: [community]
---
route: nowhere
channels: [mute]
to: [community]
"""

Found = Mapping[str, Sequence[tuple[Grade, str]]]


def device(name: str, kind: str, profile: str = "", place: str = "b1") -> Device:
    return Device(site="garden", id=name, kind=kind, profile=profile, place=place)


def checked(
    name: str,
    *devices: Device,
    places: Sequence[Place] = TREE,
    known: Known | None = None,
    wishes: Wishes | None = None,
) -> Found:
    """Return what a check says: by the name of the line its grade and what was found."""
    rows = documents([SITE], places, devices) | dict(circumstances([SITE], [], [] if known is None else known.params))
    ground = Ground(SHELF.scene(name), "garden", {**YAML, **rows})
    known, wishes = known or Known(off=(), params=()), wishes or read_wishes(None, {})
    found: dict[str, list[tuple[Grade, str]]] = {}
    for line in check(ground, SHELF, known, wishes):
        found.setdefault(line.name, []).append((line.grade, line.text("en")))
        assert line.text("zh")
        assert bool(line.mend("zh")) is bool(line.mend("en")) is (line.grade is not Grade.GOOD)
    return found


def texts(found: Found, name: str) -> list[str]:
    return [text for _, text in found.get(name, ())]


def test_a_bare_site_lacks_devices_and_places_and_no_rule_can_be_true() -> None:
    found = checked("elevator", places=())
    assert {grade for name in ("no_device", "no_place", "no_rules") for grade, _ in found[name]} == {Grade.MISSING}
    assert "entrapment rests: no elevator here" in texts(found, "nobody")
    assert texts(found, "no_rules") == ["none of 16 rules can be true here"]


def test_a_furnished_one_lacks_nothing_but_who_is_told() -> None:
    lift, gas = device("lift-1", "elevator", place="car-1"), device("gas-1", "gas_detector")
    found = checked("gas", lift, gas)
    missing = {name for name, each in found.items() for grade, _ in each if grade is Grade.MISSING}
    assert missing == {"unrouted"}
    assert texts(found, "rules") == ["3 of 3 rules can be true here"]
    assert texts(found, "able") == [
        "close_valve: 1 of gas_detector can do it",
        "play_voice: 1 of elevator can do it",
    ]


def test_who_is_told_is_who_has_a_route_for_this_site_and_a_channel_with_an_address(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    (tmp_path / "duty.url").write_text("json://127.0.0.1", encoding="utf-8")
    found = checked("gas", device("gas-1", "gas_detector"), wishes=read_wishes(tmp_path, {}))
    assert texts(found, "routed") == [
        "gas_company (gas company) is told over duty",
        "property_lead (head of the property management) is told over duty",
    ]
    assert texts(found, "unrouted") == ["nobody is told as community (residents' committee)"]


def test_an_e_bike_is_seen_where_a_camera_stands_with_the_box_and_not_where_it_stands_elsewhere() -> None:
    lift = device("lift-1", "elevator", place="car-1")
    together = checked("elevator", lift, device("eye", "ai_camera", place="car-1"))
    apart = checked("elevator", lift, device("eye", "ai_camera", place="b1"))
    assert [text for text in texts(together, "unsaid") if text.startswith("ebike-in-elevator")] == []
    assert [text for text in texts(apart, "unsaid") if text.startswith("ebike-in-elevator")] == [
        "ebike-in-elevator rests: nobody here says ai_camera.ebike_confidence"
    ]


def test_a_model_that_cannot_do_or_say_something_is_named_with_the_reason_of_its_profile() -> None:
    found = checked("elevator", device("box", "elevator", "elevator_box/d_block", "car-1"))
    assert [grade for grade, text in found["unable"] if text.startswith("play_voice: box cannot: ")] == [Grade.MISSING]
    assert [text for text in texts(found, "unable") if text.startswith("hold_door: box cannot: ")] != []
    assert "entrapment" not in {text.split()[0] for text in texts(found, "unsaid")}


def test_a_board_beside_a_box_holds_the_door_for_both() -> None:
    box = device("box", "elevator", "elevator_box/d_block", "car-1")
    found = checked("elevator", box, device("board", "elevator", "ebike_board/door_hold", "car-1"))
    assert "hold_door: 1 of elevator can do it" in texts(found, "able")
    assert [text for text in texts(found, "unable") if text.startswith("hold_door")] == []


def test_a_rule_about_what_no_model_here_says_rests() -> None:
    spoken = device("pole", "charging_port", "tuya/charging_pole")
    told = "charging-smoke rests: nobody here says smoke"
    assert told in texts(checked("charging", spoken), "unsaid")
    assert "unsaid" not in checked("charging", spoken, device("pole-2", "charging_port"))


def test_a_rule_for_places_at_which_nobody_of_its_kinds_stands_rests() -> None:
    told = "fire-confirmed rests: no smoke_sensor / heat_sensor / call_point here"
    assert told in texts(checked("fire", device("gate", "access_controller")), "nobody")
    assert told not in texts(checked("fire", device("smoke-1", "smoke_sensor", place="z1")), "nobody")


def test_who_stands_where_no_rule_counts_their_word_of_danger_is_named() -> None:
    smoke, panel = device("smoke-1", "smoke_sensor", place="z1"), device("panel", "fire_panel")
    assert "uncounted" not in checked("fire", smoke, panel)
    yard = [device("panel-0", "fire_panel", place=""), device("smoke-0", "smoke_sensor", place="b1")]
    assert checked("fire", smoke, panel, *yard)["uncounted"] == [
        (Grade.RESTS, "fire-confirmed does not count smoke-0: they stand in no fire_zone"),
        (Grade.RESTS, "fire-confirmed-building does not count panel-0: they stand in no building"),
    ]


def test_an_interlock_that_nobody_can_answer_is_told_before_the_barrier_stays_up() -> None:
    gate, smoke = device("gate", "plate_reader", "hikvision/anpr"), device("smoke-1", "smoke_sensor", place="z1")
    found = checked("fire", gate, smoke)
    told = "release_barrier: gate cannot tell vehicle_present, which must be known before it is sent"
    assert found["blind"] == [(Grade.MISSING, told)]
    assert "blind" not in checked("fire", device("gate", "plate_reader"), smoke)


@pytest.mark.parametrize(
    ("names_lanes", "place", "is_told"), [(True, "lane-1", True), (False, "lane-1", False), (False, "gate-1", True)]
)
def test_a_loop_beside_a_camera_that_names_lanes_or_at_a_gate_must_speak_by_lane(
    monkeypatch: pytest.MonkeyPatch, place: str, *, names_lanes: bool, is_told: bool
) -> None:
    if not names_lanes:
        profile = orjson.loads(YAML["profile/hikvision/anpr"])
        profile["messages"] = [{**each, "part": None} for each in profile["messages"]]
        monkeypatch.setitem(YAML, "profile/hikvision/anpr", orjson.dumps(profile))
    lanes = [("gate-1", PlaceType.GATE, "b1"), ("lane-1", PlaceType.LANE, "gate-1")]
    there = [Place(site="garden", id=name, type=kind, parent=parent) for name, kind, parent in lanes]
    eye, loop = device("eye", "plate_reader", "hikvision/anpr", place), device("loop", "plate_reader", place=place)
    found = checked("fire", eye, loop, device("smoke-1", "smoke_sensor", place="z1"), places=(*TREE, *there))
    said = "release_barrier: vehicle_present counts for eye only by lane, if it watches several or stands at a gate"
    assert "blind" not in found
    assert found.get("by_part", []) == ([(Grade.RESTS, said)] if is_told else [])


def test_commands_whose_devices_are_not_there_rest() -> None:
    found = checked("fire", device("smoke-1", "smoke_sensor", place="z1"))
    assert (Grade.RESTS, "recall: there is no elevator where it would go") in found["nobody_told"]


def test_a_question_that_fits_no_site_as_it_is_is_asked_until_somebody_answers() -> None:
    lift = device("lift-1", "elevator", place="car-1")
    assert "rated_speed is still 20.0" in texts(checked("elevator", lift), "unanswered")[0]
    said = [Params(rule="overspeed-measured", site="garden", place="car-1", values={"rated": 1.75})]
    assert "unanswered" not in checked("elevator", lift, known=Known(off=(), params=said))


@pytest.mark.parametrize(
    ("scene", "params", "what"),
    [
        (
            "elevator", Params(rule="ebike-in-elevator", values={"sure": 85}, site="garden"),
            "ebike-in-elevator is set to what nobody can say: ebike_confidence is 0 to 1, never 85",
        ),
        (
            "vehicles", Params(rule="plate-review", values={"sure": 85}, site="garden", device="gate-1"),
            "plate-review is set to what nobody can say: confidence is 0 to 1, never 85",
        ),
        (
            "fire", Params(rule="camera-fire-review", values={"sure": 50}, site="garden"),
            "camera-fire-review is set to what nobody can say: confidence is 0 to 1, never 50",
        ),
    ],
)  # fmt: skip
def test_percent_where_devices_say_a_fraction_is_told(scene: str, params: Params, what: str) -> None:
    devices = device("cam-1", "ai_camera", place="car-1"), device("gate-1", "plate_reader")
    assert texts(checked(scene, *devices, known=Known(off=(), params=[params])), "beyond") == [what]
    assert texts(checked(scene, *devices), "beyond") == []


def test_a_scene_that_is_off_is_checked_as_if_it_were_on_and_fails() -> None:
    off = Known(off=[SceneOff(site="garden", scene="gas", reason="", since=1)], params=())
    found = checked("gas", device("gas-1", "gas_detector"), known=off)
    assert found["off"] == [(Grade.MISSING, "it is switched off")]
    assert texts(found, "rules") == ["3 of 3 rules can be true here"]


@pytest.mark.parametrize(("facts", "line"), [({}, "no_fact"), ({"care_watch": True}, "fact")])
def test_care_asks_for_a_dwelling_where_somebody_agreed(facts: dict[str, Scalar], line: str) -> None:
    home = Place(site="garden", id="d1", type=PlaceType.DWELLING, parent="b1", facts=facts)
    assert line in checked("care", device("button", "panic_button"), places=(*TREE, home))


@pytest.mark.parametrize("name", SHELF.scenes)
def test_every_scene_can_be_checked_at_a_bare_site_and_none_is_well_there(name: str) -> None:
    found = checked(name, places=())
    assert Grade.MISSING in {grade for each in found.values() for grade, _ in each}


def test_every_line_is_said_in_both_languages() -> None:
    assert [name for name, words in LINES.items() if words.en.isascii() is words.zh.isascii()] == []
    assert [name for name, words in LINES.items() if bool(words.mend_en) is not bool(words.mend_zh)] == []
