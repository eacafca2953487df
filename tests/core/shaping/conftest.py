"""While these tests run, the bounds are so small that short bodies meet them."""

from __future__ import annotations

import pytest

from faultware.core.shaping import corrupting, cutting, effects, pacing, raw, rewriting
from tests.core.shaping.made import BLOCK, MOST, PIECE


@pytest.fixture
def small_bounds():
    """1 MiB is 40 bytes, and a block of what is corrupted 16."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (cutting, effects, pacing, raw, rewriting):
            patch.setattr(module, "MAX_KEPT", MOST)
        patch.setattr(corrupting, "BLOCK", BLOCK)
        patch.setattr(corrupting, "_PIECE", PIECE)
        yield
