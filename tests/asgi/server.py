"""Plays an ASGI server that forgives nothing, for one request; and applications to be served.

What the specification leaves undefined, servers punish each in its own way: so every message is checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
from prometheus_client import CollectorRegistry

from faultware.asgi import FaultMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterable

REGISTRY = CollectorRegistry()
BODILESS = (204, 304)


class IllegalMessageError(AssertionError):
    """A message that a server need not accept."""


def wrapped(app, rules="", time=None, **options):
    """The middleware with rules, a store of its own, and nothing from the environment."""
    given = {} if time is None else {"clock": time}
    defaults = {"enabled": True, "store": "memory:", "environ": {}, "registry": REGISTRY}
    return FaultMiddleware(app, **{**defaults, **given, "rules": rules, **options})


def http_scope(
    path: str = "/",
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = (),
    query: str = "",
    root: str = "",
    client: str = "127.0.0.1",
) -> dict[str, Any]:
    """An HTTP scope as uvicorn makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": quote(path).encode("ascii"),
        "query_string": query.encode("latin-1"),
        "root_path": root,
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": (client, 50000) if client else None,
        "server": ("127.0.0.1", 80),
        "state": {},
    }


class Exchange:
    """One request: what the server hands over, and what it accepts.

    Args:
        chunks: The body; a number between them is a time, in seconds, in which nothing comes.
        leaves_after: When the client leaves, in seconds after the last chunk; None: it stays for the answer.
        method: Of the request.
    """

    def __init__(
        self, *chunks: bytes | float, leaves_after: float | None = None, method: str = "GET", is_strict: bool = True
    ) -> None:
        self._left = list(chunks or (b"",))
        self._leaves_after = leaves_after
        self._method = method
        self._is_strict = is_strict
        self._over = anyio.Event()
        self._due: float | None = None
        self.received: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.is_complete = False

    async def receive(self) -> dict[str, Any]:
        """The next chunk, then, once, that the client has left."""
        while self._left:
            chunk = self._left.pop(0)
            if not isinstance(chunk, bytes):
                try:
                    await self._sleep(chunk)
                except BaseException:
                    self._left.insert(0, chunk)
                    raise
                continue
            more = any(isinstance(other, bytes) for other in self._left)
            return self._given({"type": "http.request", "body": chunk, "more_body": more})
        if self._leaves_after is None:
            await self._over.wait()
        else:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._leave, self._leaves_after)
                await self._over.wait()
                tasks.cancel_scope.cancel()
        return self._given({"type": "http.disconnect"})

    async def _leave(self, seconds: float) -> None:
        await self._sleep(seconds)
        self._over.set()

    async def _sleep(self, seconds: float) -> None:
        """Until that time has passed, even if whoever waits gives up in between and comes back."""
        if self._due is None:
            self._due = anyio.current_time() + seconds
        await anyio.sleep_until(self._due)
        self._due = None

    def _given(self, message: dict[str, Any]) -> dict[str, Any]:
        self.received.append(message)
        return message

    async def send(self, message: dict[str, Any]) -> None:
        """Take a message, if it is one that may come now."""
        if self._is_strict:
            self._check(message)
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.is_complete = True
            self._over.set()

    @property
    def status(self) -> int:
        """The status of the answer."""
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer, each of which must stand there once."""
        lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.sent[0].get("headers", ())]
        assert len({name for name, _ in lines}) == len(lines), lines
        return dict(lines)

    @property
    def mark(self) -> str | None:
        """What faultware says it did."""
        return self.headers.get("faultware-fault")

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return b"".join(message.get("body", b"") for message in self.sent if message["type"] == "http.response.body")

    def check_whole(self) -> None:
        """Complain unless the answer is complete, and as long as it says."""
        if not self.is_complete:
            raise IllegalMessageError("the application returned, and the response is not complete")
        length = self.headers.get("content-length")
        may_be_shorter = self._method == "HEAD" or self.status == 304
        if length is not None and int(length) != len(self.body) and not (may_be_shorter and not self.body):
            raise IllegalMessageError(f"content-length {length}, body of {len(self.body)} bytes")
        if self.status in BODILESS and (self.body or (self.status == 204 and length is not None)):
            raise IllegalMessageError(f"status {self.status} with a body or a length")
        if self._method == "HEAD" and self.body:
            raise IllegalMessageError("an answer to HEAD with a body")

    def _check(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            if self.sent:
                raise IllegalMessageError("a second start")
            if type(message["status"]) is not int or not 100 <= message["status"] <= 999:
                raise IllegalMessageError(f"status {message['status']!r}")
            for name, value in message.get("headers", ()):
                _check_header(name, value)
        elif kind == "http.response.body":
            if not self.sent:
                raise IllegalMessageError("a body before the start")
            if self.is_complete:
                raise IllegalMessageError("a body after the end")
            if type(message.get("body", b"")) is not bytes or type(message.get("more_body", False)) is not bool:
                raise IllegalMessageError(f"{message!r}")
        else:
            raise IllegalMessageError(f"unknown type {kind!r}")


def _check_header(name: object, value: object) -> None:
    if type(name) is not bytes or type(value) is not bytes:
        raise IllegalMessageError(f"header {name!r}: {value!r}")
    if not name or name != name.lower() or any(byte in name for byte in b"\r\n: \0"):
        raise IllegalMessageError(f"header name {name!r}")
    if any(byte in value for byte in b"\r\n\0"):
        raise IllegalMessageError(f"header value {value!r}")


class Application:
    """Reads the body and answers with it; remembers how often it ran and what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any, Any]] = []
        self.bodies: list[bytes] = []
        self.messages: list[dict[str, Any]] = []

    async def __call__(self, scope, receive, send) -> None:
        self.calls.append((scope, receive, send))
        body = bytearray()
        while True:
            message = await receive()
            self.messages.append(message)
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        self.bodies.append(bytes(body))
        await answer(send, b"application " + bytes(body))

    @property
    def runs(self) -> int:
        """How often it was called."""
        return len(self.calls)


async def answer(send, body: bytes = b"application", status: int = 200) -> None:
    """An answer in two messages."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def ask(app, path: str = "/", *chunks: bytes | float, leaves_after: float | None = None, **scope) -> Exchange:
    """One request, watched; the answer must be whole."""
    exchange = Exchange(*chunks, leaves_after=leaves_after, method=scope.get("method", "GET"))
    await app(http_scope(path, **scope), exchange.receive, exchange.send)
    exchange.check_whole()
    return exchange
