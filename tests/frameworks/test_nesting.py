"""A wrapped WSGI application inside of a wrapped ASGI application: a request is decided for once."""

from __future__ import annotations

import contextvars
import types

import pytest
from werkzeug.test import Client

from faultware import asgi, wsgi
from tests.frameworks.calling import ask_asgi, by_asgiref, by_starlette

RULES = "/pay 100% response_headers x-outer=1; /missed 0% abort 503"


def hello(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"hello"]


def ruled(kind, app, rules=RULES):
    return kind.FaultMiddleware(app, enabled=True, rules=rules, store="memory:", environ={})


@pytest.mark.parametrize("carried", [by_starlette, by_asgiref])
@pytest.mark.parametrize("root", ["", "/shop"])
def test_an_outer_asgi_middleware_decides_and_the_inner_wsgi_one_passes(carried, root):
    app = ruled(asgi, carried(ruled(wsgi, hello, "/pay 100% response_headers x-inner=1")))
    status, _, headers = ask_asgi(app, f"{root}/pay/7", root=root)
    assert (status, headers.get("x-outer"), headers.get("x-inner")) == (200, "1", None)


@pytest.mark.parametrize("carried", [by_starlette, by_asgiref])
def test_the_inner_one_does_not_roll_again_where_the_outer_one_let_pass(carried):
    app = ruled(asgi, carried(ruled(wsgi, hello, "/missed 100% abort 503")))
    assert ask_asgi(app, "/missed")[0] == 200


@pytest.mark.parametrize("carried", [by_starlette, by_asgiref])
def test_the_inner_one_decides_where_the_outer_one_has_no_rule(carried):
    app = ruled(asgi, carried(ruled(wsgi, hello, "/other 100% abort 503")))
    assert ask_asgi(app, "/other")[0] == 503


@pytest.mark.parametrize(
    ("path", "host", "call"),
    [
        ("/pay", "localhost", "/stock"),
        # The end of a path alone says nothing: a mount takes the beginning off.
        ("/pay/stock", "shop.example", "/stock"),
        ("/pay/stock", "localhost", "/stock?size=1"),
    ],
)
def test_a_service_that_is_called_in_process_while_another_request_is_served_decides_for_itself(path, host, call):
    other = Client(ruled(wsgi, hello, "/stock 100% abort 503"))
    statuses = []

    async def calls_another(scope, receive, send):
        statuses.append(other.get(call).status_code)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    ask_asgi(ruled(asgi, calls_another), path, headers={"host": host})
    statuses.append(other.get(call).status_code)
    assert statuses == [503, 503]


def test_a_call_that_nobody_awaits_any_more_can_be_closed_from_elsewhere():
    async def never_answers(scope, receive, send):
        await receive()

    @types.coroutine
    def receive():
        yield

    app = ruled(asgi, never_answers, "/pay 0% abort 503")
    ruled(wsgi, hello)
    call = app({"type": "http", "method": "GET", "path": "/pay", "headers": []}, receive, None)
    contextvars.copy_context().run(call.send, None)
    call.close()
