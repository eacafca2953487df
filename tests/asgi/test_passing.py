"""What the ASGI middleware leaves alone reaches the application as if there were no middleware."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware.asgi.requests import ScopeRequest
from faultware.runtime.nesting import Nesting
from tests.asgi.server import Application, Exchange, ask, http_scope, wrapped
from tests.clocks import LoopTime

EVERYTHING = "/ 100% abort 503 as r"
TOKEN = "a-token-for-asgi-tests"


def lifespan_scope():
    return {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}


def websocket_scope():
    return {**http_scope("/pay"), "type": "websocket", "scheme": "ws", "subprotocols": []}


@pytest.mark.parametrize(
    "scope", [lifespan_scope(), websocket_scope(), {"type": "mqtt"}], ids=lambda scope: scope["type"]
)
@pytest.mark.parametrize("options", [{}, {"enabled": False}, {"armed": False}, {"control_token": TOKEN}], ids=str)
def test_other_scopes_than_http_are_handed_over_untouched(scope, options):
    seen = []
    app = wrapped(lambda *given: seen.append(given), EVERYTHING, **options)
    for _ in range(2):
        assert_handed_over(app, scope, seen)


def test_other_scopes_than_http_are_handed_over_untouched_while_killed_beside_a_control_endpoint():
    seen = []
    app = wrapped(lambda *given: seen.append(given), EVERYTHING, armed=False, control_token=TOKEN)
    for scope in (lifespan_scope(), websocket_scope(), {**websocket_scope(), "path": "/other/_faultware/status"}) * 2:
        assert_handed_over(app, scope, seen)


def assert_handed_over(app, scope, seen) -> None:
    receive, send, before = object(), object(), dict(scope)
    app(scope, receive, send)
    assert tuple(map(id, seen.pop())) == (id(scope), id(receive), id(send))
    assert scope == before


@pytest.mark.parametrize("path", ["/other", "/paymentsx"])
@pytest.mark.parametrize("options", [{}, {"enabled": False}, {"armed": False}, {"dry_run": True}], ids=str)
def test_a_request_that_no_rule_matches_gets_the_very_objects_of_the_server(path, options):
    seen = []
    app = wrapped(lambda *given: seen.append(given), "/payments 100% abort 503", **options)
    for _ in range(3):
        scope, receive, send = http_scope(path), object(), object()
        before = dict(scope)
        app(scope, receive, send)
        assert tuple(map(id, seen.pop())) == (id(scope), id(receive), id(send))
        assert scope == before


def test_a_request_whose_dice_spare_it_gets_the_very_objects_of_the_server(monkeypatch):
    # No WSGI middleware within, whatever other tests have made in this process.
    monkeypatch.setattr("faultware.asgi.attending.NESTING", Nesting())
    seen = []
    app = wrapped(lambda *given: seen.append(given), "/payments 10% abort 503", random=lambda: 0.9)
    for _ in range(3):
        scope, receive, send = http_scope("/payments"), object(), object()
        app(scope, receive, send)
        assert tuple(map(id, seen.pop())) == (id(scope), id(receive), id(send))


def test_a_request_that_faces_header_and_query_rules_in_vain_gets_the_very_objects_of_the_server():
    seen = []
    rules = "/ header:x-canary=1 100% abort 503; / query:fail=1 100% abort 503"
    app = wrapped(lambda *given: seen.append(given), rules)
    for headers, query in [((), ""), ((("x-canary", "2"),), ""), ((), "fail=0"), ((("x-other", "1"),), "other=1")]:
        scope, receive, send = http_scope("/payments", headers=headers, query=query), object(), object()
        app(scope, receive, send)
        assert tuple(map(id, seen.pop())) == (id(scope), id(receive), id(send))


def test_an_application_that_is_no_coroutine_function_is_called_once_even_if_it_fails():
    runs = []

    def broken(scope, receive, send):
        runs.append(scope)
        raise KeyError("root_path")

    app = wrapped(broken, "/payments 100% abort 503")
    for number in (1, 2, 3):
        with pytest.raises(KeyError, match="root_path"):
            app(http_scope("/other"), None, None)
        assert len(runs) == number


def test_a_scope_without_root_path_and_query_is_served(time):
    async def main():
        application = Application()
        app = wrapped(application, "/payments 100% abort 503; / query:fail=1 100% abort 502", time)
        for path, status in [("/other", 200), ("/other", 200), ("/payments", 503), ("/payments", 503)]:
            scope = http_scope(path)
            del scope["root_path"], scope["query_string"]
            exchange = Exchange()
            await app(scope, exchange.receive, exchange.send)
            assert exchange.status == status
        assert application.runs == 2

    time.run(main)


def test_what_an_untouched_application_raises_passes(time):
    async def broken(scope, receive, send):
        raise LookupError("its own")

    async def main():
        app = wrapped(broken, "/payments 100% abort 503", time)
        for _ in range(2):
            with pytest.raises(LookupError, match="its own"):
                await ask(app, "/other")

    time.run(main)


def test_what_a_delayed_application_raises_passes(time):
    async def broken(scope, receive, send):
        raise LookupError("its own")

    async def main():
        app = wrapped(broken, "/payments 100% delay 1s", time)
        with pytest.raises(LookupError, match="its own"):
            await ask(app, "/payments")
        assert (app._injector.active_faults, len(app._injector.holding)) == (0, 0)

    time.run(main)


def test_the_middleware_keeps_the_application_as_app():
    application = Application()
    assert wrapped(application).app is application
    assert wrapped(application, enabled=False).app is application
    assert wrapped(application, "/payments").app is application


_headers = st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=4)), max_size=3)
_messages = st.lists(
    st.one_of(
        st.builds(
            lambda status, headers: {"type": "http.response.start", "status": status, "headers": headers},
            st.integers(100, 999),
            _headers,
        ),
        st.builds(
            lambda body, more: {"type": "http.response.body", "body": body, "more_body": more},
            st.binary(max_size=8),
            st.booleans(),
        ),
        st.just({"type": "http.response.start", "status": 200}),
        st.just({"type": "http.response.body"}),
        st.just({"type": "http.response.trailers", "headers": [], "more_trailers": False}),
        st.just({"type": "http.response.zerocopysend", "file": 7}),
        st.dictionaries(st.text(max_size=3), st.integers(), max_size=2).map(lambda more: {**more, "type": "anything"}),
    ),
    max_size=6,
)


@given(messages=_messages, options=st.sampled_from([{}, {"enabled": False}, {"armed": False}, {"dry_run": True}]))
def test_idle_every_message_passes_as_it_is(messages, options):
    async def application(scope, receive, send):
        for message in messages:
            await send(message)

    async def main():
        path = "/payments" if options else "/other"
        app = wrapped(application, "/payments 100% delay 1s; /payments 100% abort 503", time, **options)
        exchange = Exchange(is_strict=False)
        await app(http_scope(path), exchange.receive, exchange.send)
        assert all(sent is message for sent, message in zip(exchange.sent, messages, strict=True))

    time = LoopTime("asyncio")
    time.run(main)


@pytest.mark.parametrize(
    ("raw_path", "sent"),
    [
        (b"/%61", "/%61"),
        (b"/%61?x=1", "/%61"),
        (b"http://shop.example/%61", "/%61"),
        (b"http://shop.example?to=/pay", "/"),
        (b"/%61#b", "/%61"),
        (b"*", "*"),
        (None, "/a"),
        (..., "/a"),
    ],
)
def test_the_path_as_it_was_sent_comes_from_the_server_or_is_put_together_again(raw_path, sent):
    scope = {**http_scope("/a", query="x=1"), "raw_path": raw_path, "scheme": "https"}
    if raw_path is ...:
        del scope["raw_path"]
    request = ScopeRequest(scope, "/a")
    assert (request.raw_path, request.target, request.scheme) == (sent, f"{sent}?x=1", "https")
