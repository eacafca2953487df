"""Raw bytes at the control endpoint of real servers: paths that are spelt to be misread, heads that contradict
themselves, and mutations of good requests. Nothing gets in, nothing ends in a 500, and the service goes on.
"""

from __future__ import annotations

import random
import socket
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from tests.servers.harness import PATIENCE_SECONDS, TOKEN, eventually, free_port, serve

pytestmark = pytest.mark.server

KINDS = [
    "uvicorn",
    "uvicorn-h11",
    "hypercorn",
    "granian",
    "gunicorn-sync",
    "gunicorn-gthread",
    "gunicorn-gevent",
    "uwsgi-http-socket",
    "granian-wsgi",
    "waitress",
]
# It says nothing of how a path was written (no RAW_URI), so what is encoded counts as plain there.
BLIND = {"granian-wsgi"}
# They take a client that says no more for one that has left.
HASTY = {"granian", "granian-wsgi"}
BEARER = f"authorization: Bearer {TOKEN}"
SPELT = [
    "/%5ffaultware/kill",
    "/%5Ffaultware/kill",
    "/_faultware%2fkill",
    "/_faultware/%6bill",
    "/%2f_faultware/kill",
    "//_faultware/kill",
    "/_faultware//kill",
    "/./_faultware/kill",
    "/x/../_faultware/kill",
    "/_faultware/../_faultware/kill",
    "/_faultware/%2e%2e/_faultware/kill",
    "/_FAULTWARE/kill",
    "/_Faultware/Kill",
    "/_faultware;x/kill",
    "/_faultware;x=/../kill",
    "/_faultware/kill;x",
    "/_faultware/kill%00",
    "/_faultware/kill%0a",
    "/_faultware\\kill",
    "/_faultware%5ckill",
    "/%ef%bc%8f_faultware/kill",
    "/_faultware%252fkill",
    "_faultware/kill",
    "*",
]


def exchange(server, kind, data, *, patience=PATIENCE_SECONDS, stays=False):
    """Everything a server says to some bytes behind which nothing follows, unless somebody waits for the answer."""
    said = b""
    with socket.create_connection(("127.0.0.1", server.port), patience) as connection:
        try:
            connection.sendall(data)
            if kind not in HASTY and not stays:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                said += chunk
        except OSError:  # it has hung up, or waits for more
            pass
    return said


def status(said):
    return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/") else 0


