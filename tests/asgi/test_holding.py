"""Held ASGI requests: bodies survive, clients may leave, the switch releases, a server may stop."""

from __future__ import annotations

import asyncio

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from faultware.asgi.waiting import MAX_AHEAD
from tests.asgi.server import Application, Exchange, ask, http_scope, wrapped
from tests.clocks import LoopTime


def kill(app) -> None:
    """What the control endpoint does."""
    app._injector.switch.kill("a test")
    app._injector.refresh()


def assert_nothing_is_held(app) -> None:
    assert (app._injector.active_faults, len(app._injector.holding)) == (0, 0)


BODIES = {
    "empty": [b""],
    "whole": [b"money"],
    "chunked": [b"a", b"", b"bc", b"d" * 1000, b""],
    "slow": [b"a", 0.4, b"b", 30.0, b"c"],
    "large": [b"x" * (MAX_AHEAD + 1)],
    "large and chunked": [b"x" * 40_000] * 5,
    "exactly the limit": [b"x" * MAX_AHEAD, b"y"],
}


@pytest.mark.parametrize("chunks", BODIES.values(), ids=list(BODIES))
@pytest.mark.parametrize("rule", ["delay 1s", "delay 1s + hang 1s"])
def test_an_upload_reaches_the_application_whole_and_chunk_by_chunk(time, chunks, rule):
    async def main():
        application = Application()
        app = wrapped(application, f"/pay 100% {rule}", time)
        exchange = Exchange(*chunks)
        async with anyio.create_task_group() as tasks:
            if "hang" in rule:
                tasks.start_soon(kill_at, app, 1.5)
            await app(http_scope("/pay", method="POST"), exchange.receive, exchange.send)
        whole = b"".join(chunk for chunk in chunks if isinstance(chunk, bytes))
        assert application.bodies == [whole]
        assert application.messages == exchange.received
        assert_nothing_is_held(app)

    time.run(main)


async def kill_at(app, seconds: float) -> None:
    await anyio.sleep(seconds)
    kill(app)


def test_each_application_is_given_a_message_of_its_own_to_do_with_what_it_likes(time):
    seen = []

    async def spoils(scope, receive, send):
        message = await receive()
        seen.append(dict(message))
        message["body"] = b"spoilt"
        await PlainTextResponse("spent")(scope, receive, send)

    async def main():
        app = wrapped(spoils, "/pay 100% delay 1s", time)
        for _ in range(2):
            exchange = Exchange()
            await app(http_scope("/pay"), exchange.receive, exchange.send)

    time.run(main)
    assert seen == [{"type": "http.request", "body": b"", "more_body": False}] * 2


def test_no_more_of_an_upload_is_read_ahead_than_the_limit(time):
    async def main():
        app = wrapped(Application(), "/pay 100% delay 10s", time)
        exchange = Exchange(*[b"x" * 20_000] * 50)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, http_scope("/pay", method="POST"), exchange.receive, exchange.send)
            await anyio.sleep(5)
            assert sum(len(message["body"]) for message in exchange.received) <= MAX_AHEAD + 20_000
        exchange.check_whole()
        assert exchange.body == b"application " + b"x" * 1_000_000

    time.run(main)


def test_an_application_that_does_not_read_is_not_made_to(time):
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"unread"})

    async def main():
        app = wrapped(application, "/pay 100% delay 1s as r", time)
        exchange = await ask(app, "/pay", b"a", b"b")
        assert (exchange.body, exchange.mark) == (b"unread", "r;delay")

    time.run(main)


@pytest.mark.parametrize(
    "rule", ["delay 20s", "hang", "delay 20s + abort 503", "hang 20s", "delay 20s + raise InjectedFault"]
)
def test_a_client_that_leaves_ends_the_wait_at_once_and_the_application_does_not_run(time, rule):
    async def main():
        application = Application()
        app = wrapped(application, f"/pay 100% {rule}", time)
        began = time()
        exchange = await ask(app, "/pay", b"mo", 1.0, b"ney", leaves_after=2.0, method="POST")
        assert time() - began == pytest.approx(3.0)
        assert application.runs == 0
        # A polite end: nothing outside the middleware misses an answer.
        assert (exchange.status, exchange.body) == (499, b"")
        assert_nothing_is_held(app)

    time.run(main)


