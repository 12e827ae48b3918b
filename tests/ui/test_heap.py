"""The heap: it takes what it is told."""

from __future__ import annotations

import ctypes

import pytest

from hub.ui.process.heap import give_back_what_is_large


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc can be told")
def test_the_c_library_takes_the_order() -> None:
    assert give_back_what_is_large()
