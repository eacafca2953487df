"""Response faults: what leaves, when, and in which order."""

from __future__ import annotations

from contextlib import nullcontext

import anyio
import pytest

from tests.asgi.server import Application, Exchange, ask, http_scope, wrapped
from tests.asgi.test_connections import injected, suppressed
from tests.asgi.test_holding import assert_nothing_is_held, kill, kill_at


class Timed(Exchange):
    """Remembers when each message left."""

    def __init__(self, time, *chunks, **options) -> None:
        super().__init__(*chunks, **options)
        self._time = time
        self._began = time()
        self.times: list[float] = []

    async def send(self, message) -> None:
        await super().send(message)
        self.times.append(round(self._time() - self._began, 6))


def sends(*messages):
    """An application that sends these messages, and rests where there is a number."""

    async def application(scope, receive, send):
        for message in messages:
            if isinstance(message, (int, float)):
                await anyio.sleep(message)
            else:
                await send(message)

    return application


def start(status=200, *headers, **more):
    lines = [(name.encode(), value.encode()) for name, value in headers]
    return {"type": "http.response.start", "status": status, "headers": lines, **more}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


def test_a_throttle_lets_the_slices_go_at_their_times(time):
    async def main():
        application = sends(start(200, ("content-length", "100")), body(b"x" * 100))
        app = wrapped(application, "/pay 100% throttle 400B/s as r", time)
        exchange = Timed(time)
        await app(http_scope("/pay"), exchange.receive, exchange.send)
        exchange.check_whole()
        assert [len(message.get("body", b"")) for message in exchange.sent] == [0, 20, 20, 20, 20, 20, 0]
        assert exchange.times == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.25])
        assert exchange.mark == "r;throttle"
        assert injected(app) == {"throttle": 1}
        assert_nothing_is_held(app)

    time.run(main)


def test_a_delay_behind_the_handler_comes_before_the_first_byte(time):
    async def main():
        app = wrapped(Application(), "/pay 100% delay_response 3s as r", time)
        exchange = Timed(time)
        await app(http_scope("/pay"), exchange.receive, exchange.send)
        exchange.check_whole()
        assert exchange.times == pytest.approx([3, 3, 3])

    time.run(main)


def test_faults_of_several_rules_act_together_and_all_are_marked(time):
    async def main():
        rules = "/ 100% delay 1s + response_headers x-a=1 as a; /pay 100% replace_status 201 + replace_body gone as b"
        app = wrapped(Application(), rules, time)
        exchange = await ask(app, "/pay")
        assert (exchange.status, exchange.body, exchange.headers["x-a"]) == (201, b"gone", "1")
        assert exchange.mark == "a;delay, a;response_headers, b;replace_status, b;replace_body"
        assert injected(app) == {"delay": 1, "response_headers": 1, "replace_status": 1, "replace_body": 1}

    time.run(main)


def test_a_header_is_named_in_lower_case_whoever_wrote_it(time):
    async def main():
        application = sends(start(200, ("X-Old", "1")), body())
        app = wrapped(application, "/pay 100% response_headers +X-New=2 as r", time)
        assert (await ask(app, "/pay")).headers.keys() == {"x-old", "x-new", "faultware-fault"}

    time.run(main)


def test_what_is_no_response_passes_by_in_its_place(time):
    async def main():
        hint = {"type": "http.response.early_hint", "links": [b"</a.css>"]}
        trailers = {"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")], "more_trailers": False}
        application = sends(hint, start(200, trailers=True), body(b"ab", more=True), body(b"cd"), trailers)
        app = wrapped(application, "/pay 100% throttle 40B/s as r", time, mark_responses=False)
        exchange = Exchange(is_strict=False)
        await app(http_scope("/pay"), exchange.receive, exchange.send)
        first, head, *pieces, end, last = exchange.sent
        assert (first, head, last) == (hint, start(200, trailers=True), trailers)
        assert b"".join(piece["body"] for piece in pieces) == b"abcd"
        assert end == body()

    time.run(main)


def test_offers_to_send_files_past_the_application_are_withheld_from_it_alone(time):
    async def main():
        application = Application()
        app = wrapped(application, "/pay 100% corrupt 1% as r; /held 100% delay 1s as d", time)
        offers = {"http.response.pathsend": {}, "http.response.zerocopysend": {}, "http.response.debug": {}}
        for path, seen in (("/pay", ["http.response.debug"]), ("/held", list(offers)), ("/other", list(offers))):
            scope = http_scope(path) | {"extensions": dict(offers)}
            exchange = Exchange()
            await app(scope, exchange.receive, exchange.send)
            assert list(application.calls[-1][0]["extensions"]) == seen
            assert scope["extensions"] == offers

    time.run(main)


