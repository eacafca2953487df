from __future__ import annotations

import gc
import itertools
import warnings

import pytest

from faultware.config.storeurl import read_redis_url
from faultware.state import file, redis
from faultware.state.file import FileStore
from faultware.state.memory import MemoryStore
from faultware.state.redis import RedisStore
from faultware.state.store import Snapshot
from tests.conftest import let_threads_end
from tests.redis_server import redis_server

INITIAL = Snapshot(1, killed=False, created_at=1000.0, changed_at=1000.0, actor="settings")


_names = itertools.count()


@pytest.fixture(autouse=True, scope="module")
def _patience():
    """On a machine that stands still for seconds, who waits for a turn is to get it all the same."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (file, redis):
            patch.setattr(module, "_PATIENCE_SECONDS", 60.0)
        yield


@pytest.fixture
def collected():
    """The connections of sentinels and clusters that redis-py leaves to the collector go here, and not in another test.

    It may take a socket before the connection that would close it, and that is a warning and so an error.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        let_threads_end()
        gc.collect()


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory):
    """A server for all tests that do not stop it; each has a state of its own in it."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(shared_redis):
    """A state that nobody has used."""
    return read_redis_url(shared_redis.url(f"test-{next(_names)}"))


@pytest.fixture
def open_redis(redis_url):
    """Opens the same state as each process does; connections are closed at the end."""
    opened = []

    def open_one(initial=INITIAL, **how):
        opened.append(RedisStore(redis_url, initial, **how))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture(params=["memory", "file", "redis"])
def open_store(request, tmp_path):
    """Opens the same state again and again, as each worker does; the memory store has one worker."""
    if request.param == "memory":
        store = MemoryStore(INITIAL)
        return lambda: store
    if request.param == "redis":
        open_redis = request.getfixturevalue("open_redis")

        def open_one():
            store = open_redis()
            store.read()
            return store

        return open_one
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
