"""Which WSGI requests are hit: spellings of a path, mounts, double wrapping; and that nothing makes an exception."""

from __future__ import annotations

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from faultware import Abort, Match, Rule, TextMatch
from faultware.wsgi.requests import EnvironRequest
from tests.strategies import requests as requests_near
from tests.strategies import rule_lists
from tests.wsgi.server import Application, ask, environment, serve, wrapped

TOKEN = "a-token-for-wsgi-tests"


def test_a_path_beyond_ascii_is_no_other_path_that_looks_like_it():
    app = wrapped(Application(), "/ä 100% abort 503")
    as_latin = environment("/")
    for _ in range(3):
        assert ask(app, "/ä").status == 503  # bytes C3 A4, which a server shows as "Ã¤"
        assert ask(app, "/Ã¤").status == 200  # the text that looks like these bytes
        assert serve(app, {**as_latin, "PATH_INFO": "/ä"}).status == 200  # byte E4, which is no UTF-8
        assert ask(app, "/a").status == 200


def test_a_path_that_is_quiet_does_not_hide_one_that_looks_like_it():
    app = wrapped(Application(), "/Ã¤ 100% abort 503; /%C3%A4 100% abort 500")
    for _ in range(3):
        assert ask(app, "/ä").status == 200
        assert ask(app, "/Ã¤").status == 503
        assert ask(app, "/%C3%A4").status == 500


@pytest.mark.parametrize(
    ("path", "root", "status"),
    [("/pay", "/shop", 503), ("/pay", "", 503), ("/shop/pay", "", 200), ("/shop/pay", "/shop", 200), ("", "/pay", 200)],
)
def test_a_rule_means_the_path_below_the_mount(path, root, status):
    app = wrapped(Application(), "/pay 100% abort 503")
    for _ in range(2):
        assert ask(app, path, root=root).status == status


@pytest.mark.parametrize(
    ("more", "sent"),
    [
        ({}, "/m/a%20b/%C3%A9"),
        ({"RAW_URI": "/m/%61?x=1"}, "/m/%61"),
        ({"REQUEST_URI": "/m/%61#x"}, "/m/%61"),
        ({"RAW_URI": "http://shop.example/m/%61?x=/"}, "/m/%61"),
        ({"RAW_URI": "http://shop.example"}, "/"),
        ({"RAW_URI": "http://shop.example?to=/pay"}, "/"),
        ({"RAW_URI": "/to/http://shop.example/pay"}, "/to/http://shop.example/pay"),
        ({"RAW_URI": "*"}, "*"),
    ],
)
def test_the_path_as_it_was_sent_comes_from_the_server_or_is_put_together_again(more, sent):
    environ = environment("/a b/é", root="/m", **more)
    assert EnvironRequest(environ, "/a b/é").raw_path == sent


@pytest.mark.parametrize("spelling", ["", None])
def test_an_empty_path_is_the_root(spelling):
    application = Application()
    hit = wrapped(application, "/ 100% abort 503")
    missed = wrapped(application, "/pay 100% abort 503")
    for _ in range(2):
        for app, status in [(hit, 503), (missed, 200)]:
            environ = {**environment("/"), "PATH_INFO": spelling}
            if spelling is None:
                del environ["PATH_INFO"]
            assert serve(app, environ).status == status


def test_an_empty_type_or_length_is_none():
    typed = Match(headers={"content-type": TextMatch(present=True)})
    below = Match("/pay", headers={"content-type": TextMatch(present=True)})
    for match in (typed, below):
        app = wrapped(Application(), [Rule("r", match, percentage=100, abort=Abort(503))])
        assert ask(app, "/pay", CONTENT_TYPE="", CONTENT_LENGTH="").status == 200
        assert ask(app, "/pay", CONTENT_TYPE="text/plain").status == 503


@pytest.mark.parametrize("outer", ["/pay 100% delay 1s as outer", "/pay 0% abort 500"])
def test_wrapping_twice_injects_once(time, outer):
    application = Application()
    app = wrapped(wrapped(application, "/pay 100% delay 1s as inner", time), outer, time)
    began = time()
    answer = ask(app, "/pay")
    expected = ("outer;delay", 1.0) if "outer" in outer else (None, 0.0)
    assert (answer.mark, time() - began) == (expected[0], pytest.approx(expected[1]))
    assert application.runs == 1


