"""A scope as rules see it, where ASGI leaves open what a server makes of the wire."""

from __future__ import annotations

import pytest

from faultware import Abort, Match, Rule, TextMatch
from faultware.asgi.requests import ScopeRequest
from faultware.core.ruleset import LiveRule, RuleSet

CRUMBS = [(b"x-h", b"1"), (b"cookie", b"a=1"), (b"x-h", b"2"), (b"cookie", b"b=2")]
BAKED = "a=1; b=2"


def request(version, headers):
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    return ScopeRequest(scope if version is None else {**scope, "http_version": version}, "/")


@pytest.mark.parametrize(
    ("version", "expected"),
    [("2", (BAKED,)), ("3", (BAKED,)), ("1.1", ("a=1", "b=2")), ("1.0", ("a=1", "b=2")), (None, ("a=1", "b=2"))],
)
def test_cookies_that_a_later_http_has_cut_are_one_line(version, expected):
    # RFC 9113, section 8.2.3: they are joined before a generic application gets them. Servers leave it.
    seen = request(version, CRUMBS)
    assert seen.header("cookie") == expected
    assert seen.headers["cookie"] == expected
    assert seen.header("x-h") == seen.headers["x-h"] == ("1", "2")
    assert seen.cookies == {"a": ("1",), "b": ("2",)}


@pytest.mark.parametrize("headers", [[], [(b"cookie", b"a=1")], [(b"x-h", b"1"), (b"cookie", b"a=1; b=2")]])
def test_a_cookie_that_is_whole_stays_as_it_is(headers):
    assert list(request("2", headers).header_lines()) == [(name.decode(), value.decode()) for name, value in headers]


def test_a_rule_for_a_whole_cookie_is_found_where_it_came_in_pieces():
    match = Match(headers={"cookie": TextMatch(exact=BAKED)})
    rules = RuleSet([LiveRule(Rule("a", match, percentage=1, abort=Abort(503)))])
    found = [
        [one for one in rules.candidates(seen) if one.rule.match.accepts(seen)]
        for seen in (request("2", CRUMBS), request("1.1", CRUMBS))
    ]
    assert [len(one) for one in found] == [1, 0]
