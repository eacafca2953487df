"""Nothing in the way of a request touches a disk or a network, whatever the store is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.redis_server import redis_server


def watched(protocol, store, tmp_path):
    """How many threads there are before anybody asks, and what requests did besides computing."""
    words = [sys.executable, "-m", "tests.runtime.watched_requests", protocol, store, str(tmp_path / "kill")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
@pytest.mark.parametrize("store", ["memory", "file", "redis"])
def test_requests_touch_no_disk_and_no_network_and_no_thread_begins_before_the_first(protocol, store, tmp_path):
    if store == "redis":
        with redis_server(tmp_path) as server:
            assert watched(protocol, server.url(), tmp_path) == ["1", ""]
    else:
        url = "memory:" if store == "memory" else f"file:{tmp_path / 'state'}"
        assert watched(protocol, url, tmp_path) == ["1", ""]