def test_the_inner_middleware_decides_where_the_outer_one_has_no_rule(time):
    inner = wrapped(Application(), "/pay 100% delay 1s as inner", time)
    assert ask(wrapped(inner, "/other 100% abort 500", time), "/pay").mark == "inner;delay"


def test_wrapping_twice_across_a_mount_injects_once(time):
    shop = wrapped(Application(), "/pay 100% delay 1s as inner", time)
    app = wrapped(DispatcherMiddleware(Application(), {"/shop": shop}), "/shop 100% delay 1s as outer", time)
    began = time()
    assert ask(app, "/shop/pay").mark == "outer;delay"
    assert time() - began == pytest.approx(1.0)


def bearer(**more):
    return {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}", "HTTP_HOST": "localhost", **more}


def test_the_control_endpoint_kills_and_arms_while_everything_is_faulted():
    app = wrapped(Application(), "/ 100% abort 503; /_faultware/kill 100% abort 500", control_token=TOKEN)
    for _ in range(2):
        assert ask(app, "/pay").status == 503
        assert ask(app, "/_faultware/kill", method="POST", **bearer()).status == 200
        assert ask(app, "/pay").status == 200
        assert ask(app, "/_faultware/arm", method="POST", **bearer()).status == 200
    assert ask(app, "/_faultware/kill", method="POST").status == 401


def test_without_a_token_the_application_sees_the_control_path():
    application = Application()
    app = wrapped(application, "/pay 100% abort 503")
    assert ask(app, "/_faultware/status").body == b"application "
    assert application.runs == 1


def test_a_request_body_beyond_the_limit_of_the_control_endpoint_is_refused():
    app = wrapped(Application(), control_token=TOKEN)
    json = bearer(CONTENT_TYPE="application/json")
    answer = ask(app, "/_faultware/parse", method="POST", body=b"x" * (2 * 1024 * 1024), **json)
    assert answer.status == 413
    assert answer.headers["content-type"] == "application/problem+json"


class Dribble(io.BytesIO):
    """An input that gives one byte at a time, as it comes from the wire."""

    def read(self, size=-1):
        return super().read(min(size, 1))


def test_an_order_that_comes_byte_by_byte_is_read_whole():
    app = wrapped(Application(), control_token=TOKEN)
    body = b'{"reason": "enough"}'
    json = bearer(CONTENT_TYPE="application/json", CONTENT_LENGTH=str(len(body)))
    answer = ask(app, "/_faultware/kill", method="POST", **json, **{"wsgi.input": Dribble(body)})
    assert (answer.status, b'"reason": "enough"' in answer.body) == (200, True)


@pytest.mark.parametrize("part", [b"", b'{"rul', b'{"rules": []}'])
def test_a_client_that_leaves_in_the_middle_of_its_order_has_ordered_nothing(part):
    app = wrapped(Application(), "/ 100% abort 503", control_token=TOKEN)
    cut = bearer(CONTENT_TYPE="application/json", CONTENT_LENGTH="100")
    assert ask(app, "/_faultware/rules", method="PUT", **cut, **{"wsgi.input": io.BytesIO(part)}).status == 400
    assert ask(app, "/pay").status == 503


def test_a_kill_whose_client_leaves_in_the_middle_counts_all_the_same():
    app = wrapped(Application(), "/ 100% abort 503", control_token=TOKEN)
    cut = bearer(CONTENT_TYPE="application/json", CONTENT_LENGTH="100")
    ask(app, "/_faultware/kill", method="POST", **cut, **{"wsgi.input": io.BytesIO(b'{"rea')})
    assert ask(app, "/pay").status == 200


RULES = (
    r"/payments 100% abort 503 as a; POST,PUT /users/{id} 100% abort 500 as b; /**/é 100% abort 502 as c; "
    r"/x header:x-canary=1 100% abort 504 as d; / query:fail=1 100% abort 505 as e; "
    r"/ cookie:beta=yes 100% abort 506 as f; / host=shop.example 100% abort 507 as g; "
    r"/ client=10.0.0.0/8 100% abort 508 as h"
)
BY_MARK = dict(zip("abcdefgh", (503, 500, 502, *range(504, 509)), strict=True))
WORDS = ("/", "/payments", "/payments/", "//payments", "/users/7", "/x", "/Ã©", "payments", "")
CONTROL = ("", "/", "/status", "/kill", "/rules", "/rules/", "/rules/Ã¤", "/parse", "/events", "/explain", "/metrics")
BODIES = (
    b"",
    b"{}",
    b"[]",
    b'{"rules": "/x"}',
    b'{"path": "/x", "headers": {"a": [1]}}',
    b'{"for": "1m"}',
    b"\xff",
    b"NaN",
)
_latin = st.text(st.characters(max_codepoint=255), max_size=12)


