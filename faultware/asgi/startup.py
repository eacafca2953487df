"""How a misconfigured service refuses to start: by failing the lifespan start-up, which servers report and obey."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultware.asgi.responses import respond

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def refuse(reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Fail the start-up with the reason, or, under a server without lifespan, every request without it."""
    await receive()
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.failed", "message": reason})
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1011})
    else:
        body = b"Internal Server Error"
        head = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body)))]
        await respond(send, 500, head, b"" if scope.get("method") == "HEAD" else body)
