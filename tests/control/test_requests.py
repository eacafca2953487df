"""What is refused whatever the operation: unknown routes, wrong methods, bodies that cannot be read."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faultware.control.messages import MAX_BODY, Answer, ControlRequest, Problem
from faultware.core.rendering import rule_document
from tests.control.kit import RULE, TOKEN, open_desk
from tests.strategies import rules

METHODS = {
    "/status": "GET, HEAD",
    "/kill": "POST",
    "/arm": "POST",
    "/rules": "GET, HEAD, PUT",
    "/rules/pay": "DELETE, GET, HEAD, PUT",
    "/parse": "POST",
    "/explain": "POST",
    "/events": "GET, HEAD",
    "/audit": "GET, HEAD",
    "/capabilities": "GET, HEAD",
    "/metrics": "GET, HEAD",
    "/openapi.json": "GET, HEAD",
    "/series": "GET, HEAD",
    "/recent": "GET, HEAD",
}
READS = [path for path, methods in METHODS.items() if "GET" in methods]


@pytest.mark.parametrize("path", METHODS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "KILL", "get"])
def test_a_method_that_does_nothing_is_refused_with_those_that_do(desk, path, method):
    reply = desk(method, path)
    allowed = METHODS[path].split(", ")
    assert (reply.status == 405) is (method not in allowed)
    if reply.status == 405:
        assert reply.headers["allow"] == METHODS[path]
        assert reply.data["detail"] == f"{method} does nothing here; allowed: {METHODS[path]}"


@pytest.mark.parametrize(
    "path", ["/nothing", "/console.html", "/Status", "/status/", "/rules/", "/kill/now", "//status"]
)
def test_an_unknown_route_is_refused_with_those_there_are(desk, path):
    for method in ("GET", "POST", "DELETE"):
        reply = desk(method, path)
        assert reply.status == 404
        assert reply.data["detail"].startswith(f"there is no {path} here; there are /status, /kill, /arm, /rules, ")
        assert "/rules/{name}" in reply.data["detail"]


def test_every_answer_says_that_it_is_not_to_be_stored_or_guessed_at(desk):
    for path in (*METHODS, "/nothing"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            desk(method, path, token=None)
            desk(method, path)
    assert {reply.status for reply in desk.replies} >= {200, 204, 401, 404, 405}
    for reply in desk.replies:
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert not [name for name in reply.headers if name.startswith("access-control")]


def test_a_refusal_is_a_problem_document(desk):
    reply = desk("GET", "/rules/nobody")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.data == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "there is no rule named 'nobody'",
    }


# Bodies.


@pytest.mark.parametrize("path", ["/arm", "/rules", "/rules/pay", "/parse", "/explain"])
def test_a_body_that_is_not_json_by_its_type_is_refused(desk, path):
    method = "PUT" if "rules" in path else "POST"
    for content_type in (None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"):
        before = desk.state()
        reply = desk(method, path, {}, content_type=content_type)
        assert reply.status == 415
        assert reply.data["detail"] == "send the body as content-type: application/json"
        assert desk.state() == before


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
def test_json_is_known_by_its_type(desk, content_type):
    assert desk("POST", "/kill", {}, content_type=content_type).status == 200


@pytest.mark.parametrize("path", ["/arm", "/rules", "/rules/pay", "/parse", "/explain"])
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b" ",
        b"{} {}",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a": "\\ud800"}',
        b'{"\\ud800": 1}',
    ],
)
def test_broken_json_is_refused_and_changes_nothing(desk, path, body):
    before = desk.state()
    reply = desk("PUT" if "rules" in path else "POST", path, body=body)
    assert reply.status == 400
    assert reply.data["detail"].startswith("body")
    assert len(reply.body) < 1000
    assert desk.state() == before


@pytest.mark.parametrize("path", ["/arm", "/parse", "/explain", "/rules/pay"])
@pytest.mark.parametrize("data", [[], "x", 5, True, [{}]])
def test_json_that_is_no_object_is_refused(desk, path, data):
    reply = desk("PUT" if "rules" in path else "POST", path, data)
    assert (reply.status, reply.data["detail"]) == (422, "send a JSON object")


def test_a_body_may_have_a_mebibyte_and_not_a_byte_more(desk):
    def padded(size):
        return b"{}".ljust(size)

    assert desk("POST", "/kill", body=padded(MAX_BODY)).status == 200
    reply = desk("POST", "/arm", body=padded(MAX_BODY + 1))
    assert (reply.status, reply.data["detail"]) == (413, "a body has at most 1048576 bytes")
    assert desk.switch.killed
    assert desk("GET", "/nothing", body=padded(MAX_BODY + 1)).status == 404


@pytest.mark.parametrize("body", [b"x", b"{}", b"x" * 100])
def test_a_body_where_none_is_needed_must_be_json_all_the_same(desk, body):
    assert desk("GET", "/status", body=body, content_type="text/plain").status == 415
    assert desk("GET", "/status", body=body).status == 200


# Nothing changes by reading.

QUERIES = st.sampled_from(["", "since=0", "since=1", "kill", "_method=DELETE", "since=x&since=2", "%ff", "since"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    path=st.sampled_from([*READS, "/kill", "/arm", "/parse", "/explain", "/nothing"]),
    method=st.sampled_from(["GET", "HEAD", "OPTIONS", "TRACE"]),
    query=QUERIES,
    data=st.none() | st.sampled_from([{}, {"reason": "x"}, {"rules": []}, RULE]),
    override=st.sampled_from([None, "POST", "DELETE", "PUT"]),
)
def test_nothing_changes_by_reading(desk, path, method, query, data, override):
    before = desk.state()
    desk(method, path, data, query=query, x_http_method_override=override)
    desk(method, path, data, query=query, token="wrong")
    assert desk.state() == before


@pytest.mark.parametrize("path", READS)
def test_head_is_answered_like_get(desk, path):
    get, head = desk("GET", path), desk("HEAD", path)
    assert (head.status, head.headers) == (get.status, get.headers)


# No request makes a bug show.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "reason",
    "for",
    "rules",
    "name",
    "match",
    "percentage",
    "abort",
    "delay",
    "path",
    "headers",
    "query",
    "method",
)
DOCUMENTS = rules().map(rule_document)
BODIES = st.one_of(
    st.binary(max_size=40),
    JSON.map(lambda data: json.dumps(data).encode()),
    st.dictionaries(st.sampled_from([*FIELDS, "client"]), JSON | st.text() | st.just({"path": "/pay"}), max_size=4).map(
        lambda data: json.dumps(data).encode()
    ),
    st.tuples(DOCUMENTS, st.sampled_from([*FIELDS, ""]), JSON).map(lambda parts: _spoilt(*parts)),
    st.lists(DOCUMENTS, max_size=3).map(lambda documents: json.dumps({"rules": documents}).encode()),
    st.fixed_dictionaries(
        {"path": st.text(max_size=20).map(lambda text: "/" + text)},
        optional={
            "headers": st.dictionaries(
                st.text(max_size=8), st.text(max_size=8) | st.lists(st.text(max_size=8)), max_size=3
            ),
            "query": st.text(max_size=20),
            "client": st.text(max_size=20),
            "method": st.text(max_size=8),
        },
    ).map(lambda data: json.dumps(data).encode()),
)
HEADERS = st.fixed_dictionaries(
    {
        "authorization": st.sampled_from([f"Bearer {TOKEN}"] * 8 + [f"bearer  {TOKEN}"]) | st.text(max_size=20),
        "host": st.sampled_from(["localhost"] * 6 + ["[::1]:80", "[", ":", "evil.example"]) | st.text(max_size=10),
        "content-type": st.sampled_from(["application/json"] * 6 + ["text/plain", ""]) | st.text(max_size=10),
    },
    optional={
        "if-match": st.sampled_from(["*", '"1"', 'W/"1"', "1", '"2", "3"', ",", '"', "W/"]) | st.text(max_size=10),
        "accept": st.sampled_from(["*/*", "application/openmetrics-text; version=1.0.0"]) | st.text(max_size=30),
    },
)
TARGETS = st.one_of(
    st.sampled_from(list(METHODS)),
    st.sampled_from(["/rules/", "/rules/a", "/rules/ä", "/rules/a/b", "/rules//", "", "/"]),
    st.text(st.characters(), max_size=12).map(lambda text: "/rules/" + text),
    st.text(st.characters(), max_size=12),
)


def _spoilt(document, field, value):
    return json.dumps({**document, **({field: value} if field else {})}).encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=250)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]) | st.text(max_size=8),
    path=TARGETS,
    query=st.text(max_size=20) | st.integers().map(lambda number: f"since={number}"),
    headers=HEADERS,
    body=BODIES,
    client=st.text(max_size=10),
)
def test_no_request_makes_a_bug_show(desk, method, path, query, headers, body, client):
    reply = desk.send(ControlRequest(method, path, query, headers, body, client))
    if method in ("GET", "HEAD") and path in ("", "/") and reply.status < 400:
        return
    assert reply.status in (200, 201, 204, 400, 401, 403, 404, 405, 409, 412, 415, 422, 429), reply
    assert desk.injector.internal_errors == {}
    if reply.status == 204:
        assert reply.body == b""
    elif path != "/metrics" or reply.status != 200:
        assert isinstance(reply.data, dict)
        reply.body.decode()
    if reply.status >= 400:
        assert reply.data["status"] == reply.status
        assert len(reply.body) < 40_000
    for name, value in reply.headers.items():
        assert name.isascii()
        assert value.isascii()
        assert value.isprintable()


@settings(deadline=None, max_examples=100)
@given(path=st.sampled_from(["/rules/pay", "/explain", "/rules"]), body=BODIES)
def test_whatever_is_sent_to_it_an_endpoint_goes_on_working(path, body):
    desk = open_desk()
    desk("POST" if path == "/explain" else "PUT", path, body=body)
    described = desk("POST", "/explain", {"path": "/pay", "headers": {"x-canary": "1"}})
    assert described.status == 200
    rules_now = desk("GET", "/rules")
    assert desk("PUT", "/rules", rules_now.data).status == 200
    assert desk("GET", "/metrics").status == 200
    assert desk("POST", "/kill").data["state"] == "killed"


def test_half_of_a_character_is_answered_as_json_can_say_it():
    for rendered in (Answer({"detail": "\ud800"}).render(), Problem(HTTPStatus.BAD_REQUEST, "\ud800").render()):
        assert json.loads(rendered.body)["detail"] == "\ud800"
        assert b'"\\ud800"' in rendered.body