@st.composite
def environments(draw):
    """Anything that a server might make of what a client sent: text that stands for bytes."""
    values = st.sampled_from(("1", "beta=yes", "shop.example", '"', "")) | _latin
    names = st.sampled_from(("X_CANARY", "COOKIE", "HOST", "AUTHORIZATION")) | st.text("ABC_ é", max_size=4)
    environ = environment("/", method=draw(st.sampled_from(("GET", "HEAD", "POST", "OPTIONS")) | _latin))
    environ["PATH_INFO"] = draw(st.sampled_from(WORDS) | _latin | _latin.map(lambda text: "/" + text))
    environ["SCRIPT_NAME"] = draw(st.sampled_from(("", "", "/shop", "/")) | _latin)
    environ["QUERY_STRING"] = draw(st.sampled_from(("", "fail=1", "a=%zz&fail=%31", "&&=;=", "fail")) | _latin)
    environ["REMOTE_ADDR"] = draw(st.sampled_from(("10.1.2.3", "::ffff:10.0.0.1", "", "unix:")) | _latin)
    environ["wsgi.input"] = io.BytesIO(draw(st.binary(max_size=8)))
    for key in draw(st.sets(st.sampled_from(("CONTENT_TYPE", "CONTENT_LENGTH")))):
        environ[key] = draw(st.sampled_from(("", "0", "3", "-1", "x", "application/json")) | _latin)
    for name in draw(st.lists(names, max_size=3)):
        environ["HTTP_" + name] = draw(values)
    for key in draw(st.sets(st.sampled_from(("QUERY_STRING", "REMOTE_ADDR", "SCRIPT_NAME", "PATH_INFO")), max_size=1)):
        del environ[key]
    return environ


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"application"]


@given(environ=environments(), options=st.sampled_from([{}, {"control_token": TOKEN}, {"dry_run": True}, {"seed": 1}]))
def test_no_request_makes_anything_but_a_clear_outcome(environ, options):
    app = wrapped(application, RULES, lint=False, **options)
    answer = serve(app, environ, lint=False)
    if answer.mark is not None:
        name, _, kind = answer.mark.partition(";")
        assert (answer.status, kind) == (BY_MARK[name], "abort")
    else:
        assert answer.status < 500 if "control_token" in options else answer.status == 200
    assert not app._injector.internal_errors


@given(
    environ=environments(),
    below=st.sampled_from(CONTROL) | _latin.map(lambda text: "/" + text),
    body=st.sampled_from(BODIES) | st.binary(max_size=16),
    more=st.dictionaries(
        st.sampled_from(("CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_IF_MATCH", "HTTP_ACCEPT", "QUERY_STRING")),
        st.sampled_from(("application/json", "since=7", "3", "100", "*", '"1"', 'W/"1"', "text/plain; version=1.x"))
        | _latin,
    ),
)
def test_no_request_to_the_control_endpoint_makes_anything_but_a_clear_outcome(environ, below, body, more):
    app = wrapped(application, RULES, lint=False, control_token=TOKEN)
    length = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    answer = serve(app, {**environ, **length, **more, **bearer(), "PATH_INFO": f"/_faultware{below}"}, lint=False)
    assert 200 <= answer.status < 500
    assert not app._injector.internal_errors


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_was_asked_before_does_not_change_an_outcome(data):
    rules = data.draw(rule_lists(max_size=5).map(lambda drawn: [always(rule) for rule in drawn]))
    asked = data.draw(st.lists(requests_near(rules), min_size=2, max_size=6))
    warm = wrapped(application, rules, lint=False)
    for request in asked:
        environ = environment(
            request.path,
            method=request.method,
            headers=request.header_lines(),
            query=request.query_string,
            client=request.client,
        )
        answers = [
            serve(app, dict(environ), lint=False) for app in (warm, wrapped(application, rules, lint=False), warm)
        ]
        assert len({(answer.status, answer.mark, answer.body) for answer in answers}) == 1


def always(rule):
    """The same rule without chance, and with a fault that takes no time."""
    return Rule(rule.name, rule.match, percentage=100, group=rule.group, abort=Abort(503))
