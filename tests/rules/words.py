"""Names, kinds and rules that the tests of this room share."""

from __future__ import annotations

from hub.catalogue import Catalogue, Kind
from hub.model.values import Scalar
from hub.rules.expression import Name, ValueType
from hub.rules.held import Held
from hub.rules.names import Scope
from hub.rules.rule import Rule
from hub.rules.states import CompiledRule

STALE = 100
NAMES = {
    "level": Name(ValueType.NUMBER, STALE),
    "count": Name(ValueType.NUMBER),
    "flag": Name(ValueType.BOOL),
    "door": Name(ValueType.TEXT, STALE, frozenset({"open", "closed"})),
    "mode": Name(ValueType.TEXT, None, frozenset({"fire", "normal"})),
    "plate": Name(ValueType.TEXT),
}

SENSOR = Kind.model_validate(
    {
        "kind": "sensor",
        "label": {"en": "Sensor"},
        "properties": {
            "status": {"type": "enum", "values": ["normal", "alarm"], "stale_after": "50h"},
            "battery": {"type": "float", "unit": "%"},
            "pulses": {"type": "int", "unit": "1"},
            "tamper": {"type": "bool"},
            "serial": {"type": "string"},
        },
        "signals": {"button.pressed": {"label": {"en": "Pressed"}, "data": {"by": {"type": "string"}}}},
        "commands": {"silence": {"label": {"en": "Silence"}}},
    }
)
GATE = Kind.model_validate(
    {
        "kind": "gate",
        "label": {"en": "Gate"},
        "properties": {
            "door": {"type": "enum", "values": ["open", "closed"]},
            "status": {"type": "enum", "values": ["normal", "stuck"], "stale_after": "1h"},
        },
        "signals": {
            "door.forced": {"label": {"en": "Forced"}},
            "button.pressed": {"label": {"en": "Pressed"}, "data": {"by": {"type": "string"}}},
        },
        "commands": {
            "unlock": {
                "label": {"en": "Unlock"},
                "args": {"ttl": {"type": "duration"}, "times": {"type": "int", "unit": "1"}},
                "release": "lock",
            },
            "lock": {"label": {"en": "Lock"}},
        },
    }
)
CATALOGUE = Catalogue([SENSOR, GATE])

LABEL = {"en": "A test", "zh": "测试"}
RAISE = {"event": "fire.test", "severity": "high"}


def held(now: int = 0, /, **values: Scalar) -> Held:
    """Return a twin that took ``values`` at the awake time ``now``."""
    return Held(values=values, awake=now)


def rule(**words: object) -> Rule:
    """Return a rule on sensors; ``words`` as in YAML, with ``for_`` for ``for``."""
    plain = {word.rstrip("_"): value for word, value in words.items()}
    return Rule.model_validate({"rule": "test", "label": LABEL, "for_each": "sensor", "raise": RAISE, **plain})


def compiled(**words: object) -> CompiledRule:
    """Return a rule at work on :data:`NAMES`."""
    return CompiledRule(rule(**words), Scope([], NAMES))
