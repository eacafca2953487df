"""What is left of a fault once the switch was killed while it acted: nothing, however long the request goes on."""

from __future__ import annotations

from contextlib import nullcontext

import anyio
import pytest
from starlette.responses import StreamingResponse

from faultware import Abort, Delay, Match, Rule
from tests.asgi.peer import Echo, Peer, ws_scope
from tests.asgi.server import Application, Exchange, http_scope, wrapped
from tests.asgi.test_connections import injected, suppressed
from tests.asgi.test_holding import assert_nothing_is_held, kill, kill_at
from tests.asgi.test_shaping import Timed, body, sends, start


@pytest.mark.parametrize("fault", ["throttle 10B/s", "throttle 10B/s of=request", "stall 20B duration=20s", "reset"])
def test_a_fault_that_has_been_let_go_is_not_active_while_the_answer_goes_on(time, fault):
    async def main():
        active = []

        async def streams(scope, receive, send):
            while (await receive())["more_body"]:
                pass
            await send(start())
            for _ in range(3):
                await send(body(b"x" * 20, more=True))
                await anyio.sleep(1.0)
                active.append(app._injector.active_faults)
            await send(body())

        app = wrapped(streams, f"/pay 100% {fault} as r", time)
        exchange = Timed(time, b"x" * 100)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, 1.5)
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert (exchange.body, active) == (b"x" * 60, [0, 0, 0])
        assert_nothing_is_held(app)

    time.run(main)


def test_headers_that_were_set_take_no_place_while_the_application_answers(time):
    async def main():
        active = []

        async def application(scope, receive, send):
            active.append(app._injector.active_faults)
            await Application()(scope, receive, send)

        app = wrapped(application, "/pay 100% request_headers x-a=1 as r", time)
        exchange = Exchange()
        await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert (exchange.status, active) == (200, [0])
        assert_nothing_is_held(app)

    time.run(main)


@pytest.mark.parametrize(
    "fault", ["delay 20s + websocket_refuse", "websocket_messages delay=9s", "websocket_close 4000 after=9s"]
)
def test_a_websocket_takes_no_place_once_the_switch_was_killed(time, fault):
    async def main():
        active = []

        async def look():
            for at in (1.0, 3.0):
                await anyio.sleep_until(began + at)
                active.append(app._injector.active_faults)

        app = wrapped(Echo(), f"/ws 100% {fault} as w", time)
        began = anyio.current_time()
        peer = Peer(time, 4.0, "a")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, 2.0)
            tasks.start_soon(look)
            await app(ws_scope(), peer.receive, peer.send)
        assert (peer.got, active) == (["a"], [1, 0])
        assert_nothing_is_held(app)

    time.run(main)


def test_a_delayed_handshake_takes_no_place_behind_the_delay_if_nothing_else_is_possible(time):
    async def main():
        active = []

        async def application(scope, receive, send):
            active.append(app._injector.active_faults)
            await Echo()(scope, receive, send)

        app = wrapped(application, "/ws 100% delay 2s + websocket_close by=fin as w", time)
        peer = Peer(time, 4.0, "a")
        await app(ws_scope(), peer.receive, peer.send)
        assert (peer.got, active) == (["a"], [0])
        assert_nothing_is_held(app)

    time.run(main)


@pytest.mark.parametrize("is_armed_again", [False, True])
@pytest.mark.parametrize("rest", ["abort 503", "raise InjectedFault", "hang", "throttle 1B/s", "replace_status 503"])
def test_what_stands_behind_a_block_is_off_if_the_switch_is_killed_in_the_middle_of_it(
    time, monkeypatch, rest, is_armed_again
):
    def act(injector, injection, request):
        injector.injected(injection, request)
        kill(app)
        if is_armed_again:
            injector.switch.arm("a test")
            injector.refresh()
        return True

    async def main():
        monkeypatch.setattr("faultware.runtime.injector.Injector.act", act)
        exchange = Exchange()
        await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert (exchange.status, exchange.mark) == (200, "r;block")
        assert (injected(app), suppressed(app, "killed")) == ({"block": 1}, 1)
        assert_nothing_is_held(app)

    app = wrapped(Application(), f"/pay 100% block 9s + {rest} as r", time, allow_instance_faults=True)
    time.run(main)


