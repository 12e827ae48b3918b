"""Distances and words: known ones, and what nobody knows."""

from __future__ import annotations

import pytest

from hub.city.chart import CityChart, position_of
from hub.model.values import Scalar

CHART = CityChart(
    sites={"qingdao": (120.3826, 36.0671), "jiaozhou": (120.0335, 36.2646), "antipode": (-59.6174, -36.0671)},
    labels={("garden", "garden"): {"en": "Garden", "zh": "花园小区"}, ("garden", "b3"): {"zh": "3号楼"}},
    stands={("garden", "gate-1"): "b3", ("garden", "gate-2"): ""},
)


def test_the_great_circle_is_as_long_as_others_measure_it() -> None:
    # Vincenty's inverse formula on the WGS 84 ellipsoid: 38,299.6 m; the sphere differs from it by up to 0.5 %.
    assert CHART.metres("qingdao", "jiaozhou") == pytest.approx(38_299.6, rel=0.005)
    assert CHART.metres("qingdao", "qingdao") == 0
    assert CHART.metres("qingdao", "antipode") == pytest.approx(20_015_115, rel=0.001)


def test_nobody_knows_how_far_it_is_to_a_site_that_lies_nowhere() -> None:
    assert CHART.metres("qingdao", "garden") is None
    assert (CHART.knows("garden"), CHART.knows("qingdao")) == (False, True)


def test_places_are_called_as_people_call_them() -> None:
    assert CHART.words("garden", "gate-1", "zh") == "花园小区 3号楼 gate-1"
    assert CHART.words("garden", "gate-1", "en") == "Garden b3 gate-1"
    assert CHART.words("garden", "gate-2", "zh") == "花园小区 gate-2"
    assert CHART.words("court", "gate-9", "zh") == "court gate-9"


@pytest.mark.parametrize(
    ("facts", "position"),
    [
        ({"longitude": 120.4, "latitude": 36}, (120.4, 36.0)),
        ({"longitude": 120.4}, None),
        ({"longitude": "120.4", "latitude": "36"}, None),
        ({"longitude": True, "latitude": True}, None),
        ({"longitude": 36.1, "latitude": 120.4}, None),
    ],
)
def test_facts_say_where_a_site_lies_or_nothing(facts: dict[str, Scalar], position: tuple[float, float] | None) -> None:
    assert position_of(facts) == position
