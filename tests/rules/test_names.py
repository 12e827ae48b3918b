"""What a rule may speak of: its kinds, and the names that they share."""

from __future__ import annotations

import pytest

from hub.catalogue import Kind
from hub.errors import ConfigError
from hub.rules.expression import Name, ValueType
from hub.rules.names import kinds_of, names_of
from tests.rules.words import CATALOGUE, GATE, SENSOR, rule

HOUR = 3_600_000_000_000


def test_a_rule_concerns_the_kind_that_it_names() -> None:
    assert kinds_of(rule(when="tamper"), CATALOGUE) == [SENSOR]


def test_a_signal_of_a_part_concerns_every_kind_that_reports_it() -> None:
    part = {"part": "door"}
    assert kinds_of(rule(on_signal="button.pressed", for_each=part), CATALOGUE) == [SENSOR, GATE]
    assert kinds_of(rule(on_signal="door.forced", for_each=part), CATALOGUE) == [GATE]


@pytest.mark.parametrize(
    ("words", "code", "path", "hint"),
    [
        ({"when": "tamper", "for_each": "sensr"}, "unknown_kind", ("for_each", "kind"), "did you mean sensor?"),
        ({"on_signal": "door.forced"}, "unknown_signal", ("on_signal",), "known: button.pressed"),
        ({"on_signal": "door.force", "for_each": {"part": "door"}}, "unknown_signal", ("on_signal",), "door.forced?"),
    ],
)
def test_what_nobody_is_or_reports_is_refused_where_it_stands(
    words: dict[str, object], code: str, path: tuple[str, ...], hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        kinds_of(rule(**words), CATALOGUE)
    assert (caught.value.code, caught.value.fields["path"]) == (code, path)
    assert hint in caught.value.hint


def test_names_are_the_properties_of_the_kind() -> None:
    assert names_of([SENSOR]) == {
        "battery": Name(ValueType.NUMBER),
        "pulses": Name(ValueType.NUMBER),
        "serial": Name(ValueType.TEXT),
        "status": Name(ValueType.TEXT, 50 * HOUR, frozenset({"normal", "alarm"})),
        "tamper": Name(ValueType.BOOL),
    }


def test_what_several_kinds_have_may_be_any_of_their_words_and_lives_the_shortest_life() -> None:
    names = names_of([SENSOR, GATE])
    assert names["status"] == Name(ValueType.TEXT, HOUR, frozenset({"normal", "alarm", "stuck"}))
    assert names.keys() == {*SENSOR.properties, *GATE.properties}


def test_a_name_that_is_a_number_of_one_kind_and_a_text_of_another_is_none() -> None:
    said = {"status": {"type": "int", "unit": "1"}}
    other = Kind.model_validate({"kind": "other", "label": {"en": "Other"}, "properties": said})
    assert "status" not in names_of([SENSOR, other])


def test_a_rule_concerns_each_of_the_kinds_that_it_names() -> None:
    assert kinds_of(rule(when="tamper", for_each={"kind": ["sensor", "gate"]}), CATALOGUE) == [SENSOR, GATE]
    with pytest.raises(ConfigError, match="no kind 'gat'"):
        kinds_of(rule(when="tamper", for_each={"kind": ["sensor", "gat"]}), CATALOGUE)
