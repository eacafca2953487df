"""Requests of any bytes, before rules that ask for everything a request may have: nothing fails inside, and every
request gets one answer. What fails inside is swallowed and counted, so only the count can tell.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.asgi.server import http_scope
from tests.asgi.server import wrapped as wrapped_asgi
from tests.parity.test_choosing_generated import asgi_application, ask_asgi, ask_wsgi, wsgi_application
from tests.wsgi.server import environment
from tests.wsgi.server import wrapped as wrapped_wsgi

TEMPLATE = {"status": 503, "body": "$http_x_a ${arg_q ?? no} $cookie_s $uri $request_uri $host", "template": True}
EVERYTHING = [
    {"name": "text", "match": {"headers": {"x-a": {"regex": "[a-z]+", "ignore_case": True}}}, "percentage": 100},
    {"name": "client", "match": {"client": ["10.0.0.0/8", "::1"], "host": {"suffix": ".example"}}, "percentage": 100},
    {"name": "query", "match": {"query": {"q": {"range": [1, 9]}}, "raw_query": {"q": "%31"}}, "percentage": 100},
    {"name": "cookie", "match": {"cookies": {"s": {"contains": "x", "invert": True}}}, "percentage": 100},
    {"name": "sent", "match": {"raw_path": {"prefix": "/%"}, "headers": {":authority": "x"}}, "percentage": 100},
    {"name": "where", "match": {"where": [["arg_q", ">", 1], ["http_x_a", "~~", "x"]]}, "percentage": 100},
    {"name": "glob", "match": {"path": "/**/*x"}, "percentage": 50},
    {"name": "user", "match": {"path": {"template": "/{user}/x"}}, "percentage": 50, "sample_by": "header:x-a"},
    {"name": "asker", "match": {"path": {"contains": "a"}}, "percentage": 50, "sample_by": "cookie:s"},
    {"name": "any", "match": {"path": "/"}, "percentage": 50},
]
RULES = [{"abort": TEMPLATE, **rule} for rule in EVERYTHING]
NAMES = st.sampled_from([b"x-a", b"cookie", b"host", b"content-type", b"x-envoy-fault-abort-request", b""])
HEADERS = st.lists(st.tuples(NAMES | st.binary(max_size=4), st.binary(max_size=12)), max_size=5)
SENT = st.lists(
    st.sampled_from(["/", "a", "%", "%2f", "%ff", "//", "?", "\x00", "é", "\ufffd", "x"]) | st.text(max_size=3)
)
QUERIES = st.lists(st.sampled_from(["q", "=", "&", "%", "%31", "%ff", "+", ";", "1"]), max_size=8).map("".join)
CLIENTS = st.sampled_from(["10.0.0.1", "::1", "fe80::1%eth0", "", "unix:", "10.0.0.1:80", "é"]) | st.text(max_size=5)


@given(headers=HEADERS, path=SENT.map("".join), query=QUERIES | st.text("\xff\x00é&=", max_size=5), client=CLIENTS)
def test_no_scope_makes_anything_fail_inside(headers, path, query, client):
    app = wrapped_asgi(asgi_application, RULES, envoy_headers=True, envoy_headers_from="*")
    for raw_path in (None, path.encode(errors="replace"), b""):
        scope = {**http_scope(path, query=query, client=client), "raw_path": raw_path}
        scope["headers"] = [(name.lower(), value) for name, value in headers]
        ask_asgi(app, scope)
    assert app._injector.internal_errors == {}


@given(headers=HEADERS, path=SENT.map("".join), query=QUERIES | st.text("\xff\x00é&=", max_size=5), client=CLIENTS)
def test_no_environment_makes_anything_fail_inside(headers, path, query, client):
    app = wrapped_wsgi(wsgi_application, RULES, lint=False, envoy_headers=True, envoy_headers_from="*")
    lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    for raw in ({}, {"RAW_URI": path}, {"REQUEST_URI": f"http://{path}"}):
        ask_wsgi(app, environment(path, query=query, client=client, headers=lines, **raw))
    assert app._injector.internal_errors == {}