@pytest.mark.parametrize(
    ("before", "mark"), [("delay 500ms", "r;delay"), ("throttle 100B/s of=request", "r;throttle"), ("", None)]
)
def test_an_answer_that_comes_too_late_for_a_fault_has_the_mark_of_what_was_done(time, before, mark):
    async def main():
        rule = " + ".join(filter(None, [before, "replace_status 503"]))
        app = wrapped(sends(2.0, start(), body(b"money")), f"/pay 100% {rule} as r", time)
        exchange = Timed(time)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, 1.0)
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert (exchange.status, exchange.mark) == (200, mark)
        assert suppressed(app, "killed") == 1

    time.run(main)


def test_what_stands_behind_a_block_is_off_if_a_kill_file_ends_it_before_it_is_known(time, monkeypatch):
    def act(injector, injection, request):
        injector.injected(injection, request)
        # A block looks for it more often than the thread does that makes it known.
        monkeypatch.setattr("faultware.runtime.switch.Switch.kill_file_exists", lambda _: True)
        return True

    async def main():
        monkeypatch.setattr("faultware.runtime.injector.Injector.act", act)
        exchange = Exchange()
        await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert (exchange.status, exchange.mark) == (200, "r;block")
        assert (injected(app), suppressed(app, "killed")) == ({"block": 1}, 1)

    app = wrapped(Application(), "/pay 100% block 9s + abort 503 as r", time, allow_instance_faults=True)
    time.run(main)


@pytest.mark.parametrize(("killed_at", "status", "mark"), [(1.0, 200, "r;delay"), (3.0, 503, "r;delay, r;abort")])
def test_an_answer_that_was_to_be_lost_is_kept_if_the_switch_is_killed_before_it_begins(time, killed_at, status, mark):
    async def main():
        application = sends(2.0, start(), 2.0, body(b"money"))
        rule = Rule("r", Match("/pay"), percentage=100, delay=Delay(0.5), abort=Abort(503, after=True))
        app = wrapped(application, [rule], time)
        exchange = Timed(time)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, killed_at)
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert (exchange.status, exchange.mark, exchange.times[-1]) == (status, mark, pytest.approx(4.5))
        assert (exchange.body == b"money") is (status == 200)
        assert (injected(app).get("abort"), suppressed(app, "killed")) == ((None, 1) if status == 200 else (1, 0))
        assert_nothing_is_held(app)

    time.run(main)


def test_an_answer_that_is_kept_takes_no_place(time):
    async def main():
        active = []

        async def streams(scope, receive, send):
            await anyio.sleep(2.0)
            active.append(app._injector.active_faults)
            await send(start())
            await send(body(b"money"))

        app = wrapped(streams, [Rule("r", Match("/pay"), percentage=100, abort=Abort(503, after=True))], time)
        exchange = Timed(time)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, 1.0)
            await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert (exchange.status, exchange.body, active) == (200, b"money", [0])
        assert_nothing_is_held(app)

    time.run(main)


@pytest.mark.parametrize("fails", [False, True])
def test_a_client_whose_answer_is_being_lost_is_answered_as_soon_as_the_switch_is_killed(time, fails):
    async def main():
        runs = []

        async def streams(scope, receive, send):
            await send(start())
            for number in range(10):
                await anyio.sleep(1.0)
                await send(body(b"x", more=number < 9))
                runs.append(number)
                if fails and number == 6:
                    raise ValueError("broken")

        app = wrapped(streams, [Rule("r", Match("/pay"), percentage=100, abort=Abort(503, after=True))], time)
        exchange = Timed(time)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, 4.5)
            with pytest.raises(ValueError, match="broken") if fails else nullcontext():
                await app(http_scope("/pay"), exchange.receive, exchange.send)
        assert (exchange.status, exchange.mark, exchange.times[-1]) == (503, "r;abort", 5.0)
        assert len(runs) == (7 if fails else 10)
        assert (injected(app), suppressed(app, "killed"), suppressed(app, "unanswered")) == ({"abort": 1}, 0, 0)
        assert_nothing_is_held(app)

    time.run(main)


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_an_endless_stream_whose_answer_is_lost_ends_with_its_client(time, version):
    async def main():
        async def pieces():
            while True:
                yield b"x"
                await anyio.sleep(0.25)

        streams = StreamingResponse(pieces())
        app = wrapped(streams, [Rule("r", Match("/pay"), percentage=100, abort=Abort(503, after=True))], time)
        exchange = Timed(time, leaves_after=3.0)
        scope = http_scope("/pay")
        scope["asgi"]["spec_version"] = version
        began = time()
        with anyio.move_on_after(60):
            await app(scope, exchange.receive, exchange.send)
        assert 3.0 <= time() - began < 4.0
        assert_nothing_is_held(app)

    time.run(main)
