"""Conditions on variables with and, or and not."""

from __future__ import annotations

import pytest
from hypothesis import given

from faultware import Match
from faultware.core.comparing import MAX_CONDITIONS, MAX_DEPTH, number, parse
from faultware.core.request import Request
from faultware.errors import RuleError
from tests.condition_strategies import expressions
from tests.strategies import requests

NAMES = "one of uri, request_uri, request_method, method, scheme, host, remote_addr, or http_, cookie_, arg_ and a name"
HEADERS = [("Host", "Shop.Example:80"), ("x-chaos", "on"), ("x-n", "18.0"), ("x-n", "7"), ("x-age", "18")]
ASKED = Request(
    "GET",
    "/Pay/7",
    query_string="age=18&flag&blue=b%20+c&word=nine&hex=0x12",
    headers=HEADERS,
    client="10.1.2.3",
)


def holds(*conditions):
    return parse(list(conditions)).holds(ASKED)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        # A number on the right converts what stands on the left; a text does not.
        (["http_x_age", "==", 18], True),
        (["http_x_age", "==", 18.0], True),
        (["arg_hex", "==", 18], True),
        (["arg_word", "==", 9], False),
        (["http_x_age", "==", "18"], True),
        (["http_x_age", "==", "18.0"], False),
        (["http_x_age", 18], True),
        (["http_x_age", 18.0], True),
        (["arg_hex", 18], False),
        (["http_x_chaos", "on"], True),
        (["http_x_age", "~=", 18], False),
        (["http_x_age", "~=", "18.0"], True),
        (["arg_word", "~=", 9], True),
        # What is absent.
        (["http_none", "==", "on"], False),
        (["http_none", "~=", "on"], True),
        (["http_none", "==", None], True),
        (["http_x_chaos", "==", None], False),
        (["http_x_chaos", "~=", None], True),
        (["http_none", "!", "==", "on"], True),
        (["http_none", "<", 18], False),
        (["http_none", "!", "<", 18], True),
        (["http_none", "~~", ""], False),
        (["http_none", "in", ["on", None]], False),
        (["http_none", "has", "on"], False),
        (["http_none", "!", "has", "on"], True),
        # A query field without an equals sign is true, and no text.
        (["arg_flag", "==", True], True),
        (["arg_flag", "==", ""], False),
        (["arg_flag", "~~", ".*"], False),
        (["http_x_chaos", "==", True], False),
        (["arg_flag", ">", 0], False),
        # Order: of numbers alone.
        (["arg_age", ">", 17], True),
        (["arg_age", ">", 18], False),
        (["arg_age", ">=", 18], True),
        (["arg_age", "<", 19], True),
        (["arg_age", "<=", 18], True),
        (["arg_age", "<=", 17], False),
        (["arg_age", ">", "9"], True),
        (["arg_age", ">", "nine"], False),
        (["arg_word", ">", 0], False),
        (["arg_age", ">", True], False),
        # Patterns: anywhere, with or without regard to case.
        (["uri", "~~", "^/Pay"], True),
        (["uri", "~~", "^/pay"], False),
        (["uri", "~*", "^/pay"], True),
        (["uri", "~~", "(?i)^/pay"], True),
        (["uri", "~~", "7$"], True),
        (["uri", "~~", "ay"], True),
        (["uri", "~~", "a|x"], True),
        (["uri", "~~", "^7"], False),
        (["uri", "!", "~~", "^7"], True),
        # Lists: without conversion.
        (["http_x_age", "in", ["17", "18"]], True),
        (["http_x_age", "IN", [17, 18]], False),
        (["arg_flag", "in", [1, True]], True),
        (["http_x_age", "has", "18"], False),
        # Addresses.
        (["remote_addr", "ipmatch", "10.0.0.0/8"], True),
        (["remote_addr", "ipmatch", ["127.0.0.1", "10.1.2.3"]], True),
        (["remote_addr", "ipmatch", "::/0"], False),
        (["remote_addr", "!", "ipmatch", "10.0.0.0/8"], False),
        (["http_x_chaos", "ipmatch", "10.0.0.0/8"], False),
    ],
)
def test_a_condition_compares_as_apisix_does(condition, expected):
    assert holds(condition) is expected


