"""Profiles written in a test for the kinds that ship: what a payload means, in a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hub.errors import ConfigError, PoisonError
from hub.model.heard import Reading
from hub.model.values import Scalar
from hub.normalize.compile import compile_profile
from hub.normalize.handler import ProfileHandler
from hub.normalize.profile import Profile
from tests.shipped import profiles as shipped_profiles

ROOT = Path(__file__).parent.parent.parent / "device_profiles"
CATALOGUE, PROFILES = shipped_profiles()


def model(kind: str, /, **words: object) -> Profile:
    """Return a profile of ``kind``; a device without a clock unless ``words`` say otherwise."""
    head = {"profile": "test/model", "version": "1.0.0", "kind": kind, "label": {"en": "Model"}}
    return Profile.model_validate({**head, "time": {"from": "none"}, **words})


def handler(kind: str, installed: Mapping[str, Scalar] | None = None, /, **words: object) -> ProfileHandler:
    """Return the handler of such a profile on a device in Shanghai, with the parameters ``installed`` there."""
    made = compile_profile(model(kind, **words), CATALOGUE.kind(kind), installed or {}, "Asia/Shanghai")
    assert isinstance(made, ProfileHandler)
    return made


def readings(kind: str, data: bytes, /, **words: object) -> Sequence[Reading]:
    """Return what such a profile makes of a payload."""
    return handler(kind, **words)(data)


def reading(kind: str, data: bytes, /, **words: object) -> Reading:
    """Return the one reading of a payload."""
    (found,) = readings(kind, data, **words)
    return found


def poison(kind: str, data: bytes, /, **words: object) -> str:
    """Return the code of the error that a payload is."""
    with pytest.raises(PoisonError) as caught:
        readings(kind, data, **words)
    return caught.value.code


def mistake(kind: str, /, **words: object) -> str:
    """Return the code of the error that a profile is."""
    with pytest.raises(ConfigError) as caught:
        handler(kind, **words)
    return caught.value.code
