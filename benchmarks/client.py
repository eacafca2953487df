"""A small HTTP/1.1 client for many connections at once. It reads responses with a length, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from benchmarks.servers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Coroutine

LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """One connection, on which one request after the other is sent."""

    def __init__(self) -> None:
        self._received = b""
        self._answered: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport | None = None
        # When the last request was sent and when its answer was complete, on the monotonic clock.
        self.sent_at = 0.0
        self.answered_at = 0.0

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        at = head.lower().index(LENGTH) + len(LENGTH)
        if len(body) >= int(head[at:].partition(b"\r\n")[0]):
            self.answered_at = time.monotonic()
            whole, self._received = self._received, b""
            if self._answered is not None and not self._answered.done():
                self._answered.set_result(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionError("the server closed the connection"))

    def send(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request; its answer as it came."""
        self._answered = asyncio.get_running_loop().create_future()
        self.sent_at = time.monotonic()
        self.transport.write(request)
        return self._answered

    def close(self) -> None:
        """Drop the connection and forget what was still to come."""
        if self._answered is not None:
            self._answered.cancel()
        self.transport.abort()


def get(path: str) -> bytes:
    """A GET request as curl sends it."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "User-Agent: curl/8.5.0", "Accept: */*", "", ""]
    return "\r\n".join(lines).encode()


def post(path: str) -> bytes:
    """A request to the control endpoint, with the token."""
    lines = [f"POST /_faultware/{path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {TOKEN}"]
    return "\r\n".join([*lines, "Content-Type: application/json", "Content-Length: 2", "", "{}"]).encode()


async def connect(port: int, count: int, at_once: int = 200) -> list[Connection]:
    """So many connections, opened a few at once, so that no backlog overflows."""
    connections: list[Connection] = []
    while len(connections) < count:
        group = [Connection.open(port) for _ in range(min(at_once, count - len(connections)))]
        connections += await asyncio.gather(*group)
    return connections


async def throughput(port: int, request: bytes, connections: int, seconds: float) -> tuple[int, float]:
    """How many requests were answered, one after the other on each connection, and in how many seconds."""
    opened = await connect(port, connections)
    began = time.monotonic()
    ends = began + seconds
    answered = 0

    async def ask(connection: Connection) -> None:
        nonlocal answered
        while time.monotonic() < ends:
            reply = await connection.send(request)
            if not reply.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"this should have passed: {reply[:200]!r}")
            answered += 1

    await asyncio.gather(*map(ask, opened))
    elapsed = time.monotonic() - began
    for connection in opened:
        connection.close()
    return answered, elapsed


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end, on the fastest loop there is: the client must not be what limits the server."""
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.run(main)
    return asyncio.run(main)
