"""The kinds and profiles that ship, read once for all tests: it takes half a second."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from hub.catalogue import Catalogue
from hub.config.settings import packaged
from hub.normalize.load import load_profiles
from hub.normalize.profile import Profile


@cache
def profiles() -> tuple[Catalogue, Mapping[str, Profile]]:
    """Return them as a hub would read them; nobody changes them."""
    return load_profiles([packaged("device_profiles")])
