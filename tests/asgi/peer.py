"""Plays a WebSocket server with its client; and an application to be served."""

from __future__ import annotations

import anyio

from tests.asgi.server import http_scope
from tests.asgi.test_holding import assert_nothing_is_held


def ws_scope(path="/ws", spec_version="2.3", **more):
    scope = {**http_scope(path), "type": "websocket", "scheme": "ws", "subprotocols": [], **more}
    del scope["method"]
    return {**scope, "asgi": {"version": "3.0", "spec_version": spec_version}}


class Peer:
    """A WebSocket server with its client: what the client sends, and what reaches it, with times.

    Args:
        time: The clock.
        sends: Texts or bytes; a number between them is a time, in seconds, in which nothing is sent.
        stays: Whether the client stays until the application ends the connection.
    """

    def __init__(self, time, *sends, stays=False) -> None:
        self._time = time
        self._began = time()
        self._left = ["connect", *sends]
        self._stays = stays
        self._due = None
        self._readers = 0
        self.sent = []
        self.times = []

    async def receive(self):
        self._readers += 1
        try:
            return await self._next()
        finally:
            self._readers -= 1

    async def _next(self):
        while self._left:
            item = self._left[0]
            if isinstance(item, (int, float)):
                # Whoever gives up in between and comes back waits for the rest.
                self._due = self._due or anyio.current_time() + item
                await anyio.sleep_until(self._due)
                self._due = None
                self._left.pop(0)
                continue
            self._left.pop(0)
            if item == "connect":
                return {"type": "websocket.connect"}
            return {"type": "websocket.receive", "text" if isinstance(item, str) else "bytes": item}
        if self._stays:
            await anyio.sleep_forever()
        return {"type": "websocket.disconnect", "code": 1005}

    async def send(self, message):
        # granian would wait until whoever reads has got something.
        assert message["type"] != "websocket.close" or not self._readers
        self.sent.append(message)
        self.times.append(round(self._time() - self._began, 6))

    @property
    def got(self):
        """What reached the client of what the application sent."""
        return [
            message["text"] if message.get("bytes") is None else message["bytes"]
            for message in self.sent
            if message["type"] == "websocket.send"
        ]

    @property
    def ends(self):
        return [message for message in self.sent if message["type"] == "websocket.close"]


class Echo:
    """Sends back what it gets; remembers everything."""

    def __init__(self) -> None:
        self.heard = []
        self.runs = 0

    async def __call__(self, scope, receive, send):
        self.runs += 1
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            self.heard.append(message)
            if message["type"] == "websocket.disconnect":
                return
            await send({**message, "type": "websocket.send"})


async def play(app, peer, **scope):
    await app(ws_scope(**scope), peer.receive, peer.send)
    assert_nothing_is_held(app)
    return peer
