"""A plain ASGI application behind the middleware. It imports no framework and runs on asyncio and trio."""

from __future__ import annotations

from faultware.asgi import FaultMiddleware
from tests.servers.plain import answer


async def plain(scope, receive, send):
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    content, headers = answer(scope["path"], body)
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    await send({"type": "http.response.body", "body": content})


app = FaultMiddleware(plain)
