"""What faultware answers in an ASGI application's place, and what it adds to the application's own answers."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route

from faultware import Abort, Delay, InjectedFault, Match, Rule
from tests.asgi.server import Application, Exchange, answer, ask, http_scope, wrapped
from tests.asgi.test_passing import _messages as messages
from tests.clocks import LoopTime

AFTER = Rule("r", Match("/pay"), percentage=100, abort=Abort(503, after=True))


def test_an_abort_comes_without_the_application_and_without_its_body_being_read(time):
    async def main():
        application = Application()
        exchange = await ask(wrapped(application, "/pay 100% abort 503 as r", time), "/pay", b"a", b"b", method="POST")
        assert (exchange.status, exchange.mark, exchange.received) == (503, "r;abort", [])
        assert application.runs == 0

    time.run(main)


def test_an_abort_after_the_application_lets_it_run_once_to_its_end_and_loses_the_reply(time):
    async def main():
        done = []

        async def application(scope, receive, send):
            message = await receive()
            await answer(send, b"ordered")
            await anyio.sleep(5)
            done.append(message["body"])

        began = time()
        exchange = await ask(wrapped(application, [AFTER], time), "/pay", b"money", method="POST")
        assert (exchange.status, exchange.body, exchange.mark) == (503, b"fault injected\n", "r;abort")
        assert done == [b"money"]
        assert time() - began == pytest.approx(5.0)

    time.run(main)


def test_an_abort_after_a_stream_runs_the_stream_to_its_end(time):
    async def main():
        given_out = []

        async def stream():
            for number in range(5):
                given_out.append(number)
                yield b"x"

        async def endpoint(request):
            return StreamingResponse(stream())

        app = wrapped(Starlette(routes=[Route("/pay", endpoint)]), [AFTER], time)
        assert (await ask(app, "/pay")).status == 503
        assert given_out == [0, 1, 2, 3, 4]

    time.run(main)


def test_what_an_application_raises_before_its_reply_is_lost_passes(time):
    async def broken(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError("its own")

    async def main():
        app = wrapped(broken, [AFTER], time)
        exchange = Exchange()
        with pytest.raises(LookupError, match="its own"):
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert exchange.sent == []
        assert app._injector.active_faults == 0
        (live,) = app._injector.live_rules()
        assert (live.tally.injected, live.tally.suppressed) == ({}, {"unanswered": 1})

    time.run(main)


def test_an_exception_comes_out_before_anything_was_sent(time):
    async def main():
        application = Application()
        app = wrapped(application, "/pay 100% delay 1s + raise InjectedFault", time)
        exchange = Exchange()
        with pytest.raises(InjectedFault):
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert (exchange.sent, application.runs, app._injector.active_faults) == ([], 0, 0)

    time.run(main)


def test_a_delayed_answer_keeps_its_headers_in_order_and_repeated_ones_too(time):
    cookies = [(b"set-cookie", b"a=1"), (b"x-app", b"yes"), (b"set-cookie", b"b=2")]

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": tuple(cookies), "trailers": False})
        await send({"type": "http.response.body"})

    async def main():
        exchange = Exchange()
        await wrapped(application, "/pay 100% delay 1s as r", time)(http_scope("/pay"), exchange.receive, exchange.send)
        start = {"type": "http.response.start", "status": 200, "trailers": False}
        assert exchange.sent[0] == {**start, "headers": [*cookies, (b"faultware-fault", b"r;delay")]}

    time.run(main)


@pytest.mark.parametrize("outer", ["/pay 100% delay 1s as outer", "/pay 0% abort 500"])
def test_wrapping_twice_injects_once(time, outer):
    async def main():
        application = Application()
        inner = wrapped(application, "/pay 100% delay 1s as inner", time)
        began = time()
        exchange = await ask(wrapped(inner, outer, time), "/pay")
        expected = ("outer;delay", 1.0) if "outer" in outer else (None, 0.0)
        assert (exchange.mark, time() - began) == (expected[0], pytest.approx(expected[1]))
        assert application.runs == 1

    time.run(main)


def test_the_inner_middleware_decides_where_the_outer_one_has_no_rule(time):
    async def main():
        inner = wrapped(Application(), "/pay 100% delay 1s as inner", time)
        exchange = await ask(wrapped(inner, "/other 100% abort 500", time), "/pay")
        assert exchange.mark == "inner;delay"

    time.run(main)


def test_wrapping_twice_across_a_mount_injects_once(time):
    async def endpoint(request):
        return PlainTextResponse(request.url.path)

    async def main():
        shop = wrapped(Starlette(routes=[Route("/pay", endpoint)]), "/pay 100% delay 1s as inner", time)
        app = wrapped(
            Starlette(routes=[Mount("/shop", app=shop), Route("/pay", endpoint)]), "/shop 100% delay 1s as outer", time
        )
        began = time()
        exchange = await ask(app, "/shop/pay")
        assert (exchange.status, exchange.mark, time() - began) == (200, "outer;delay", pytest.approx(1.0))
        assert (await ask(app, "/pay")).mark is None

    time.run(main)


@pytest.mark.parametrize(
    ("path", "root", "status"),
    [
        ("/shop/pay", "/shop", 503),  # as uvicorn and Starlette have it: the path holds the prefix
        ("/pay", "/shop", 503),  # as older servers had it
        ("/shop/pay", "", 200),
        ("/shop/shop/pay", "/shop", 200),
        ("/shopping/pay", "/shop", 504),
        ("/shop/other", "/shop", 200),
        ("/shop", "/shop", 200),
    ],
)
def test_a_rule_means_the_path_below_the_mount(time, path, root, status):
    async def main():
        app = wrapped(Application(), "/pay 100% abort 503; /shopping 100% abort 504", time)
        for _ in range(2):
            assert (await ask(app, path, root=root)).status == status

    time.run(main)


def test_a_path_that_is_known_is_looked_at_anew_below_a_mount(time):
    async def main():
        app = wrapped(Application(), "/pay 100% abort 503", time)
        quiet = [("/v1/pay", "", 200), ("/v1/pay", "/v1", 503), ("/v1/pay", "", 200)]
        hit = [("/pay", "", 503), ("/pay", "/pay", 200), ("/pay", "", 503)]
        for path, root, status in [*quiet, *hit] * 2:
            assert (await ask(app, path, root=root)).status == status

    time.run(main)


RULES = {
    "abort": [Rule("r", percentage=100, abort=Abort(503, headers={"retry-after": "1"}))],
    "abort after": [Rule("r", percentage=100, abort=Abort(503, after=True))],
    "abort 204": [Rule("r", percentage=100, abort=Abort(204))],
    "delay and abort": [Rule("r", percentage=100, delay=Delay(1), abort=Abort(503))],
    "hang": "/ 100% hang 1s as r",
    "raise": "/ 100% raise InjectedFault as r",
}


@given(
    rule=st.sampled_from(sorted(RULES)),
    messages=messages,
    fails=st.booleans(),
    leaves_after=st.none() | st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    chunks=st.lists(st.binary(max_size=4), min_size=1, max_size=3),
)
def test_a_request_that_is_ended_is_ended_legally_whatever_the_application_does(
    rule, messages, fails, leaves_after, method, chunks
):
    runs = []

    async def application(scope, receive, send):
        runs.append(scope)
        await receive()
        for message in messages:
            await send(message)
        if fails:
            raise LookupError("its own")

    async def main():
        app = wrapped(application, RULES[rule], time)
        exchange = Exchange(*chunks, leaves_after=leaves_after, method=method)
        try:
            await app(http_scope("/pay", method=method), exchange.receive, exchange.send)
        except (InjectedFault, LookupError):
            assert exchange.sent == []
        else:
            exchange.check_whole()
        assert len(runs) == (1 if rule == "abort after" else 0)
        assert (app._injector.active_faults, len(app._injector.holding)) == (0, 0)

    time = LoopTime("asyncio")
    time.run(main)


@given(messages=messages, chunks=st.lists(st.binary(max_size=4), min_size=1, max_size=3), is_marked=st.booleans())
def test_a_delayed_application_says_what_it_says_and_only_the_mark_is_added(messages, chunks, is_marked):
    mark = [(b"faultware-fault", b"r;delay")] if is_marked else []

    async def application(scope, receive, send):
        for message in messages:
            await send(message)

    async def main():
        app = wrapped(application, "/pay 100% delay 1s as r", time, mark_responses=is_marked)
        exchange = Exchange(*chunks, is_strict=False)
        await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert exchange.sent == [
            {**message, "headers": [*message.get("headers", ()), *mark]}
            if message["type"] == "http.response.start" and mark
            else message
            for message in messages
        ]

    time = LoopTime("asyncio")
    time.run(main)
