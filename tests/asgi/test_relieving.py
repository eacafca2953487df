"""hypercorn's answers on HTTP/2 whose clients have left; the real server is in tests/servers/test_connections.py."""

from __future__ import annotations

import anyio
import pytest

from faultware.asgi.relieving import relieve


class Buffer:
    is_closed = False

    async def close(self) -> None:
        self.is_closed = True


class H2Protocol:
    __module__ = "hypercorn.protocol.h2"

    def __init__(self, *, closed: bool = False) -> None:
        self.closed = closed
        self.stream_buffers = {1: Buffer(), 3: Buffer()}

    async def stream_send(self, message) -> None:
        raise AssertionError(message)


class Stream:
    stream_id = 1

    def __init__(self, protocol) -> None:
        self.send = protocol.stream_send
        self.put: list[str] = []
        self.app_put = self._put

    async def _put(self, message) -> None:
        self.put.append(message["type"])

    async def app_send(self, message) -> None:
        raise AssertionError(message)


def closed(protocol) -> list[bool]:
    return [buffer.is_closed for buffer in protocol.stream_buffers.values()]


def test_an_answer_is_let_go_when_its_client_leaves_and_its_neighbours_are_not():
    async def main():
        protocol = H2Protocol()
        stream = Stream(protocol)
        await relieve(stream.app_send)
        await stream.app_put({"type": "http.request"})
        assert closed(protocol) == [False, False]
        await stream.app_put({"type": "http.disconnect"})
        assert closed(protocol) == [True, False]
        del protocol.stream_buffers[1]
        await stream.app_put({"type": "http.disconnect"})
        assert stream.put == ["http.request", "http.disconnect", "http.disconnect"]

    anyio.run(main)


def test_an_answer_on_a_connection_that_has_gone_is_let_go_at_once():
    async def main():
        protocol = H2Protocol(closed=True)
        await relieve(Stream(protocol).app_send)
        assert closed(protocol) == [True, False]

    anyio.run(main)


@pytest.mark.parametrize("missing", ["app_put", "stream_buffers", "module"])
def test_where_anything_is_not_as_it_is_known_nothing_is_done(monkeypatch, missing):
    async def main():
        protocol = H2Protocol(closed=True)
        stream = Stream(protocol)
        buffers = protocol.stream_buffers
        if missing == "app_put":
            stream.app_put = None
        elif missing == "stream_buffers":
            del protocol.stream_buffers
        else:
            monkeypatch.setattr(H2Protocol, "__module__", "elsewhere")
        before = stream.app_put
        await relieve(stream.app_send)
        assert stream.app_put == before
        assert not any(buffer.is_closed for buffer in buffers.values())
        await relieve(main)

    anyio.run(main)
