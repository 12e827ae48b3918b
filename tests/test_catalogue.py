"""Laws over the kinds: one name has one meaning, every number a unit, every label both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from hub.catalogue import NUMBERS, Catalogue, Interlock, Kind, Property, Type, is_member
from hub.errors import ConfigError
from hub.normalize.units import UNITS
from hub.yaml_documents import canonical_json, load_documents
from tests.shipped import profiles as shipped_profiles

ROOT = Path(__file__).parent.parent / "device_profiles"
CATALOGUE, _ = shipped_profiles()
KINDS = sorted(CATALOGUE.kinds)


def kind(**words: object) -> Kind:
    return Kind.model_validate({"kind": "lamp", "label": {"en": "Lamp"}, **words})


def number(unit: str) -> dict[str, object]:
    return {"type": "float", "unit": unit}


def test_the_house_knows_these_kinds() -> None:
    assert KINDS == [
        "access_controller", "ai_camera", "call_point", "care_radar", "charging_port", "door_contact", "elevator",
        "environment_sensor", "face_terminal", "fire_panel", "gas_detector", "heat_sensor", "leak_sensor",
        "manhole", "panic_button", "plate_reader", "smoke_sensor", "water_meter",
    ]  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_stands_in_a_file_of_its_name(name: str) -> None:
    (document,) = load_documents(ROOT / "kinds" / f"{name}.yaml")
    assert (document.noun, document.name) == ("kind", name)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_devices_names_its_default_rules(name: str) -> None:
    rules = CATALOGUE.kind(name).rules
    assert len(set(rules)) == len(rules)
    assert bool(rules) == (name != "environment_sensor")  # nothing that it measures is a hazard by itself


def test_a_critical_value_is_of_the_type_of_its_property() -> None:
    odd = [
        (kind.kind, name)
        for kind in CATALOGUE.kinds.values()
        for name, prop in kind.properties.items()
        if not all(is_member(prop, value) for value in prop.critical)
    ]
    assert odd == []


def test_fields_of_signals_that_share_a_name_share_a_type() -> None:
    shapes: dict[tuple[str, str], set[tuple[str, str | None]]] = {}
    for each in CATALOGUE.kinds.values():
        for signal, found in each.signals.items():
            for name, field in found.data.items():
                shapes.setdefault((signal, name), set()).add((field.type.value, field.unit))
    assert {key: shape for key, shape in shapes.items() if len(shape) > 1} == {}


def test_a_recall_and_a_gas_valve_are_undone_by_a_person_who_stands_there() -> None:
    assert CATALOGUE.kind("elevator").commands["recall"].release is None
    assert CATALOGUE.kind("gas_detector").commands["close_valve"].release is None
    assert CATALOGUE.kind("elevator").commands["hold_door"].release == "release_door"


@pytest.mark.parametrize("name", KINDS)
def test_every_numeric_property_has_a_unit_that_we_can_convert(name: str) -> None:
    numeric = {key: prop.unit for key, prop in CATALOGUE.kind(name).properties.items() if prop.type in NUMBERS}
    assert {key: unit for key, unit in numeric.items() if unit not in UNITS} == {}


@pytest.mark.parametrize("name", KINDS)
def test_every_label_is_in_english_and_chinese(name: str) -> None:
    found = CATALOGUE.kind(name)
    labels = [found.label]
    labels += [prop.label or {} for prop in found.properties.values()]
    labels += [signal.label for signal in found.signals.values()]
    labels += [command.label for command in found.commands.values()]
    assert [label for label in labels if set(label) != {"en", "zh"}] == []


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_reads_back_from_its_canonical_json(name: str) -> None:
    found = CATALOGUE.kind(name)
    assert Kind.model_validate_json(canonical_json(found)) == found


def test_the_smoke_rule_finds_its_words() -> None:
    assert "alarm" in CATALOGUE.kind("smoke_sensor").properties["status"].values
    assert "closed" in CATALOGUE.kind("access_controller").properties["door"].values
    assert "door.forced" in CATALOGUE.kind("access_controller").signals
    assert CATALOGUE.kind("access_controller").commands["unlock"].release == "lock"


def test_two_kinds_may_share_a_property_of_one_type_and_unit() -> None:
    shared = {"properties": {"battery": number("%")}}
    assert set(Catalogue([kind(**shared), kind(kind="bell", **shared)]).kinds) == {"lamp", "bell"}


@pytest.mark.parametrize("other", [number("V"), {"type": "int", "unit": "%"}, {"type": "bool"}])
def test_two_kinds_may_not_mean_different_things_by_one_name(other: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        Catalogue([kind(properties={"battery": number("%")}), kind(kind="bell", properties={"battery": other})])
    assert caught.value.code == "property_disagrees"


def test_an_unknown_kind_is_suggested() -> None:
    with pytest.raises(ConfigError) as caught:
        CATALOGUE.kind("smoke_senser")
    assert (caught.value.code, caught.value.hint) == ("unknown_kind", "did you mean 'smoke_sensor'?")


@pytest.mark.parametrize(
    "words",
    [
        {"type": "enum"},
        {"type": "bool", "values": ["on"]},
        {"type": "float"},
        {"type": "bool", "unit": "%"},
        {"type": "string", "range": [0, 1]},
        {"type": "float", "unit": "%", "range": [100, 0]},
        {"type": "enum", "values": ["on"], "critical": ["off"]},
        {"type": "duration"},
        {"type": "bool", "colour": "red"},
        {"type": "bool", "stale_after": "50"},
    ],
)
def test_a_property_that_makes_no_sense_is_refused(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Property.model_validate(words)


@pytest.mark.parametrize("name", ["site", "device", "time", "in", "Battery", "battery-level", "1st"])
def test_a_property_name_that_tags_or_expressions_use_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        kind(properties={name: {"type": "bool"}})


def test_the_measurement_of_events_is_no_kind() -> None:
    with pytest.raises(ValidationError):
        kind(kind="event", properties={"lit": {"type": "bool"}})


def test_a_command_is_released_by_a_command_of_its_kind() -> None:
    with pytest.raises(ValidationError):
        kind(properties={"lit": {"type": "bool"}}, commands={"hold": {"label": {"en": "Hold"}, "release": "let_go"}})


def test_an_argument_may_be_a_duration() -> None:
    assert CATALOGUE.kind("access_controller").commands["unlock"].args["ttl"].type is Type.DURATION


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"never": "lit", "because": {"en": "it burns"}}, "because is said in zh too"),
        ({"never": "lit", "because": {"zh": "亮着"}}, "because is said in en too"),
        ({"never": "lit", "fresh": "1m", "because": {"en": "it burns", "zh": "亮着"}}, "fresh is for only"),
    ],
)
def test_an_interlock_tells_people_why_in_both_languages_and_is_fresh_only_where_something_must_be_known(
    words: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        Interlock.model_validate(words)
