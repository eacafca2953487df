"""The time of tests of WSGI."""

from __future__ import annotations

import pytest

from tests.clocks import EventTime


@pytest.fixture
def time(monkeypatch):
    time = EventTime()
    monkeypatch.setattr("faultware.wsgi.waiting.threading", time)
    return time
