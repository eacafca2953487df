"""Faults of WebSockets: before the handshake, in its place, and while the connection is open."""

from __future__ import annotations

import anyio
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from faultware import InjectedDisconnect
from tests.asgi.peer import Echo, Peer, play, ws_scope
from tests.asgi.server import Application, ask, wrapped
from tests.asgi.test_connections import dialled_in, heard, injected, suppressed
from tests.asgi.test_holding import assert_nothing_is_held, kill_at


def test_rules_of_websockets_concern_no_request_and_rules_of_requests_no_websocket(time):
    async def main():
        for path in ("/ws", "/other"):
            echo, application = Echo(), Application()

            async def both(scope, receive, send, echo=echo, application=application):
                await (echo if scope["type"] == "websocket" else application)(scope, receive, send)

            for rules, status in (
                (f"{path} 100% websocket_refuse as w; {path} 100% abort 503 as a", 503 if path == "/ws" else 200),
                (f"{path} 100% websocket_refuse as w", 200),
            ):
                app = wrapped(both, rules, time)
                for _ in range(3):  # after the first time the path is known
                    assert (await ask(app, "/ws")).status == status
                    assert (await play(app, Peer(time, "a"))).got == ([] if path == "/ws" else ["a"])
                    assert (await play(app, Peer(time, "a"), path="/quiet")).got == ["a"]
                    assert (await ask(app, "/quiet")).status == 200

    time.run(main)


def test_conditions_of_a_websocket_are_those_of_its_handshake(time):
    async def main():
        echo = Echo()
        app = wrapped(echo, "GET /ws header:x-canary=1 100% websocket_refuse as w", time)
        assert (await play(app, Peer(time, "a"))).got == ["a"]
        assert (await play(app, Peer(time, "a"), headers=[(b"x-canary", b"1")])).got == []

    time.run(main)


@pytest.mark.parametrize(
    ("extensions", "status", "answer"),
    [
        ({}, 403, [{"type": "websocket.close", "code": 1008}]),
        (None, 503, [{"type": "websocket.close", "code": 1008}]),
        (
            {"websocket.http.response": {}},
            503,
            [
                {
                    "type": "websocket.http.response.start",
                    "status": 503,
                    "headers": [
                        (b"content-type", b"text/plain; charset=utf-8"),
                        (b"content-length", b"15"),
                        (b"faultware-fault", b"w;websocket_refuse"),
                    ],
                },
                {"type": "websocket.http.response.body", "body": b"fault injected\n"},
            ],
        ),
    ],
)
def test_a_handshake_is_refused_with_its_status_where_the_server_can(time, extensions, status, answer):
    async def main():
        echo = Echo()
        app = wrapped(echo, f"/ws 100% delay 2s + websocket_refuse {status} as w", time)
        peer = await play(app, Peer(time, stays=True), extensions=extensions)
        assert (peer.sent, peer.times[0], echo.runs) == (answer, pytest.approx(2), 0)
        assert injected(app) == {"delay": 1, "websocket_refuse": 1}

    time.run(main)


def test_a_client_that_leaves_before_the_handshake_is_over_gets_nothing(time):
    async def main():
        echo = Echo()
        app = wrapped(echo, "/ws 100% delay 20s + websocket_close 1011 as w", time)
        peer = await play(app, Peer(time, 3.0))
        assert ([message["type"] for message in peer.sent], peer.times) == (["websocket.close"], [pytest.approx(3)])
        assert (echo.runs, suppressed(app, "gone")) == (0, 1)

    time.run(main)


def test_a_kill_lets_a_handshake_go_on_and_calls_off_the_rest(time):
    async def main():
        app = wrapped(Echo(), "/ws 100% delay 20s + websocket_close 1011 as w", time)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, 1.0)
            peer = await play(app, Peer(time, 5.0, "a", 1.0))
        assert (peer.got, peer.ends, peer.times[0]) == (["a"], [], pytest.approx(1))
        assert suppressed(app, "killed") == 1

    time.run(main)


@pytest.mark.parametrize(
    ("options", "got", "at"),
    [
        ("", [], 0),
        ("messages=0", [], 0),
        ("messages=3", ["a"], 2),
        ("messages=4", ["a", "b"], 2),
        ("after=3s", ["a", "b"], 3),
    ],
)
def test_a_connection_is_closed_after_so_many_messages_or_a_time(time, options, got, at):
    async def main():
        echo = Echo()
        app = wrapped(echo, f"/ws 100% websocket_close 1011 {options} reason=enough as w", time)
        peer = await play(app, Peer(time, 1.0, "a", 1.0, "b", 1.5, "c", stays=True))
        end = {"code": 1011, "reason": "enough"}
        assert peer.got == got
        assert peer.sent[-1] == {"type": "websocket.close", **end}
        assert peer.times[-1] == pytest.approx(at)
        assert echo.heard[-1] == {"type": "websocket.disconnect", **end}
        assert dict(peer.sent[0]["headers"])[b"faultware-fault"] == b"w;websocket_close"
        assert injected(app) == {"websocket_close": 1}

    time.run(main)


