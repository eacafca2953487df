"""Connection faults and cut bodies on real WSGI servers, as a raw socket sees them."""

from __future__ import annotations

import hashlib
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from faultware.core.faults import Garbage, PartialHead
from tests.servers.bodies_app import BODY, SIZE
from tests.servers.harness import ENDLESS, PATIENCE_SECONDS, Server, eventually, serve
from tests.servers.wire import Wire, pipelined, request

pytestmark = pytest.mark.server

CUT = 1_500_000
RULES = {
    "/close": "close",
    "/garbage": "garbage",
    "/half": "partial_head",
    "/cut": "truncate 1500kB",
    "/head": "truncate 0B",
    "/promise": "content_length 10",
    "/chunk": "malformed_chunk 100kB",
    "/slow": "throttle 4MB/s",
    "/upload": "throttle 4MB/s of=request",
    "/crawl": "throttle 1kB/s",
}
RUDE = {"/reset": "reset", "/rude": "truncate 1500kB by=reset"}
WAYS = ("big", "chunked", "written", "late", "file")
# Their connections can be reset; uWSGI's router makes a FIN of it.
RESETTABLE = (
    "gunicorn-sync",
    "gunicorn-gthread",
    "gunicorn-gevent",
    "waitress",
    "werkzeug",
    "cheroot",
    "uwsgi-http-socket",
)
KEEPING = ("gunicorn-gthread", "gunicorn-gevent", "waitress", "cheroot")
FINISHABLE = (*RESETTABLE, "uwsgi-http")


def serving(kind: str, rules: dict[str, str], **settings: str):
    text = "; ".join(f"{path} 100% {fault} as {path[1:]}" for path, fault in rules.items())
    return serve(kind, {"FAULTWARE_RULES": text, **settings}, app="tests.servers.bodies_app:app")


@pytest.fixture(scope="module", params=FINISHABLE)
def server(request):
    kind = request.param
    with serving(kind, {**RULES, **(RUDE if kind in RESETTABLE else {})}) as server:
        server.kind = kind
        yield server


def exchange(server: Server, path: str, body: bytes = b"", **headers: str) -> tuple[bytes, str]:
    """Everything that comes back on a connection of its own, and how that ends: `fin` or `reset`."""
    with server.connect() as connection:
        received = bytearray()
        try:
            connection.sendall(request("POST" if body else "GET", path, body, connection="close", **headers))
            while data := connection.recv(65536):
                received += data
        except (ConnectionResetError, BrokenPipeError):  # also in the middle of what is sent
            return bytes(received), "reset"
        return bytes(received), "fin"


def body_of(received: bytes) -> bytes:
    """The body of a response, out of its chunks if it has any, that may have been cut."""
    head, _, body = received.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    whole = bytearray()
    while match := re.match(rb"([0-9a-fA-F]+)\r\n", body):
        size = int(match[1], 16)
        whole += body[match.end() : match.end() + size]
        body = body[match.end() + size + 2 :]
    return bytes(whole)


def test_a_connection_ends_without_an_answer_or_with_half_of_one(server):
    # What nobody has read makes a RST of what uWSGI's router does to the connection.
    for body in (b"", bytes(300_000)) if server.kind != "uwsgi-http" else (b"",):
        assert exchange(server, "/close/small", body) == (b"", "fin")
        assert exchange(server, "/garbage/small", body) == (Garbage().data, "fin")
        assert exchange(server, "/half/small", body) == (PartialHead().data, "fin")
        if server.kind in RESETTABLE:
            assert exchange(server, "/reset/small", body) == (b"", "reset")
    assert server.get("/small").body == b"small"
    assert "Traceback" not in server.log


@pytest.mark.parametrize("way", WAYS)
def test_a_body_is_cut_to_the_byte_and_then_the_connection_ends(server, way):
    endings = {"/cut": "fin", "/rude": "reset"} if server.kind in RESETTABLE else {"/cut": "fin"}
    for path, expected in endings.items():
        for _ in range(3):
            received, ending = exchange(server, f"{path}/{way}")
            assert (len(body_of(received)), ending) == (CUT, expected)
            assert body_of(received) == BODY[:CUT]
    assert server.get(f"/{way}").body == BODY
    assert "Traceback" not in server.log


def test_a_body_that_is_cut_at_its_beginning_leaves_the_head(server):
    received, ending = exchange(server, "/head/big")
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"\r\n\r\n")
    assert (b"faultware-fault: head;truncate" in received.lower(), ending) == (True, "fin")


def test_a_response_with_broken_framing_goes_past_the_server(server):
    received, ending = exchange(server, "/promise/big")
    head, _, body = received.partition(b"\r\n\r\n")
    assert (b"content-length: 2000010\r\n" in head, body == BODY, ending) == (True, True, "fin")
    received, ending = exchange(server, "/chunk/chunked")
    assert body_of(received) == BODY[:100_000]
    assert (received.endswith(b"\r\nzz\r\n"), ending) == (True, "fin")
    assert "Traceback" not in server.log


def test_behind_a_proxy_every_connection_is_let_alone(server):
    paths = ["/close/small", "/cut/small", "/promise/small"]
    for path in paths + (["/reset/small"] if server.kind in RESETTABLE else []):
        received, ending = exchange(server, path, x_forwarded_for="192.0.2.1")
        assert (body_of(received), ending) == (b"small", "fin")
        assert b"faultware-fault" not in received


