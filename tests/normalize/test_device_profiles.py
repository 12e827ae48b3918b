"""Laws over every device profile that ships: examples with a source that hold, units, the way to the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.catalogue import NUMBERS
from hub.model import Handler
from hub.normalize.compile import compile_profile
from hub.normalize.examples import Example, check_example
from hub.normalize.load import load_profiles
from hub.normalize.profile import Format, Profile
from hub.yaml_documents import canonical_json, load_documents

ROOT = Path(__file__).parent.parent.parent / "device_profiles"
CATALOGUE, PROFILES = load_profiles([ROOT])
FILES = sorted(path for path in ROOT.rglob("*.yaml") if path.parent.name != "kinds")
EXAMPLES = [(name, example) for name, profile in PROFILES.items() for example in profile.examples]


def handler(profile: Profile) -> Handler:
    return compile_profile(profile, CATALOGUE.kind(profile.kind), {}, "Asia/Shanghai")


def test_every_file_holds_profiles_under_their_own_name() -> None:
    named = {document.name: f"{path.parent.name}/{path.stem}" for path in FILES for document in load_documents(path)}
    assert named == {name: name for name in PROFILES}
    assert len(named) == 2


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_has_an_example_that_works_and_one_that_does_not(name: str) -> None:
    outcomes = {example.expect_error is None for example in PROFILES[name].examples}
    assert outcomes == {True, False}


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[f"{name}: {each.name}" for name, each in EXAMPLES])
def test_an_example_holds(name: str, example: Example) -> None:
    assert check_example(handler(PROFILES[name]), example) == []


@pytest.mark.parametrize("name", PROFILES)
def test_example_names_are_unique(name: str) -> None:
    names = [example.name for example in PROFILES[name].examples]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("name", PROFILES)
def test_every_property_and_signal_of_a_profile_is_seen_in_an_example(name: str) -> None:
    profile = PROFILES[name]
    promised = {key for shape in profile.shapes for key in (*shape.properties, *shape.signals)}
    seen = {key for example in profile.examples for key in example.expect}
    seen |= {signal.name for example in profile.examples for signal in example.expect_signals}
    assert promised - seen == set()


@pytest.mark.parametrize("name", PROFILES)
def test_a_number_of_bytes_says_its_unit(name: str) -> None:
    profile = PROFILES[name]
    properties = CATALOGUE.kind(profile.kind).properties
    silent = {
        key
        for shape in profile.shapes
        for key, source in shape.properties.items()
        if properties[key].type in NUMBERS and source.unit is None
    }
    assert silent == set()


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_reads_back_from_the_journal_and_means_the_same(name: str) -> None:
    profile = Profile.model_validate_json(canonical_json(PROFILES[name]))
    assert profile == PROFILES[name]
    again = handler(profile)
    assert [problem for example in profile.examples for problem in check_example(again, example)] == []


@pytest.mark.parametrize("name", PROFILES)
def test_a_device_without_a_clock_says_so_and_one_with_a_clock_shows_it(name: str) -> None:
    profile = PROFILES[name]
    assert profile.time is not None or profile.payload.format is Format.NATIVE
    has_clock = profile.time is not None and bool(profile.time.sources)
    assert has_clock == any(example.expect_time for example in profile.examples)


def test_an_example_that_does_not_hold_is_told_in_sentences() -> None:
    profile = PROFILES["milesight/gs524n"]
    fire = next(example for example in profile.examples if example.name == "fire")
    wrong = fire.model_copy(update={"expect": {"status": "normal"}, "expect_part": "door-1"})
    values = "{'status': 'alarm', 'battery': 100.0, 'concentration': 50.0, 'temperature': 31.0}"
    assert check_example(handler(profile), wrong) == [
        f"values: expected {{'status': 'normal'}}, got {values}",
        "part: expected 'door-1', got None",
    ]
    assert check_example(handler(profile), fire.model_copy(update={"expect_error": "bad_length"})) == [
        "error: expected bad_length, got 1 readings"
    ]
