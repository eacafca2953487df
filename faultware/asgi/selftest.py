"""The self-test over ASGI: a fault on the request that asks for it, around an application whose answer is known."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from anyio import to_thread
from starlette.responses import Response

from faultware.asgi.acting import inject
from faultware.asgi.control import asked, deny
from faultware.asgi.requests import ScopeRequest
from faultware.asgi.websocket import Handshake, inject_websocket
from faultware.control import selftest
from faultware.control.messages import ControlResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from faultware.control.service import Control
    from faultware.runtime.injector import Injector

_ECHO: Final = selftest.ECHO.encode("latin-1")


async def attempt(
    control: Control,
    injector: Injector,
    path: str,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    is_marked: bool,
) -> None:
    """Do to a request what it asks for, or refuse it.

    Args:
        control: The endpoint.
        injector: Of the service.
        path: The decoded path, which is the self-test's.
        scope: Of the request.
        receive: The server's.
        send: The server's.
        is_marked: Whether answers say what was done.
    """
    is_websocket = scope["type"] == "websocket"
    request = Handshake(scope, path) if is_websocket else ScopeRequest(scope, path)
    ask = partial(control.selftest, asked(control, path, scope), request, is_websocket=is_websocket)
    planned = await to_thread.run_sync(ask)
    if not isinstance(planned, ControlResponse):
        act = inject_websocket if is_websocket else inject
        await act(application, injector, planned, request, scope, receive, send, is_marked=is_marked)
        return
    if is_websocket:
        await deny(planned, scope, receive, send)
        return
    response = Response(planned.body, int(planned.status), headers=dict(planned.headers))
    await response(scope, receive, send)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers requests with what `faultware.control.selftest` says, and repeats the messages of WebSockets."""
    if scope["type"] == "websocket":
        await _repeat(receive, send)
        return
    read, is_over = 0, False
    while not is_over:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        read += len(message.get("body", b""))
        is_over = not message.get("more_body", False)
    echo = next((value.decode("latin-1") for name, value in scope["headers"] if name == _ECHO), "")
    lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in selftest.head(echo, read)]
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    for piece in selftest.pieces():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _repeat(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        text = message.get("text")
        await send({"type": "websocket.send", **({"bytes": message["bytes"]} if text is None else {"text": text})})
