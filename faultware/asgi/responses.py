"""The messages by which faultware answers, and the mark on what the application answers."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from faultware.core.plan import MARK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from faultware.core.faults import Abort
    from faultware.core.request import Request


async def respond(send: Send, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
    """Send a whole response."""
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


async def abort(send: Send, request: Request, fault: Abort, mark: str, *, closes: bool = False) -> None:
    """Answer in the application's place, gRPC in its own terms.

    Args:
        send: The server's.
        request: What is answered.
        fault: The answer.
        mark: On the answer; empty: there is none.
        closes: Whether the client is told not to send its next request on this connection.
    """
    marks = [(MARK, mark)] if mark else []
    if closes:
        marks.append(("connection", "close"))
    fault = fault.in_terms_of(request)
    await respond(send, fault.status, fault.response_headers() + marks, fault.response_body(request.method))


async def farewell(send: Send) -> None:
    """Finish a request whose client has left, so that no server or outer middleware misses a response.

    The bytes go nowhere. 499 is what nginx writes into its log for such a request.
    """
    # A server may say that nobody listens (ASGI specification, since 2.4). Where requests were pipelined uvicorn tells
    # the last of them only, and writes for the others to what uvloop has closed: a RuntimeError.
    with suppress(OSError, RuntimeError):
        await respond(send, 499, [("content-length", "0")], b"")


def marked(send: Send, mark: str) -> Send:
    """A `send` that adds the mark to the head of the response; an empty one is left out."""
    if not mark:
        return send
    line = (MARK.encode("latin-1"), mark.encode("latin-1"))

    async def send_marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), line]}
        await send(message)

    return send_marked


async def lose(
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    is_off: Callable[[], bool],
    reply: Callable[[], Awaitable[None]],
) -> None:
    """Let the application answer, lose the answer, and give another.

    Args:
        app: The application.
        scope: Of the request.
        receive: What it receives.
        send: Where the answer goes if it is not lost.
        is_off: Whether it is not to be lost after all. Asked as soon as it begins. Later the other answer goes out at
            once, since a stream may have no end of its own.
        reply: Gives the other answer.
    """
    passes: bool | None = None
    is_answered = False

    async def send_or_lose(message: Message) -> None:
        nonlocal passes, is_answered
        if passes is None:
            passes = is_off()
        if passes:
            await send(message)
        elif not is_answered and is_off():
            is_answered = True
            await reply()

    asgi = scope.get("asgi", {})
    if str(asgi.get("spec_version", "2.0")) >= "2.4":
        # There a `send` raises once the client has left, and streams rely on that. One that loses everything cannot:
        # before 2.4 they listen for it.
        scope = {**scope, "asgi": {**asgi, "spec_version": "2.3"}}
    await app(scope, receive, send_or_lose)
    if not (passes or is_answered):
        await reply()