def asked(method, target, *lines, body=b""):
    head = [f"{method} {target} HTTP/1.1", *lines, "connection: close"]
    if body or method == "POST":
        head.append(f"content-length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_gets_in_by_a_side_door_and_no_fault_keeps_the_right_one_out(kind):
    with serve(kind, {"FAULTWARE_RULES": "/** 100% abort 418 as all", "FAULTWARE_STORE": ""}) as server:
        for target in SPELT:
            said = exchange(server, kind, asked("POST", target, "host: localhost", BEARER))
            is_plain_here = kind in BLIND and server.status()["state"] == "killed"
            if is_plain_here:
                assert "%" in target, target
                assert server.control("POST", "arm").status == 200
            assert server.status()["state"] == "armed", (target, said)
            assert status(said) < 500, (target, said)
        for lines in (
            ["host: localhost"],
            ["host: localhost", "x-forwarded-for: 127.0.0.1", "x-real-ip: 127.0.0.1", "forwarded: for=127.0.0.1"],
            ["host: evil.example", BEARER],
            ["host: localhost", "host: evil.example", BEARER],
            ["host: evil.example", "host: localhost", BEARER],
            ["host: evil.example", "x-forwarded-host: localhost", BEARER],
            [BEARER],
            ["host: localhost", BEARER, "origin: http://evil.example"],
            ["host: localhost", BEARER, "sec-fetch-site: cross-site"],
            ["host: localhost", BEARER, "authorization: Bearer wrong"],
        ):
            said = exchange(server, kind, asked("POST", "/_faultware/kill", *lines))
            assert status(said) in (400, 401, 403), (lines, said)
            assert server.status()["state"] == "armed", lines
        for target in ("/_faultware/kill", "/_faultware/status", "/_faultware/"):
            said = exchange(server, kind, asked("GET", target, "host: localhost", BEARER, *HANDSHAKE), stays=True)
            assert status(said) < 500, (target, said)
        for target in ("/_faultware/kill", "/_faultware/kill?a=%2f", "http://localhost/_faultware/kill"):
            said = exchange(server, kind, asked("POST", target, "host: localhost", BEARER), stays=True)
            if not target.startswith("http") or status(said) == 200:
                assert server.control("POST", "arm").json()["version"] > 2, target


HANDSHAKE = ["upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="]
BODIES = [
    b"",
    b"{}",
    b'{"reason": "x"}',
    b'{"rules": "/a 1% abort 503"}',
    b"[" * 5000,
    b'{"a": 1e999}',
    b"\xff\xfe",
    b"9" * 9000,
]
PIECES = [
    b"\x00",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"%",
    b"%2f",
    b"/",
    b"//",
    b"..",
    b"?",
    b"#",
    b"\xff",
    b"\xc3\xa9",
    b"chunked",
    b"Content-Length: 5\r\n",
    b"content-length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"transfer-encoding: identity\r\n",
    b"expect: 100-continue\r\n",
    b"upgrade: h2c\r\nconnection: upgrade\r\n",
    b"content-type: application/json\r\n",
    b"content-encoding: gzip\r\n",
    b'if-match: W/"1"\r\n',
    b'if-match: "\r\n',
    b"host: [::1\r\n",
    b"sec-fetch-site: none\r\n",
    b"x: " + b"y" * 5000 + b"\r\n",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"A" * 300,
]
TARGETS = [
    "status",
    "kill",
    "arm",
    "rules",
    "rules/pay",
    "parse",
    "explain",
    "events?since=1",
    "audit",
    "metrics",
    "openapi.json",
    "x",
    "",
]


def mutations(seed, count):
    """Good requests into which something was put, or out of which something was taken; the same ones every time."""
    dice = random.Random(seed)
    for _ in range(count):
        method = dice.choice(
            ["GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "P\xc9T"]
        )
        lines = ["host: localhost", "content-type: application/json"]
        if dice.random() < 0.8:
            lines.append(BEARER)
        data = bytearray(asked(method, "/_faultware/" + dice.choice(TARGETS), *lines, body=dice.choice(BODIES)))
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(data))
            match dice.randrange(4):
                case 0:
                    data[at:at] = dice.choice(PIECES)
                case 1:
                    del data[at : at + dice.randrange(1, 30)]
                case 2:
                    data[at] = dice.randrange(256)
                case 3:
                    line_at = data.find(b"\r\n", at) + 2
                    data[line_at:line_at] = dice.choice(PIECES)
        yield bytes(data)


def exchanged(server, kind):
    """Mutations, and what is said to each. Some servers wait for more, so several are tried at once."""
    tried = list(mutations(kind, 300))
    with ThreadPoolExecutor(8) as pool:
        return list(zip(tried, pool.map(lambda data: exchange(server, kind, data, patience=0.5), tried), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_no_bytes_make_an_answer_of_500_or_end_the_service(kind):
    with serve(kind, {"FAULTWARE_RULES": "/pay 10% abort 503 as pay", "FAULTWARE_STORE": ""}) as server:
        statuses = set()
        for data, said in exchanged(server, kind):
            statuses.add(status(said))
            assert status(said) not in (500, 502, 503), (data, said)
        assert server.process.poll() is None
        assert {200, 401} <= statuses
        assert "faultware_internal_errors_total{" not in server.control("GET", "metrics").body.decode()
        assert "Traceback" not in server.log


def test_no_bytes_harm_the_endpoint_on_a_socket_of_its_own():
    """What reads them there is no server's parser, but h11."""
    own = SimpleNamespace(port=free_port())
    with serve("uvicorn", {"FAULTWARE_CONTROL_LISTEN": f"127.0.0.1:{own.port}", "FAULTWARE_STORE": ""}) as server:
        good = asked("GET", "/_faultware/metrics", "host: localhost", BEARER)
        eventually(lambda: is_open(own.port), "the endpoint on its socket")
        statuses = {status(said) for _, said in exchanged(own, "own")}
        assert not {500, 502, 503} & statuses
        assert {200, 400, 401} <= statuses
        for target in SPELT:
            said = exchange(own, "", asked("POST", target, "host: localhost", BEARER))
            assert status(said) in (400, 404), (target, said)
        said = exchange(own, "", good)
        assert status(said) == 200
        assert b"faultware_internal_errors_total{" not in said
        assert "Traceback" not in server.log


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
