"""Chinese number plates: the text on the plate, without the colour that some readers write before it."""

from __future__ import annotations

import re

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领"
"""The characters a plate of the mainland begins with (GA 36); 黑 is Heilongjiang, and also the colour black."""

# A colour goes only when a province and a letter follow: 黑A12345 stays, 黑黑A12345 (black, Heilongjiang) loses one.
_COLOUR = re.compile(f"^(?:[蓝黄绿白黑红橙棕灰紫青]|黄绿|渐变绿|新能源绿)(?=[{PROVINCES}][A-Z])")
_BLANKS = re.compile(r"[\s·•.\-]")


def plate_cn(text: str) -> str:
    """Return a plate in capitals, without blanks and dots between its characters and without a colour before it.

    A plate of another country is returned as it is written, but in capitals.
    """
    plate = (text if text.isalnum() else _BLANKS.sub("", text)).upper()
    return plate if plate[:1].isascii() else _COLOUR.sub("", plate, count=1)
