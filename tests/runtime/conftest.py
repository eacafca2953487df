from __future__ import annotations

from types import SimpleNamespace

import pytest

from faultware.runtime import build
from tests.conftest import let_threads_end
from tests.runtime.kit import Heard, Time


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def built_time(time, monkeypatch):
    """The same in everything that `build` makes."""
    monkeypatch.setattr(build, "time", SimpleNamespace(monotonic=time.clocks.monotonic, time=time.clocks.wall))
    return time


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture(autouse=True)
def nobody_else_is_at_work():
    """Here descriptors and threads are counted: those of other tests must be gone."""
    let_threads_end()
