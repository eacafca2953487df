"""Faults that end the connection: on a real socket, in a client without one, on HTTP/2; and where it is not certain."""

from __future__ import annotations

import socket
from contextlib import contextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from faultware import InjectedDisconnect
from tests.asgi.server import Application, Exchange, ask, http_scope, wrapped

PATIENCE_SECONDS = 20.0
ENDS = ("reset", "close", "partial_head", "garbage 100B")
CUTS = ("truncate 4B", "truncate 4B by=reset", "limit_data 4B", "content_length 3", "malformed_chunk 4B")


@contextmanager
def dialled_in():
    """A client's socket, and the scope of a request by it. The server's socket is somewhere in this process."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), PATIENCE_SECONDS) as client,
        listener.accept()[0] as server,
    ):
        yield client, http_scope("/pay") | {"client": client.getsockname(), "server": server.getsockname()}


def heard(client) -> tuple[bytes, str]:
    """What a client receives, and how it ends."""
    data = b""
    try:
        while more := client.recv(65536):
            data += more
    except ConnectionResetError:
        return data, "RST"
    return data, "FIN"


def suppressed(app, reason: str) -> int:
    return sum(live.tally.suppressed[reason] for live in app._injector.live_rules())


def injected(app) -> dict[str, int]:
    return {kind: count for live in app._injector.live_rules() for kind, count in live.tally.injected.items()}


@pytest.mark.parametrize(
    ("fault", "data", "end"),
    [
        ("reset", b"", "RST"),
        ("close", b"", "FIN"),
        ("partial_head", b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-le", "FIN"),
    ],
)
def test_an_end_is_what_the_client_sees_and_all_it_sees(time, fault, data, end):
    async def main():
        application = Application()
        app = wrapped(application, f"/pay 100% {fault} as r", time)
        with dialled_in() as (client, scope):
            exchange = Exchange()
            await app(scope, exchange.receive, exchange.send)
            assert heard(client) == (data, end)
        # What outer middlewares and the server hear goes nowhere.
        assert (exchange.status, exchange.body, exchange.mark) == (499, b"", None)
        assert application.runs == 0
        assert injected(app) == {fault: 1}
        assert app._injector.active_faults == 0

    time.run(main)


def test_garbage_is_no_http_and_as_long_as_it_was_asked_for(time):
    async def main():
        app = wrapped(Application(), "/pay 100% garbage 20kB as r", time)
        with dialled_in() as (client, scope):
            exchange = Exchange()
            await app(scope, exchange.receive, exchange.send)
            data, end = heard(client)
        assert (len(data), end) == (20_000, "FIN")
        assert not data.startswith(b"HTTP")

    time.run(main)


def test_an_end_behind_a_delay_waits_for_it(time):
    async def main():
        app = wrapped(Application(), "/pay 100% delay 2s + reset as r", time)
        with dialled_in() as (client, scope):
            began = time()
            exchange = Exchange()
            await app(scope, exchange.receive, exchange.send)
            assert time() - began == pytest.approx(2.0, abs=0.02)
            assert heard(client) == (b"", "RST")

    time.run(main)


@pytest.mark.parametrize("change", ["tls", "http/2", "proxy", "address by proxy", "no client", "unix", "someone else"])
@pytest.mark.parametrize("fault", ["partial_head", "reset"])
def test_where_the_connection_is_not_certain_the_request_passes_or_its_fallback_answers(time, change, fault):
    async def main():
        for fallback, status in (("", 200), (" or abort 503", 503)):
            application = Application()
            app = wrapped(application, f"/pay 100% {fault}{fallback} as r", time)
            with dialled_in() as (client, scope):
                if change == "tls":
                    scope["scheme"] = "https"
                elif change == "http/2":
                    scope["http_version"] = "2"
                elif change == "proxy":
                    scope["headers"] = [(b"x-forwarded-for", b"10.0.0.1")]
                elif change == "address by proxy":
                    scope["client"] = ("10.0.0.1", 0)
                elif change == "no client":
                    scope["client"] = None
                elif change == "unix":
                    scope["server"] = ("/run/service.sock", None)
                else:
                    scope["client"] = ("127.0.0.1", scope["client"][1] - 1)
                exchange = Exchange()
                await app(scope, exchange.receive, exchange.send)
                if change == "tls" and fault == "reset":  # does not depend on what the bytes mean
                    assert heard(client) == (b"", "RST")
                    continue
                client.setblocking(False)
                with pytest.raises(BlockingIOError):
                    client.recv(1)
            assert (exchange.status, application.runs) == (status, status == 200)
            assert exchange.mark == ("r;abort" if fallback else None)
            assert suppressed(app, "impossible") == 1
            assert injected(app) == ({"abort": 1} if fallback else {})

    time.run(main)


@pytest.mark.parametrize("fault", CUTS)
def test_a_cut_that_is_not_possible_here_is_left_out_and_the_rest_is_done(time, fault):
    async def main():
        app = wrapped(Application(), f"/pay 100% {fault} + response_headers x-a=1 as r", time)
        exchange = await ask(app, "/pay")
        assert (exchange.status, exchange.body) == (200, b"application ")
        assert (exchange.headers["x-a"], exchange.mark) == ("1", "r;response_headers")
        assert suppressed(app, "impossible") == 1

    time.run(main)


@pytest.mark.parametrize("fault", CUTS)
def test_a_cut_that_is_not_possible_here_gives_way_to_its_fallback(time, fault):
    async def main():
        application = Application()
        app = wrapped(application, f"/pay 100% {fault} + response_headers x-a=1 or abort 503 as r", time)
        exchange = await ask(app, "/pay")
        assert (exchange.status, exchange.mark, application.runs) == (503, "r;abort", 0)

    time.run(main)


async def starlette_endpoint(request):
    return PlainTextResponse("money")


async def streaming_endpoint(request):
    async def numbers():
        while True:
            yield b"number\n"

    return StreamingResponse(numbers())


STARLETTE = Starlette(routes=[Route("/pay", starlette_endpoint), Route("/stream", streaming_endpoint)])


@pytest.mark.parametrize("fault", [*ENDS, *CUTS])
@pytest.mark.parametrize("path", ["/pay", "/stream"])
def test_a_test_client_meets_an_exception_where_a_connection_would_end(fault, path):
    app = wrapped(STARLETTE, f"{path} 100% {fault} as r")
    with pytest.raises(InjectedDisconnect), TestClient(app) as client:
        client.get(path)
    assert injected(app) == {fault.partition(" ")[0]: 1}
    assert app._injector.active_faults == 0


@pytest.mark.parametrize("fault", [*ENDS, *CUTS])
def test_httpx_in_process_meets_the_same_exception(time, fault):
    async def main():
        app = wrapped(STARLETTE, f"/pay 100% {fault} as r", time)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            with pytest.raises(InjectedDisconnect):
                await client.get("/pay")
            assert (await client.get("/other")).status_code == 404

    time.run(main)


def test_an_application_that_makes_light_of_a_broken_connection_hides_it_from_nobody():
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            try:
                await send({"type": "http.response.body", "body": b"0123456789", "more_body": True})
            except ConnectionError:
                continue

    app = wrapped(application, "/pay 100% truncate 15B as r")
    with pytest.raises(InjectedDisconnect):
        TestClient(app).get("/pay")


class H2Protocol:
    """What hypercorn has for a connection of HTTP/2, as far as it is used."""

    __module__ = "hypercorn.protocol.h2"

    def __init__(self) -> None:
        self.resets: list[tuple[int, int]] = []
        self.connection = self
        self.stream_buffers: dict[int, object] = {}
        self.flushes = 0

    def reset_stream(self, stream_id: int, error_code: int) -> None:
        if self.resets:
            raise RuntimeError("the stream is closed")
        self.resets.append((stream_id, error_code))

    async def _flush(self) -> None:
        self.flushes += 1

    async def stream_send(self, event) -> None: ...


class Stream:
    """A stream of it."""

    def __init__(self, protocol, exchange) -> None:
        self.stream_id = 7
        self.send = protocol.stream_send
        self.exchange = exchange

    async def app_send(self, message) -> None:
        await self.exchange.send(message)


@pytest.mark.parametrize(
    ("fault", "code", "runs"),
    [("stream_reset 8", 8, 0), ("stream_reset", 2, 0), ("reset", 2, 0), ("truncate 4B by=reset", 2, 1)],
)
def test_on_http_2_only_the_stream_is_reset(time, fault, code, runs):
    async def main():
        application = Application()
        app = wrapped(application, f"/pay 100% {fault} as r", time)
        protocol, exchange = H2Protocol(), Exchange()
        await app(http_scope("/pay") | {"http_version": "2"}, exchange.receive, Stream(protocol, exchange).app_send)
        assert (protocol.resets, protocol.flushes) == ([(7, code)], 1)
        assert application.runs == runs
        # hypercorn forgets the stream once it has an end, which goes nowhere.
        assert exchange.is_complete
        assert exchange.body == (b"appl" if runs else b"")

    time.run(main)


@pytest.mark.parametrize("fault", ["close", "partial_head", "truncate 4B", "malformed_chunk"])
def test_what_would_end_the_whole_connection_is_not_done_on_http_2(time, fault):
    async def main():
        app = wrapped(Application(), f"/pay 100% {fault} as r", time)
        protocol, exchange = H2Protocol(), Exchange()
        await app(http_scope("/pay") | {"http_version": "2"}, exchange.receive, Stream(protocol, exchange).app_send)
        assert (exchange.status, exchange.body, protocol.resets) == (200, b"application ", [])

    time.run(main)


@pytest.mark.parametrize("missing", ["connection", "stream_buffers", "_flush", "stream_id"])
def test_a_hypercorn_that_has_changed_is_left_alone(time, missing, monkeypatch):
    async def main():
        app = wrapped(Application(), "/pay 100% reset as r", time)
        protocol, exchange = H2Protocol(), Exchange()
        stream = Stream(protocol, exchange)
        if missing == "_flush":
            monkeypatch.delattr(H2Protocol, "_flush")
        else:
            delattr(stream if missing == "stream_id" else protocol, missing)
        await app(http_scope("/pay") | {"http_version": "2"}, exchange.receive, stream.app_send)
        assert (exchange.status, protocol.resets) == (200, [])
        assert suppressed(app, "impossible") == 1

    time.run(main)


def test_a_stream_that_is_closed_already_is_no_error(time):
    async def main():
        app = wrapped(Application(), "/pay 100% reset as r", time)
        protocol, exchange = H2Protocol(), Exchange()
        protocol.resets.append((7, 0))
        await app(http_scope("/pay") | {"http_version": "2"}, exchange.receive, Stream(protocol, exchange).app_send)
        assert exchange.is_complete

    time.run(main)


def test_an_answer_that_is_measured_leads_to_the_servers_objects_all_the_same(time):
    async def main():
        app = wrapped(Application(), "/pay 100% reset as r", time)
        await ask(app, "/ok")
        app._injector.measure()
        assert app._injector.view.is_measured
        protocol, exchange = H2Protocol(), Exchange()
        await app(http_scope("/pay") | {"http_version": "2"}, exchange.receive, Stream(protocol, exchange).app_send)
        assert protocol.resets == [(7, 2)]

    time.run(main)


class Granian:
    """What granian hands out."""

    __module__ = "granian._granian"

    def __init__(self, exchange) -> None:
        self.exchange = exchange

    async def send(self, message) -> None:
        await self.exchange.send(message)


@pytest.mark.parametrize(("code", "is_reset"), [(2, True), (8, False)])
def test_granian_resets_a_stream_if_the_application_fails_and_with_one_code_only(time, code, is_reset):
    async def main():
        app = wrapped(Application(), f"/pay 100% stream_reset {code} as r", time)
        exchange = Exchange()
        scope = http_scope("/pay") | {"http_version": "2"}
        if not is_reset:
            await app(scope, exchange.receive, Granian(exchange).send)
            assert (exchange.status, exchange.body) == (200, b"application ")
            return
        with pytest.raises(InjectedDisconnect):
            await app(scope, exchange.receive, Granian(exchange).send)
        assert (exchange.status, exchange.body, exchange.is_complete) == (200, b"\n", False)
        assert app._injector.active_faults == 0

    time.run(main)


class HandedOut:
    """A server that hands out its socket, as uvicorn does, or hypercorn three steps away."""

    def __init__(self, exchange, connection, steps: int) -> None:
        self.exchange = exchange
        self.transport = self if steps == 1 else None
        self.connection = connection
        self.writer = None
        self.inner = self
        if steps == 3:
            last = type("TCPServer", (), {"protocol_send": HandedOut.message})()
            last.writer = type("Writer", (), {"transport": self})()
            protocol = type("H11Protocol", (), {"stream_send": HandedOut.message})()
            protocol.send = last.protocol_send
            self.send = protocol.stream_send

    async def message(self, message) -> None:
        await self.exchange.send(message)

    def get_extra_info(self, name: str):
        return self.connection if name == "socket" else None


@pytest.mark.parametrize("steps", [1, 3])
def test_a_socket_that_the_server_hands_out_need_not_be_looked_for(time, steps, monkeypatch):
    async def main():
        app = wrapped(Application(), "/pay 100% reset as r", time)
        monkeypatch.setattr("faultware.asgi.finding.find", lambda *_: pytest.fail("it looks for it"))
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname(), PATIENCE_SECONDS) as client,
            listener.accept()[0] as server,
        ):
            scope = http_scope("/pay") | {"client": client.getsockname(), "server": server.getsockname()}
            exchange = Exchange()
            await app(scope, exchange.receive, HandedOut(exchange, server, steps).message)
            assert heard(client) == (b"", "RST")

    time.run(main)
