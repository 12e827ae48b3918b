"""Guessing the model of a payload: over every example that ships, and what is told of a guess."""

from __future__ import annotations

import pytest

from hub.authoring.guess import Guess, guesses, sentence
from hub.authoring.trace import Sent
from hub.normalize.examples import Example, example_bytes
from hub.normalize.profile import Profile
from tests.normalize.devices import CATALOGUE, PROFILES

TOLD_APART = 0.85
"""Of the first examples, when their own profile is not allowed to know them. Measured: 27 of 28; of all 274, 252. What
is confused is one vendor's common payload (Milesight's joins, ISAPI's heartbeats) or two bare Zigbee alarms."""

SAME_PAYLOAD = {"hikvision/access", "hikvision/face_terminal"}
"""Two products that send one message; the larger of two kinds reads more of it."""


def guessed(profiles: list[Profile], example: Example) -> list[Guess]:
    return guesses(profiles, CATALOGUE, Sent(payload=example_bytes(example), port=example.port))


def without(example: Example) -> list[Profile]:
    """Return the profiles, none of which knows the example."""
    return [
        profile.model_copy(update={"examples": tuple(each for each in profile.examples if each is not example)})
        for profile in PROFILES.values()
    ]


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_true_model_comes_first_or_as_good_as_the_first(name: str) -> None:
    beaten = []
    for example in PROFILES[name].examples:
        if example.expect_error is not None or example.params:
            continue
        found = guessed(list(PROFILES.values()), example)
        mine = next(guess for guess in found if guess.profile == name)
        if mine.score < found[0].score and not {name, found[0].profile} <= SAME_PAYLOAD:
            beaten.append((example.name, found[0].profile))
    assert beaten == []


def test_most_models_are_known_by_a_payload_that_nobody_has_shown_before() -> None:
    firsts = {name: profile.examples[0] for name, profile in PROFILES.items()}
    known = [name for name, example in firsts.items() if guessed(without(example), example)[0].profile == name]
    assert len(known) >= TOLD_APART * len(firsts), sorted(firsts.keys() - set(known))


def test_a_guess_says_what_speaks_for_it() -> None:
    sent = Sent(payload=bytes.fromhex("2217C8001CE3"))
    first = guesses(PROFILES.values(), CATALOGUE, sent)[0]
    assert sentence(first) == "5 of 6 fit, checksum ok, 2 of 6 unread, 100% like an example"


def test_a_profile_that_does_not_decode_says_why_and_comes_last() -> None:
    last = guesses([PROFILES["zigbee2mqtt/smoke"], PROFILES["milesight/gs524n"]], CATALOGUE, Sent(payload=b"{"))[-1]
    assert last.score < 0
    assert sentence(last).startswith("does not decode: [bad_")