def test_a_server_that_refuses_to_send_to_a_client_that_left_is_obeyed(time):
    async def send(message):
        raise OSError("nobody listens")

    async def main():
        application = Application()
        app = wrapped(application, "/pay 100% delay 20s", time)
        await app(http_scope("/pay"), Exchange(leaves_after=1.0).receive, send)
        assert application.runs == 0

    time.run(main)


def test_a_receive_that_repeats_the_end_of_the_body_for_ever_does_not_stop_the_loop(time):
    calls = []

    async def repeating():
        calls.append(1)
        assert len(calls) < 1000, "it reads without end"
        return {"type": "http.request", "body": b"", "more_body": False}

    async def main():
        app = wrapped(Application(), "/pay 100% delay 1s + hang 1s", time)
        exchange = Exchange()
        began = time()
        await app(http_scope("/pay"), repeating, exchange.send)
        assert (exchange.status, time() - began) == (504, pytest.approx(2.0))

    time.run(main)


def test_a_client_that_leaves_behind_more_than_is_read_ahead_is_the_applications_to_notice(time):
    async def main():
        application = Application()
        app = wrapped(application, "/pay 100% delay 20s", time)
        exchange = Exchange(b"x" * (MAX_AHEAD + 1), leaves_after=0.0)
        began = time()
        await app(http_scope("/pay", method="POST"), exchange.receive, exchange.send)
        assert time() - began == pytest.approx(20.0)
        assert len(application.bodies[0]) == MAX_AHEAD + 1

    time.run(main)


def test_a_middleware_outside_that_insists_on_an_answer_gets_one_when_the_client_leaves(time):
    async def main():
        async def endpoint(request):
            return PlainTextResponse(await request.body())

        async def outside(request, call_next):
            return await call_next(request)

        inner = wrapped(Starlette(routes=[Route("/pay", endpoint, methods=["POST"])]), "/pay 100% delay 5s as r", time)
        app = BaseHTTPMiddleware(inner, dispatch=outside)
        left = await ask(app, "/pay", b"money", leaves_after=1.0, method="POST")
        assert left.status == 499
        stayed = await ask(app, "/pay", b"mo", b"ney", method="POST")
        assert (stayed.status, stayed.body, stayed.mark) == (200, b"money", "r;delay")

    time.run(main)


@pytest.mark.parametrize(
    ("rule", "mark"), [("delay 20s", "r;delay"), ("hang", "r;hang"), ("delay 20s + abort 503", "r;delay")]
)
def test_a_kill_from_another_thread_releases_what_is_held_and_each_application_runs_once(time, rule, mark):
    async def main():
        time.stand_still()
        application = Application()
        app = wrapped(application, f"/pay 100% {rule} as r", time)
        exchanges = [Exchange(b"money") for _ in range(20)]
        async with anyio.create_task_group() as tasks:
            for exchange in exchanges:
                tasks.start_soon(app, http_scope("/pay", method="POST"), exchange.receive, exchange.send)
            while len(app._injector.holding) < 20:
                await anyio.lowlevel.checkpoint()
            assert app._injector.active_faults == 20
            await anyio.to_thread.run_sync(kill, app)
        for exchange in exchanges:
            exchange.check_whole()
            assert (exchange.status, exchange.mark, exchange.body) == (200, mark, b"application money")
        assert application.runs == 20
        assert_nothing_is_held(app)

    time.run(main)


def test_a_request_that_meets_the_kill_on_its_way_into_the_wait_is_not_held(time, monkeypatch):
    async def main():
        time.stand_still()
        application = Application()
        app = wrapped(application, "/pay 100% delay 20s as r", time)
        add = app._injector.holding.add

        def killed_meanwhile(release):
            kill(app)
            return add(release)

        monkeypatch.setattr(type(app._injector.holding), "add", lambda _self, release: killed_meanwhile(release))
        exchange = await ask(app, "/pay", b"money")
        assert (exchange.body, application.runs) == (b"application money", 1)
        assert_nothing_is_held(app)

    time.run(main)