YES, NO = ["http_x_chaos", "==", "on"], ["http_x_chaos", "==", "off"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ([], True),
        ([YES, YES], True),
        ([YES, NO], False),
        (["OR", YES, NO], True),
        (["or", NO, NO], False),
        (["AND", YES, YES], True),
        (["!AND", YES, NO], True),
        (["!AND", YES, YES], False),
        (["!OR", NO, NO], True),
        (["!or", YES, NO], False),
        ([["OR", NO, YES], [YES, YES]], True),
        ([["OR", NO, ["!AND", YES, YES]], YES], False),
    ],
)
def test_conditions_are_joined(expression, expected):
    assert parse(expression).holds(ASKED) is expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", 18),
        (" 18\t", 18),
        ("+1", 1),
        ("-1.5", -1.5),
        ("1e2", 100),
        (".5", 0.5),
        ("5.", 5),
        ("0x10", 16),
        ("-0X10", -16),
        ("0b11", 3),
        ("inf", float("inf")),
        ("-inf", float("-inf")),
        ("1_0", None),
        ("", None),
        ("--1", None),
        ("--inf", None),
        (".", None),
        ("\u0661", None),
        ("1" * 65, None),
        (True, None),
        (None, None),
    ],
)
def test_a_text_is_the_number_that_lua_makes_of_it(text, value):
    assert number(text) == value


def test_not_a_number_equals_nothing():
    assert str(number("nan")) == "nan"


def nested(depth):
    return [nested(depth - 1)] if depth else [YES]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (7, "where: 7 is not a list ([[variable, operator, value]])"),
        (YES, "where: a condition stands in a list of conditions (write [['http_x_chaos', …]])"),
        ([[]], "where: a condition is empty ([variable, operator, value])"),
        ([7], "where: 7 is not a list ([[variable, operator, value]])"),
        (["OR", YES], "where: OR takes two operands or more"),
        ([["!and", YES]], "where: !AND takes two operands or more"),
        ([["uri", "!=", "/"]], "where: unknown operator '!=' (did you mean ~=?)"),
        ([["uri", "=~", "/"]], "where: unknown operator '=~' (one of == ~= > >= < <= ~~ ~* in has ipmatch)"),
        (
            [["uri", "not", "==", "/"]],
            "where: this is no condition ([variable, operator, value] or [variable, '!', operator, value])",
        ),
        (
            [["uri"]],
            "where: this is no condition ([variable, operator, value] or [variable, '!', operator, value])",
        ),
        (
            [["consumer_name", "==", "a"]],
            f"where: 'consumer_name' is no variable of a request ({NAMES})",
        ),
        (
            [["http_", "==", "a"]],
            f"where: 'http_' is no variable of a request ({NAMES})",
        ),
        ([["uri", "in", "/a"]], "where: in takes a list ([variable, 'in', ['a', 'b']])"),
        ([["uri", "~~", 7]], "where: 7 is no pattern (a text)"),
        (
            [["uri", "~~", ")|("]],
            "where.regex: ')|(' is no regular expression: unbalanced parenthesis at position 0",
        ),
        (
            [["remote_addr", "ipmatch", "ten"]],
            "where: 'ten' is no address and no network (such as 10.0.0.0/8, or a list of them)",
        ),
        (
            [["remote_addr", "ipmatch", ["::1", 7]]],
            "where: ['::1', 7] is no address and no network (such as 10.0.0.0/8, or a list of them)",
        ),
        (
            [["uri", "==", {}]],
            "where: {} is no value (a text, a number, true, false, null or a list of them)",
        ),
        (
            [["uri", "in", [["a"]]]],
            "where: ['a'] is no value (a text, a number, true, false, null or a list of them)",
        ),
        ([["uri", "==", float("nan")]], "where: nan is no value (a finite number)"),
        ([["uri", ">", 10**400]], f"where: {10**400} is no value (a finite number)"),
        ([["uri", 10**400]], f"where: {10**400} is no value (a finite number)"),
        ([["uri", "==", "x" * 1025]], "where: a text of 1025 characters is too long (at most 1024)"),
        ([["uri", "in", ["x"] * 65]], "where: a list of 65 values is too long (at most 64)"),
        ([YES] * (MAX_CONDITIONS + 1), "where: 101 conditions are too many (at most 100)"),
        (nested(MAX_DEPTH + 1), "where: this is nested too deep (at most 10 levels)"),
    ],
)
def test_what_is_no_expression_is_refused(data, message):
    with pytest.raises(RuleError) as caught:
        Match(where=data)
    assert str(caught.value) == message


@given(expressions())
def test_what_is_written_is_read_as_the_same_expression(data):
    expression = parse(data)
    assert parse(expression.document()) == expression
    assert Match(where=expression) == Match(where=data)


@given(requests(), expressions())
def test_a_match_holds_if_its_expression_does(request, data):
    assert Match(where=data).accepts(request) is parse(data).holds(request)
