"""The README of the profiles: its meter checks, holds and comes in by its network, and what it points at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.config.settings import packaged
from hub.normalize.networks.load import load_networks
from tests.house.rooms import HOUSE
from tests.ui.conftest import Cli
from tests.ui.profiles import Profiles

TEXT = (HOUSE / "device_profiles" / "README.md").read_text(encoding="utf-8")
_, METER, NETWORK = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
ROWS = re.findall(r"^\|[^|]+\|([^|]+)\|([^|]+)\|$", TEXT, re.MULTILINE)
POINTED = [(words, name) for words, last in ROWS for name in re.findall(r"`([a-z_]+/[a-z0-9_-]+)`", last)]


@pytest.fixture
def profiles(cli: Cli, tmp_path: Path) -> Profiles:
    return Profiles(cli, tmp_path)


def test_the_meter_of_the_readme_checks_and_every_word_of_it_is_shown_by_an_example(profiles: Profiles) -> None:
    profiles.write(METER, "acme/nb15")
    assert profiles("check", "acme/nb15", "--json").document() == []
    (row,) = profiles("test", "acme/nb15", "--json").document()
    assert (row["failed"], row["untouched"]) == ({}, [])


def test_its_network_is_one(tmp_path: Path) -> None:
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "acme.yaml").write_text(NETWORK, encoding="utf-8")
    assert "acme" in load_networks([packaged("device_profiles"), tmp_path])


@pytest.mark.parametrize(("words", "name"), POINTED)
def test_a_profile_that_is_named_uses_the_words_that_it_is_named_for(words: str, name: str) -> None:
    shipped = (HOUSE / "device_profiles" / f"{name}.yaml").read_text(encoding="utf-8")
    named = {word for text in re.findall(r"`([^`]*)`", words) for word in re.findall(r"[a-z_]+(?=:)|^[a-z_]+$", text)}
    used = {word for word in named if re.search(rf"\b{word}:|\b{word}\b", shipped)}
    assert used, (name, named)
