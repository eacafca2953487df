from __future__ import annotations

import pytest

from tests.control.kit import open_desk


@pytest.fixture
def desk():
    return open_desk("/pay 10% abort 503 as pay; /search 30% delay 200ms±50ms as search")