def test_hundreds_of_requests_in_between_are_not_touched(server):
    reset = ["/small", "/reset/small"] if server.kind in RESETTABLE else []
    paths = ["/small", "/close/small", "/small", "/cut/written", *reset] * 100

    def ask(path: str) -> tuple[bytes, str]:
        received, ending = exchange(server, path)
        return body_of(received), ending

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, paths))
    for path, answer in zip(paths, answers, strict=True):
        if path == "/small":
            assert answer == (b"small", "fin")
        elif path == "/cut/written":
            assert (len(answer[0]), answer[1]) == (CUT, "fin")
        else:
            assert answer == (b"", path[1:].partition("/")[0].replace("close", "fin"))
    eventually(lambda: server.status()["active_faults"] == 0, "the last fault has been counted out")


def test_a_connection_that_is_kept_alive_beside_them_is_not_touched(server):
    rounds = 20 if server.kind in KEEPING else 1
    with server.connect() as innocent:
        wire = Wire(innocent)
        for _ in range(rounds):
            wire.send(request("GET", "/small"))
            assert exchange(server, "/close/small") == (b"", "fin")
            message = wire.read()
            assert message is not None
            assert message.body == b"small"


def test_what_ends_a_connection_comes_behind_the_answers_to_others_on_it(server):
    if server.kind not in KEEPING:  # it serves one request on a connection
        return
    for name, rest in (
        ("reset", 0),
        ("close", 0),
        ("half", len(PartialHead().data)),
        ("garbage", len(Garbage().data)),
        ("promise", None),
    ):
        asked = (*[request("GET", "/big")] * 2, request("GET", f"/{name}/small"))
        answers, behind = pipelined(server, asked, 2)
        assert [answer.body == BODY for answer in answers] == [True] * 2, name
        assert rest in (None, len(behind)), name
    assert "Traceback" not in server.log


def test_no_descriptor_is_left_and_every_body_is_closed_once(server):
    def count() -> int:
        return int(server.get("/fds").body)

    before = max(count() for _ in range(5))
    for number in range(10):
        exchange(server, f"/cut/big?cut-{number}")
        exchange(server, "/close/small")
        exchange(server, f"/promise/big?promise-{number}")
        server.get(f"/slow/small?slow-{number}")
    # A worker may have connections that it has not closed yet.
    eventually(lambda: max(count() for _ in range(5)) <= before + 2, "descriptors are closed")
    noted = re.compile(r"closed ((?:cut|promise)-\d+)")
    eventually(lambda: len(noted.findall(server.log)) >= 20, "every body is closed")
    notes = noted.findall(server.log)
    assert sorted(notes) == sorted(f"{kind}-{number}" for kind in ("cut", "promise") for number in range(10))


def throttled(ask):
    """What is answered, for which two megabytes crossed at four a second: a busy machine may need several tries."""
    for _ in range(10):
        began = time.monotonic()
        answered = ask()
        took = time.monotonic() - began
        assert took >= 0.45
        if took <= 3.0:
            return answered
    pytest.fail("it was slower than that ten times")


def test_a_throttled_response_and_a_throttled_upload_keep_their_rate(server):
    received, _ = throttled(lambda: exchange(server, "/slow/big"))
    assert body_of(received) == BODY
    received, _ = throttled(lambda: exchange(server, "/upload/upload", BODY))
    assert body_of(received).decode() == f"{SIZE} {hashlib.sha256(BODY).hexdigest()}"


@pytest.mark.parametrize("kind", [*FINISHABLE, "granian-wsgi"])
def test_a_kill_lets_a_throttled_response_go_at_once(kind):
    with serving(kind, {"/crawl": "throttle 1kB/s"}) as server:
        with server.connect() as connection:
            connection.sendall(request("GET", "/crawl/big", connection="close"))
            received = bytearray()
            while b"\r\n\r\n" not in received or received.endswith(b"\r\n\r\n"):
                received += connection.recv(65536)
            server.control("POST", "kill")
            killed = time.monotonic()
            while data := connection.recv(65536):
                received += data
            assert time.monotonic() - killed < PATIENCE_SECONDS / 4
        assert body_of(received) == BODY
        eventually(lambda: server.status()["active_faults"] == 0, "nothing active")
        assert "Traceback" not in server.log


def holds_a_duplicate(pid: int) -> bool:
    try:
        links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    except FileNotFoundError:  # one of them was closed meanwhile
        return False
    sockets = [link for link in links if link.startswith("socket:")]
    return len(sockets) > len(set(sockets))


@pytest.mark.parametrize("kind", [kind for kind in FINISHABLE if kind != "gunicorn-sync"])
def test_a_client_that_leaves_a_response_that_stalls_ends_it(kind):
    with serving(kind, {"/stall": "stall 1MB duration=10m"}, **ENDLESS) as server:
        with server.connect() as connection:
            connection.sendall(request("GET", "/stall/big?left", connection="close"))
            connection.recv(65536)
            eventually(lambda: server.status()["active_faults"] == 1, "the response stalls")
            if kind == "cheroot":  # where the connection is looked for only after a while
                eventually(lambda: holds_a_duplicate(server.process.pid), "the connection is watched")
        eventually(lambda: "closed left" in server.log, "the application's iterable is closed")
        eventually(lambda: server.status()["active_faults"] == 0, "nothing active")
        assert "Traceback" not in server.log


def test_granian_shapes_what_wsgi_can_carry():
    rules = {"/slow": "throttle 4MB/s", "/upload": "throttle 4MB/s of=request", "/status": "replace_status 503"}
    with serving("granian-wsgi", rules) as server:
        for way in ("big", "chunked", "late", "file"):
            reply = throttled(partial(server.get, f"/slow/{way}"))
            assert (reply.status, reply.body, reply.mark) == (200, BODY, "slow;throttle")
        reply = server.ask("POST", "/upload/upload", BODY)
        assert reply.body.decode() == f"{SIZE} {hashlib.sha256(BODY).hexdigest()}"
        assert server.get("/status/small").status == 503
        assert "Traceback" not in server.log
