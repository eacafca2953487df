"""Response faults that come to an end: by the switch, by a client that leaves, by a cut of the connection."""

from __future__ import annotations

from contextlib import nullcontext

import anyio
import anyio.lowlevel
import pytest
from starlette.responses import StreamingResponse

from tests.asgi.server import Exchange, http_scope, wrapped
from tests.asgi.test_connections import dialled_in, heard, injected, suppressed
from tests.asgi.test_holding import assert_nothing_is_held, kill_at
from tests.asgi.test_shaping import Timed, body, sends, start

HOLDING = {
    "throttle": "throttle 10B/s",
    "slice": "slice 10B pause=10s",
    "dribble": "dribble 20s",
    "stall": "stall 40B duration=20s",
    "slow close": "slow_close 20s",
    "delay": "delay_response 20s",
    "several": "delay_response 500ms + throttle 100B/s + slow_close 20s",
}


@pytest.mark.parametrize("fault", HOLDING.values(), ids=list(HOLDING))
def test_a_kill_lets_a_response_go_on_at_once_and_whole(time, fault):
    async def main():
        application = sends(start(200, ("content-length", "100")), body(b"x" * 60, more=True), body(b"y" * 40))
        app = wrapped(application, f"/pay 100% {fault} as r", time)
        exchange = Timed(time)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, 1.01)
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        exchange.check_whole()
        assert exchange.body == b"x" * 60 + b"y" * 40
        assert exchange.times[-1] == pytest.approx(1.01)
        assert_nothing_is_held(app)

    time.run(main)


def test_a_kill_while_the_application_computes_calls_off_what_has_not_begun(time):
    async def main():
        application = sends(2.0, start(), body(b"money"))
        app = wrapped(application, "/pay 100% delay_response 20s + replace_body gone as r", time)
        exchange = Timed(time)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, 1.0)
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert (exchange.body, exchange.mark, exchange.times[-1]) == (b"money", None, pytest.approx(2.0))
        assert (injected(app), suppressed(app, "killed")) == ({}, 2)

    time.run(main)


def test_a_kill_before_the_cut_calls_it_off(time):
    async def main():
        application = sends(start(200, ("content-length", "30")), body(b"x" * 10, more=True), 2, body(b"y" * 20))
        app = wrapped(application, "/pay 100% truncate 20B by=reset as r", time)
        with dialled_in() as (client, scope):
            exchange = Exchange()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kill_at, app, 1.0)
                await app(scope, exchange.receive, exchange.send)
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)
        exchange.check_whole()
        assert exchange.body == b"x" * 10 + b"y" * 20

    time.run(main)


def test_a_kill_during_a_wait_calls_off_the_cut_behind_it(time):
    async def main():
        application = sends(start(200, ("content-length", "100")), body(b"x" * 100))
        app = wrapped(application, "/pay 100% throttle 10B/s + truncate 80B as r", time)
        with dialled_in() as (client, scope):
            exchange = Exchange()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kill_at, app, 1.0)
                await app(scope, exchange.receive, exchange.send)
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)
        exchange.check_whole()
        assert exchange.body == b"x" * 100

    time.run(main)


def test_a_kill_during_the_wait_for_the_peer_calls_the_cut_off(time, monkeypatch):
    async def main():
        monkeypatch.setattr("faultware.runtime.wire.Wire.unacknowledged", lambda _: 1)
        application = sends(start(200, ("content-length", "30")), body(b"x" * 30))
        app = wrapped(application, "/pay 100% truncate 20B as r", time)
        with dialled_in() as (_, scope):
            exchange = Timed(time)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kill_at, app, 1.0)
                await app(scope, exchange.receive, exchange.send)
        exchange.check_whole()
        assert (exchange.body, exchange.times[-1]) == (b"x" * 30, pytest.approx(1.0))

    time.run(main)