def test_request_headers_are_changed_in_a_copy(time):
    async def main():
        application = Application()
        app = wrapped(application, "/pay 100% request_headers X-B=2 -x-c as r", time)
        lines = [("x-a", "1"), ("x-b", "1"), ("x-b", "1"), ("x-c", "3")]
        scope = http_scope("/pay", headers=lines)
        before = list(scope["headers"])
        exchange = Exchange()
        await app(scope, exchange.receive, exchange.send)
        seen, *_ = application.calls[0]
        assert seen["headers"] == [(b"x-a", b"1"), (b"x-b", b"2")]
        assert scope["headers"] == before
        assert exchange.mark == "r;request_headers"
        assert injected(app) == {"request_headers": 1}

    time.run(main)


@pytest.mark.parametrize("chunks", [[b"x" * 100], [b"x" * 30, b"x" * 3, b"", b"x" * 67]])
def test_an_upload_is_read_no_faster_than_its_rate(time, chunks):
    async def main():
        arrivals = []

        async def application(scope, receive, send):
            size = 0
            while True:
                message = await receive()
                size += len(message["body"])
                arrivals.append((size, round(time() - began, 6)))
                if not message["more_body"]:
                    break
            await send(start())
            await send(body())

        app = wrapped(application, "/pay 100% throttle 100B/s of=request as r", time)
        began = time()
        exchange = await ask(app, "/pay", *chunks, method="POST")
        assert exchange.mark == "r;throttle"
        assert arrivals[-1] == (100, pytest.approx(1.0))
        assert all(size / 100 <= at + 1e-6 for size, at in arrivals)
        assert injected(app) == {"throttle": 1}

    time.run(main)


def test_a_kill_lets_an_upload_go_on_at_once(time):
    async def main():
        application = Application()
        app = wrapped(application, "/pay 100% throttle 10B/s of=request as r", time)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, 1.0)
            began = time()
            await ask(app, "/pay", b"x" * 100, b"y" * 100, method="POST")
        assert time() - began == pytest.approx(1.0)
        assert application.bodies == [b"x" * 100 + b"y" * 100]
        assert_nothing_is_held(app)

    time.run(main)


@pytest.mark.parametrize("fails", [True, False])
def test_what_is_held_back_goes_out_when_the_application_fails_or_returns_too_early(time, fails):
    class DeclinedError(Exception):
        pass

    async def application(scope, receive, send):
        await send(start(200, ("content-type", "application/json")))
        await send(body(b'{"a":', more=True))
        if fails:
            raise DeclinedError

    async def main():
        app = wrapped(application, '/pay 100% replace_body merge_patch={"b":1} as r', time)
        exchange = Exchange()
        with pytest.raises(DeclinedError) if fails else nullcontext():
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert (exchange.status, exchange.body, exchange.is_complete) == (200, b'{"a":', False)
        assert_nothing_is_held(app)

    time.run(main)


def test_an_application_that_answers_nothing_is_left_to_the_server(time):
    async def main():
        app = wrapped(sends(), "/pay 100% corrupt 1% as r", time)
        exchange = Exchange()
        await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert exchange.sent == []
        assert (injected(app), suppressed(app, "unanswered")) == ({}, 1)
        assert_nothing_is_held(app)

    time.run(main)


def test_illegal_messages_of_the_application_are_the_servers_to_refuse(time):
    async def main():
        messages = [body(b"too early"), start(), start(), body(b"x"), body(b"too late")]
        app = wrapped(sends(*messages), "/pay 100% corrupt 0.001% as r", time, mark_responses=False)
        exchange = Exchange(is_strict=False)
        await app(http_scope("/pay"), exchange.receive, exchange.send)
        first, head, again, piece, end, last = exchange.sent
        assert [first, head, again, last] == [messages[0], messages[1], messages[2], messages[4]]
        assert (len(piece["body"]), end) == (1, body())

    time.run(main)


def test_no_more_responses_are_faulted_at_once_than_are_allowed(time):
    async def main():
        application = sends(start(), body(b"x" * 100))
        app = wrapped(application, "/pay 100% throttle 100B/s as r", time, max_active_faults=1)
        exchanges = [Timed(time), Timed(time)]
        async with anyio.create_task_group() as tasks:
            for exchange in exchanges:
                tasks.start_soon(app, http_scope("/pay"), exchange.receive, exchange.send)
        assert sorted(exchange.times[-1] for exchange in exchanges) == pytest.approx([0, 1])
        assert suppressed(app, "max_active") == 1
        assert app._injector.active_faults == 0
        kill(app)

    time.run(main)
