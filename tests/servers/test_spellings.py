"""Request targets as raw bytes, through real servers into real routers: a rule hits what is routed where it says.

What a server makes of a target before an application sees it differs: whole URLs, fragments, broken escapes, prefixes.
The oracle is the same application on the same server, without the rule.
"""

from __future__ import annotations

import socket

import pytest

from tests.frameworks.applications import ASGI, PAYMENTS, WSGI
from tests.frameworks.spellings import SPELLINGS
from tests.servers.harness import PATIENCE_SECONDS, SERVERS, serve

pytestmark = pytest.mark.server

RAW = (
    "/payments#x",
    "/payments?x=1",
    "/payments??",
    "/payments?%0a",
    "/?/payments",
    "HTTP://localhost/payments",
    "http://localhost",
    "http://localhost?/payments",
    "http:///payments",
    "https://u:p@localhost:8/payments",
    "//localhost/payments",
    "localhost:80",
    "/payments/%2e%2e/x",
    "/payments%2F..%2Fx",
    "/payments%2f%2f7",
    "/x%2f..%2fpayments",
    "/%2e%2e/payments",
    "/..;/payments",
    "/payments/.;/",
    "/;/payments",
    "/payments/%",
    "/payments%u0000",
    "/payments/%c0%af",
    "/payments\xc3\xa9",
    "/payments\xff",
    "/\xffpayments",
    "/payments/\xff",
    "/pay\tments",
    "/api",
    "/api/",
    "/api/payments",
    "/api//payments",
    "//api/payments",
    "/apipayments",
    "/api/api/payments",
    "/payments/api/payments",
    "/%61pi/payments",
    "/api%2Fpayments",
    "http://localhost/api/payments",
)
ASGI_SERVERS = ("uvicorn", "uvicorn-h11", "hypercorn", "granian", "daphne", "gunicorn-asgi")
WSGI_SERVERS = ("gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent", "granian-wsgi", "waitress")
WSGI_SERVERS += ("werkzeug", "cheroot", "uwsgi-http-socket")
# The kind of a server, and its options; a header line is one that gunicorn takes from proxies it trusts.
HERE = [
    *((kind, ()) for kind in (*ASGI_SERVERS, *WSGI_SERVERS)),
    ("uvicorn", ("--root-path", "/api")),
    ("hypercorn", ("--root-path", "/api")),
    ("granian", ("--url-path-prefix", "/api")),
    ("granian-wsgi", ("--url-path-prefix", "/api")),
    ("waitress", ("--url-prefix=/api",)),
    ("gunicorn-gthread", ("SCRIPT_NAME: /api",)),
]


def ask(server, target, *lines):
    """The status, and whether the application's own words for payments were among what came."""
    head = [f"GET {target} HTTP/1.1", "host: localhost", "connection: close", *lines, "", ""]
    said = b""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS) as connection:
        try:
            connection.sendall("\r\n".join(head).encode("latin-1"))
            while chunk := connection.recv(65536):
                said += chunk
        except ConnectionError:  # some servers answer what they cannot read by hanging up
            pass
    status = int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/") else 0
    return status, PAYMENTS.encode() in said.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("kind", "options"), HERE, ids=lambda value: " ".join(value) if isinstance(value, tuple) else value
)
def test_no_target_escapes_a_rule_and_none_is_hit_that_is_routed_elsewhere(kind, options):
    protocol = SERVERS[kind].protocol
    wrong, routed = {}, set()
    lines = [option for option in options if ": " in option]
    options = [option for option in options if ": " not in option]
    with serve(kind, {}, *options, app=f"tests.servers.routed_{protocol}:app") as server:
        for name in ASGI if protocol == "asgi" else WSGI:
            for target in (*SPELLINGS, *RAW):
                status, says_payments = ask(server, target, f"x-app: {name}", *lines)
                is_hit = ask(server, target, f"x-app: {name}", "x-faulted: 1", *lines)[0] == 418
                if status == 200 and says_payments:
                    routed.add((name, target))
                if is_hit != ((name, target) in routed):
                    wrong[name, target] = f"{status}, {'hit' if is_hit else 'missed'}"
    assert wrong == {}
    assert len(routed) >= 8
