from __future__ import annotations

import pytest

from faultware.runtime import injector
from tests.runtime.kit import Heard, StillRefresher, Time


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def still(monkeypatch):
    """No thread: ticks are the test's."""
    monkeypatch.setattr(injector, "Refresher", StillRefresher)
