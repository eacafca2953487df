"""Connections that are ended on real servers, as a raw socket sees it; and the ones beside them, which are not."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.servers.harness import PATIENCE_SECONDS, Server, eventually, serve
from tests.servers.http2 import Http2
from tests.servers.streams import content
from tests.servers.wire import HEAD_END, Wire, pipelined, request

pytestmark = pytest.mark.server

ASGI = (
    "uvicorn",
    "uvicorn-h11",
    "hypercorn",
    "hypercorn-trio",
    "granian",
    "daphne",
    "gunicorn-asgi",
    "gunicorn-uvicorn",
)
SIZE, CUT = 3_000_000, 1_500_000


def rules(**faults) -> dict[str, str]:
    """A rule for each path that has its name as the second segment."""
    written = [
        {"name": name, "match": {"path": {"glob": f"/*/{name}/**"}}, "percentage": 100, **fault}
        for name, fault in faults.items()
    ]
    return {"FAULTWARE_RULES": json.dumps({"rules": written})}


FAULTS = rules(
    reset={"reset": {}},
    close={"close": {}},
    half={"partial_head": {}},
    garbage={"garbage": {"size": "5kB"}},
    fin={"truncate": {"at": f"{CUT}B"}},
    rst={"truncate": {"at": f"{CUT}B", "by": "reset"}},
    length={"content_length": {"off_by": 7}},
    chunk={"malformed_chunk": {"after": "5kB"}},
    event={"truncate": {"at": "5events", "by": "reset"}},
    slow={"throttle": {"rate": "20kB/s"}},
)


@pytest.fixture(scope="module", params=ASGI)
def server(request):
    """One that tests share: what they do leaves nothing behind."""
    settings = FAULTS | {"FAULTWARE_MAX_ACTIVE_FAULTS": "1000"}
    with serve(request.param, settings, app="tests.servers.streams:app") as running:
        yield running
        log = running.stop()
        assert "Traceback" not in log, log


def get(server: Server, path: str, **headers: str) -> tuple[bytes, bytes, str]:
    """Head and body of whatever comes, and how the connection ends."""
    data = bytearray()
    with server.connect() as connection:
        connection.sendall(request("GET", path, **headers))
        try:
            while more := connection.recv(65536):
                data += more
        except ConnectionResetError:
            end = "RST"
        else:
            end = "FIN"
    head, separator, body = bytes(data).partition(HEAD_END)
    return head + separator, body, end


def test_what_ends_a_connection_is_what_the_client_sees_to_the_byte(server):
    assert get(server, "/sized/reset/10") == (b"", b"", "RST")
    assert get(server, "/sized/close/10") == (b"", b"", "FIN")
    assert get(server, "/sized/half/10") == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-le",
        b"",
        "FIN",
    )
    garbage, _, end = get(server, "/sized/garbage/10")
    assert (len(garbage), garbage.isascii(), end) == (5000, False, "FIN")

    for name, end in (("fin", "FIN"), ("rst", "RST")):
        head, body, seen = get(server, f"/sized/{name}/{SIZE}")
        assert f"content-length: {SIZE}" in head.decode().lower()
        assert (len(body), body == content(CUT), seen) == (CUT, True, end)

    head, body, end = get(server, "/sized/length/5000")
    assert b"content-length: 5007" in head
    assert (body, end) == (content(5000), "FIN")
    _, body, end = get(server, "/chunked/chunk/60000")
    assert (body, end) == (b"1388\r\n%b\r\nzz\r\n" % content(5000), "FIN")
    _, body, end = get(server, "/events/event/1")
    assert (body.count(b"data:"), end) == (5, "RST")

    eventually(lambda: server.status()["active_faults"] == 0, "nothing active")
    assert server.get("/innocent/x/100").body == content(100)


def test_connections_beside_the_ones_that_are_ended_are_untouched(server):
    count = 400
    paths = [f"/sized/{('reset', 'innocent', 'close', 'innocent')[number % 4]}/20000" for number in range(count)]
    with ThreadPoolExecutor(16) as pool:
        seen = list(pool.map(lambda path: get(server, path, connection="close"), paths))
    for path, (_, body, end) in zip(paths, seen, strict=True):
        if "innocent" in path:
            assert (body, end) == (content(20000), "FIN"), path
        else:
            assert (body, end) == (b"", "RST" if "reset" in path else "FIN"), path
    eventually(lambda: server.status()["active_faults"] == 0, "nothing active")


def test_a_connection_that_served_others_before_ends_behind_their_answers(server):
    for name, rest in (("reset", 0), ("close", 0), ("half", 53), ("garbage", 5000), ("length", None)):
        asked = (*[request("GET", "/sized/innocent/600000")] * 3, request("GET", f"/sized/{name}/1"))
        answers, behind = pipelined(server, asked, 3)
        assert [answer.body == content(600000) for answer in answers] == [True] * 3, name
        assert rest in (None, len(behind)), name


def test_a_proxys_connection_is_not_ended(server):
    for header in ("x_forwarded_for", "via", "forwarded"):
        reply = server.ask("GET", "/sized/reset/10", **{header: "10.0.0.1"})
        assert (reply.status, reply.body, reply.mark) == (200, content(10), ""), header
    assert 'reason="impossible",rule="reset"} 3.0' in server.control("GET", "metrics").body.decode()


@pytest.mark.parametrize("kind", ["uvicorn", "hypercorn", "hypercorn-trio", "granian", "daphne", "gunicorn-asgi"])
def test_a_kill_lets_a_throttled_response_go_on_whole_and_at_once(kind):
    size = 2_000_000  # a hundred seconds
    with serve(kind, FAULTS, app="tests.servers.streams:app") as server, server.connect() as connection:
        wire = Wire(connection)
        wire.send(request("GET", f"/sized/slow/{size}"))
        eventually(lambda: server.status()["active_faults"] == 1, "a response is throttled")
        began = time.monotonic()
        server.control("POST", "kill")
        answer = wire.read()
        assert time.monotonic() - began < PATIENCE_SECONDS / 4
        assert answer is not None
        assert (answer.headers["faultware-fault"], answer.body == content(size)) == ("slow;throttle", True)
        eventually(lambda: server.status()["active_faults"] == 0, "nothing active")


def test_a_throttled_response_ends_when_its_client_leaves(server):
    connection = server.connect()
    connection.sendall(request("GET", "/sized/slow/2000000"))
    assert connection.recv(1)
    eventually(lambda: server.status()["active_faults"] == 1, "a response is throttled")
    connection.close()
    eventually(lambda: server.status()["active_faults"] == 0, "the client's leaving is noticed")


@pytest.mark.parametrize(
    ("kind", "app"),
    [
        ("hypercorn", "streams"),
        ("hypercorn-trio", "streams"),
        ("granian", "streams"),
        ("hypercorn", "streams_inside"),
        ("granian", "streams_inside"),
    ],
)
def test_on_http_2_a_stream_is_reset_and_its_neighbours_are_untouched(kind, app):
    cancel = {"stream_reset": {"code": 8}, "fallback": {"status": 504}}
    settings = rules(
        stream={"stream_reset": {}},
        cancel=cancel,
        reset={"reset": {}},
        cut={"truncate": {"at": f"{CUT}B", "by": "reset"}},
    )
    is_hypercorn = kind != "granian"
    with serve(kind, settings, app=f"tests.servers.{app}:app") as server, server.connect() as connection:
        client = Http2(connection)
        names = ("stream", "innocent", "cancel", "innocent", "reset", "cut")
        streams = [client.ask(f"/sized/{name}/{SIZE}") for name in names]
        client.wait(*streams)
        stream, first, cancelled, second, reset, cut = streams
        # granian resets a stream only behind a first piece of an answer.
        assert (stream.status, stream.end) == ((0, 2) if is_hypercorn else (200, 2))
        assert (cancelled.status, cancelled.end) == ((0, 8) if is_hypercorn else (504, "whole"))
        assert (reset.status, reset.end) == ((0, 2) if is_hypercorn else (200, "whole"))
        assert (len(cut.body), cut.end) == ((CUT, 2) if is_hypercorn else (SIZE, "whole"))
        for innocent in (first, second):
            assert (innocent.status, innocent.body == content(SIZE), innocent.end) == (200, True, "whole")
        last = client.ask("/sized/innocent/10")
        client.wait(last)
        assert last.end == "whole"


@pytest.mark.parametrize("kind", ["hypercorn", "hypercorn-trio"])
def test_on_http_2_clients_that_leave_in_the_middle_of_answers_leave_no_place_behind(kind):
    settings = rules(
        slow={"throttle": {"rate": "50MB/s"}}, stream={"stream_reset": {}}, down={"abort": {"status": 503}}
    )
    with serve(kind, settings, app="tests.servers.streams:app") as server:
        for _ in range(5):
            with server.connect() as connection:
                client = Http2(connection)
                # More than the client's windows let through, and so many at once that some have not begun.
                for name in ("slow", "stream", "down") * 10:
                    client.ask(f"/sized/{name}/{SIZE}")
                eventually(lambda: server.status()["active_faults"] > 0, "faults are acting")
        eventually(lambda: server.status()["active_faults"] == 0, "nothing active")


def test_grpc_is_answered_in_its_own_terms():
    settings = rules(down={"abort": {"status": 503}})
    with serve("hypercorn", settings, app="tests.servers.streams:app") as server, server.connect() as connection:
        client = Http2(connection)
        answer = client.ask(
            "/sized/down/1", ("content-type", "application/grpc+proto"), ("te", "trailers"), method="POST"
        )
        client.wait(answer)
        assert (answer.status, answer.body, answer.end) == (200, b"", "whole")
        assert (answer.headers["grpc-status"], answer.headers["content-type"]) == ("14", "application/grpc+proto")
