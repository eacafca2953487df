"""The two example services on every server: their routes work, and faults arrive as promised.

Only requests with `x-chaos: 1` are faulted, so that one server serves all tests of its kind.
"""

from __future__ import annotations

import json

import pytest

from tests.servers.harness import ROOT, SERVERS, Server, serve
from tests.servers.wire import Wire, request

pytestmark = pytest.mark.server

KINDS = (
    "uvicorn",
    "uvicorn-h11",
    "hypercorn",
    "granian",
    # Not daphne: it has no lifespan, and without that the example has no database.
    "gunicorn-asgi",
    "gunicorn-uvicorn",
    "gunicorn-sync",
    "gunicorn-gthread",
    "gunicorn-gevent",
    "granian-wsgi",
    "waitress",
    "werkzeug",
    "cheroot",
    "uwsgi-http-socket",
    "uwsgi-http",
)
EXAMPLES = {"asgi": ("fastapi_app", "main:app"), "wsgi": ("flask_app", "app:app")}
SETTINGS = {"FAULTWARE_RULES": "/payments header:x-chaos=1 100% abort 503 as down"}
PAYMENT = json.dumps({"amount": "9.90"}).encode()


@pytest.fixture(scope="module", params=KINDS)
def server(request):
    directory, app = EXAMPLES[SERVERS[request.param].protocol]
    with serve(request.param, SETTINGS, app=app, cwd=ROOT / "examples" / directory) as running:
        yield running


def test_every_route_of_the_example_works(server: Server):
    assert server.get("/healthz").json() == {"status": "ok"}
    paid = server.post("/payments", {"amount": "9.90"})
    assert (paid.status, paid.json()["amount"], paid.mark) == (201, "9.90", "")
    assert server.get("/search?q=rocket").json() == {"rocket skates": "129.00"}
    ordered = server.post("/orders", {"item": "anvil"})
    assert (ordered.status, ordered.json()["amount"]) == (201, "49.90")
    assert server.post("/orders", {"item": "unheard of"}).status == 404
    assert server.post("/payments", {"amount": "-1"}).status == 422
    assert server.get("/stream").body.decode().splitlines()[-1] == "giant magnet: 75.50"


def test_a_rule_for_every_payment_gives_exactly_its_status_and_its_mark(server: Server):
    for _ in range(5):
        reply = server.post("/payments", {"amount": "9.90"}, x_chaos="1")
        assert (reply.status, reply.mark, reply.body) == (503, "down;abort", b"fault injected\n")
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"


def test_routes_that_no_rule_names_are_untouched(server: Server):
    for path in ("/search?q=anvil", "/healthz", "/payments-v2", "/stream"):
        reply = server.get(path, x_chaos="1")
        assert (reply.status, reply.mark) == (404 if path == "/payments-v2" else 200, ""), path


def test_the_control_endpoint_answers_beside_the_application(server: Server):
    status = server.status()
    assert (status["state"], status["rules"], status["active_faults"]) == ("armed", 1, 0)
    assert server.get("/_faultware/status").status == 401


@pytest.mark.parametrize("size", [0, 10, 60_000], ids=["no body", "10 B", "60 KB"])
def test_a_connection_stays_in_step_when_an_aborted_request_had_a_body_nobody_read(server: Server, size):
    with server.connect() as connection:
        wire = Wire(connection)
        aborted = request("POST", "/payments", b"x" * size, x_chaos="1", content_type="application/json")
        wire.send(aborted + request("GET", "/search?q=anvil"))
        first = wire.read()
        assert first is not None
        assert (first.status, first.headers["faultware-fault"]) == (503, "down;abort")
        if first.headers.get("connection") == "close":
            return
        second = wire.read()
        if second is not None:  # some servers end the connection instead, which is as clean
            assert (second.status, json.loads(second.body)) == (200, {"anvil": "49.90"})


def test_an_aborted_request_leaves_its_connection_usable_where_the_server_keeps_it(server: Server):
    with server.connect() as connection:
        wire = Wire(connection)
        for chaos, status in (("1", 503), ("0", 201), ("1", 503), ("0", 201)):
            wire.send(request("POST", "/payments", PAYMENT, x_chaos=chaos, content_type="application/json"))
            reply = wire.read()
            if reply is None:  # the server has ended the connection, after a whole answer
                break
            assert reply.status == status
            if reply.headers.get("connection") == "close":
                break


def test_an_aborted_head_request_has_a_length_and_no_body(server: Server):
    with server.connect() as connection:
        wire = Wire(connection)
        wire.send(request("HEAD", "/payments", x_chaos="1", connection="close"))
        reply = wire.read(method="HEAD")
        assert reply is not None
        assert (reply.status, reply.headers["faultware-fault"]) == (503, "down;abort")
        assert int(reply.headers.get("content-length", 15)) == len("fault injected\n")
        assert wire.rest() == b""


def test_an_idle_middleware_passes_on_what_the_application_streams(server: Server):
    with server.connect() as connection:
        wire = Wire(connection)
        wire.send(request("GET", "/stream", connection="close"))
        raw = wire.rest()
        assert raw.startswith(b"HTTP/1.1 200 ")
        assert b"giant magnet: 75.50\n" in raw
        assert b"faultware" not in raw.lower()
