"""Conditions on headers, query fields, cookies, host and client, and how they combine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from faultware.core.matching import Match, PathMatch, TextMatch
from faultware.core.request import Request
from faultware.errors import RuleError
from tests.strategies import matches, requests


@pytest.mark.parametrize(
    ("condition", "accepted", "refused"),
    [
        ({"exact": "blue"}, ["blue"], ["Blue", "blues", ""]),
        ({"exact": ""}, [""], [" "]),
        ({"prefix": "bl"}, ["bl", "blue"], ["Blue", "b"]),
        ({"suffix": "ue"}, ["ue", "blue"], ["blues"]),
        ({"contains": "lu"}, ["blue", "lu"], ["bLue"]),
        ({"regex": "b.*e"}, ["blue", "be"], ["blues", "a blue"]),
        ({"exact": "blue", "ignore_case": True}, ["BLUE", "blue"], ["blues"]),
        ({"exact": "straße", "ignore_case": True}, ["STRAße"], ["STRASSE", "straẞe"]),
        ({"exact": "É", "ignore_case": True}, ["É"], ["é"]),
        ({"prefix": "BL", "ignore_case": True}, ["blue"], ["lue"]),
        ({"suffix": "UE", "ignore_case": True}, ["blue"], ["blues"]),
        ({"contains": "LU", "ignore_case": True}, ["blue"], ["bue"]),
        ({"regex": "B.*E", "ignore_case": True}, ["blue"], ["blues"]),
        ({"one_of": ("blue", "")}, ["blue", ""], ["green", "blue,"]),
        (
            {"range": (-3, 8)},
            ["-3", "7", "+3", "007", " 5\t"],
            ["8", "-4", "", "5a", "1.5", "0x1", "1_0", "٣", "9" * 99],
        ),
        ({"range": (2**63 - 2, 2**63 - 1)}, [str(2**63 - 2)], [str(2**63 - 1), str(2**64)]),
    ],
)
def test_a_text_condition_holds_for_these_and_not_for_those(condition, accepted, refused):
    match = TextMatch(**condition)
    inverted = TextMatch(**condition, invert=True)
    for value in accepted:
        assert match.accepts((value,))
        assert not inverted.accepts((value,))
    for value in refused:
        assert not match.accepts((value,))
        assert inverted.accepts((value,))


@pytest.mark.parametrize("kind", ["exact", "prefix", "suffix", "contains", "regex"])
def test_a_missing_header_never_matches_a_value_inverted_or_not(kind):
    assert not TextMatch(**{kind: "x"}).accepts(())
    assert not TextMatch(**{kind: "x"}, invert=True).accepts(())


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"exact": ""}, True),
        ({"exact": "x"}, False),
        ({"exact": "x", "invert": True}, True),
        ({"exact": "", "invert": True}, False),
        ({"regex": ".*"}, True),
        ({"one_of": ("x", "")}, True),
        ({"one_of": ("x",), "invert": True}, True),
        ({"range": (0, 9)}, False),
        ({"range": (0, 9), "invert": True}, True),
    ],
)
def test_a_missing_value_counts_as_an_empty_one_where_the_condition_says_so(condition, holds):
    match = TextMatch(**condition, absent_is_empty=True)
    assert match.accepts(()) is holds
    assert match.accepts(("",)) is holds


def test_a_repeated_header_matches_if_any_line_does_and_inverted_if_none_does():
    assert TextMatch(exact="b").accepts(("a", "b"))
    assert not TextMatch(exact="b", invert=True).accepts(("a", "b"))
    assert TextMatch(exact="c", invert=True).accepts(("a", "b"))


@pytest.mark.parametrize(
    ("present", "invert", "values", "holds"),
    [
        (True, False, ("",), True),
        (True, False, (), False),
        (False, False, (), True),
        (False, False, ("",), False),
        (True, True, (), True),
        (True, True, ("x",), False),
        (False, True, ("x",), True),
        (False, True, (), False),
    ],
)
def test_presence_can_be_asked_for_denied_and_inverted(present, invert, values, holds):
    assert TextMatch(present=present, invert=invert).accepts(values) is holds


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (
            {},
            "(give exactly one of exact, prefix, suffix, contains, regex, one_of, range, present)",
        ),
        ({"exact": "a", "prefix": "a"}, "exact and prefix exclude each other"),
        ({"present": "yes"}, "present: 'yes' is not true or false"),
        ({"exact": "a", "ignore_case": "no"}, "ignore_case: 'no' is not true or false"),
        ({"exact": "a", "invert": 0}, "invert: 0 is not true or false"),
        (
            {"present": True, "ignore_case": True},
            "ignore_case means nothing beside present (leave it out)",
        ),
        ({"exact": 1}, "exact: 1 is not a text (quote it)"),
        ({"exact": True}, "exact: True is not a text"),
        ({"prefix": ""}, "prefix: an empty text matches everything"),
        ({"regex": ""}, "regex: an empty text matches everything"),
        ({"regex": "(?=x)"}, "look-around"),
        ({"contains": "x" * 1025}, "contains: 1025 characters are too many"),
        ({"one_of": ()}, "one_of: this is no choice (1 to 64 texts)"),
        ({"one_of": "ab"}, "one_of: this is no choice (1 to 64 texts)"),
        ({"one_of": ("a",) * 65}, "one_of: this is no choice (1 to 64 texts)"),
        ({"one_of": ("a", 7)}, "one_of: 7 is not a text (quote it)"),
        ({"one_of": ("a",), "ignore_case": True}, "ignore_case means nothing beside one_of (leave it out)"),
        ({"range": (1,)}, "range: this is no range (two whole numbers of 64 bits: [200, 300])"),
        ({"range": (0, 2**63)}, "range: this is no range (two whole numbers of 64 bits: [200, 300])"),
        ({"range": (False, 3)}, "range: this is no range (two whole numbers of 64 bits: [200, 300])"),
        ({"range": (3, 3)}, "no number lies from 3 on and below 3 (the second number is not part of the range)"),
        ({"present": True, "absent_is_empty": True}, "absent_is_empty means nothing beside present (leave it out)"),
    ],
)
def test_a_text_condition_that_says_nothing_or_too_much_is_refused(condition, message):
    with pytest.raises(RuleError) as caught:
        TextMatch(**condition)
    assert message in str(caught.value)


REQUEST = Request(
    "POST",
    "/pay/7",
    query_string="user=7&flag=a%20b&flag=c",
    headers=[("Host", "Shop.Example:443"), ("X-Canary", "1"), ("x-canary", "2"), ("Cookie", "session=abc")],
    client="10.0.0.7",
    raw_path="/v1/p%61y/7",
    scheme="https",
)


@pytest.mark.parametrize(
    ("conditions", "failures"),
    [
        ({}, []),
        ({"path": "/pay"}, []),
        ({"path": "/payments"}, ["path"]),
        ({"path": PathMatch(exact="/pay/7")}, []),
        ({"methods": ["POST", "PUT"]}, []),
        ({"methods": ["GET"]}, ["methods"]),
        ({"headers": {"X-CANARY": "2"}}, []),
        ({"headers": {"x-canary": "3"}}, ["headers.x-canary"]),
        ({"headers": {"x-canary": TextMatch(exact="1", invert=True)}}, ["headers.x-canary"]),
        ({"headers": {"x-other": TextMatch(present=False)}}, []),
        ({"query": {"flag": "a b"}}, []),
        ({"query": {"flag": "c", "user": "8"}}, ["query.user"]),
        ({"query": {"User": "7"}}, ["query.User"]),
        ({"cookies": {"session": "abc"}}, []),
        ({"cookies": {"session": TextMatch(prefix="b")}}, ["cookies.session"]),
        ({"host": "shop.example"}, []),
        ({"host": "SHOP.example."}, []),
        ({"host": TextMatch(exact="Shop.Example")}, []),
        ({"host": TextMatch(suffix=".Example")}, []),
        ({"host": "other.example"}, ["host"]),
        ({"client": "10.0.0.7"}, []),
        ({"client": ["192.168.0.0/16", "10.0.0.0/8"]}, []),
        ({"client": ["10.0.1.0/24"]}, ["client"]),
        ({"headers": {"x-canary": [TextMatch(exact="1"), TextMatch(exact="2")]}}, []),
        ({"headers": {"x-canary": [TextMatch(prefix="1"), TextMatch(exact="1", invert=True)]}}, ["headers.x-canary"]),
        ({"headers": {":path": "/v1/p%61y/7?user=7&flag=a%20b&flag=c"}}, []),
        ({"headers": {":path": TextMatch(prefix="/pay")}}, ["headers.:path"]),
        ({"headers": {":path": [TextMatch(prefix="/v1"), TextMatch(suffix=".png", invert=True)]}}, []),
        ({"headers": {":method": TextMatch(exact="GET", invert=True)}}, []),
        ({"headers": {":scheme": "http"}}, ["headers.:scheme"]),
        ({"headers": {":Authority": "Shop.Example:443"}}, []),
        ({"headers": {":authority": "shop.example"}}, ["headers.host"]),
        ({"host": TextMatch(one_of=("Shop.Example.", "x"))}, []),
        ({"raw_path": "/v1/p%61y/7"}, []),
        ({"raw_path": "/pay/7"}, ["raw_path"]),
        ({"raw_path": TextMatch(prefix="/v1/P", ignore_case=True)}, []),
        ({"raw_query": {"flag": "a%20b"}}, []),
        ({"raw_query": {"flag": "c"}}, ["raw_query.flag"]),
        ({"raw_query": {"fl%61g": TextMatch(present=True)}}, ["raw_query.fl%61g"]),
        ({"path": "/x", "methods": ["GET"], "client": "::1"}, ["path", "methods", "client"]),
    ],
)
def test_all_conditions_must_hold_and_those_that_do_not_are_named(conditions, failures):
    match = Match(**conditions)
    assert match.failures(REQUEST) == failures
    assert match.accepts(REQUEST) is (not failures)
    assert match.accepts_rest(REQUEST) is (not [place for place in failures if place != "path"])


@given(matches(), requests())
def test_a_match_accepts_exactly_what_has_no_failure(match, request_):
    assert match.accepts(request_) is (not match.failures(request_))
    assert match.accepts(request_) is (
        (match.path is None or match.path.accepts(request_.path)) and match.accepts_rest(request_)
    )


@pytest.mark.parametrize(
    ("network", "client", "holds"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("::ffff:0:0/96", "::ffff:10.0.0.1", True),
        ("::1", "::1", True),
        ("fd00::/8", "fd12::1", True),
        ("fd00::/8", "10.0.0.1", False),
        ("10.0.0.0/8", "testclient", False),
        ("10.0.0.0/8", "", False),
        ("0.0.0.0/0", "1.2.3.4", True),
        ("0.0.0.0/0", "::1", False),
    ],
)
def test_a_client_is_an_address_or_within_a_network(network, client, holds):
    assert Match(client=network).accepts(Request(client=client)) is holds


def test_a_choice_and_a_range_may_be_lists():
    assert TextMatch(one_of=["a", "b"]) == TextMatch(one_of=("a", "b"))
    assert TextMatch(range=[200, 300]) == TextMatch(range=(200, 300))


def test_a_request_without_a_host_fails_every_host_condition_but_absence():
    assert not Match(host="a").accepts(Request())
    assert not Match(host=TextMatch(exact="a", invert=True)).accepts(Request())
    assert Match(host=TextMatch(present=False)).accepts(Request())


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"path": "pay"}, "path.segments: a path begins with /"),
        ({"methods": "POST"}, "methods: 'POST' is a text (write [POST])"),
        ({"methods": ["post"]}, "methods: 'post' is not a method (write POST)"),
        ({"methods": ["PO ST"]}, "methods: 'PO ST' is not a method"),
        ({"methods": [7]}, "methods: 7 is not a method"),
        ({"headers": {"x canary": "1"}}, "headers.x canary: 'x canary' is not a header name"),
        ({"headers": {"": "1"}}, "headers: '' is not a name"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers: one header is named twice (header names ignore case)"),
        ({"headers": {":path": "/", ":PATH": "/x"}}, "headers: one header is named twice (header names ignore case)"),
        ({"headers": {"host": "a", ":authority": "b"}}, "headers: one header is named twice"),
        (
            {"headers": {":status": "1"}},
            "headers.:status: ':status' is not a header name (letters, digits and -; or one",
        ),
        ({"headers": {"x-a": 1}}, "headers.x-a.exact: 1 is not a text"),
        ({"query": {7: "1"}}, "query: 7 is not a name"),
        ({"query": {f"f{number}": "1" for number in range(65)}}, "query: 65 conditions are too many (at most 64)"),
        ({"cookies": {"a": None}}, "cookies.a: nothing says what to compare with"),
        ({"client": "10.0.0.1/8"}, "client: '10.0.0.1/8' is no address and no network"),
        ({"client": ["300.0.0.1"]}, "client: '300.0.0.1' is no address"),
        ({"client": [7]}, "client: 7 is no address"),
        ({"client": 7}, "client: 7 is no address and no network"),
        ({"path": 7}, "path: 7 is not a path (a text, or PathMatch(…))"),
        ({"path": Path("/pay")}, "/pay') is not a path"),
        ({"path": TextMatch(exact="/pay")}, "is not a path"),
        ({"raw_path": 7}, "raw_path.exact: 7 is not a text"),
        ({"host": 7}, "host.exact: 7 is not a text"),
        ({"host": "shop:8000"}, "host: 'shop:8000' is more than a name (write shop: the port does not count)"),
        ({"host": "[::1]:80"}, "host: '[::1]:80' is more than a name (write ::1: the port does not count)"),
        ({"host": TextMatch(exact="Shop:80")}, "host: 'Shop:80' is more than a name (write shop: the port"),
        ({"host": TextMatch(one_of=["shop", "a:80"])}, "host: 'a:80' is more than a name (write a: the port does"),
        ({"host": "http://shop/"}, "host: 'http://shop/' is more than a name (write shop)"),
        ({"host": "http://[::1]:80"}, "host: 'http://[::1]:80' is more than a name (write ::1: the port does not"),
        ({"host": "[::1]"}, "host: '[::1]' is more than a name (write ::1)"),
        ({"host": "/"}, "host: '/' is more than a name (such as api.example.com)"),
        ({"methods": 7}, "methods: 7 is not a list (write [GET])"),
        ({"headers": [("x-a", "1")]}, "headers: [('x-a', '1')] is not a mapping (write {name: value})"),
        ({"query": 7}, "query: 7 is not a mapping"),
    ],
)
def test_a_condition_that_is_not_possible_is_refused(conditions, message):
    with pytest.raises(RuleError) as caught:
        Match(**conditions)
    assert message in str(caught.value)


def test_matches_with_the_same_conditions_are_equal_whatever_their_order_and_spelling():
    one = Match("/a", headers={"B": "1", "a": "2"}, query={"x": "1", "y": "2"}, methods=["GET", "PUT"])
    two = Match("/a", headers={"A": "2", "b": "1"}, query={"y": "2", "x": "1"}, methods=["PUT", "GET"])
    assert one == two
    assert hash(one) == hash(two)
    assert one != Match("/a")
