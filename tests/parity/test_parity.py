"""Every scenario through ASGI, on both event loops, and through WSGI: the same status, headers and bytes."""

from __future__ import annotations

from types import SimpleNamespace

import anyio
import pytest

from tests.asgi import server as asgi_server
from tests.clocks import BACKENDS, EventTime, LoopTime
from tests.parity.acting import ACTING
from tests.parity.choosing import CHOOSING
from tests.parity.heads import HEADS
from tests.parity.scenario import Ask, Scenario, Seen
from tests.parity.shaping import SHAPING
from tests.wsgi import server as wsgi_server


def kill(middleware) -> None:
    """What the control endpoint does."""
    middleware._injector.switch.kill("a test")
    middleware._injector.refresh()


class AsgiSide:
    """Serves scenarios to the ASGI middleware."""

    def __init__(self, backend: str) -> None:
        self.time = LoopTime(backend)
        self.runs = 0

    async def application(self, scope, receive, send):
        self.runs += 1
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        token = [("x-token", value.decode()) for name, value in scope["headers"] if name == b"x-token"]
        ask = Ask(f"{scope['method']} {scope['path']}", tuple(token), body)
        lines = [(name.encode(), value.encode()) for name, value in ask.application_headers]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        await send({"type": "http.response.body", "body": ask.application_body})

    def play(self, scenario: Scenario, **options) -> list[tuple[Seen, float]]:
        middleware = asgi_server.wrapped(self.application, scenario.rules, self.time, **options)

        async def play():
            return [await self.ask(middleware, ask) for ask, _ in scenario.steps]

        return self.time.run(play)

    async def ask(self, middleware, ask: Ask) -> tuple[Seen, float]:
        self.time.advance(ask.after)
        self.runs, began = 0, self.time()
        chunks = [ask.body[at : at + 30_000] for at in range(0, len(ask.body), 30_000)]
        exchange = asgi_server.Exchange(*chunks, leaves_after=ask.leave_after, method=ask.method)
        headers = with_host(ask)
        scope = asgi_server.http_scope(ask.path, method=ask.method, headers=headers, query=ask.query, client=ask.client)
        raised = ""
        async with anyio.create_task_group() as tasks:
            if ask.kill_after is not None:
                tasks.start_soon(self.kill, middleware, ask.kill_after)
            try:
                await middleware(scope, exchange.receive, exchange.send)
            except Exception as error:
                raised = f"{type(error).__name__}: {error}"
            tasks.cancel_scope.cancel()
        held = self.time() - began
        if raised:
            assert exchange.sent == []
            return Seen(0, [], b"", self.runs, raised), held
        exchange.check_whole()
        return Seen(exchange.status, sorted(exchange.headers.items()), exchange.body, self.runs), held

    async def kill(self, middleware, seconds: float) -> None:
        await anyio.sleep(seconds)
        kill(middleware)


class WsgiSide:
    """Serves scenarios to the WSGI middleware, between two of Werkzeug's lints."""

    def __init__(self, monkeypatch) -> None:
        self.time = EventTime()
        self.runs = 0
        monkeypatch.setattr("faultware.wsgi.waiting.threading", self.time)

    def application(self, environ, start_response):
        self.runs += 1
        path = environ["PATH_INFO"].encode("latin-1").decode()
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        token = [("x-token", environ["HTTP_X_TOKEN"])] if "HTTP_X_TOKEN" in environ else []
        ask = Ask(f"{environ['REQUEST_METHOD']} {path}", tuple(token), body)
        start_response("200 OK", ask.application_headers)
        return [ask.application_body]

    def play(self, scenario: Scenario, **options) -> list[tuple[Seen, float]]:
        middleware = wsgi_server.wrapped(self.application, scenario.rules, self.time, **options)
        return [self.ask(middleware, ask) for ask, _ in scenario.steps]

    def ask(self, middleware, ask: Ask) -> tuple[Seen, float]:
        self.time.advance(ask.after)
        self.runs, began = 0, self.time()
        environ = wsgi_server.environment(
            ask.path, method=ask.method, headers=with_host(ask), query=ask.query, client=ask.client, body=ask.body
        )
        if ask.client != "testclient":  # which is in this process
            environ["REMOTE_PORT"] = "50000"
        if ask.leave_after is not None:
            leaves_at = began + ask.leave_after
            environ["waitress.client_disconnected"] = lambda: self.time() >= leaves_at
        if ask.kill_after is not None:
            self.time.after(ask.kill_after, lambda: kill(middleware))
        try:
            answer = wsgi_server.serve(middleware, environ)
        except Exception as error:
            return Seen(0, [], b"", self.runs, f"{type(error).__name__}: {error}"), self.time() - began
        return Seen(answer.status, sorted(answer.headers.items()), answer.body, self.runs), self.time() - began


def with_host(ask: Ask) -> list[tuple[str, str]]:
    """The headers of a request, as a client sends them: there is always a host."""
    has_host = any(name.lower() == "host" for name, _ in ask.headers)
    return [*ask.headers] if has_host else [("host", "localhost"), *ask.headers]


@pytest.fixture(params=[*BACKENDS, "wsgi"])
def side(request, monkeypatch):
    """Both middlewares, ASGI on each event loop; the wall clock goes with the other one."""
    side = WsgiSide(monkeypatch) if request.param == "wsgi" else AsgiSide(request.param)
    monkeypatch.setattr("faultware.runtime.build.time", SimpleNamespace(monotonic=side.time, time=side.time))
    return side


@pytest.mark.parametrize(
    "scenario", [*ACTING, *CHOOSING, *HEADS, *SHAPING], ids=lambda scenario: scenario.name.replace(" ", "-")
)
def test_both_middlewares_do_the_same(side, scenario):
    draws = iter(scenario.draws)
    random = (lambda: 0.5) if not scenario.draws else draws.__next__
    seen = side.play(scenario, random=random, **scenario.options)
    for (ask, want), (came, held) in zip(scenario.steps, seen, strict=True):
        assert came == want.of(ask), ask
        # A client that leaves is noticed at the next look, twenty times a second.
        late = 0.051 if ask.leave_after is not None else 1e-6
        assert want.held - 1e-6 <= held <= want.held + late, ask
    assert not list(draws), "dice were left over"
