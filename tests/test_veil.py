"""The veil: what is personal is masked, wherever it stands; what is not stays readable."""

from __future__ import annotations

import pytest

from hub.catalogue import Kind
from hub.model.values import Scalar
from hub.revisions.files import shipped_kinds
from hub.rules.intervals import Between
from hub.veil import Veil, masked, masked_plates

RADAR = Kind.model_validate(
    {
        "kind": "bed_radar",
        "label": {"en": "Bed"},
        "properties": {"pulse": {"type": "float", "unit": "/min", "personal": True}, "in_bed": {"type": "bool"}},
    }
)


def veil(*, lifted: bool = False) -> Veil:
    return Veil([*shipped_kinds(), RADAR], lifted=lifted)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("鲁B12345", "鲁B12**5"), ("鲁BD12345", "鲁BD12**5"), ("00123457", "00***7"), ("abcd", "a***"), ("", "***")],
)
def test_a_masked_value_is_known_again_and_not_learned(value: str, shown: str) -> None:
    assert masked(value) == shown


@pytest.mark.parametrize("plate", ["鲁B12345", "鲁BD12345", "鲁B·12345", "鲁B 12345", "鲁B1234挂", "粤Z1234港"])
def test_a_plate_is_masked_in_any_text_however_it_is_written(plate: str) -> None:
    shown = masked_plates(f"seen at the gate: {plate}, twice")
    assert (plate in shown, shown.startswith(f"seen at the gate: {plate[:2]}"), shown[-7:]) == (False, True, ", twice")


@pytest.mark.parametrize(
    ("name", "said", "shown"),
    [
        ("plate", "鲁B12345", "鲁B12**5"),
        ("plate_reader__plate", "鲁B12345", "鲁B12**5"),
        ("card", 8844221133, "88***3"),
        ("pulse", 72.5, "***"),
        ("pulse", 72, "***"),
        ("in_bed", True, True),
        ("comment", "call 鲁B12345", "call 鲁B12**5"),
        ("comment", "call at 7", "call at 7"),
        ("count", 8844221133, 8844221133),
    ],
)
def test_what_kinds_call_personal_is_masked_under_its_name(name: str, said: Scalar, shown: Scalar) -> None:
    assert veil().scalar(name, said) == shown
    assert veil().data({name: said}) == {name: shown}
    assert veil(lifted=True).scalar(name, said) == said


def test_of_a_number_that_is_personal_not_even_its_bounds_are_seen() -> None:
    bounds = Between(60.0, 80.0)
    assert (veil().value("pulse", bounds), veil().value("temperature", bounds)) == ("***", bounds)
    assert (veil().value("pulse", None), veil(lifted=True).value("pulse", bounds)) == (None, bounds)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plate == 'X7-4711' and direction == 'in'", "plate == 'X7***1' and direction == 'in'"),
        ("away or plate_reader__plate != 'X7-4711'", "away or plate_reader__plate != 'X7***1'"),
        ("card in ('8844221133', '8844221134')", "card in ('88***3', '88***4')"),
        ("'8844221133' == card", "'88***3' == card"),
        ("plate != 'none' and plate in list('block')", "plate != 'none' and plate in list('block')"),
        ("$away and card == '8844221133'", "$away and card == '88***3'"),
        ("(card == '8844221133') unless (away)", "(card == '***') unless (away)"),
        ("door == 'open'", "door == 'open'"),
        ("the card's owner isn't here", "the card's owner isn't here"),
        ("名单 == '鲁B12345'", "名单 == '鲁B12**5'"),
    ],
)  # fmt: skip
def test_whoever_is_named_in_an_expression_is_masked_there(text: str, shown: str) -> None:
    assert veil().text(text) == shown
    assert veil(lifted=True).text(text) == text


def test_the_words_of_a_rule_name_nobody_at_any_depth() -> None:
    words = {"when": "card == '8844221133'", "do": [{"args": {"plate": "鲁B12345", "ttl": 5}}], "label": None}
    shown = {"when": "card == '88***3'", "do": [{"args": {"plate": "鲁B12**5", "ttl": 5}}], "label": None}
    assert veil().document(words) == shown
    assert veil(lifted=True).document(words) == words


def test_a_payload_of_a_kind_that_tells_of_persons_or_of_none_that_is_known_is_hidden() -> None:
    hidden = [
        kind for kind in ("bed_radar", "plate_reader", "nobody_knows", None, "smoke_sensor") if veil().hides(kind)
    ]
    assert hidden == ["bed_radar", "plate_reader", "nobody_knows", None]
    assert not veil(lifted=True).hides(None)