def test_a_peer_that_does_not_read_is_cut_when_its_time_is_over(time, monkeypatch):
    async def main():
        monkeypatch.setattr("faultware.runtime.wire.Wire.unacknowledged", lambda _: 1)
        application = sends(start(200, ("content-length", "30")), body(b"x" * 30))
        app = wrapped(application, "/pay 100% truncate 20B as r", time, max_delay="4s")
        with dialled_in() as (client, scope):
            exchange, began = Exchange(), time()
            await app(scope, exchange.receive, exchange.send)
            assert heard(client) == (b"", "FIN")
        # Then the server is given two seconds to notice, which this one does not.
        assert (exchange.body, time() - began) == (b"x" * 20, pytest.approx(6.0, abs=0.01))

    time.run(main)


@pytest.mark.parametrize(("by", "end"), [("fin", "FIN"), ("reset", "RST")])
def test_a_cut_ends_the_connection_and_the_application_learns_of_it_as_from_a_server(time, by, end):
    async def main():
        heard_by_application = []

        async def application(scope, receive, send):
            await send(start(200, ("content-length", "100")))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen, receive)
                for _ in range(10):
                    await send(body(b"0123456789", more=True))
            await send(body())

        async def listen(receive):
            while (message := await receive())["type"] != "http.disconnect":
                pass
            heard_by_application.append(message)

        app = wrapped(application, f"/pay 100% truncate 25B by={by} as r", time)
        with dialled_in() as (client, scope):
            exchange = Timed(time, b"upload", leaves_after=0.0)
            await app(scope, exchange.receive, exchange.send)
            assert heard(client) == (b"", end)
        assert exchange.body == b"0123456789012345678901234"[:25]
        assert not exchange.is_complete
        assert heard_by_application == [{"type": "http.disconnect"}]
        assert injected(app) == {"truncate": 1}
        assert_nothing_is_held(app)

    time.run(main)


def test_after_a_cut_send_raises_where_the_server_speaks_of_that(time):
    async def main():
        async def application(scope, receive, send):
            await send(start(200))
            while True:
                await send(body(b"0123456789", more=True))

        app = wrapped(application, "/pay 100% truncate 25B as r", time)
        with dialled_in() as (_, scope):
            assert scope["asgi"]["spec_version"] == "2.4"
            exchange = Exchange(leaves_after=0.0)
            await app(scope, exchange.receive, exchange.send)
        assert len(exchange.body) == 25

    time.run(main)


def test_after_a_cut_send_does_nothing_where_the_server_knows_no_better(time):
    async def main():
        pieces = [body(b"0123456789", more=True)] * 5
        app = wrapped(sends(start(200), *pieces, body()), "/pay 100% truncate 25B as r", time)
        with dialled_in() as (_, scope):
            scope["asgi"] = {"version": "3.0", "spec_version": "2.3"}
            exchange = Exchange(leaves_after=0.0)
            await app(scope, exchange.receive, exchange.send)
        assert (len(exchange.body), exchange.is_complete) == (25, False)

    time.run(main)


def test_a_peer_that_does_not_read_what_is_written_past_the_server_is_given_up_once(time):
    async def main():
        pieces = [body(b"x" * 4_000_000, more=True)] * 10
        app = wrapped(sends(start(200), *pieces, body()), "/pay 100% malformed_chunk 1000MB as r", time, max_delay="4s")
        with dialled_in() as (client, scope):
            exchange, began = Exchange(), time()
            await app(scope, exchange.receive, exchange.send)
            # Once for the bytes, once until they are acknowledged, and not for each of the pieces.
            assert time() - began < 40
            assert len(heard(client)[0]) > 100_000
        assert exchange.status == 499

    time.run(main)


class ClientLeftError(Exception):
    """What a framework may make of it."""


