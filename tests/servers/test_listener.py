"""The control endpoint on a socket of its own, under real servers: it answers while the service cannot."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.servers.harness import ENDLESS, PATIENCE_SECONDS, SERVERS, TOKEN, eventually, free_port, serve

pytestmark = pytest.mark.server

KINDS = [
    "uvicorn",
    "uvicorn-4",
    "hypercorn",
    "granian",
    "gunicorn-sync",
    "gunicorn-gevent",
    "gunicorn-4-preload",
    "granian-wsgi",
    "waitress",
]


class OverSocket(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path) -> None:
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def steer(path, method, what):
    connection = OverSocket(path)
    try:
        connection.request(method, f"/_faultware/{what}", headers={"authorization": f"Bearer {TOKEN}"})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        return json.loads(response.read())
    finally:
        connection.close()


def answers(path):
    try:
        return steer(path, "GET", "status")
    except (OSError, http.client.HTTPException):
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_it_stands_on_its_socket_and_not_on_the_services_port(kind, tmp_path):
    path = tmp_path / "chaos.sock"
    settings = {"FAULTWARE_CONTROL_LISTEN": f"unix:{path}", "FAULTWARE_RULES": "/pay 100% abort 503"}
    with serve(kind, settings) as server:
        eventually(lambda: answers(path), "the endpoint on its socket")
        assert path.lstat().st_mode & 0o777 == 0o600
        reply = server.control("POST", "kill")
        assert (reply.status, reply.headers["content-type"]) == (200, "text/plain"), "the application's answer"
        eventually(lambda: server.get("/pay").status == 503, "a fault")
        assert steer(path, "POST", "kill")["state"] == "killed"
        for _ in range(10):
            assert server.get("/pay").status == 200
        assert steer(path, "POST", "arm")["state"] == "armed"


def test_it_answers_before_the_first_request_where_the_server_tells_that_it_begins(tmp_path, monkeypatch):
    path = tmp_path / "chaos.sock"
    # The harness asks the service whether it is up; here its socket is asked, and nobody asks the service.
    monkeypatch.setattr("tests.servers.harness.Server.is_up", lambda _: answers(path) is not None)
    with serve("uvicorn", {"FAULTWARE_CONTROL_LISTEN": f"unix:{path}"}):
        assert steer(path, "POST", "kill")["state"] == "killed"


@pytest.mark.parametrize("kind", ["gunicorn-sync", "waitress"])
def test_a_service_whose_every_thread_is_held_is_killed_all_the_same(kind, tmp_path, record_property):
    path = tmp_path / "chaos.sock"
    settings = {"FAULTWARE_CONTROL_LISTEN": f"unix:{path}", "FAULTWARE_RULES": "/pay 100% hang 50s"}
    with serve(kind, {**settings, "FAULTWARE_MAX_DELAY": "50s"}) as server:
        eventually(lambda: answers(path), "the endpoint on its socket")
        with ThreadPoolExecutor(12) as pool:
            held = [pool.submit(server.get, "/pay") for _ in range(12)]
            eventually(lambda: steer(path, "GET", "status")["held"], "held requests")
            began = time.monotonic()
            assert steer(path, "POST", "kill")["state"] == "killed"
            assert {reply.result(PATIENCE_SECONDS).status for reply in held} == {200}
            record_property("measured", f"{kind}: killed and released in {(time.monotonic() - began) * 1000:.0f} ms")


def test_an_event_loop_that_is_blocked_does_not_keep_the_kill_away(tmp_path):
    path = tmp_path / "chaos.sock"
    settings = {"FAULTWARE_CONTROL_LISTEN": f"unix:{path}", "FAULTWARE_RULES": "/pay 100% block 10m"}
    with (
        serve("uvicorn", {**settings, **ENDLESS, "FAULTWARE_ALLOW_INSTANCE_FAULTS": "true"}) as server,
        ThreadPoolExecutor() as pool,
    ):
        eventually(lambda: answers(path), "the endpoint on its socket")
        blocked = pool.submit(server.get, "/pay")
        eventually(lambda: steer(path, "GET", "status")["active_faults"], "a blocked loop")
        assert not blocked.done()
        assert steer(path, "POST", "kill")["state"] == "killed"
        assert blocked.result(PATIENCE_SECONDS).status == 200


@pytest.mark.parametrize("kind", ["uvicorn-4", "gunicorn-4"])
@pytest.mark.parametrize("place", ["port", "socket"])
def test_when_the_worker_that_listens_is_killed_another_takes_over(kind, place, tmp_path):
    port, path = free_port(), tmp_path / "chaos.sock"
    address = f"127.0.0.1:{port}" if place == "port" else f"unix:{path}"

    def status():
        if place == "socket":
            return answers(path)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", "/_faultware/status", headers={"authorization": f"Bearer {TOKEN}"})
            return json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    assert SERVERS[kind]
    with serve(kind, {"FAULTWARE_CONTROL_LISTEN": address}) as server:
        first = eventually(status, "the endpoint")["worker"]["pid"]
        for _ in range(40):
            server.get("/who")
        os.kill(first, signal.SIGKILL)
        eventually(lambda: (status() or {}).get("worker", {}).get("pid", first) != first, "another worker")
