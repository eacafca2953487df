"""What a request brings in its baggage for others is passed on by applications under ASGI and under WSGI alike."""

from __future__ import annotations

import threading

import anyio
import pytest

from faultware.propagation import outgoing
from faultware.signing import check_errand, sign_baggage
from tests.asgi import server as asgi
from tests.wsgi import server as wsgi

KEY = "0123456789abcdef0123456789abcdef"


class Caller:
    """An application that would make calls: when it is asked, between two parts of its answer, and afterwards."""

    def __init__(self):
        self.calls = []

    def call(self):
        self.calls.append(outgoing({"baggage": "mine=1,faultware-request=x"}).get("baggage", ""))

    async def asgi(self, scope, receive, send):
        self.call()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        self.call()
        await anyio.to_thread.run_sync(self.call)
        await send({"type": "http.response.body", "body": b"b"})

    def wsgi(self, environ, start_response):
        self.call()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self.parts()

    def parts(self):
        yield b"a"
        self.call()
        self.call()
        yield b"b"


def through_asgi(rules, requests, **options):
    caller, answers = Caller(), []

    async def main():
        app = asgi.wrapped(caller.asgi, rules, fault_signing_key=KEY, **{"fault_propagation": True, **options})
        for path, headers in requests:
            answers.append((await asgi.ask(app, path, headers=headers)).mark)
            caller.call()

    anyio.run(main)
    return caller.calls, answers


def through_wsgi(rules, requests, **options):
    caller, answers = Caller(), []
    app = wsgi.wrapped(caller.wsgi, rules, fault_signing_key=KEY, **{"fault_propagation": True, **options})
    for path, headers in requests:
        answers.append(wsgi.ask(app, path, headers=headers).mark)
        caller.call()
    return caller.calls, answers


def asking(**how):
    return ("baggage", f"a=b,{sign_baggage(KEY, 'POST', '/charge', 'abort 503', **how)};property")


def read(call):
    """What a call would have carried: the hops that are left, None: nothing."""
    mine, _, value = call.partition(",faultware-request=")
    assert mine == "mine=1", "what the application sends itself is kept, and what nobody signed is not"
    return check_errand(KEY.encode(), value).hops if value else None


@pytest.fixture(params=[through_asgi, through_wsgi])
def serve(request):
    return request.param


@pytest.mark.parametrize(
    ("rules", "mark"),
    [
        ("", None),
        ("/checkout 100% corrupt 0.001% as bad", "bad;corrupt"),
        ("/checkout 0% abort 500", None),
    ],
)
@pytest.mark.parametrize("options", [{}, {"abort_when": "error_share > 99%"}])
def test_all_calls_of_one_request_carry_it_and_no_others(serve, rules, mark, options):
    requests = [("/checkout", []), ("/checkout", [asking(hops=2)]), ("/checkout", [("baggage", "a=b")])]
    calls, marks = serve(rules, requests, **options)
    assert marks == [mark] * 3
    assert [read(call) for call in calls] == [None] * 4 + [1, 1, 1, None] + [None] * 4
    assert len(set(calls[4:7])) == 3, "each with a nonce of its own"


def test_nothing_is_carried_where_that_was_not_asked_for(serve):
    calls, _ = serve("", [("/checkout", [asking()])], fault_propagation=False)
    assert [read(call) for call in calls] == [None] * 4


def test_nothing_is_carried_twice_for_one_signature_nor_without_hops(serve):
    once = asking()
    calls, _ = serve("", [("/checkout", [once]), ("/checkout", [once]), ("/checkout", [asking(hops=0)])])
    assert [read(call) for call in calls] == [0, 0, 0, None] + [None] * 8


def test_who_is_meant_is_faulted(serve):
    for hops in (0, 1):
        value = sign_baggage(KEY, "GET", "/charge", "abort 418", hops=hops)
        calls, marks = serve("", [("/charge", [("baggage", value)])] * 2)
        assert marks == ["signed-request;abort", None]
        assert [read(call) for call in calls] == [None] * 5


def test_an_application_that_fails_carries_nothing_afterwards():
    async def failing(scope, receive, send):
        raise ZeroDivisionError

    async def main():
        app = asgi.wrapped(failing, fault_signing_key=KEY, fault_propagation=True)
        with pytest.raises(ZeroDivisionError):
            await asgi.ask(app, "/checkout", headers=[asking()])
        return outgoing()

    def failing_wsgi(environ, start_response):
        raise ZeroDivisionError

    assert anyio.run(main) == {}
    app = wsgi.wrapped(failing_wsgi, fault_signing_key=KEY, fault_propagation=True)
    with pytest.raises(ZeroDivisionError):
        wsgi.ask(app, "/checkout", headers=[asking()])
    assert outgoing() == {}


def test_requests_that_are_served_at_once_carry_each_its_own():
    seen = {}

    async def app(scope, receive, send):
        arrived.append(scope["path"])
        if len(arrived) == 2:
            both.set()
        await both.wait()
        seen[scope["path"]] = outgoing().get("baggage")
        await asgi.answer(send)

    arrived, both = [], anyio.Event()

    async def main():
        wrapped = asgi.wrapped(app, fault_signing_key=KEY, fault_propagation=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: asgi.ask(wrapped, "/checkout", headers=[asking(hops=3)]))
            tasks.start_soon(lambda: asgi.ask(wrapped, "/other"))

    anyio.run(main)
    assert seen["/other"] is None
    assert check_errand(KEY.encode(), seen["/checkout"].partition("=")[2]).hops == 2


def test_threads_that_serve_at_once_carry_each_its_own():
    barrier, seen = threading.Barrier(2), {}

    def app(environ, start_response):
        barrier.wait(10)
        seen[environ["PATH_INFO"]] = outgoing().get("baggage")
        start_response("200 OK", [("Content-Type", "text/plain")])
        barrier.wait(10)
        return [b"hello"]

    wrapped = wsgi.wrapped(app, lint=False, fault_signing_key=KEY, fault_propagation=True)
    requests = [("/checkout", [asking(hops=3)]), ("/other", [])]
    threads = [
        threading.Thread(target=wsgi.ask, args=(wrapped, path), kwargs={"headers": headers, "lint": False})
        for path, headers in requests
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen["/other"] is None
    assert check_errand(KEY.encode(), seen["/checkout"].partition("=")[2]).hops == 2