def test_a_kill_in_the_very_moment_in_which_a_delay_ends_does_not_touch_the_application(time):
    async def main():
        ended = []

        async def application(scope, receive, send):
            # The kill comes when the wait is over but still on the list: its cancellation must not arrive in here.
            for release in releases:
                release()
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            await anyio.sleep(1)
            ended.append(True)
            await Application()(scope, receive, send)

        app = wrapped(application, "/pay 100% delay 1s as r", time)
        releases = []
        hold = app._injector.hold

        def remember(release):
            releases.append(release)
            hold(release)

        app._injector.hold = remember
        exchange = await ask(app, "/pay")
        assert (exchange.status, ended, len(releases)) == (200, [True], 1)

    time.run(main)


def test_a_delay_is_never_shorter_than_asked_even_if_the_loop_wakes_early(time, monkeypatch):
    async def main():
        app = wrapped(Application(), "/pay 100% delay 250ms as r", time)
        real = anyio.current_time
        # uvloop rounds to whole milliseconds.
        monkeypatch.setattr("faultware.asgi.waiting.anyio.current_time", lambda: real() - 0.0007)
        began = time()
        await ask(app, "/pay")
        assert time() - began >= 0.25 - 1e-9

    time.run(main)


@pytest.mark.parametrize("rule", ["delay 20s", "hang", "delay 1s"])
@pytest.mark.parametrize("after", [0.0, 0.5, 3.0])
def test_a_cancelled_request_leaves_nothing_behind(time, rule, after):
    async def slow(scope, receive, send):
        await anyio.sleep(100)

    async def main():
        app = wrapped(slow, f"/pay 100% {rule}", time)
        exchange = Exchange()
        with anyio.move_on_after(after) as scope:
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert scope.cancelled_caught
        assert exchange.sent == []
        assert_nothing_is_held(app)

    time.run(main)


@pytest.mark.parametrize("steps", range(6))
def test_a_task_that_is_cancelled_early_leaves_nothing_behind(steps):
    async def main():
        app = wrapped(Application(), "/pay 100% delay 20s", time)
        exchange = Exchange()
        task = asyncio.get_running_loop().create_task(app(http_scope("/pay"), exchange.receive, exchange.send))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_nothing_is_held(app)

    time = LoopTime("asyncio")
    time.run(main)


def test_a_receive_that_fails_leaves_nothing_behind(time):
    async def broken():
        raise RuntimeError("the server's")

    async def main():
        app = wrapped(Application(), "/pay 100% delay 20s", time)
        with pytest.raises(RuntimeError, match="the server's"):
            await app(http_scope("/pay"), broken, Exchange().send)
        assert_nothing_is_held(app)

    time.run(main)


def test_the_application_does_not_count_as_a_fault_while_it_works_behind_a_delay(time):
    async def main():
        counted = []

        async def application(scope, receive, send):
            counted.append(app._injector.active_faults)
            await Application()(scope, receive, send)

        app = wrapped(application, "/pay 100% delay 1s", time)
        await ask(app, "/pay")
        assert counted == [0]

    time.run(main)


def test_more_requests_than_may_be_faulted_at_once_pass(time):
    async def main():
        application = Application()
        app = wrapped(application, "/pay 100% delay 20s as r", time, max_active_faults=3)
        exchanges = [Exchange() for _ in range(10)]
        async with anyio.create_task_group() as tasks:
            for exchange in exchanges:
                tasks.start_soon(app, http_scope("/pay"), exchange.receive, exchange.send)
            await anyio.sleep(1)
            assert (app._injector.active_faults, application.runs) == (3, 7)
        assert sorted(exchange.mark or "" for exchange in exchanges) == [""] * 7 + ["r;delay"] * 3
        assert_nothing_is_held(app)

    time.run(main)
