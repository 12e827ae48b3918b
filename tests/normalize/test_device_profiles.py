"""Laws over every device profile that ships, a case a file; the last test says that no law was asked of nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.catalogue import NUMBERS, Kind, Type, Typed, is_member
from hub.errors import PoisonError
from hub.model.heard import Handler, Reading
from hub.model.values import Scalar, Values
from hub.normalize.compile import compile_profile
from hub.normalize.examples import Example, check_example, example_bytes, expectations
from hub.normalize.handler import ProfileHandler
from hub.normalize.limits import CLOCK_HIGH_NS, CLOCK_LOW_NS, INT64_HIGH, INT64_LOW, clean_part, is_clean
from hub.normalize.payload import Format
from hub.normalize.profile import Profile
from hub.normalize.sources import each_of
from hub.yaml_documents import canonical_json, load_documents
from tests.normalize.mutations import mutated, odd_values
from tests.shipped import profiles as shipped_profiles

ROOT = Path(__file__).parent.parent.parent / "device_profiles"
CATALOGUE, PROFILES = shipped_profiles()
FILES = sorted(path for path in ROOT.rglob("*.yaml") if path.parent.name != "kinds")
EXAMPLES = [(name, example) for name, profile in PROFILES.items() for example in profile.examples]


def handler(profile: Profile, params: Mapping[str, Scalar] | None = None) -> Handler:
    return compile_profile(profile, CATALOGUE.kind(profile.kind), params or {}, "Asia/Shanghai")


def test_every_file_holds_profiles_under_their_own_name() -> None:
    documents = [(path, document) for path in FILES for document in load_documents(path)]
    named = {each.name: f"{path.parent.name}/{path.stem}" for path, each in documents if each.noun == "profile"}
    assert named == {name: name for name in PROFILES}
    fragments = {path.stem for path, each in documents if each.noun == "fragment"}
    assert fragments
    assert {stem for stem in fragments if not stem.startswith("_")} == set()


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


@pytest.mark.parametrize("name", PROFILES)
def test_the_first_example_is_the_usual_message_with_one_reading(name: str) -> None:
    """The benchmark measures the first example of each profile."""
    first = PROFILES[name].examples[0]
    assert (first.expect_error, first.readings, first.expect_partial) == (None, (), False)


@pytest.mark.parametrize("name", PROFILES)
def test_the_usual_message_comes_from_somewhere_and_every_other_says_where_from(name: str) -> None:
    sources = [example.source.strip() for example in PROFILES[name].examples]
    assert all(sources)
    assert sources[0] != "invented"


@pytest.mark.parametrize("name", PROFILES)
def test_a_model_is_called_something_in_both_languages(name: str) -> None:
    assert set(PROFILES[name].label) == {"en", "zh"}


# ------------------------------------------------------------------------------------------------------------- kinds


def typed_words(kind: Kind) -> Sequence[tuple[str, Typed]]:
    """Return each scalar of a kind, under a name that is the same where another kind means the same."""
    return [
        *kind.properties.items(),
        *((f"{name}: {key}", typed) for name, words in kind.signals.items() for key, typed in words.data.items()),
        *((f"{name}({key})", typed) for name, words in kind.commands.items() for key, typed in words.args.items()),
    ]


@pytest.mark.parametrize("name", CATALOGUE.kinds)
def test_a_name_that_kinds_share_has_one_type_and_unit(name: str) -> None:
    mine = {key: (typed.type, typed.unit) for key, typed in typed_words(CATALOGUE.kind(name))}
    for other in CATALOGUE.kinds.values():
        theirs = {key: (typed.type, typed.unit) for key, typed in typed_words(other)}
        shared = mine.keys() & theirs.keys()
        assert {key: mine[key] for key in shared} == {key: theirs[key] for key in shared}


@pytest.mark.parametrize("name", CATALOGUE.kinds)
def test_a_signal_that_kinds_share_is_an_alarm_in_all_of_them_or_in_none(name: str) -> None:
    mine = CATALOGUE.kind(name).signals
    for other in CATALOGUE.kinds.values():
        shared = mine.keys() & other.signals.keys()
        assert {key: mine[key].critical for key in shared} == {key: other.signals[key].critical for key in shared}


@pytest.mark.parametrize("name", CATALOGUE.kinds)
def test_what_people_read_of_a_kind_is_written_in_both_languages(name: str) -> None:
    kind = CATALOGUE.kind(name)
    labels = [("kind", kind.label)]
    labels += [(key, signal.label) for key, signal in kind.signals.items()]
    labels += [(key, command.label) for key, command in kind.commands.items()]
    labels += [(key, typed.label or {}) for key, typed in typed_words(kind) if ":" not in key]
    assert [key for key, label in labels if set(label) != {"en", "zh"}] == []


@pytest.mark.parametrize("name", CATALOGUE.kinds)
def test_every_number_of_a_kind_has_a_unit(name: str) -> None:
    words = typed_words(CATALOGUE.kind(name))
    assert {key for key, typed in words if typed.type in NUMBERS and typed.unit is None} == set()


# ----------------------------------------------------------------------------------------------------------- prefixes

# A text of pairs has neither length nor end: what is cut off shows only in what is missing.
UNFRAMED = {Format.TEXT, Format.FORM}
BINARY = {Format.BYTES, Format.CHANNELS}
FRAMED = [name for name, profile in PROFILES.items() if profile.payload.format not in UNFRAMED]


@pytest.mark.parametrize("name", FRAMED)
def test_a_message_that_was_cut_off_is_never_taken_for_a_whole_one(name: str) -> None:
    """Every strict prefix is a dead letter, counted as partial, or ends where a shorter message would."""
    profile = PROFILES[name]
    cut = 0
    for example in profile.examples:
        if example.expect_error is not None or example.expect_partial:
            continue
        made, whole = handler(profile, example.params), example_bytes(example)
        assert isinstance(made, ProfileHandler)
        meant = made(whole, example.port)
        for size in range(len(whole if profile.payload.format in BINARY else whole.rstrip())):
            partials = made.partials
            try:
                found = made(whole[:size], example.port)
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


# ------------------------------------------------------------------------------------------------------- any payload


MUTATIONS = 100


@pytest.mark.parametrize("name", PROFILES)
def test_any_bytes_end_in_readings_of_the_kind_or_in_a_dead_letter(name: str) -> None:
    """The checksum is left out: it would keep every other payload from what comes after it."""
    profile = PROFILES[name]
    payload = profile.payload.model_copy(update={"check": None})
    kind, made = CATALOGUE.kind(profile.kind), handler(profile.model_copy(update={"payload": payload}))
    examples = [example_bytes(example) for example in profile.examples]
    whole = next(example for example in profile.examples if example.expect_error is None and not example.params)
    before = check_example(made, whole)
    assert sum(read(kind, made, data) for each in examples for data in odd_values(each, payload.format)) > 0

    @settings(max_examples=MUTATIONS)
    @given(mutated(examples), st.none() | st.integers(0, 255))
    def ends_well(data: bytes, port: int | None) -> None:
        read(kind, made, data, port)

    ends_well()
    assert check_example(made, whole) == before


def read(kind: Kind, made: Handler, data: bytes, port: int | None = None) -> bool:
    """Return whether a payload was read; fail for what is neither clean readings nor poison."""
    try:
        found = made(data, port) if isinstance(made, ProfileHandler) else made(data)
    except PoisonError:
        return False
    assert [flaw for reading in found for flaw in flaws(kind, reading)] == []
    return True


def flaws(kind: Kind, reading: Reading) -> Sequence[str]:
    """Return what the hub must never store or judge."""
    found = misfits(kind.properties, reading.values)
    for signal in reading.signals:
        found += misfits(kind.signals[signal.name].data, signal.data)
    if reading.part is not None:
        clean_part(reading.part)
    if reading.identity is not None and not is_clean(reading.identity):
        found.append(f"identity {reading.identity!r}")
    if reading.measured_at is not None and not CLOCK_LOW_NS <= reading.measured_at < CLOCK_HIGH_NS:
        found.append(f"measured_at {reading.measured_at}")
    return found + [f"bad {name}" for name in reading.bad if name not in reading.values]


def misfits(words: Mapping[str, Typed], values: Values) -> list[str]:
    return [
        f"{name} = {value!r}"
        for name, value in values.items()
        if not is_member(words[name], value)
        or (isinstance(value, str) and not is_clean(value))
        or (words[name].type is Type.INT and not INT64_LOW <= int(value) <= INT64_HIGH)
        or (words[name].type is Type.FLOAT and (not isinstance(value, float) or abs(value) == float("inf")))
        or value != value  # noqa: PLR0124 -- nan
    ]


# ------------------------------------------------------------------------------------------------------------- counts


def test_no_law_was_asked_of_nothing() -> None:
    """A law that is parametrized over an empty list checks nothing and is green."""
    models = [path for path in FILES if path.parent.name != "networks" and not path.name.startswith("_")]
    assert len(PROFILES) == len(models)
    assert len(CATALOGUE.kinds) == len(list((ROOT / "kinds").glob("*.yaml")))
    assert min(len(EXAMPLES), len(FRAMED)) > len(PROFILES) / 2
    assert {profile.payload.format for profile in PROFILES.values()} >= UNFRAMED - {Format.FORM} | {
        Format.BYTES, Format.CHANNELS, Format.JSON, Format.XML,
    }  # fmt: skip
