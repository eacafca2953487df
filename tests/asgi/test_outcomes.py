"""Whatever a request looks like, the ASGI middleware comes to a clear outcome, and always to the same."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faultware import Abort, Rule
from tests.asgi.server import Exchange, answer, http_scope, wrapped
from tests.clocks import LoopTime
from tests.strategies import requests as requests_near
from tests.strategies import rule_lists

TOKEN = "a-token-for-asgi-tests"
RULES = (
    r"/payments 100% abort 503 as a; POST,PUT /users/{id} 100% abort 500 as b; /**/é 100% abort 502 as c; "
    r"/x header:x-canary=1 100% abort 504 as d; / query:fail=1 100% abort 505 as e; "
    r"/ cookie:beta=yes 100% abort 506 as f; / host=shop.example 100% abort 507 as g; "
    r"/ client=10.0.0.0/8 100% abort 508 as h"
)
WORDS = (
    "/",
    "/payments",
    "/payments/",
    "//payments",
    "/users/7",
    "/x",
    "/é",
    "/a/é",
    "payments",
    "",
)

paths = st.one_of(
    st.sampled_from(WORDS),
    st.text(),
    st.text().map(lambda text: "/" + text),
    st.binary().map(lambda raw: "/" + raw.decode("utf-8", "surrogateescape")),
)
_names = st.sampled_from((b"x-canary", b"cookie", b"host", b"authorization", b"content-type")) | st.binary(max_size=8)
_values = st.sampled_from((b"1", b"beta=yes", b"shop.example", b"[::1]:80", b'"')) | st.binary(max_size=12)
_queries = st.sampled_from((b"", b"fail=1", b"a=%zz&fail=%31", b"&&=;=", b"fail")) | st.binary(max_size=12)
_clients = st.sampled_from(
    (None, ("10.1.2.3", 1), ["::ffff:10.0.0.1", 0], ("unix:/run/x", None), ("", 0), (None, None))
)


@st.composite
def scopes(draw):
    """Anything that a server might make of what a client sent."""
    return {
        **http_scope("/"),
        "path": draw(paths),
        "method": draw(st.sampled_from(("GET", "HEAD", "POST", "OPTIONS")) | st.text(max_size=5)),
        "root_path": draw(st.sampled_from(("", "", "/", "/payments", "/x/")) | st.text(max_size=5)),
        "headers": draw(st.lists(st.tuples(_names, _values), max_size=4)),
        "query_string": draw(_queries),
        "client": draw(_clients),
    }


async def outcome(app, scope) -> tuple[int, str | None, bytes]:
    exchange = Exchange(method=scope["method"])
    await app(dict(scope), exchange.receive, exchange.send)
    exchange.check_whole()
    return exchange.status, exchange.mark, exchange.body


async def application(scope, receive, send):
    await answer(send, b"" if scope["method"] == "HEAD" else b"application")


@given(
    scope=scopes(),
    options=st.sampled_from([{}, {"control_token": TOKEN}, {"dry_run": True}, {"seed": 1}]),
)
def test_no_request_makes_anything_but_a_clear_outcome(scope, options):
    async def main():
        app = wrapped(application, RULES, time, **options)
        status, mark, body = await outcome(app, scope)
        assert (status, mark, body) in {(200, None, b"application"), (200, None, b"")} or (
            status in {401, 403, 404} if mark is None else (mark, status) in by_mark
        )
        assert not app._injector.internal_errors

    by_mark = {
        (f"{name};abort", status) for name, status in zip("abcdefgh", (503, 500, 502, *range(504, 509)), strict=True)
    }
    time = LoopTime("asyncio")
    time.run(main)


CONTROL = ("", "/", "/status", "/kill", "/rules", "/rules/", "/rules/ä", "/parse", "/events", "/explain", "/metrics")
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


@given(
    scope=scopes(),
    below=st.sampled_from(CONTROL) | st.text(max_size=8).map(lambda text: "/" + text),
    body=st.sampled_from(BODIES) | st.binary(max_size=16),
    has_type=st.booleans(),
)
def test_no_request_to_the_control_endpoint_makes_anything_but_a_clear_outcome(scope, below, body, has_type):
    async def main():
        time.stand_still()
        app = wrapped(application, RULES, time, control_token=TOKEN)
        certain = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"host", b"localhost")]
        certain += [(b"content-type", b"application/json")] * has_type
        taken = {name for name, _ in certain}
        headers = certain + [line for line in scope["headers"] if line[0].lower() not in taken]
        exchange = Exchange(body, method=scope["method"])
        control = {**scope, "path": f"/_faultware{below}", "root_path": "", "headers": headers}
        await app(control, exchange.receive, exchange.send)
        exchange.check_whole()
        assert exchange.status < 500
        assert not app._injector.internal_errors

    time = LoopTime("asyncio")
    time.run(main)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_was_asked_before_does_not_change_an_outcome(data):
    rules = data.draw(rule_lists(max_size=5).map(lambda drawn: [always(rule) for rule in drawn]))
    asked = data.draw(st.lists(requests_near(rules), min_size=2, max_size=6))
    roots = data.draw(st.lists(st.sampled_from(("", "", "/pay", "/users")), min_size=len(asked), max_size=len(asked)))

    async def main():
        warm = wrapped(application, rules, time)
        for request, root in zip(asked, roots, strict=True):
            scope = http_scope(
                request.path,
                method=request.method,
                headers=request.header_lines(),
                query=request.query_string,
                root=root,
                client=request.client,
            )
            fresh = wrapped(application, rules, time)
            assert await outcome(warm, scope) == await outcome(fresh, scope) == await outcome(warm, scope)

    time = LoopTime("asyncio")
    time.run(main)


def always(rule):
    """The same rule without chance, and with a fault that takes no time."""
    return Rule(rule.name, rule.match, percentage=100, group=rule.group, abort=Abort(503))


def test_blanks_behind_a_value_are_no_part_of_it():
    async def main():
        app = wrapped(application, RULES, time)
        for path, name, value, status in (
            ("/x", "x-canary", "1 \t", 504),
            ("/x", "x-canary", "1", 504),
            ("/x", "x-canary", "1 1", 200),
            ("/", "cookie", "beta=yes ", 506),
        ):
            assert (await outcome(app, http_scope(path, headers=[(name, value)])))[0] == status

    time = LoopTime("asyncio")
    time.run(main)
