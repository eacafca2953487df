"""What follows an abort on its connection: no body where there is none, and no request out of what nobody has read."""

from __future__ import annotations

import http.client
from contextlib import suppress

import pytest

from tests.servers.harness import PATIENCE_SECONDS, serve
from tests.servers.wire import Wire, request

pytestmark = pytest.mark.server

KINDS = ("uvicorn", "uvicorn-h11", "hypercorn", "granian", "gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent")
# Not Werkzeug's own, which waits for more of what nobody reads before it closes, with or without the middleware.
KINDS += ("waitress", "granian-wsgi", "daphne", "cheroot", "uwsgi-http-socket")
RULES = "; ".join(f"/{status} 100% abort {status} as gone-{status}" for status in (204, 205, 304, 503))
# Whoever takes a body that nobody has read for requests answers these, too.
SMUGGLED = request("GET", "/who") * 400


@pytest.fixture(scope="module", params=KINDS)
def server(request):
    with serve(request.param, {"FAULTWARE_RULES": RULES}) as running:
        yield running


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("status", [204, 205, 304])
def test_an_abort_without_a_body_ends_with_its_head(server, status, method):
    with server.connect() as connection:
        wire = Wire(connection)
        wire.send(request(method, f"/{status}", connection="close"))
        head, _, body = wire.rest().partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert f"gone-{status};abort".encode() in head
    assert body in (b"", b"0\r\n\r\n") if status == 205 and method != "HEAD" else body == b""
    if status == 204:  # RFC 9110, section 8.6
        assert b"content-length" not in head.lower()
        assert b"transfer-encoding" not in head.lower()


@pytest.mark.parametrize("status", [204, 304, 503])
@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "late"])
def test_a_body_that_nobody_reads_is_never_taken_for_requests(server, status, is_late):
    whole = request("POST", f"/{status}", SMUGGLED) + request("GET", "/", connection="close")
    head = len(request("POST", f"/{status}", SMUGGLED)) - len(SMUGGLED)
    early = b""
    with server.connect() as connection:
        wire = Wire(connection)
        try:
            if is_late:
                wire.send(whole[:head])
                connection.settimeout(0.5)
                with suppress(TimeoutError):  # some servers wait for the body first
                    early = connection.recv(65536)
                connection.settimeout(PATIENCE_SECONDS)
                wire.send(whole[head:])
            else:
                wire.send(whole)
        except ConnectionError:  # it has hung up on what it would not read, which is as clean
            pass
        answers = (early + wire.rest()).split(b"HTTP/1.1 ")[1:]
    statuses = [int(answer.split()[0]) for answer in answers]
    assert statuses in ([status], [status, 200]), answers
    assert server.get("/").status == 200


def test_a_client_whose_chunked_body_nobody_read_gets_its_next_answer(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("POST", "/503", (b"x" * 1000 for _ in range(500)), encode_chunked=True)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (503, b"fault injected\n")
    except ConnectionError:  # it has hung up in the middle, which a client notices
        connection.close()
    try:
        connection.request("GET", "/")  # on a new connection, if the answer said that this one ends
        status = connection.getresponse().status
    except ConnectionError:
        connection.close()
        connection.request("GET", "/")
        status = connection.getresponse().status
    finally:
        connection.close()
    assert status == 200
