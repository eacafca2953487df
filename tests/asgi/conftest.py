"""The time of tests of ASGI, on each kind of event loop."""

from __future__ import annotations

import pytest

from tests.clocks import BACKENDS, LoopTime


@pytest.fixture(params=BACKENDS)
def time(request):
    return LoopTime(request.param)
