"""Answers to earlier requests of a connection, which go out whole before a fault ends it or writes to it."""

from __future__ import annotations

import anyio
import pytest

from tests.asgi.server import Application, Exchange, wrapped
from tests.asgi.test_connections import ENDS, dialled_in
from tests.asgi.test_holding import kill_at
from tests.asgi.test_shaping import body, sends, start


@pytest.mark.parametrize("fault", ENDS)
def test_an_earlier_answer_on_the_connection_goes_out_before_its_end(time, monkeypatch, fault):
    # Twice nothing: what the server has kept to itself may come to light in between.
    left = iter([0, 700, *range(690, 0, -10), 0, 0, *[0] * 9])
    monkeypatch.setattr("faultware.runtime.wire.Wire.unacknowledged", lambda _self: next(left))

    async def main():
        app = wrapped(Application(), f"/pay 100% {fault} as r", time)
        with dialled_in() as (_, scope):
            began, exchange = time(), Exchange()
            await app(scope, exchange.receive, exchange.send)
            assert time() - began == pytest.approx(0.005 * 73, abs=0.02)

    time.run(main)


@pytest.mark.parametrize("fault", ["reset", "garbage 100B"])
def test_a_kill_before_an_earlier_answer_is_out_lets_the_request_go_on(time, monkeypatch, fault):
    monkeypatch.setattr("faultware.runtime.wire.Wire.unacknowledged", lambda _self: 700)

    async def main():
        app = wrapped(Application(), f"/pay 100% {fault} as r", time)
        with dialled_in() as (_, scope):
            exchange = Exchange()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kill_at, app, 1.0)
                await app(scope, exchange.receive, exchange.send)
        assert (exchange.status, app._injector.active_faults) == (200, 0)

    time.run(main)


@pytest.mark.parametrize("fault", ["malformed_chunk 8B", "content_length 5"])
def test_what_is_written_past_the_server_comes_behind_an_earlier_answer_whatever_happens(time, monkeypatch, fault):
    written: list[float] = []
    monkeypatch.setattr(
        "faultware.runtime.wire.Wire.unacknowledged",
        lambda _self: int(1000 * (began + 2 - time())) if not written and time() < began + 2 else 0,
    )
    monkeypatch.setattr("faultware.runtime.wire.Wire.write", lambda _self, data: written.append(time()) or len(data))
    began = time()

    async def main():
        application = sends(start(200, ("content-length", "30")), body(b"x" * 30))
        app = wrapped(application, f"/pay 100% {fault} as r", time)
        with dialled_in() as (_, scope):
            exchange = Exchange(leaves_after=5.0)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kill_at, app, 1.0)
                await app(scope, exchange.receive, exchange.send)
        assert app._injector.active_faults == 0

    time.run(main)
    assert written
    assert written[0] == pytest.approx(began + 2.0, abs=0.02)
