"""Variables by nginx's names, and texts with gaps for them."""

from __future__ import annotations

import pytest

from faultware.core.request import Request
from faultware.core.variables import filled, is_variable, names_in, value_of, without_gaps

ASKED = Request(
    "POST",
    "/a b/ü",
    query_string="x=1&x=2&y&z=%3D+&=n",
    headers=[("Host", "Shop.Example.:80"), ("X-User-Id", "7"), ("x-user-id", "8"), ("cookie", "s=1; t=2; s=3")],
    client="10.1.2.3",
    raw_path="/api//a%20b/./%C3%BC",
    scheme="https",
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("uri", "/api/a b/ü"),
        ("request_uri", "/api//a%20b/./%C3%BC?x=1&x=2&y&z=%3D+&=n"),
        ("request_method", "POST"),
        ("method", "POST"),
        ("scheme", "https"),
        ("host", "shop.example"),
        ("remote_addr", "10.1.2.3"),
        ("http_x_user_id", "7, 8"),
        ("http_X_USER_ID", "7, 8"),
        ("http_none", None),
        ("cookie_s", "1"),
        ("cookie_none", None),
        ("arg_x", "1"),
        ("arg_y", True),
        ("arg_z", "= "),
        ("arg_none", None),
        ("consumer_name", None),
    ],
)
def test_a_variable_has_the_value_that_nginx_gives_it(name, value):
    assert value_of(ASKED, name) == value


@pytest.mark.parametrize(
    ("raw_path", "uri"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/a/", "/a/"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/a/../b", "/b"),
        ("/../../a", "/a"),
        ("/a%2Fb", "/a/b"),
        ("/%2e%2e/a", "/a"),
        ("/%FF", "/\ufffd"),
    ],
)
def test_the_uri_is_decoded_and_its_slashes_and_dots_resolved(raw_path, uri):
    assert value_of(Request(raw_path=raw_path), "uri") == uri


def test_what_a_request_has_not_is_absent():
    assert [value_of(Request(), name) for name in ("host", "remote_addr")] == [None, None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("uri", True), ("http_a", True), ("http_", False), ("arg_a.b", True), ("Uri", False), ("consumer_name", False)],
)
def test_only_a_request_has_variables(name, expected):
    assert is_variable(name) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("no gap: $", "no gap: $"),
        ("$method $uri", "POST /api/a b/ü"),
        ("${http_x_user_id}!", "7, 8!"),
        ("${http_none}!", "!"),
        ("${http_none ?? nobody}!", "nobody!"),
        ("${ method }", "${ method }"),
        ("${method ?? x}", "POST"),
        ('{"count": $arg_x}', '{"count": 1}'),
        ("$arg_y", "true"),
        (r"\$method", r"\$method"),
        ("$method.x", ""),
        ("$$method", "$POST"),
    ],
)
def test_gaps_are_filled(text, expected):
    assert filled(text, ASKED, 1000) == expected


def test_a_filled_text_is_cut():
    request = Request(headers=[("x-a", "x" * 100)])
    assert filled("$http_x_a" * 100, request, 250) == "x" * 250
    assert filled("ab$http_x_a", request, 1) == "a"


def test_names_are_told_and_gaps_closed():
    text = "$a ${b ?? c} ${b} $uri"
    assert names_in(text) == ["a", "b", "b", "uri"]
    assert without_gaps(text, ["a", "b"]) == " c  $uri"
