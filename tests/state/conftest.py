from __future__ import annotations

import pytest

from faultware.state.file import FileStore
from faultware.state.memory import MemoryStore
from faultware.state.store import Snapshot

INITIAL = Snapshot(1, killed=False, created_at=1000.0, changed_at=1000.0, actor="settings")


@pytest.fixture(params=["memory", "file"])
def open_store(request, tmp_path):
    """Opens the same state again and again, as each worker does; the memory store has one worker."""
    if request.param == "memory":
        store = MemoryStore(INITIAL)
        return lambda: store
    return lambda: FileStore(tmp_path / "state", INITIAL)


@pytest.fixture
def store(open_store):
    return open_store()


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def open_file(directory):
    return lambda: FileStore(directory, INITIAL)
