"""Small kinds and profiles for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hub.catalogue import Kind
from hub.errors import PoisonError
from hub.model.heard import Reading
from hub.model.values import Scalar
from hub.normalize.compile import compile_profile
from hub.normalize.profile import Profile

SENSOR = Kind.model_validate(
    {
        "kind": "sensor",
        "label": {"en": "Sensor"},
        "properties": {
            "temperature": {"type": "float", "unit": "Cel", "range": [-40, 85]},
            "count": {"type": "int", "unit": "1", "range": [0, 100]},
            "total": {"type": "int", "unit": "1"},
            "lit": {"type": "bool"},
            "text": {"type": "string"},
            "mode": {"type": "enum", "values": ["on", "off", "fire"], "critical": ["fire"]},
        },
        "signals": {
            "access.denied": {
                "label": {"en": "Denied"},
                "data": {"reason": {"type": "enum", "values": ["card", "time"]}, "tries": {"type": "int", "unit": "1"}},
            },
            "access.granted": {"label": {"en": "Granted"}},
            "door.forced": {"label": {"en": "Forced"}, "critical": True},
            "gate.forced": {"label": {"en": "Forced"}},
        },
    }
)


def profile(**words: object) -> Profile:
    """Return a JSON profile of a sensor; ``words`` replace or add."""
    return Profile.model_validate(
        {
            "profile": "test/sensor",
            "version": "1.0.0",
            "kind": "sensor",
            "label": {"en": "Sensor"},
            "payload": {"format": "json"},
            "time": {"from": "none"},
            **words,
        }
    )


def read(
    data: bytes, *, installed: Mapping[str, Scalar] | None = None, site_zone: str = "Asia/Shanghai", **words: object
) -> Reading:
    """Return the one reading that a profile of ``words`` makes of a payload."""
    (reading,) = compile_profile(profile(**words), SENSOR, installed or {}, site_zone)(data)
    return reading


def refusal(data: bytes, **words: Any) -> PoisonError:  # noqa: ANN401 -- the words of a profile
    """Return why a payload is refused."""
    with pytest.raises(PoisonError) as caught:
        read(data, **words)
    return caught.value
