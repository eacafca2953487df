"""The faults as data: what is possible, what is refused, what an answer consists of."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware.core.delays import Exponential, Normal, Uniform
from faultware.core.faults import MAX_BODY, Abort, Delay, Hang, Phase, Raise
from faultware.core.request import Request
from faultware.errors import RuleError


def _refusal(build):
    with pytest.raises(RuleError) as caught:
        build()
    return str(caught.value)


def test_each_fault_says_when_it_acts():
    assert Delay(1).phase is Phase.DELAY
    assert {fault.phase for fault in (Abort(503), Raise("InjectedFault"), Hang())} == {Phase.TERMINAL}
    assert [fault.kind for fault in (Delay(1), Abort(503), Raise("X"), Hang())] == ["delay", "abort", "raise", "hang"]


@pytest.mark.parametrize(
    ("arguments", "low", "high"),
    [((0.2,), 0.2, 0.2), ((0.2, 0.05), 0.15, 0.25), ((0.2, 0.2), 0, 0.4), ((0,), 0, 0), ((86400,), 86400, 86400)],
)
def test_a_delay_is_fixed_or_spread_evenly(arguments, low, high):
    seconds, *jitter = arguments
    delay = Delay(seconds, jitter_seconds=jitter[0] if jitter else 0)
    assert delay.distribution == Uniform(low, high)


def test_a_delay_takes_a_distribution():
    assert Delay(Exponential(1, 10)).distribution == Exponential(1, 10)
    assert Delay(Uniform(0.1, 0.3)) == Delay(0.2, jitter_seconds=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"delay_seconds": -1}, "fixed: -1 seconds are not possible (≥ 0)"),
        ({"delay_seconds": math.nan}, "fixed: nan is not a number of seconds"),
        ({"delay_seconds": math.inf}, "fixed: inf is not a number of seconds"),
        ({"delay_seconds": True}, "fixed: True is not a number of seconds"),
        ({"delay_seconds": 86401}, "fixed: 86401 seconds are too long (at most 24h)"),
        ({"delay_seconds": "200ms"}, "fixed: '200ms' is not a number of seconds (a number, or one of Uniform"),
        ({"delay_seconds": None}, "fixed: None is not a number of seconds"),
        ({"delay_seconds": 1, "jitter_seconds": -1}, "jitter: -1 seconds are not possible"),
        ({"delay_seconds": 1, "jitter_seconds": 2}, "jitter: the jitter is larger than the delay (at most 1 s)"),
        ({"delay_seconds": 86400, "jitter_seconds": 1}, "max: 86401.0 seconds are too long"),
        ({"delay_seconds": Normal(1, 1, 9), "jitter_seconds": 1}, "jitter: a distribution brings its own spread"),
        ({"delay_seconds": 1, "percentage": 101}, "percentage: 101 is not a percentage"),
        ({"delay_seconds": 1, "percentage": -0.1}, "percentage: -0.1 is not a percentage"),
        ({"delay_seconds": 1, "percentage": True}, "percentage: True is not a percentage"),
        ({"delay_seconds": 1, "percentage": math.nan}, "percentage: nan is not a percentage"),
        ({"delay_seconds": 1, "percentage": "10"}, "percentage: '10' is not a percentage"),
    ],
)
def test_a_delay_that_is_not_possible_is_refused(arguments, message):
    assert message in _refusal(lambda: Delay(**arguments))


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500, 503, 599])
def test_an_abort_takes_a_final_status(status):
    assert Abort(status).status == status


@pytest.mark.parametrize("status", [-1, 0, 99, 100, 103, 199, 600, 1000, 503.0, "503", True, None])
def test_any_other_status_is_refused(status):
    assert f"status: {status!r} is not a status (a whole number from 200 to 599)" in _refusal(lambda: Abort(status))


@pytest.mark.parametrize(
    ("body", "content", "content_type"),
    [
        (None, b"fault injected\n", "text/plain; charset=utf-8"),
        ("", b"", "text/plain; charset=utf-8"),
        ("kaputt: é", "kaputt: é".encode(), "text/plain; charset=utf-8"),
        (b"\x00\xff", b"\x00\xff", "text/plain; charset=utf-8"),
        ({"error": "é", "code": 1}, '{"error":"é","code":1}'.encode(), "application/json"),
        ([1, None, True], b"[1,null,true]", "application/json"),
        ({}, b"{}", "application/json"),
    ],
)
def test_a_body_is_text_bytes_or_json(body, content, content_type):
    abort = Abort(503, body=body)
    assert abort.body == content
    assert abort.content_type == content_type
    assert abort.is_default_body is (body is None)
    assert abort.response_headers() == [("content-type", content_type), ("content-length", str(len(content)))]
    assert abort.response_body("GET") == content


def test_an_answer_to_head_has_the_length_of_a_body_and_no_body():
    abort = Abort(503, body="12345")
    assert ("content-length", "5") in abort.response_headers()
    assert abort.response_body("HEAD") == b""


@pytest.mark.parametrize(("status", "headers"), [(204, []), (304, []), (205, [("content-length", "0")])])
def test_a_status_without_a_body_brings_no_type_and_no_length_but_that_of_205(status, headers):
    abort = Abort(status, headers={"etag": '"1"'})
    assert abort.response_headers() == [("etag", '"1"'), *headers]
    assert abort.response_body("GET") == b""


def test_headers_are_added_and_may_name_the_content_type():
    abort = Abort(503, headers=[("Retry-After", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")], body="x")
    assert abort.response_headers() == [
        ("Retry-After", "1"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", "1"),
    ]
    named = Abort(503, headers={"Content-Type": "text/html"})
    assert [name.lower() for name, _ in named.response_headers()] == ["content-type", "content-length"]
    assert Abort(503, content_type="text/html").response_headers()[0] == ("content-type", "text/html")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"status": 204, "body": "x"}, "body: an answer with status 204 has no body (leave it out)"),
        ({"status": 205, "body": {"a": 1}}, "body: an answer with status 205 has no body"),
        ({"status": 204, "body": {}}, "body: an answer with status 204 has no body"),
        ({"status": 304, "body": b"x"}, "body: an answer with status 304 has no body"),
        ({"body": 7}, "body: int is no body (a text, or a JSON object or list)"),
        ({"body": {"a": math.nan}}, "body: this is no JSON"),
        ({"body": {"a": object()}}, "body: this is no JSON"),
        ({"body": "\ud800"}, "body: this text cannot be sent"),
        ({"body": {"a": "\ud800"}}, "body: this is no JSON"),
        ({"body": "x" * (MAX_BODY + 1)}, f"body: {MAX_BODY + 1} bytes are too many"),
        (
            {"headers": {"Content-Length": "5"}},
            "headers.Content-Length: Content-Length belongs to the server (leave it out)",
        ),
        ({"headers": {"transfer-encoding": "chunked"}}, "transfer-encoding belongs to the server"),
        ({"headers": {"Connection": "close"}}, "Connection belongs to the server"),
        ({"headers": {"keep-alive": "1"}}, "keep-alive belongs to the server"),
        ({"headers": {"upgrade": "x"}}, "upgrade belongs to the server"),
        ({"headers": {"te": "x"}}, "te belongs to the server"),
        ({"headers": {"trailer": "x"}}, "trailer belongs to the server"),
        ({"headers": {"proxy-connection": "x"}}, "proxy-connection belongs to the server"),
        ({"headers": {"a b": "1"}}, "headers.a b: 'a b' is not a header name (letters, digits and -)"),
        ({"headers": {"": "1"}}, "'' is not a header name"),
        (
            {"headers": {"x": "1\r\nset-cookie: a=1"}},
            "headers.x: a header value holds printable Latin-1",
        ),
        ({"headers": {"x": "\x00"}}, "printable Latin-1"),
        ({"headers": {"x": "\x7f"}}, "printable Latin-1"),
        ({"headers": {"x": "€"}}, "printable Latin-1"),
        ({"headers": {"x": 1}}, "headers.x: 1 is not a text (quote it)"),
        ({"headers": "ab"}, "headers: 'ab' is not a mapping (write name: value)"),
        ({"headers": [("x",)]}, "headers: ('x',) is not a pair (write (name, value))"),
        ({"headers": ["ab"]}, "headers: 'ab' is not a pair"),
        ({"headers": [(7, "1")]}, "headers.7: 7 is not a header name"),
        ({"content_type": "text/plain\r\n"}, "content_type: a header value holds"),
        ({"content_type": "a", "headers": {"content-TYPE": "b"}}, "content_type: the content type is given twice"),
        ({"after": "yes"}, "after: 'yes' is not true or false"),
        ({"template": 1}, "template: 1 is not true or false"),
        ({"template": True, "body": b"\xff"}, "body: bytes have no gaps (write a text, or leave template out)"),
        ({"template": True, "body": "${user}"}, "body: 'user' is no variable of a request (one of uri, request_uri"),
        ({"template": True, "headers": {"x": "$user"}}, "headers.x: 'user' is no variable of a request"),
        ({"percentage": 200}, "percentage: 200 is not a percentage"),
    ],
)
def test_an_abort_that_would_break_the_answer_is_refused(arguments, message):
    assert message in _refusal(lambda: Abort(**{"status": 503, **arguments}))


def test_gaps_are_filled_for_a_request_and_everything_else_stays():
    abort = Abort(503, body="$http_x_user", headers={"x-who": "${arg_who ?? nobody}", "x": "1"}, template=True)
    whole = abort.filled(Request(headers=[("x-user", "ü\u20ac")]))
    assert whole == Abort(503, body="ü\u20ac", headers={"x-who": "nobody", "x": "1"})
    assert abort.filled(Request()).response_body("GET") == b""
    asked = Abort(504, body="a", content_type="text/html", after=True, percentage=5, template=True).filled(Request())
    assert asked == Abort(504, body="a", content_type="text/html", after=True, percentage=5)
    assert Abort(304, headers={"etag": "$uri"}, template=True).filled(Request()).headers == (("etag", "/"),)
    typed = Abort(503, headers={"content-type": "text/$method"}, template=True).filled(Request())
    assert typed.response_headers()[0] == ("content-type", "text/GET")


def test_no_request_can_break_an_answer_that_it_fills():
    asked = Request(query_string="a=x%0D%0Aset-cookie:%20b=1%00%7F%E2%82%AC%C3%BC")
    abort = Abort(503, headers={"x": "$arg_a"}, template=True).filled(asked)
    assert abort.headers == (("x", "x??set-cookie: b=1???ü"),)
    long = Request(headers=[("x", "é" * MAX_BODY)])
    abort = Abort(503, body="$http_x", headers={"y": "$http_x"}, template=True).filled(long)
    assert (len(abort.body), len(abort.headers[0][1])) == (MAX_BODY, 8192)


@given(
    st.integers(200, 599),
    st.none() | st.text(max_size=8) | st.binary(max_size=8) | st.dictionaries(st.text(), st.text()),
    st.dictionaries(st.text(max_size=12), st.text(max_size=8), max_size=2),
)
def test_whatever_abort_is_accepted_has_a_legal_answer(status, body, headers):
    try:
        abort = Abort(status, body=body, headers=headers)
    except RuleError:
        return
    names = [name.lower() for name, _ in abort.response_headers()]
    lengths = [value for name, value in abort.response_headers() if name.lower() == "content-length"]
    assert names.count("content-length") <= 1
    assert names.count("content-type") <= max(1, sum(name.lower() == "content-type" for name in headers))
    assert all(int(length) == len(abort.response_body("GET")) for length in lengths)
    for name, value in abort.response_headers():
        assert name.isascii()
        assert not set(value) & set("\r\n\x00")
        value.encode("latin-1")


@pytest.mark.parametrize("name", ["InjectedFault", "TimeoutError", "myapp.errors.Broken", "a-b_c"])
def test_an_exception_has_a_plain_name(name):
    assert Raise(name).exception == name


@pytest.mark.parametrize("name", ["", "7up", "os.system('x')", "a b", "x" * 81, None, 7, "__import__('os')\n", ".a"])
def test_any_other_name_of_an_exception_is_refused(name):
    message = _refusal(lambda: Raise(name))
    assert message == f"exception: {name!r} is not an exception's name (such as TimeoutError)"


def test_a_hang_has_a_bound_or_none():
    assert Hang().duration_seconds is None
    assert Hang(5).duration_seconds == 5.0
    assert "duration: 0 seconds are not possible (more than 0)" in _refusal(lambda: Hang(0))
    assert "duration: -1 seconds" in _refusal(lambda: Hang(-1))
    assert "percentage: 1000 is not" in _refusal(lambda: Hang(percentage=1000))
    assert "percentage" in _refusal(lambda: Raise("X", percentage=-1))


def test_faults_are_values():
    assert Abort(503) == Abort(503, body=b"fault injected\n")
    assert len({Abort(503), Abort(503), Abort(504), Delay(1), Delay(1.0), Hang(), Hang(1), Raise("X"), Raise("X")}) == 6
