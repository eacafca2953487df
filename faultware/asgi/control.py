"""The control endpoint, in Starlette's own types."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response

from faultware.asgi.responses import farewell
from faultware.control.messages import MAX_BODY, ControlRequest
from faultware.control.service import Admitted

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from faultware.control.messages import ControlResponse
    from faultware.control.service import Control

_MOST_THREADS: Final = 4
_kills: Final = RunVar[CapacityLimiter]("faultware_kill_threads")
_others: Final = RunVar[CapacityLimiter]("faultware_control_threads")


async def answer(control: Control, path: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request to the control endpoint.

    Args:
        control: The endpoint.
        path: The decoded path, which the endpoint owns.
        scope: Of the request.
        receive: Its body.
        send: Its response.
    """
    request = Request(scope, receive)
    # A head needs no thread: whoever is not let in keeps nobody waiting, and has no body read.
    admitted = control.admit(asked(control, path, scope))
    answered, is_gone = admitted, False
    if isinstance(admitted, Admitted):
        body = b""
        try:
            body = await _body(request)
        except ClientDisconnect:
            is_gone = True
        if not is_gone or admitted.is_urgent:
            # Operations write to the store: a disk must not hold up the loop.
            limiter = _threads(_kills if admitted.is_urgent else _others)
            answered = await to_thread.run_sync(control.answer, admitted, body, limiter=limiter)
    if is_gone or isinstance(answered, Admitted):
        await farewell(send)
        return
    headers = dict(answered.headers)
    if isinstance(admitted, Admitted) and admitted.route.is_personal and scope.get("http_version") == "1.1":
        # A connection stays with the worker that accepted it, and whoever asks again wants to hear of the others, too.
        headers["connection"] = "close"
    response = Response(b"" if request.method == "HEAD" else answered.body, int(answered.status), headers=headers)
    await response(scope, receive, send)


async def decline(control: Control, path: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket below the control path: there is none, and the application is not asked, either."""
    await deny(control.decline(asked(control, path, scope)), scope, receive, send)


async def deny(refusal: ControlResponse, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a handshake with a refusal; a server that cannot (ASGI, WebSocket Denial Response) makes it a 403."""
    await receive()
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})
        return
    response = Response(refusal.body, int(refusal.status), headers=dict(refusal.headers))
    await response(scope, receive, send)


def asked(control: Control, path: str, scope: Scope) -> ControlRequest:
    """The head of a request, as the endpoint sees it.

    Args:
        control: The endpoint.
        path: The decoded path, which the endpoint owns.
        scope: Of the request; a WebSocket's handshake counts as GET (RFC 6455, section 4.1).
    """
    connection = HTTPConnection(scope)
    headers: dict[str, str] = {}
    for name, value in connection.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return ControlRequest(
        method=scope.get("method", "GET"),
        path=control.below(path),
        query_string=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        client=connection.client.host if connection.client else "",
        raw_path=scope.get("raw_path", b"").decode("latin-1") if scope.get("raw_path") else "",
    )


def _threads(variable: RunVar[CapacityLimiter]) -> CapacityLimiter:
    """Threads of our own: a kill must not stand in a queue behind an application that has used up all of its.

    Nor behind those who ask for the status of a store that does not answer.
    """
    try:
        return variable.get()
    except LookupError:
        limiter = CapacityLimiter(_MOST_THREADS)
        variable.set(limiter)
        return limiter


async def _body(request: Request) -> bytes:
    """The body, cut one byte behind the limit: longer ones are refused, not kept."""
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_BODY:
                break
    return bytes(body[: MAX_BODY + 1])