def test_a_connection_that_is_over_before_is_not_closed(time):
    async def main():
        app = wrapped(Echo(), "/ws 100% websocket_close 1011 messages=9 after=9s as w", time)
        peer = await play(app, Peer(time, "a"))
        assert (peer.got, peer.ends) == (["a"], [])
        assert (injected(app), suppressed(app, "gone") + suppressed(app, "unanswered")) == ({}, 1)

    time.run(main)


def test_a_kill_calls_a_close_off(time):
    async def main():
        app = wrapped(Echo(), "/ws 100% websocket_close 1011 after=3s as w", time)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, 1.0)
            peer = await play(app, Peer(time, 5.0, "a", 1.0))
        assert (peer.got, peer.ends) == (["a"], [])
        assert suppressed(app, "killed") == 1

    time.run(main)


@pytest.mark.parametrize(("spec_version", "attempts"), [("2.3", 5), ("2.4", 2)])
def test_after_a_close_send_does_what_the_servers_version_of_asgi_says(time, spec_version, attempts):
    tries = []

    async def talkative(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        for number in range(5):
            tries.append(number)
            await send({"type": "websocket.send", "text": str(number)})

    async def main():
        app = wrapped(talkative, "/ws 100% websocket_close 4000 messages=1 as w", time)
        peer = await play(app, Peer(time, stays=True), spec_version=spec_version)
        assert (peer.got, len(tries)) == (["0"], attempts)

    time.run(main)


@pytest.mark.parametrize(("by", "end"), [("reset", "RST"), ("fin", "FIN")])
def test_a_connection_ends_without_a_word(time, by, end):
    async def main():
        echo = Echo()
        app = wrapped(echo, f"/ws 100% websocket_close by={by} messages=2 as w", time)
        with dialled_in() as (client, scope):
            ends = {"client": scope["client"], "server": scope["server"]}
            peer = await play(app, Peer(time, "a", stays=True), **ends)
            assert heard(client) == (b"", end)
        assert (peer.got, peer.ends) == (["a"], [])
        assert echo.heard[-1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        assert injected(app) == {"websocket_close": 1}

    time.run(main)


def test_a_kill_while_the_peer_is_waited_for_calls_an_end_off(time, monkeypatch):
    async def main():
        monkeypatch.setattr("faultware.runtime.wire.Wire.unacknowledged", lambda _: 1)
        app = wrapped(Echo(), "/ws 100% websocket_close by=reset as w", time)
        with dialled_in() as (client, scope):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kill_at, app, 1.0)
                ends = {"client": scope["client"], "server": scope["server"]}
                peer = await play(app, Peer(time, 2.0, "a", 1.0), **ends)
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)
        assert (peer.got, injected(app), suppressed(app, "killed")) == (["a"], {}, 1)

    time.run(main)


async def impatient(scope, receive, send):
    """Does not wait long for what it sends, and then for the end."""
    await receive()
    await send({"type": "websocket.accept"})
    for number in range(3):
        with anyio.move_on_after(1.0):
            await send({"type": "websocket.send", "text": str(number)})
    assert (await receive())["type"] == "websocket.disconnect"


def test_a_close_that_takes_its_time_is_told_although_whoever_sent_the_last_message_does_not_wait_for_it(time):
    class Slow(Peer):
        async def send(self, message):
            if message["type"] == "websocket.close":  # until the client has agreed
                await anyio.sleep(20.0)
            await super().send(message)

    async def main():
        app = wrapped(impatient, "/ws 100% websocket_close 4000 messages=1 as w", time)
        with anyio.fail_after(60.0):
            peer = await play(app, Slow(time, stays=True), spec_version="2.3")
        assert (peer.got, injected(app)) == (["0"], {"websocket_close": 1})

    time.run(main)


@pytest.mark.parametrize(("read_at", "got"), [(1.5, ["0", "1"]), (0.5, ["0"])])
def test_an_end_comes_although_whoever_sent_the_last_message_does_not_wait_for_it(time, monkeypatch, read_at, got):
    async def main():
        until = time() + read_at
        monkeypatch.setattr("faultware.runtime.wire.Wire.unacknowledged", lambda _: int(time() < until))
        app = wrapped(impatient, "/ws 100% websocket_close by=fin messages=1 as w", time)
        with dialled_in() as (client, scope):
            ends = {"client": scope["client"], "server": scope["server"]}
            with anyio.fail_after(60.0):
                peer = await play(app, Peer(time, stays=True), spec_version="2.3", **ends)
            assert heard(client) == (b"", "FIN")
        assert (peer.got, injected(app)) == (got, {"websocket_close": 1})

    time.run(main)


