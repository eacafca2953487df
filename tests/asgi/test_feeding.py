"""What the application receives while its response is held up, and how a client that leaves ends that."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from faultware.asgi.waiting import MAX_AHEAD
from tests.asgi.server import Exchange, ask, http_scope, wrapped
from tests.asgi.test_holding import assert_nothing_is_held


async def respond(send, size: int = 100) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * size})


SLOW = "/pay 100% throttle 10B/s as r"  # 100 bytes in ten seconds


def test_a_client_that_leaves_ends_the_wait_and_the_rest_goes_nowhere_at_once(time):
    async def main():
        async def application(scope, receive, send):
            await respond(send)

        app = wrapped(application, SLOW, time)
        began = time()
        await ask(app, "/pay", leaves_after=3.0)
        assert time() - began == pytest.approx(3.0)
        assert_nothing_is_held(app)

    time.run(main)


def test_an_application_that_listens_at_the_same_time_hears_everything_once_and_in_order(time):
    async def main():
        messages = []

        async def application(scope, receive, send):
            async def listen():
                while not messages or messages[-1]["type"] != "http.disconnect":
                    messages.append(await receive())

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                await respond(send)

        app = wrapped(application, SLOW, time)
        exchange = Exchange(b"a", 0.5, b"b", 0.5, b"c", leaves_after=20.0)
        await app(http_scope("/pay", method="POST"), exchange.receive, exchange.send)
        assert messages == exchange.received
        assert len(messages) == 4
        assert_nothing_is_held(app)

    time.run(main)


def test_an_upload_that_is_read_behind_the_answer_arrives_whole(time):
    async def main():
        received = bytearray()

        async def application(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})
            more = True
            while more:
                message = await receive()
                received.extend(message["body"])
                more = message["more_body"]
            await send({"type": "http.response.body", "body": b""})

        app = wrapped(application, SLOW, time)
        exchange = Exchange(*[b"y" * 20_000] * 10)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, http_scope("/pay", method="POST"), exchange.receive, exchange.send)
            await anyio.sleep(5)
            # Nobody keeps more than this; the rest stays with the server, and so with the client.
            assert sum(len(message["body"]) for message in exchange.received) <= MAX_AHEAD + 20_000
        assert received == b"y" * 200_000

    time.run(main)


def test_a_client_that_leaves_behind_a_large_upload_is_noticed_when_its_time_is_over(time):
    async def main():
        async def application(scope, receive, send):
            await respond(send)

        app = wrapped(application, SLOW, time)
        began = time()
        exchange = Exchange(b"y" * (MAX_AHEAD + 1), leaves_after=0.0)
        await app(http_scope("/pay", method="POST"), exchange.receive, exchange.send)
        assert time() - began == pytest.approx(10.0)

    time.run(main)


def test_a_client_that_leaves_is_noticed_once_its_upload_is_read(time):
    async def main():
        async def application(scope, receive, send):
            while (await receive())["more_body"]:
                pass
            await respond(send)

        app = wrapped(application, SLOW, time)
        began = time()
        await ask(app, "/pay", *[b"y" * 40_000] * 5, method="POST", leaves_after=3.0)
        assert time() - began == pytest.approx(3.0)

    time.run(main)


def test_nothing_is_read_while_nothing_waits(time):
    async def main():
        async def application(scope, receive, send):
            await respond(send)

        app = wrapped(application, "/pay 100% corrupt 1% as r", time)
        exchange = await ask(app, "/pay", b"upload")
        assert exchange.received == []

    time.run(main)


class Ticks:
    """Ten bytes each second, without end."""

    def __aiter__(self):
        return self

    async def __anext__(self):
        await anyio.sleep(1)
        return b"0123456789"


async def forever(request):
    return StreamingResponse(Ticks())


async def asking(request):
    """Asks in Starlette's way, which cancels a `receive` at once, and reads the body afterwards."""
    answers = [await request.is_disconnected()]
    body = await request.body()
    return PlainTextResponse(f"{answers} {len(body)}")


STARLETTE = Starlette(routes=[Route("/pay", forever), Route("/ask", asking, methods=["POST"])])


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
def test_a_stream_without_end_ends_when_its_client_leaves(time, spec_version):
    async def main():
        app = wrapped(STARLETTE, "/pay 100% throttle 10B/s as r", time)
        exchange, began = Exchange(leaves_after=5.5), time()

        async def send(message):
            if exchange.received and spec_version == "2.4":
                raise OSError("nobody listens")
            await exchange.send(message)

        scope = http_scope("/pay") | {"asgi": {"version": "3.0", "spec_version": spec_version}}
        # Starlette says so in its own way to whoever called it.
        with suppress(ClientDisconnect):
            await app(scope, exchange.receive, send)
        assert time() - began <= 7.0
        assert_nothing_is_held(app)

    time.run(main)


def test_a_receive_that_the_application_cancels_loses_nothing(time):
    async def main():
        app = wrapped(STARLETTE, "/ask 100% throttle 100B/s of=request + slow_close 1s as r", time)
        exchange = await ask(app, "/ask", b"m" * 100, 0.5, b"n" * 100, method="POST")
        assert exchange.body == b"[False] 200"

    time.run(main)


def test_a_receive_that_fails_is_the_applications_to_hear(time):
    class ServerError(Exception):
        pass

    async def main():
        async def failing():
            await anyio.sleep_until(fails_at)
            raise ServerError

        async def application(scope, receive, send):
            await respond(send)
            await receive()

        app = wrapped(application, SLOW, time)
        exchange, began, fails_at = Exchange(), time(), anyio.current_time() + 1
        with pytest.raises(ServerError):
            await app(http_scope("/pay"), failing, exchange.send)
        assert exchange.is_complete
        assert time() - began == pytest.approx(10.0)
        assert_nothing_is_held(app)

    time.run(main)


def test_a_receive_that_repeats_the_end_of_the_body_for_ever_does_not_stop_the_loop(time):
    calls = []

    async def repeating():
        calls.append(1)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def main():
        async def application(scope, receive, send):
            await respond(send)

        app = wrapped(application, SLOW, time)
        exchange = Exchange()
        await app(http_scope("/pay"), repeating, exchange.send)
        assert len(calls) <= 2

    time.run(main)


def test_what_the_application_raises_comes_as_it_is(time):
    class DeclinedError(Exception):
        pass

    async def main():
        async def application(scope, receive, send):
            await respond(send)
            raise DeclinedError("as it is")

        app = wrapped(application, SLOW, time)
        exchange = Exchange()
        with pytest.raises(DeclinedError, match="as it is"):
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert_nothing_is_held(app)

    time.run(main)


def test_a_request_that_is_cancelled_gives_everything_back(time):
    async def main():
        async def application(scope, receive, send):
            await respond(send)

        app = wrapped(application, SLOW, time)
        exchange = Exchange()
        with anyio.move_on_after(2.01):
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert len(exchange.body) == 20
        assert_nothing_is_held(app)

    time.run(main)
