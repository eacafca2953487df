"""Any rules and any requests, one after the other, through both middlewares: the rule that acts is the one that a look
at every condition of every rule finds. The fast ways of the adapters (what is remembered by path, which headers may
bring a rule in) have no say in what is chosen, and nothing fails inside.
"""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from faultware import Abort, Rule
from faultware.asgi.requests import ScopeRequest
from faultware.wsgi.requests import EnvironRequest, path_info
from tests.asgi.server import http_scope
from tests.asgi.server import wrapped as wrapped_asgi
from tests.strategies import matches, requests
from tests.wsgi.server import environment
from tests.wsgi.server import wrapped as wrapped_wsgi

MATCHES = st.lists(matches(), min_size=1, max_size=6)


def made(conditions):
    return [Rule(f"rule-{number}", match, percentage=100, abort=Abort(503)) for number, match in enumerate(conditions)]


def expected(rules, request):
    return next((rule.name for rule in rules if rule.match.accepts(request)), None)


async def asgi_application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


def wsgi_application(environ, start_response):
    start_response("200 OK", [])
    return []


def ask_asgi(app, scope):
    """The rule that acted. Nothing in the way of these requests waits, so no event loop is needed."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    async def call():
        await app(scope, receive, send)

    with suppress(StopIteration):
        call().send(None)
    return acted(sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]})


def ask_wsgi(app, environ):
    started = []
    list(app(environ, lambda status, headers: started.extend((int(status[:3]), dict(headers)))))
    return acted(*started)


def acted(status, headers):
    mark = headers.get("faultware-fault")
    assert (status == 503) is (mark is not None)
    return mark and mark.partition(";")[0]


@given(data=st.data(), conditions=MATCHES)
def test_the_asgi_middleware_acts_by_the_first_rule_whose_conditions_hold(data, conditions):
    rules = made(conditions)
    app = wrapped_asgi(asgi_application, rules)
    for request in data.draw(st.lists(requests(rules), min_size=1, max_size=6)):
        scope = http_scope(
            request.path,
            method=request.method,
            headers=[(name, value) for name, value in request.header_lines()],
            query=request.query_string,
            client=request.client,
        )
        scope["scheme"] = request.scheme
        scope["raw_path"] = data.draw(st.sampled_from((None, quote(request.path).encode(), request.raw_path.encode())))
        assert ask_asgi(app, scope) == expected(rules, ScopeRequest(scope, request.path or "/")), scope
    assert app._injector.internal_errors == {}


@given(data=st.data(), conditions=MATCHES)
def test_the_wsgi_middleware_acts_by_the_first_rule_whose_conditions_hold(data, conditions):
    rules = made(conditions)
    app = wrapped_wsgi(wsgi_application, rules, lint=False)
    for request in data.draw(st.lists(requests(rules), min_size=1, max_size=6)):
        environ = environment(
            request.path,
            method=request.method,
            headers=request.header_lines(),
            query=request.query_string,
            client=request.client,
        )
        environ["wsgi.url_scheme"] = request.scheme
        if data.draw(st.booleans()):
            environ["RAW_URI"] = request.target
        assert ask_wsgi(app, environ) == expected(rules, EnvironRequest(environ, path_info(environ) or "/")), environ
    assert app._injector.internal_errors == {}
