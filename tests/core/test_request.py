"""What rules can see of a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware.core.request import MAX_FIELDS, Request


def test_a_request_without_anything_is_a_get_of_the_root():
    request = Request()
    assert (request.method, request.path, request.query_string, request.client, request.host) == (
        "GET",
        "/",
        "",
        "",
        "",
    )
    assert request.headers == request.query == request.cookies == {}


def test_header_names_ignore_case_and_repeated_lines_stay_apart_and_in_order():
    request = Request(headers=[("X-A", "1"), ("x-b", "2"), ("x-A", "3")])
    assert request.headers == {"x-a": ("1", "3"), "x-b": ("2",)}
    assert request.header("x-a") == ("1", "3")
    assert request.header("x-c") == ()
    assert request.has_header(frozenset({"x-c", "x-b"}))
    assert not request.has_header(frozenset({"x-c"}))


@pytest.mark.parametrize(
    ("query_string", "fields"),
    [
        ("", {}),
        ("a=1", {"a": ("1",)}),
        ("a=1&a=2&b=3", {"a": ("1", "2"), "b": ("3",)}),
        ("a", {"a": ("",)}),
        ("a=", {"a": ("",)}),
        ("a=b=c", {"a": ("b=c",)}),
        ("a%20b=c+d", {"a b": ("c d",)}),
        ("a=%C3%A9", {"a": ("é",)}),
        ("a=%FF", {"a": ("\ufffd",)}),
        ("a;b=1", {"a;b": ("1",)}),
        ("a=1&&b=2", {"a": ("1",), "b": ("2",)}),
    ],
)
def test_query_fields_are_decoded_as_a_framework_would(query_string, fields):
    assert Request(query_string=query_string).query == fields


@pytest.mark.parametrize(
    ("query_string", "fields"),
    [
        ("", {}),
        ("a=1&a=2", {"a": ("1",)}),
        ("a", {"a": ("",)}),
        ("a%20b=c+d", {"a%20b": ("c+d",)}),
        ("a=b=c&&b", {"a": ("b=c",), "b": ("",)}),
    ],
)
def test_the_raw_query_is_not_decoded_and_knows_first_values_only(query_string, fields):
    assert Request(query_string=query_string).raw_query == fields


def test_the_target_is_what_was_sent_or_else_what_would_have_been():
    assert Request(path="/a", raw_path="/%61", query_string="b=%20").target == "/%61?b=%20"
    assert Request(path="/a b/é?").target == "/a%20b/%C3%A9%3F"
    assert Request().scheme == "http"


def test_a_query_of_too_many_fields_is_read_no_further():
    request = Request(query_string="&".join(f"f{number}=1" for number in range(MAX_FIELDS + 5)))
    assert len(request.query) == MAX_FIELDS
    assert f"f{MAX_FIELDS - 1}" in request.query


@pytest.mark.parametrize(
    ("lines", "fields"),
    [
        ((), {}),
        (("a=1",), {"a": ("1",)}),
        (("a=1; b=2",), {"a": ("1",), "b": ("2",)}),
        (("a=1", "b=2; a=3"), {"a": ("1", "3"), "b": ("2",)}),
        (('a="quoted"',), {"a": ("quoted",)}),
        (("a=b=c",), {"a": ("b=c",)}),
        (("nonsense; a=1;;",), {"a": ("1",)}),
        ((" a = 1 ",), {"a": ("1",)}),
    ],
)
def test_cookies_are_read_from_all_cookie_lines(lines, fields):
    assert Request(headers=[("Cookie", line) for line in lines]).cookies == fields


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("shop.example", "shop.example"),
        ("Shop.EXAMPLE:8080", "shop.example"),
        ("shop.example.", "shop.example"),
        ("shop.example.:80", "shop.example"),
        (" shop.example ", "shop.example"),
        ("[::1]:8080", "::1"),
        ("[::1]", "::1"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("", ""),
    ],
)
def test_the_host_is_a_name_in_lower_case_without_its_port(header, host):
    assert Request(headers=[("host", header)]).host == host


def test_two_host_lines_are_no_host():
    assert Request(headers=[("host", "a"), ("host", "b")]).host == ""


def test_a_preflight_is_options_with_the_header_that_asks_for_leave():
    header = ("Access-Control-Request-Method", "POST")
    assert Request("OPTIONS", headers=[header]).is_preflight
    assert not Request("OPTIONS").is_preflight
    assert not Request("GET", headers=[header]).is_preflight


def test_fields_are_gathered_once():
    request = Request(query_string="a=1", headers=iter([("x", str(number)) for number in range(10_000)]))
    assert request.headers["x"][9_999] == "9999"
    assert request.headers is request.headers
    assert request.query is request.query
    assert request.cookies is request.cookies


@given(st.text(), st.lists(st.tuples(st.text(), st.text())), st.text())
def test_no_request_raises(query_string, headers, client):
    request = Request(query_string=query_string, headers=[*headers, ("cookie", query_string), ("host", client)])
    assert isinstance(request.query, dict)
    assert isinstance(request.cookies, dict)
    assert isinstance(request.headers, dict)
    assert isinstance(request.host, str)
    assert request.is_preflight is False
