"""Every server is recognised, and a rule it cannot act on is refused, at the start and at run time."""

from __future__ import annotations

import subprocess

import pytest

from tests.servers.harness import PATIENCE_SECONDS, TOKEN, launch, serve

pytestmark = pytest.mark.server

RECOGNISED = {
    "uvicorn": ("uvicorn", None, "asgi", "socket"),
    "hypercorn": ("hypercorn", None, "asgi", "socket"),
    "hypercorn-trio": ("hypercorn", None, "asgi", "socket"),
    "granian": ("granian", None, "asgi", "socket"),
    "daphne": ("daphne", None, "asgi", "socket"),
    "gunicorn-asgi": ("gunicorn", "asgi", "asgi", "socket"),
    "gunicorn-uvicorn": ("gunicorn", "uvicorn", "asgi", "socket"),
    "gunicorn-sync": ("gunicorn", "sync", "wsgi", "socket"),
    "gunicorn-gthread": ("gunicorn", "gthread", "wsgi", "socket"),
    "gunicorn-gevent": ("gunicorn", "gevent", "wsgi", "socket"),
    "gunicorn-4-preload": ("gunicorn", "sync", "wsgi", "socket"),
    "granian-wsgi": ("granian", None, "wsgi", "impossible"),
    "waitress": ("waitress", None, "wsgi", "socket"),
    "werkzeug": ("werkzeug", None, "wsgi", "socket"),
    "cheroot": ("cheroot", None, "wsgi", "socket"),
    "uwsgi-http-socket": ("uWSGI", "http-socket", "wsgi", "socket"),
    "uwsgi-http": ("uWSGI", "http", "wsgi", "impossible"),
}


@pytest.mark.parametrize("kind", RECOGNISED)
def test_a_process_knows_its_server_and_what_that_means(kind):
    name, worker, protocol, reset = RECOGNISED[kind]
    with serve(kind, {}) as server:
        told = server.control("GET", "capabilities").json()
        assert (told["server"]["name"], told["server"]["worker"], told["server"]["protocol"]) == (
            name,
            worker,
            protocol,
        )
        assert told["server"]["version"]
        assert {one["fault"]: one["means"] for one in told["faults"]}["reset"] == reset

        document = {"match": {"path": "/pay"}, "percentage": 100, "reset": {}}
        sent = server.control("PUT", "rules/broken", document)
        if reset == "socket":
            assert sent.status == 201
        else:
            assert sent.status == 422
            assert sent.json()["detail"].startswith("reset is not possible under ")
            assert server.control("PUT", "rules/broken", {**document, "fallback": {"status": 502}}).status == 201
            assert (server.get("/pay").status, server.get("/pay").mark) == (502, "broken;abort")


def test_a_service_whose_server_cannot_act_on_a_rule_refuses_to_start_and_says_why():
    settings = {
        "FAULTWARE_ENABLED": "true",
        "FAULTWARE_CONTROL_TOKEN": TOKEN,
        "FAULTWARE_RULES": "/ 1% reset as broken",
    }
    server = launch("granian-wsgi", settings)
    try:
        server.process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail(f"it started all the same:\n{server.stop()}")
    log = server.stop()
    assert "broken.reset: reset is not possible under granian, WSGI: granian does not say which connection" in log, log
