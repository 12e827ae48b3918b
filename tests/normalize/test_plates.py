"""Plates: the colour before a Chinese plate goes, and only that."""

from __future__ import annotations

import pytest

from hub.normalize.plates import plate_cn


@pytest.mark.parametrize(
    ("written", "plate"),
    [
        ("蓝浙AX2P12", "浙AX2P12"),
        ("绿鲁BD12345", "鲁BD12345"),
        ("黄绿粤AD12345", "粤AD12345"),
        ("黑黑A12345", "黑A12345"),
        ("黑A12345", "黑A12345"),
        ("黑粤Z12345港", "粤Z12345港"),
        ("白鲁B1234警", "鲁B1234警"),
        ("黄鲁B·12345", "鲁B12345"),
        ("鲁b 12345", "鲁B12345"),
        ("使014578", "使014578"),
        ("ab-123-cd", "AB123CD"),
        ("蓝", "蓝"),
        ("蓝12345", "蓝12345"),
        ("", ""),
    ],
)
def test_only_a_colour_before_a_province_goes(written: str, plate: str) -> None:
    assert plate_cn(written) == plate
    assert plate_cn(plate) == plate