async def several(scope, receive, send):
    """Eight tasks send a number each, one after the other."""

    async def say(number):
        await anyio.sleep(number / 10)
        await send({"type": "websocket.send", "text": str(number)})

    await receive()
    await send({"type": "websocket.accept"})
    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(say, number)


def test_messages_of_several_tasks_stay_in_order_when_the_switch_is_killed(time):
    async def main():
        app = wrapped(several, "/ws 100% websocket_messages delay=2s of=outgoing as w", time)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, 1.0)
            peer = await play(app, Peer(time, stays=True))
        assert (peer.got, peer.times[1:]) == ([str(number) for number in range(8)], pytest.approx([1.0] * 8))

    time.run(main)


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
def test_what_the_application_sends_while_an_end_waits_comes_in_order_if_the_switch_is_killed(
    time, monkeypatch, spec_version
):
    async def main():
        monkeypatch.setattr("faultware.runtime.wire.Wire.unacknowledged", lambda _: 1)
        app = wrapped(several, "/ws 100% websocket_close by=fin messages=3 as w", time)
        with dialled_in() as (_, scope):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kill_at, app, 2.0)
                ends = {"client": scope["client"], "server": scope["server"]}
                peer = await play(app, Peer(time, stays=True), spec_version=spec_version, **ends)
        assert peer.got == [str(number) for number in range(8)]
        # The first is the handshake; the third message was sent when the end began to wait.
        assert peer.times == pytest.approx([0, 0, 0.1, 0.2, 2.0, 2.0, 2.0, 2.0, 2.0])
        assert (injected(app), suppressed(app, "killed")) == ({}, 1)

    time.run(main)


def test_no_more_connections_are_faulted_at_once_than_are_allowed(time):
    async def main():
        app = wrapped(Echo(), "/ws 100% websocket_messages drop=100% as w", time, max_active_faults=1)
        peers = [Peer(time, 1.0, "a", 1.0), Peer(time, 1.0, "a", 1.0)]
        async with anyio.create_task_group() as tasks:
            for peer in peers:
                tasks.start_soon(app, ws_scope(), peer.receive, peer.send)
        assert sorted(peer.got for peer in peers) == [[], ["a"]]
        assert suppressed(app, "max_active") == 1

    time.run(main)


def test_a_bug_of_our_own_lets_the_handshake_pass(time, monkeypatch):
    async def main():
        app = wrapped(Echo(), "/ws 100% websocket_refuse as w", time)

        def bug(*_args):
            raise ZeroDivisionError

        monkeypatch.setattr("faultware.core.ruleset.RuleSet.candidates", bug)
        assert (await play(app, Peer(time, "a"))).got == ["a"]
        assert dict(app._injector.internal_errors) == {"decide": 1}

    time.run(main)


def test_an_end_that_is_not_possible_here_gives_way_to_its_fallback(time):
    async def main():
        for fallback, got in (("", ["a"]), (" or abort 503", [])):
            app = wrapped(Echo(), f"/ws 100% websocket_close by=reset{fallback} as w", time)
            peer = await play(app, Peer(time, "a"))
            assert (peer.got, suppressed(app, "impossible")) == (got, 1)

    time.run(main)


async def starlette_echo(socket):
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


STARLETTE = Starlette(routes=[WebSocketRoute("/ws", starlette_echo)])


def test_a_test_client_sees_what_a_client_would():
    client = TestClient(wrapped(STARLETTE, "/ws 100% websocket_refuse 503 as w"))
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/ws"):
        pass
    assert (refused.value.status_code, refused.value.content) == (503, b"fault injected\n")

    client = TestClient(wrapped(STARLETTE, "/ws 100% websocket_close 1011 messages=2 as w"))
    with client.websocket_connect("/ws") as socket:
        socket.send_text("a")
        assert socket.receive_text() == "a"
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == 1011

    client = TestClient(wrapped(STARLETTE, "/ws 100% websocket_close by=reset messages=1 as w"))
    with pytest.raises(InjectedDisconnect), client.websocket_connect("/ws") as socket:
        socket.send_text("a")


def test_what_the_application_raises_comes_as_it_is(time):
    class DeclinedError(Exception):
        pass

    async def application(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        raise DeclinedError

    async def main():
        app = wrapped(application, "/ws 100% websocket_close 1011 after=9s as w", time)
        with pytest.raises(DeclinedError):
            await play(app, Peer(time, stays=True))
        assert_nothing_is_held(app)

    time.run(main)


def test_an_application_that_refuses_the_handshake_itself_is_left_alone(time):
    async def application(scope, receive, send):
        await receive()
        await send({"type": "websocket.close", "code": 4001})

    async def main():
        app = wrapped(application, "/ws 100% websocket_close 1011 + websocket_messages drop=100% as w", time)
        peer = await play(app, Peer(time, stays=True))
        assert peer.sent == [{"type": "websocket.close", "code": 4001}]
        assert (injected(app), suppressed(app, "unanswered")) == ({}, 2)

    time.run(main)
