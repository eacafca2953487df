"""The application of the matrix over ASGI: the one of the self-test."""

from __future__ import annotations

from faultware.asgi import FaultMiddleware
from faultware.asgi.selftest import application


async def known(scope, receive, send):
    if scope["type"] != "lifespan":
        await application(scope, receive, send)
        return
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


app = FaultMiddleware(known)
