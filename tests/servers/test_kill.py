"""The kill switch on real servers: it releases what is held, and the next request passes."""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING

import pytest

from tests.servers.harness import ENDLESS, PATIENCE_SECONDS, Server, eventually, serve

if TYPE_CHECKING:
    import socket

pytestmark = pytest.mark.server

HELD = {
    **ENDLESS,
    "FAULTWARE_RULES": "/slow 100% delay 10m as slow; /hung 100% hang 10m as hung",
    "FAULTWARE_MAX_ACTIVE_FAULTS": "1000",
}
RELEASE_SECONDS = PATIENCE_SECONDS / 4


def hold(server: Server, path: str, count: int) -> list[socket.socket]:
    """Connections whose requests are being held, besides those that are held already."""
    connections, before = [], server.status()["active_faults"]
    for _ in range(count):
        connection = server.connect()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        connections.append(connection)
    eventually(lambda: server.status()["active_faults"] == before + count, f"{count} requests held")
    return connections


def read_all(connections: list[socket.socket]) -> tuple[list[bytes], float]:
    """Everything each connection brings, and when the last of them had brought its first bytes."""
    received = dict.fromkeys(connections, b"")
    last = 0.0
    deadline = time.monotonic() + PATIENCE_SECONDS
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
        while selector.get_map():
            assert time.monotonic() < deadline, f"{len(selector.get_map())} requests were not released"
            for key, _ in selector.select(1):
                data = key.fileobj.recv(65536)
                if not received[key.fileobj]:
                    last = time.monotonic()
                received[key.fileobj] += data
                if not data:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
    return list(received.values()), last


@pytest.mark.parametrize(
    ("kind", "count", "more"),
    [("uvicorn", 200, ()), ("gunicorn-gthread", 32, ("--threads", "40"))],
    ids=["uvicorn", "gunicorn-gthread"],
)
def test_a_kill_releases_every_request_that_is_held_and_lets_the_next_one_pass(kind, count, more, record_property):
    with serve(kind, HELD, *more) as server:
        connections = hold(server, "/slow", count)
        assert server.control("POST", "kill", {"reason": "enough"}).json()["state"] == "killed"
        killed = time.monotonic()
        replies, last = read_all(connections)
        assert server.get("/slow").mark == ""

        seconds = max(0.0, last - killed)
        text = f"{kind}: of {count} held requests the last was released {1000 * seconds:.0f} ms after the kill's answer"
        record_property("measured", text)
        assert seconds < RELEASE_SECONDS
        assert all(reply.startswith(b"HTTP/1.1 200 ") for reply in replies)
        status = eventually(lambda: (now := server.status())["active_faults"] == 0 and now, "nothing active")
        assert (status["state"], status["reason"]) == ("killed", "enough")


@pytest.mark.parametrize(
    "kind", ["hypercorn", "hypercorn-trio", "granian", "granian-wsgi", "gunicorn-gevent", "waitress"]
)
def test_a_kill_releases_held_and_hung_requests_on_every_other_server(kind):
    with serve(kind, HELD) as server:
        slow = hold(server, "/slow", 2)
        hung = hold(server, "/hung", 2)
        server.control("POST", "kill")
        killed = time.monotonic()
        replies, last = read_all([*slow, *hung])
        assert last - killed < RELEASE_SECONDS
        assert all(reply.startswith(b"HTTP/1.1 200 ") for reply in replies), replies


def test_a_kill_latches_until_somebody_arms():
    with serve("uvicorn", {"FAULTWARE_RULES": "/payments 100% abort 503 as down"}) as server:
        assert server.get("/payments").status == 503
        server.control("POST", "kill")
        rule = {"match": {"path": "/payments"}, "percentage": 100, "abort": 500}
        assert server.control("PUT", "rules/other", rule).status == 201
        assert server.get("/payments").status == 200
        server.control("POST", "arm")
        eventually(lambda: server.get("/payments").status == 503, "armed again")


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn-sync"])
def test_a_kill_file_kills_while_it_exists_and_latches_when_it_is_gone(kind, tmp_path):
    kill_file = tmp_path / "kill"
    settings = {"FAULTWARE_RULES": "/payments 100% abort 503 as down", "FAULTWARE_KILL_FILE": str(kill_file)}
    with serve(kind, settings) as server:
        eventually(lambda: server.get("/payments").status == 503, "faults")
        kill_file.touch()
        eventually(lambda: server.status()["state"] == "killed", "killed by file")
        assert server.get("/payments").status == 200
        refused = server.control("POST", "arm")
        assert refused.status == 409
        assert str(kill_file) in refused.json()["detail"]

        kill_file.unlink()
        assert server.status()["state"] == "killed"
        assert server.get("/payments").status == 200
        assert server.control("POST", "arm").status == 200
        eventually(lambda: server.get("/payments").status == 503, "armed again")


def test_a_service_that_starts_beside_its_kill_file_starts_killed(tmp_path):
    (tmp_path / "kill").touch()
    settings = {"FAULTWARE_RULES": "/payments 100% abort 503 as down", "FAULTWARE_KILL_FILE": str(tmp_path / "kill")}
    with serve("uvicorn", settings) as server:
        assert server.get("/payments").status == 200
        assert server.status()["state"] == "killed"
