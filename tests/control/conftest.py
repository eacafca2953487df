from __future__ import annotations

import pytest

from faultware.runtime import injector
from tests.control.kit import open_desk
from tests.runtime.kit import StillRefresher


@pytest.fixture(autouse=True)
def still(monkeypatch):
    """No thread: ticks are the test's."""
    monkeypatch.setattr(injector, "Refresher", StillRefresher)


@pytest.fixture
def desk():
    return open_desk("/pay 10% abort 503 as pay; /search 30% delay 200ms±50ms as search")
