"""Requests that are being held on real servers: clients that leave, uploads that go on."""

from __future__ import annotations

import hashlib

import pytest

from tests.servers.harness import ENDLESS, eventually, serve
from tests.servers.wire import Wire, request

pytestmark = pytest.mark.server

UPLOAD = bytes(range(256)) * 800  # 200 KB
TELL_WHEN_A_CLIENT_LEAVES = (
    "uvicorn",
    "uvicorn-h11",
    "hypercorn",
    "hypercorn-trio",
    "granian",
    "gunicorn-gthread",
    "gunicorn-gevent",
    "waitress",
    "werkzeug",
    "cheroot",
    "uwsgi-http-socket",
    "uwsgi-http",
)


RULES = (
    "/slow 100% delay 10m as slow; /upload 100% delay 300ms as upload; "
    "/half 100% delay 50ms as half; /brief 100% delay 1ms as brief"
)


@pytest.fixture(scope="module", params=TELL_WHEN_A_CLIENT_LEAVES)
def server(request):
    with serve(request.param, {**ENDLESS, "FAULTWARE_RULES": RULES}) as running:
        yield running
        log = running.stop()
        assert "Traceback" not in log, log


def test_a_client_that_leaves_ends_its_delay(server):
    connection = server.connect()
    connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    eventually(lambda: server.status()["active_faults"] == 1, "the request is held")
    connection.close()
    eventually(lambda: server.status()["active_faults"] == 0, "the request is let go")
    assert server.status()["state"] == "armed"
    assert server.get("/").status == 200


def test_an_upload_during_a_delay_arrives_whole(server):
    reply = server.ask("POST", "/upload", UPLOAD)
    assert (reply.status, reply.mark) == (200, "upload;delay")
    assert reply.body.decode() == f"{len(UPLOAD)} {hashlib.sha256(UPLOAD).hexdigest()}"


def test_an_upload_that_goes_on_after_the_delay_arrives_whole(server):
    with server.connect() as connection:
        wire = Wire(connection)
        whole = request("POST", "/half", UPLOAD)
        half = len(whole) - len(UPLOAD) // 2
        wire.send(whole[:half])
        # By the time another request has been delayed, this one's delay is over too.
        assert server.ask("POST", "/half", b"other").mark == "half;delay"
        wire.send(whole[half:])
        reply = wire.read()
        assert reply is not None
        assert (reply.status, reply.headers["faultware-fault"]) == (200, "half;delay")
        assert reply.body.decode() == f"{len(UPLOAD)} {hashlib.sha256(UPLOAD).hexdigest()}"


def test_a_delay_that_ends_while_the_request_is_being_read_loses_nothing_of_it(server):
    for number in range(60):
        body = b"x" * number
        reply = server.ask("POST", "/brief", body)
        assert (reply.status, reply.mark) == (200, "brief;delay")
        assert reply.body.decode() == f"{number} {hashlib.sha256(body).hexdigest()}"