@pytest.mark.parametrize("way", ["as it is", "another", "in a group", "a bug"])
def test_what_an_application_makes_of_a_cut_is_no_error_unless_it_is_one(time, way):
    async def application(scope, receive, send):
        await send(start(200))
        try:
            while True:
                await send(body(b"0123456789", more=True))
        except OSError as error:
            if way == "another":
                raise ClientLeftError  # noqa: B904  (as Starlette does)
            if way == "in a group":
                raise ExceptionGroup("tasks", [error, ExceptionGroup("more", [error])]) from None
            if way == "as it is":
                raise
        raise ZeroDivisionError

    async def main():
        app = wrapped(application, "/pay 100% truncate 25B as r", time)
        with dialled_in() as (_, scope):
            exchange = Exchange(leaves_after=0.0)
            with pytest.raises(ZeroDivisionError) if way == "a bug" else nullcontext():
                await app(scope, exchange.receive, exchange.send)
        assert len(exchange.body) == 25
        assert_nothing_is_held(app)

    time.run(main)


@pytest.mark.parametrize("fault", ["malformed_chunk 8B", "content_length 5"])
def test_a_response_that_is_written_past_the_server_is_all_the_client_sees(time, fault):
    async def main():
        application = sends(start(200, ("content-length", "30")), body(b"x" * 10, more=True), body(b"y" * 20))
        app = wrapped(application, f"/pay 100% {fault} as r", time)
        with dialled_in() as (client, scope):
            exchange = Exchange(leaves_after=5.0)
            await app(scope, exchange.receive, exchange.send)
            data, end = heard(client)
        assert (exchange.status, exchange.body, end) == (499, b"", "FIN")
        head, _, rest = data.partition(b"\r\n\r\n")
        assert b"faultware-fault: r;" in head
        assert rest == (b"8\r\nxxxxxxxx\r\nzz\r\n" if "chunk" in fault else b"x" * 10 + b"y" * 20)

    time.run(main)


def test_a_kill_lets_a_response_that_is_written_past_the_server_go_on_there(time):
    async def main():
        application = sends(start(200, ("content-length", "30")), body(b"x" * 10, more=True), 2, body(b"y" * 20))
        app = wrapped(application, "/pay 100% malformed_chunk 15B as r", time)
        with dialled_in() as (client, scope):
            exchange = Exchange(leaves_after=5.0)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kill_at, app, 1.0)
                await app(scope, exchange.receive, exchange.send)
            data, end = heard(client)
        assert data.partition(b"\r\n\r\n")[2] == b"a\r\n" + b"x" * 10 + b"\r\n14\r\n" + b"y" * 20 + b"\r\n0\r\n\r\n"
        assert end == "FIN"

    time.run(main)


@pytest.mark.parametrize("fault", ["malformed_chunk 8B", "content_length 5"])
def test_a_stream_that_its_own_cut_has_cancelled_leaves_a_head_to_those_around_it(time, fault):
    async def stream():
        for _ in range(3):
            yield b"x" * 10

    async def main():
        app = wrapped(StreamingResponse(stream()), f"/pay 100% {fault} as r", time)
        with dialled_in() as (client, scope):
            # Before 2.4 Starlette listens for the end itself, and stops the stream.
            scope["asgi"]["spec_version"] = "2.3"
            exchange = Exchange(leaves_after=1.0)

            async def send(message):
                await anyio.lowlevel.checkpoint()  # as in Starlette's BaseHTTPMiddleware
                await exchange.send(message)

            await app(scope, exchange.receive, send)
            assert heard(client)[1] == "FIN"
        assert (exchange.status, exchange.body, exchange.is_complete) == (499, b"", True)
        assert_nothing_is_held(app)

    time.run(main)


@pytest.mark.parametrize("error", [OSError, RuntimeError])
def test_a_server_that_has_lost_the_connection_already_may_say_so(time, error):
    async def main():
        async def send(message):
            raise error("the handler is closed")

        app = wrapped(sends(start(200), body(b"x" * 30)), "/pay 100% malformed_chunk 8B as r", time)
        with dialled_in() as (client, scope):
            await app(scope, Exchange(leaves_after=1.0).receive, send)
            assert heard(client)[1] == "FIN"
        assert_nothing_is_held(app)

    time.run(main)
