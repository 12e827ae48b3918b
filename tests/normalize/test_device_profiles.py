"""Laws over every device profile that ships: examples with a source that hold, units, the way to the journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hub.catalogue import NUMBERS
from hub.errors import PoisonError
from hub.model import Handler, Reading, Scalar
from hub.normalize.compile import compile_profile
from hub.normalize.examples import Example, check_example, example_bytes, expectations
from hub.normalize.handler import ProfileHandler
from hub.normalize.load import load_profiles
from hub.normalize.payload import Format
from hub.normalize.profile import Profile
from hub.normalize.sources import each_of
from hub.yaml_documents import canonical_json, load_documents

ROOT = Path(__file__).parent.parent.parent / "device_profiles"
CATALOGUE, PROFILES = load_profiles([ROOT])
FILES = sorted(path for path in ROOT.rglob("*.yaml") if path.parent.name != "kinds")
EXAMPLES = [(name, example) for name, profile in PROFILES.items() for example in profile.examples]


def handler(profile: Profile, params: Mapping[str, Scalar] | None = None) -> Handler:
    return compile_profile(profile, CATALOGUE.kind(profile.kind), params or {}, "Asia/Shanghai")


def test_every_file_holds_profiles_under_their_own_name() -> None:
    documents = [(path, document) for path in FILES for document in load_documents(path)]
    named = {each.name: f"{path.parent.name}/{path.stem}" for path, each in documents if each.noun == "profile"}
    assert named == {name: name for name in PROFILES}
    fragments = {each.name: path.name for path, each in documents if each.noun == "fragment"}
    assert fragments == {"milesight/common": "_common.yaml"}


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_has_an_example_that_works_and_one_that_does_not(name: str) -> None:
    outcomes = {example.expect_error is None for example in PROFILES[name].examples}
    assert outcomes == {True, False}


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[f"{name}: {each.name}" for name, each in EXAMPLES])
def test_an_example_holds(name: str, example: Example) -> None:
    assert check_example(handler(PROFILES[name], example.params), example) == []


@pytest.mark.parametrize("name", PROFILES)
def test_example_names_are_unique(name: str) -> None:
    names = [example.name for example in PROFILES[name].examples]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("name", PROFILES)
def test_every_property_and_signal_of_a_profile_is_seen_in_an_example(name: str) -> None:
    profile = PROFILES[name]
    promised = {key for shape in profile.shapes for key in (*shape.names, *shape.signals)}
    readings = [reading for example in profile.examples for reading in expectations(example)]
    seen = {key for reading in readings for key in reading.expect}
    seen |= {signal.name for reading in readings for signal in reading.expect_signals}
    assert promised - seen == set()


@pytest.mark.parametrize("name", PROFILES)
def test_a_number_of_bytes_says_its_unit(name: str) -> None:
    profile = PROFILES[name]
    properties = CATALOGUE.kind(profile.kind).properties
    sources = [
        (key, source)
        for shape in profile.shapes
        for key, found in shape.properties.items()
        for source in each_of(found)
    ]
    fields = [pair for shape in profile.shapes for channel in shape.channels.values() for pair in channel.items()]
    silent = {key for key, source in [*sources, *fields] if properties[key].type in NUMBERS and source.unit is None}
    assert silent == set()


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_reads_back_from_the_journal_and_means_the_same(name: str) -> None:
    profile = Profile.model_validate_json(canonical_json(PROFILES[name]))
    assert profile == PROFILES[name]
    found = [check_example(handler(profile, example.params), example) for example in profile.examples]
    assert found == [[]] * len(found)


@pytest.mark.parametrize("name", PROFILES)
def test_a_device_without_a_clock_says_so_and_one_with_a_clock_shows_it(name: str) -> None:
    profile = PROFILES[name]
    assert profile.time is not None or profile.payload.format is Format.NATIVE
    clocks = [profile.time, *(shape.time for shape in profile.shapes)]
    has_clock = any(clock is not None and clock.sources for clock in clocks)
    readings = [reading for example in profile.examples for reading in expectations(example)]
    assert has_clock == any(reading.expect_time for reading in readings)


def test_an_example_that_does_not_hold_is_told_in_sentences() -> None:
    profile = PROFILES["milesight/gs524n"]
    fire = next(example for example in profile.examples if example.name == "fire")
    wrong = fire.model_copy(update={"expect": {"status": "normal"}, "expect_part": "door-1"})
    values = (
        "{'status': 'alarm', 'alarm': True, 'testing': False, 'battery': 100.0, 'concentration': 50.0, "
        "'temperature': 31.0}"
    )
    assert check_example(handler(profile), wrong) == [
        f"values: expected {{'status': 'normal'}}, got {values}",
        "part: expected 'door-1', got None",
    ]
    assert check_example(handler(profile), fire.model_copy(update={"expect_error": "bad_length"})) == [
        "error: expected bad_length, got 1 readings"
    ]


# A text of pairs has neither length nor end: what is cut off shows only in what is missing.
UNFRAMED = {"zkteco/c3-400-text"}


@pytest.mark.parametrize("name", sorted(PROFILES.keys() - UNFRAMED))
def test_a_message_that_was_cut_off_is_never_taken_for_a_whole_one(name: str) -> None:
    """Every strict prefix is a dead letter, counted as partial, or ends where a shorter message would."""
    profile = PROFILES[name]
    cut = 0
    for example in profile.examples:
        if example.expect_error is not None or example.expect_partial:
            continue
        made, whole = handler(profile, example.params), example_bytes(example)
        assert isinstance(made, ProfileHandler)
        meant = made(whole)
        for size in range(len(whole.rstrip())):
            partials = made.partials
            try:
                found = made(whole[:size])
            except PoisonError:
                cut += 1
                continue
            cut += made.partials > partials
            if made.partials == partials:
                assert is_shorter_message(profile, whole[:size], found, meant)
    assert cut > 0


def is_shorter_message(profile: Profile, data: bytes, found: Sequence[Reading], whole: Sequence[Reading]) -> bool:
    """Return whether ``data`` ends between two channels or records, and says no more than the whole."""
    records = profile.payload.records
    is_open = profile.payload.format is Format.CHANNELS or (
        records is not None and isinstance(records.size, int) and len(data) % records.size == 0
    )
    return is_open and all(
        short.values.items() <= meant.values.items() and short.part == meant.part
        for short, meant in zip(found, whole, strict=False)
    )


@pytest.mark.parametrize("name", PROFILES)
def test_the_first_example_is_the_usual_message_with_one_reading(name: str) -> None:
    """The benchmark measures the first example of each profile."""
    first = PROFILES[name].examples[0]
    assert (first.expect_error, first.readings, first.expect_partial) == (None, (), False)
